// ONNX Scan: a Loop that takes the elements of its inputs one by one.
#include "Importer.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace tenon {
namespace {

/// How a Scan goes along one of its inputs or results.
struct Direction {
  int64_t axis = 0;
  bool isReversed = false;
};

/// Attributes NAME_axes and NAME_directions for `count` tensors.
SmallVector<Direction> getDirections(const onnx::NodeProto &node,
                                     const std::string &name, int count) {
  SmallVector<Direction> directions(count);
  for (const onnx::AttributeProto &attribute : node.attribute())
    for (int i = 0; i < std::min(count, attribute.ints_size()); ++i) {
      if (attribute.name() == name + "_axes")
        directions[i].axis = attribute.ints(i);
      if (attribute.name() == name + "_directions")
        directions[i].isReversed = attribute.ints(i) != 0;
    }
  return directions;
}

void addNode(onnx::GraphProto &graph, const char *type,
             ArrayRef<std::string> inputs, const std::string &output,
             std::optional<int64_t> axis = std::nullopt) {
  onnx::NodeProto &node = *graph.add_node();
  node.set_op_type(type);
  node.set_name(type);
  for (const std::string &input : inputs)
    node.add_input(input);
  node.add_output(output);
  if (!axis)
    return;
  onnx::AttributeProto &attribute = *node.add_attribute();
  attribute.set_name("axis");
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(*axis);
}

/// A body for Loop, which looks up the elements that Scan's takes.
onnx::GraphProto makeLoopBody(const onnx::GraphProto &scan,
                              ArrayRef<Direction> directions,
                              const std::string &prefix) {
  onnx::GraphProto body = scan;
  body.clear_input();
  body.clear_node();
  body.clear_output();
  std::string iteration = prefix + "iteration", keep = prefix + "keep";
  body.add_input()->set_name(iteration);
  body.add_input()->set_name(keep);
  int carried = scan.input_size() - directions.size();
  for (int i = 0; i < carried; ++i)
    *body.add_input() = scan.input(i);
  addNode(body, "Sub", {prefix + "last", iteration}, prefix + "reversed");
  for (auto [i, direction] : llvm::enumerate(directions))
    addNode(body, "Gather",
            {prefix + std::to_string(i),
             direction.isReversed ? prefix + "reversed" : iteration},
            scan.input(carried + i).name(), direction.axis);
  body.mutable_node()->MergeFrom(scan.node());
  body.add_output()->set_name(keep);
  body.mutable_output()->MergeFrom(scan.output());
  return body;
}

/// Puts dimension 0, the iterations, where the direction says.
Value turn(OpBuilder &builder, Location loc, Value value, Direction direction) {
  auto type = cast<RankedTensorType>(value.getType());
  int64_t rank = type.getRank();
  if (direction.isReversed) {
    SmallVector<int64_t> starts(rank, 0), ends(rank, INT64_MAX), steps(rank, 1);
    starts[0] = INT64_MAX, ends[0] = -INT64_MAX, steps[0] = -1;
    value = graph::SliceOp::create(builder, loc, type, value, ValueRange(),
                                   starts, ValueRange(), ends, steps);
  }
  if (direction.axis == 0)
    return value;
  SmallVector<int64_t> permutation =
      llvm::to_vector(llvm::seq<int64_t>(1, rank));
  permutation.insert(permutation.begin() + direction.axis, 0);
  SmallVector<int64_t> shape;
  for (int64_t dim : permutation)
    shape.push_back(type.getDimSize(dim));
  return graph::TransposeOp::create(builder, loc, type.clone(shape), value,
                                    permutation);
}

} // namespace

/// Scan(carried..., x...)  ->  Loop(size of x, carried...), whose body takes
/// gather x, iteration
void Importer::importScan(const onnx::NodeProto &node, StringRef name,
                          Scope &scope) {
  auto nodeLoc = NameLoc::get(builder.getStringAttr(name));
  auto refuse = [&] {
    problems.invalid = true;
    dropResults(node, scope);
    return emitError(nodeLoc) << "node '" << name << "' (Scan): ";
  };
  const onnx::GraphProto *graph = nullptr;
  int64_t scanned = 0;
  for (const onnx::AttributeProto &attribute : node.attribute()) {
    if (attribute.name() == "body" && attribute.has_g())
      graph = &attribute.g();
    if (attribute.name() == "num_scan_inputs")
      scanned = attribute.i();
  }
  int64_t carried = node.input_size() - scanned;
  if (!graph || scanned < 1 || carried < 0 ||
      graph->input_size() != node.input_size() ||
      graph->output_size() < carried ||
      node.output_size() > graph->output_size()) {
    refuse() << "needs a body that takes what is carried and an element of "
             << "each of num_scan_inputs inputs, and gives what is carried";
    return;
  }
  std::string prefix = (name + "/scan ").str();
  SmallVector<Direction> inputs = getDirections(node, "scan_input", scanned);
  Type index = builder.getIndexType(), i64 = builder.getI64Type();
  Value trips;
  for (auto [i, direction] : llvm::enumerate(inputs)) {
    FailureOr<Value> value =
        lookUp(nodeLoc, "node '" + name + "' (Scan): reads",
               node.input(carried + i), scope);
    if (failed(value))
      return dropResults(node, scope);
    auto type = cast<RankedTensorType>(value->getType());
    if (direction.axis < 0)
      direction.axis += type.getRank();
    if (direction.axis < 0 || direction.axis >= type.getRank()) {
      refuse() << "has no axis to go along in " << type;
      return;
    }
    Value size =
        graph::DimOp::create(builder, nodeLoc, index, *value, direction.axis);
    if (trips)
      graph::AssumeEqualOp::create(builder, nodeLoc, trips, size);
    else
      trips = size;
    scope.values[prefix + std::to_string(i)] = *value;
  }
  auto count = RankedTensorType::get({}, i64);
  Value trip = graph::FromIndicesOp::create(builder, nodeLoc, count, trips);
  scope.values[prefix + "trips"] = trip;
  scope.values[prefix + "last"] =
      graph::SubOp::create(builder, nodeLoc, count, trip, makeScalar(i64, 1));
  onnx::NodeProto loop;
  loop.set_op_type("Scan"); // what errors are about
  loop.add_input(prefix + "trips");
  loop.add_input("");
  for (int64_t i = 0; i < carried; ++i)
    loop.add_input(node.input(i));
  // Their types are not those of the results before these are turned.
  for (int i = 0; i < node.output_size(); ++i)
    loop.add_output(prefix + "result " + std::to_string(i));
  onnx::AttributeProto &attribute = *loop.add_attribute();
  attribute.set_name("body");
  attribute.set_type(onnx::AttributeProto::GRAPH);
  *attribute.mutable_g() = makeLoopBody(*graph, inputs, prefix);
  importLoop(loop, name, scope);

  int64_t scans = std::max<int64_t>(node.output_size() - carried, 0);
  SmallVector<Direction> outputs = getDirections(node, "scan_output", scans);
  SmallVector<Value> results;
  for (const std::string &output : loop.output())
    results.push_back(scope.values.lookup(output));
  if (llvm::is_contained(results, Value()))
    return dropResults(node, scope);
  for (auto [value, direction] :
       llvm::zip(llvm::drop_begin(results, carried), outputs)) {
    int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
    if (direction.axis < 0)
      direction.axis += rank;
    if (direction.axis < 0 || direction.axis >= rank) {
      refuse() << "has no axis to go along in " << value.getType();
      return;
    }
    value = turn(builder, nodeLoc, value, direction);
  }
  setResults(node, name, results, scope);
}

} // namespace tenon
