// ONNX If and Loop: scf on tensors, with one scalar read for each decision.
#include "Importer.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace tenon {

static const onnx::GraphProto *findGraph(const onnx::NodeProto &node,
                                         StringRef attribute) {
  for (const onnx::AttributeProto &candidate : node.attribute())
    if (candidate.name() == attribute.str() && candidate.has_g())
      return &candidate.g();
  return nullptr;
}

Value Importer::makeScalar(Type type, int64_t value) {
  auto tensor = RankedTensorType::get({}, type);
  return graph::ConstantOp::create(
      builder, builder.getUnknownLoc(), tensor,
      DenseElementsAttr::get(tensor, builder.getIntegerAttr(type, value)));
}

FailureOr<SmallVector<Value>>
Importer::importGraph(const onnx::GraphProto &graph, StringRef name,
                      Region &region, TypeRange types, Scope &outer) {
  Scope scope = outer; // a graph may read any value around it
  scope.definitions.clear();
  declare(graph.value_info(), graph.output(), scope);
  scope.prefix = (name + "/").str();
  Block *block = new Block();
  region.push_back(block);
  for (auto [i, type] : llvm::enumerate(types)) {
    scope.values[graph.input(i).name()] = block->addArgument(type, loc);
    scope.definitions[graph.input(i).name()] = "an input";
  }
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.restoreInsertionPoint(*outermost);
    for (const onnx::TensorProto &tensor : graph.initializer()) {
      FailureOr<Value> value = initializers.emit(
          builder, NameLoc::get(builder.getStringAttr(tensor.name())), tensor);
      scope.values[tensor.name()] = succeeded(value) ? *value : Value();
      scope.definitions[tensor.name()] = "an initializer";
    }
    outermost = builder.saveInsertionPoint();
  }
  builder.setInsertionPointToEnd(block);
  for (const onnx::ValueInfoProto &output : graph.output())
    scope.used.insert(output.name());
  importNodes(graph.node(), scope);
  SmallVector<Value> results;
  for (const onnx::ValueInfoProto &output : graph.output()) {
    FailureOr<Value> value =
        lookUp(NameLoc::get(builder.getStringAttr(name)),
               "node '" + name + "': its graph gives", output.name(), scope);
    if (failed(value))
      return failure();
    results.push_back(*value);
  }
  return results;
}

/// What a flag is whatever the inputs hold; none if they decide.
static std::optional<bool> findKnown(const SymbolicShapes &shapes, Value flag) {
  DenseIntElementsAttr constant;
  if (matchPattern(flag, m_Constant(&constant)) && constant.isSplat())
    return constant.getSplatValue<APInt>().isOne();
  const SymbolicSizes *contents = shapes.getContents(flag);
  if (!contents || contents->size() != 1)
    return std::nullopt;
  std::optional<int64_t> known = contents->front().getConstant();
  return known ? std::optional(*known != 0) : std::nullopt;
}

/// If(condition)  ->  scf.if (graph.read condition)
/// Where the sizes of the model decide, the branch that is taken.
void Importer::importIf(const onnx::NodeProto &node, StringRef name,
                        Scope &scope) {
  auto nodeLoc = NameLoc::get(builder.getStringAttr(name));
  auto refuse = [&](bool unsupported) {
    (unsupported ? problems.unsupported : problems.invalid) = true;
    return emitError(nodeLoc) << "node '" << name << "' (If): ";
  };
  const onnx::GraphProto *graphs[] = {findGraph(node, "then_branch"),
                                      findGraph(node, "else_branch")};
  if (!graphs[0] || !graphs[1] || node.input_size() != 1) {
    refuse(false) << "needs one condition, then_branch and else_branch";
    return dropResults(node, scope);
  }
  FailureOr<Value> condition =
      lookUp(nodeLoc, "node '" + name + "' (If): reads", node.input(0), scope);
  if (failed(condition))
    return dropResults(node, scope);
  OpBuilder::InsertPoint here = builder.saveInsertionPoint();
  bool isOutermost = !outermost;
  if (isOutermost)
    outermost = here;
  Region regions[2];
  SmallVector<SmallVector<Value>> results;
  auto leave = [&] {
    builder.restoreInsertionPoint(isOutermost ? *outermost : here);
    if (isOutermost)
      outermost.reset();
  };
  if (std::optional<bool> known = findKnown(*shapes, *condition)) {
    Region &taken = regions[0];
    auto values = importGraph(*graphs[*known ? 0 : 1], name, taken, {}, scope);
    leave();
    if (failed(values))
      return dropResults(node, scope);
    builder.getBlock()->getOperations().splice(builder.getInsertionPoint(),
                                               taken.front().getOperations());
    return setResults(node, name, *values, scope);
  }
  for (int i = 0; i < 2; ++i) {
    auto values = importGraph(*graphs[i], name, regions[i], {}, scope);
    if (succeeded(values)) {
      scf::YieldOp::create(builder, nodeLoc, *values);
      results.push_back(*values);
    }
  }
  leave();
  if (results.size() != 2)
    return dropResults(node, scope);
  if (results[0].size() != results[1].size()) {
    refuse(false) << "gives " << results[0].size() << " values in one branch, "
                  << results[1].size() << " in the other";
    return dropResults(node, scope);
  }
  for (auto [lhs, rhs] : llvm::zip(results[0], results[1]))
    if (lhs.getType() != rhs.getType()) {
      refuse(true) << "gives " << lhs.getType() << " in one branch, "
                   << rhs.getType() << " in the other, which is unsupported";
      return dropResults(node, scope);
    }
  Value decision =
      graph::ReadOp::create(builder, nodeLoc, builder.getI1Type(), *condition);
  OperationState state(nodeLoc, scf::IfOp::getOperationName());
  state.addOperands(decision);
  state.addTypes(ValueRange(results[0]).getTypes());
  for (Region &region : regions)
    state.addRegion()->takeBody(region);
  setResults(node, name, builder.create(state)->getResults(), scope);
}

static bool isTrue(Value flag) {
  DenseElementsAttr value;
  return matchPattern(flag, m_Constant(&value)) && value.isSplat() &&
         value.getSplatValue<bool>();
}

/// The values of one iteration outside the loop, for their sizes alone: where
/// these do not depend on data, nothing computes the values in the end.
static IRMapping cloneFirstIteration(OpBuilder &builder, Block *body,
                                     ValueRange inits) {
  IRMapping first;
  first.map(body->getArguments(), inits);
  for (Operation &op : *body)
    builder.clone(op, first)->walk([](Operation *clone) {
      clone->removeAttr("tenon.id");
      if (auto count = dyn_cast<graph::CountOp>(clone))
        count.setName(""); // gets one of its own
    });
  return first;
}

/// The first rows of a tensor, as many as `count`, which is no more than it
/// has.
static Value takeRows(OpBuilder &builder, Location loc, Value tensor,
                      Value count) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<int64_t> starts(type.getRank(), 0), steps(type.getRank(), 1),
      ends(type.getRank(), INT64_MAX), shape(type.getShape());
  ends.front() = shape.front() = ShapedType::kDynamic;
  return graph::SliceOp::create(builder, loc, type.clone(shape), tensor,
                                ValueRange(), starts, count, ends, steps);
}

/// A scan output  ->  a carried value of trips × the element's sizes, of which
/// each iteration writes its row:  where(iota == iteration, element, carried)
/// Returns the number of trips as a size; null if there is no scan output.
Value Importer::addScans(Location loc, Value trips, OpBuilder::InsertPoint here,
                         Block *body, ArrayRef<Value> elements,
                         SmallVectorImpl<Value> &inits,
                         SmallVectorImpl<Value> &yields) {
  if (elements.empty())
    return {};
  Type i1 = builder.getI1Type(), i64 = builder.getI64Type();
  auto typeOf = [](Value value) {
    return cast<RankedTensorType>(value.getType());
  };
  builder.restoreInsertionPoint(here);
  IRMapping first;
  if (!llvm::all_of(elements,
                    [&](Value e) { return typeOf(e).hasStaticShape(); }))
    first = cloneFirstIteration(builder, body, ArrayRef(inits).drop_front());
  DenseIntElementsAttr constant;
  int64_t count = ShapedType::kDynamic;
  Value size;
  if (matchPattern(trips, m_Constant(&constant))) {
    count = std::max<int64_t>(0, constant.getSplatValue<int64_t>());
    size = arith::ConstantIndexOp::create(builder, loc, count);
  } else {
    size = graph::ExtractOp::create(builder, loc, builder.getIndexType(), trips,
                                    /*position=*/0);
    // A count below zero is none.
    Value none = arith::ConstantIndexOp::create(builder, loc, 0);
    size = arith::MaxSIOp::create(builder, loc, size, none);
  }
  for (Value element : elements) {
    RankedTensorType type = typeOf(element);
    SmallVector<int64_t> fixed{count};
    llvm::append_range(fixed, type.getShape());
    auto whole = RankedTensorType::get(fixed, type.getElementType());
    builder.restoreInsertionPoint(here);
    SmallVector<Value> dynamic;
    if (whole.isDynamicDim(0))
      dynamic.push_back(size);
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      if (type.isDynamicDim(dim))
        dynamic.push_back(
            graph::DimOp::create(builder, loc, builder.getIndexType(),
                                 first.lookupOrDefault(element), dim));
    auto scalar = RankedTensorType::get({}, type.getElementType());
    Value zero = graph::ConstantOp::create(
        builder, loc, scalar,
        DenseElementsAttr::get(scalar,
                               builder.getZeroAttr(type.getElementType())));
    inits.push_back(
        graph::BroadcastOp::create(builder, loc, whole, zero, dynamic, fixed));

    Value carried = body->addArgument(whole, loc);
    builder.setInsertionPointToEnd(body);
    Value start = arith::ConstantIndexOp::create(builder, loc, 0);
    Value rows = graph::IotaOp::create(
        builder, loc, RankedTensorType::get({count}, i64), start, 1, size);
    Value isRow =
        graph::EqualOp::create(builder, loc, RankedTensorType::get({count}, i1),
                               rows, body->getArgument(0));
    SmallVector<int64_t> column(whole.getRank(), 1);
    column.front() = count;
    isRow = graph::ReshapeOp::create(
        builder, loc, RankedTensorType::get(column, i1), isRow,
        whole.isDynamicDim(0) ? ValueRange(size) : ValueRange(), column,
        /*allow_zero=*/true);
    yields.push_back(
        graph::WhereOp::create(builder, loc, whole, isRow, element, carried));
  }
  return size;
}

/// Loop(trips, condition, carried...)  ->  scf.while over (keep, iteration,
/// carried...), where keep = iteration < trips && condition
void Importer::importLoop(const onnx::NodeProto &node, StringRef name,
                          Scope &scope) {
  auto nodeLoc = NameLoc::get(builder.getStringAttr(name));
  auto refuse = [&](bool unsupported) {
    (unsupported ? problems.unsupported : problems.invalid) = true;
    dropResults(node, scope);
    return emitError(nodeLoc)
           << "node '" << name << "' (" << node.op_type() << "): ";
  };
  const onnx::GraphProto *graph = findGraph(node, "body");
  int carriedCount = std::max(node.input_size() - 2, 0);
  if (!graph || graph->input_size() != carriedCount + 2 ||
      graph->output_size() < carriedCount + 1) {
    refuse(false) << "needs a body that takes the iteration, the condition and "
                  << carriedCount << " values and gives as many back";
    return;
  }
  bool hasScans = graph->output_size() != carriedCount + 1;
  Value trips, condition;
  SmallVector<Value> carried;
  for (int i = 0; i < node.input_size(); ++i) {
    if (node.input(i).empty())
      continue;
    FailureOr<Value> value =
        lookUp(nodeLoc, "node '" + name + "' (" + node.op_type() + "): reads",
               node.input(i), scope);
    if (failed(value))
      return dropResults(node, scope);
    if (i == 0)
      trips = *value;
    else if (i == 1)
      condition = *value;
    else
      carried.push_back(*value);
  }
  if (!trips && !condition) {
    refuse(false) << "has neither a trip count nor a condition and never ends";
    return;
  }
  Type i1 = builder.getI1Type(), i64 = builder.getI64Type();
  auto flag = RankedTensorType::get({}, i1),
       count = RankedTensorType::get({}, i64);
  auto scalar = [&](Value value, RankedTensorType type) -> Value {
    if (!value || value.getType() == type)
      return value;
    return graph::ReshapeOp::create(builder, nodeLoc, type, value, ValueRange(),
                                    ArrayRef<int64_t>{}, /*allow_zero=*/false);
  };
  trips = scalar(trips, count);
  condition = scalar(condition, flag);
  if (hasScans && !trips) {
    refuse(true) << "has scan outputs, which need a trip count";
    return;
  }
  // A number that stands for "without end" is none that memory could hold.
  DenseIntElementsAttr constant;
  constexpr int64_t mostTrips = int64_t(1) << 31;
  if (hasScans && matchPattern(trips, m_Constant(&constant)) &&
      constant.getSplatValue<int64_t>() > mostTrips) {
    refuse(true) << "has scan outputs, which need a trip count of no more than "
                 << mostTrips << ", but has "
                 << constant.getSplatValue<int64_t>();
    return;
  }
  bool mayEndBefore = condition && !isTrue(condition);
  auto keepGoing = [&](Value iteration, Value condition) -> Value {
    Value below = trips ? Value(graph::LessOp::create(builder, nodeLoc, flag,
                                                      iteration, trips))
                        : Value();
    if (!below || !condition)
      return below ? below : condition;
    return graph::AndOp::create(builder, nodeLoc, flag, below, condition);
  };
  Value first = makeScalar(i64, 0), always = makeScalar(i1, 1);
  SmallVector<Value> inits{keepGoing(first, condition), first};
  llvm::append_range(inits, carried);

  OpBuilder::InsertPoint here = builder.saveInsertionPoint();
  bool isOutermost = !outermost;
  if (isOutermost)
    outermost = here;
  auto leave = [&] {
    builder.restoreInsertionPoint(isOutermost ? *outermost : here);
    if (isOutermost)
      outermost.reset();
  };
  Region before, after;
  // after: (iteration, carried); the body's condition is true in it.
  Block *body = new Block();
  after.push_back(body);
  for (Value init : ArrayRef(inits).drop_front())
    body->addArgument(init.getType(), nodeLoc);
  Region nested;
  SmallVector<Type> types{count, flag};
  llvm::append_range(types, ValueRange(carried).getTypes());
  auto results = importGraph(*graph, name, nested, types, scope);
  if (failed(results)) {
    leave();
    return dropResults(node, scope);
  }
  Block &inner = nested.front();
  SmallVector<Value> arguments{body->getArgument(0), always};
  llvm::append_range(arguments, body->getArguments().drop_front());
  for (auto [from, to] : llvm::zip(inner.getArguments(), arguments)) {
    from.replaceAllUsesWith(to);
    for (Value &result : *results)
      if (result == from)
        result = to;
  }
  body->getOperations().splice(body->end(), inner.getOperations());
  builder.setInsertionPointToEnd(body);
  Value next = graph::AddOp::create(builder, nodeLoc, count,
                                    body->getArgument(0), makeScalar(i64, 1));
  // Without a condition the body has one, too, which ONNX ignores.
  Value goOn = condition ? scalar((*results)[0], flag) : Value();
  mayEndBefore |= goOn && !isTrue(goOn);
  SmallVector<Value> yields{keepGoing(next, goOn), next};
  auto scans = results->begin() + 1 + carriedCount;
  yields.append(results->begin() + 1, scans);
  Value most = addScans(nodeLoc, trips, here, body,
                        ArrayRef(scans, results->end()), inits, yields);
  builder.setInsertionPointToEnd(body);
  scf::YieldOp::create(builder, nodeLoc, yields);
  // before: (keep, iteration, carried) decides and hands the rest on.
  Block *decide = new Block();
  before.push_back(decide);
  for (Value init : inits)
    decide->addArgument(init.getType(), nodeLoc);
  builder.setInsertionPointToEnd(decide);
  Value keep =
      graph::ReadOp::create(builder, nodeLoc, i1, decide->getArgument(0));
  scf::ConditionOp::create(builder, nodeLoc, keep,
                           decide->getArguments().drop_front());
  leave();
  for (auto [init, yield] : llvm::zip(inits, yields))
    if (init.getType() != yield.getType()) {
      refuse(true) << "carries a value of " << init.getType()
                   << " that its body turns into one of " << yield.getType()
                   << ", which is unsupported";
      return;
    }
  OperationState state(nodeLoc, scf::WhileOp::getOperationName());
  state.addOperands(inits);
  state.addTypes(ValueRange(inits).drop_front().getTypes());
  state.addRegion()->takeBody(before);
  state.addRegion()->takeBody(after);
  SmallVector<Value> finals(builder.create(state)->getResults());
  if (hasScans && mayEndBefore) {
    // Import gives it its name.
    Value done = graph::CountOp::create(
        builder, nodeLoc, builder.getIndexType(), "", finals.front(), most);
    for (Value &scan : MutableArrayRef(finals).drop_front(1 + carriedCount))
      scan = takeRows(builder, nodeLoc, scan, done);
  }
  setResults(node, name, ArrayRef(finals).drop_front(), scope);
}

} // namespace tenon
