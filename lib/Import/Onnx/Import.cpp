// The model: its inputs become arguments of @main, its nodes graph ops in the
// order they are written, its functions are inlined.
#include "tenon/Import/Onnx/Import.h"
#include "Importer.h"
#include "Payloads.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;

namespace tenon {

/// Functions may call functions; none may call itself.
static constexpr unsigned deepestCall = 16;

static std::string operatorKey(StringRef domain, StringRef name,
                               StringRef overload = "") {
  return (canonicalDomain(domain) + ":" + name + ":" + overload).str();
}

Importer::Importer(MLIRContext *context, const onnx::ModelProto &model,
                   StringRef path, const GivenWeights &given, Location loc)
    : builder(context), model(model), loc(loc), given(given),
      initializers(path, given, problems) {
  for (ArrayRef<OpHandler> family : {activationHandlers(),
                                     attentionHandlers(),
                                     blockQuantizationHandlers(),
                                     channelNormHandlers(),
                                     contractionHandlers(),
                                     convolutionHandlers(),
                                     dataHandlers(),
                                     einsumHandlers(),
                                     elementwiseHandlers(),
                                     expertHandlers(),
                                     fusedAttentionHandlers(),
                                     gridHandlers(),
                                     gridSampleHandlers(),
                                     groupQueryAttentionHandlers(),
                                     linearAttentionHandlers(),
                                     lossHandlers(),
                                     microsoftHandlers(),
                                     microsoftQuantizationHandlers(),
                                     poolingHandlers(),
                                     positionBiasHandlers(),
                                     quantizationHandlers(),
                                     recurrentHandlers(),
                                     reductionHandlers(),
                                     resizeHandlers(),
                                     rotaryHandlers(),
                                     selectionHandlers(),
                                     shapeHandlers(),
                                     slicingHandlers(),
                                     spatialHandlers(),
                                     trigonometryHandlers()})
    for (const OpHandler &handler : family)
      handlers[operatorKey(handler.domain, handler.opType)] = &handler;
  for (const onnx::FunctionProto &function : model.functions())
    functions[operatorKey(function.domain(), function.name(),
                          function.overload())] = &function;
  for (const onnx::TensorProto &tensor : model.graph().initializer())
    tensors[tensor.name()] = &tensor;
}

std::string Importer::uniqueName(StringRef name) {
  std::string unique = name.str();
  while (unsigned uses = names[unique]++)
    unique = (name + "." + Twine(uses)).str();
  return unique;
}

/// An operand of the operators that take sizes, bounds or axes: a scalar or a
/// short list.
static bool mayHoldSizes(RankedTensorType type) {
  constexpr int64_t longest = 16;
  return (type.getElementType().isInteger(32) ||
          type.getElementType().isInteger(64)) &&
         !type.getElementType().isUnsignedInteger() && type.getRank() <= 1 &&
         type.hasStaticShape() && type.getNumElements() <= longest;
}

/// Names INPUT[0], INPUT[1], … for the elements of each small input of
/// integers; none where a size of the model has that name already.
static void nameElements(func::FuncOp function, ArrayRef<StringAttr> symbols) {
  Builder builder(function.getContext());
  for (BlockArgument argument : function.getArguments()) {
    auto type = cast<RankedTensorType>(argument.getType());
    if (!mayHoldSizes(type))
      continue;
    unsigned number = argument.getArgNumber();
    auto input = function.getArgAttrOfType<StringAttr>(number, "tenon.name");
    SmallVector<Attribute> names;
    for (int64_t i = 0; i < type.getNumElements(); ++i)
      names.push_back(
          builder.getStringAttr(input.getValue() + "[" + Twine(i) + "]"));
    if (llvm::none_of(names, [&](Attribute name) {
          return llvm::is_contained(symbols, name);
        }))
      function.setArgAttr(number, "tenon.elements",
                          builder.getArrayAttr(names));
  }
}

void Importer::takeGivenInputs() {
  for (const onnx::ValueInfoProto &input : model.graph().input()) {
    if (tensors.count(input.name()) || !given.find(input.name()))
      continue;
    const onnx::TypeProto::Tensor &type = input.type().tensor_type();
    onnx::TensorProto &tensor = givenInputs.emplace_back();
    tensor.set_name(input.name());
    tensor.set_data_type(type.elem_type());
    tensors[input.name()] = &tensor;
    bool isFixed = type.has_shape();
    for (const auto &dim : type.shape().dim()) {
      isFixed &= dim.has_dim_value();
      tensor.add_dims(dim.dim_value());
    }
    if (!isFixed)
      invalid() << "input '" << input.name()
                << "': is among the given weights, but has no fixed sizes";
  }
}

void Importer::checkGivenNames() {
  for (const auto &entry : given.getNames())
    if (!tensors.count(entry.getKey()))
      invalid() << "names of weights: '" << entry.getKey()
                << "' is no initializer or input of the model";
  if (!given.empty() && llvm::none_of(tensors, [&](const auto &entry) {
        return given.find(entry.getKey()).has_value();
      }))
    invalid() << "weights '" << given.firstFile()
              << "': no initializer or input of the model has the name of a "
                 "tensor in it; --weight-names says what they are called";
}

LogicalResult Importer::importInputs(func::FuncOp function, Scope &scope) {
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  SmallVector<StringAttr> symbols;
  SmallVector<std::string> inputNames;
  bool good = true;
  for (const onnx::ValueInfoProto &input : model.graph().input()) {
    // Before IR 4 every initializer is listed as an input too.
    if (tensors.count(input.name()))
      continue;
    if (!input.type().has_tensor_type()) {
      problems.unsupported = true;
      emitError(loc) << "input '" << input.name()
                     << "': unsupported type, only tensors are supported";
      good = false;
      continue;
    }
    const onnx::TypeProto::Tensor &tensor = input.type().tensor_type();
    Type element =
        Initializers::elementType(builder.getContext(), tensor.elem_type());
    if (!element || !tensor.has_shape()) {
      problems.unsupported = true;
      auto error = emitError(loc) << "input '" << input.name() << "': ";
      if (!element)
        error << "unsupported element type "
              << elementTypeName(tensor.elem_type());
      else
        error << "unsupported type, its rank is unknown";
      good = false;
      continue;
    }
    SmallVector<int64_t> sizes;
    SmallVector<Attribute> dims;
    bool hasSizes = true;
    for (const auto &dim : tensor.shape().dim()) {
      if (dim.has_dim_value() && dim.dim_value() < 0) {
        invalid() << "input '" << input.name() << "': has size "
                  << dim.dim_value() << " in dimension " << dims.size()
                  << ", which must be at least 0";
        hasSizes = false;
      }
      if (dim.has_dim_value()) {
        sizes.push_back(dim.dim_value());
        dims.push_back(builder.getI64IntegerAttr(dim.dim_value()));
        continue;
      }
      std::string symbol = dim.dim_param();
      if (symbol.empty())
        symbol = input.name() + "_d" + std::to_string(dims.size());
      auto name = builder.getStringAttr(symbol);
      sizes.push_back(ShapedType::kDynamic);
      dims.push_back(name);
      if (!llvm::is_contained(symbols, name))
        symbols.push_back(name);
    }
    if (!hasSizes) {
      good = false;
      continue;
    }
    auto type = RankedTensorType::get(sizes, element);
    if (isTooLarge(type)) {
      invalid() << "input '" << input.name() << "': is a " << type
                << ", which no memory could hold";
      good = false;
      continue;
    }
    types.push_back(type);
    attributes.push_back(builder.getDictionaryAttr(
        {builder.getNamedAttr("tenon.name",
                              builder.getStringAttr(input.name())),
         builder.getNamedAttr("tenon.dims", builder.getArrayAttr(dims))}));
    inputNames.push_back(input.name());
  }
  function.setType(builder.getFunctionType(types, {}));
  function.setAllArgAttrs(attributes);
  Block *block = function.addEntryBlock();
  nameElements(function, symbols);
  for (auto [name, argument] : llvm::zip(inputNames, block->getArguments()))
    scope.values[name] = argument;
  builder.setInsertionPointToStart(block);
  for (StringAttr symbol : symbols)
    graph::SymbolOp::create(builder, NameLoc::get(symbol),
                            builder.getIndexType(), symbol, /*min=*/0,
                            /*max=*/INT64_MAX, /*hint=*/IntegerAttr());
  return success(good);
}

FailureOr<Value> Importer::lookUp(Location at, const Twine &reader,
                                  const std::string &name, Scope &scope) {
  auto found = scope.values.find(name);
  if (found != scope.values.end())
    return found->second ? FailureOr<Value>(found->second)
                         : FailureOr<Value>(failure());
  if (scope.depth == 0)
    if (const onnx::TensorProto *tensor = tensors.lookup(name)) {
      OpBuilder::InsertionGuard guard(builder);
      if (outermost)
        builder.restoreInsertionPoint(*outermost);
      auto place = NameLoc::get(builder.getStringAttr(name));
      std::optional<GivenWeights::Source> source = given.find(name);
      FailureOr<Value> value =
          source ? initializers.emitGiven(builder, place, *tensor, *source)
                 : initializers.emit(builder, place, *tensor);
      scope.values[name] = succeeded(value) ? *value : Value();
      return value;
    }
  problems.invalid = true;
  emitError(at) << reader << " value '" << name << "', which "
                << (scope.producers.contains(name)
                        ? "is computed only later; nodes must be in an order "
                          "without cycles"
                        : "nothing computes");
  scope.values[name] = Value();
  return failure();
}

/// Ops that compute tensors get an id: the last, which computes the node's
/// result, the node's name, others a number behind it. Sizes and constants get
/// none, so that equal ones stay equal; counts get a name for expressions.
void Importer::nameOps(Block *block, Operation *before, StringRef name) {
  auto begin = before ? std::next(before->getIterator()) : block->begin();
  auto nameUnnamed = [&](Operation *op) {
    if (auto count = dyn_cast<graph::CountOp>(op);
        count && count.getName().empty())
      count.setName(uniqueName((name + "/count").str()));
    if (isa<graph::GraphDialect>(op->getDialect()) &&
        op->getNumResults() == 1 &&
        isa<RankedTensorType>(op->getResult(0).getType()) &&
        !op->hasAttr("tenon.id") &&
        !isa<graph::ConstantOp, graph::FromIndicesOp, graph::WeightOp>(op))
      op->setAttr("tenon.id", builder.getStringAttr(uniqueName(name)));
  };
  for (Operation &op : llvm::reverse(llvm::make_range(begin, block->end())))
    op.walk(nameUnnamed);
}

static LogicalResult checkSizes(Operation *op) {
  for (Type type : op->getResultTypes())
    if (isTooLarge(type))
      return op->emitError("gives a ")
             << type << ", which no memory could hold";
  return success();
}

/// Now rather than at the end, so that a contradiction is reported beside what
/// is unsupported elsewhere.
bool Importer::verifyOps(Operation *before) {
  Block *block = builder.getBlock();
  auto first = before ? std::next(before->getIterator()) : block->begin();
  bool isValid = true;
  for (Operation &op : llvm::make_range(first, block->end()))
    isValid &= succeeded(verify(&op)) && succeeded(checkSizes(&op));
  problems.invalid |= !isValid;
  return isValid;
}

void Importer::inferShapes(Operation *before) {
  Block *block = builder.getBlock();
  auto first = before ? std::next(before->getIterator()) : block->begin();
  for (Operation &op : llvm::make_range(first, block->end()))
    shapes->extend(op);
}

void Importer::importCall(const onnx::NodeProto &node, StringRef name,
                          const onnx::FunctionProto &function, Scope &scope) {
  if (scope.depth >= deepestCall) {
    invalid() << "node '" << name << "': calls of function '" << function.name()
              << "' are nested more than " << deepestCall << " deep";
    return dropResults(node, scope);
  }
  if (node.input_size() > function.input_size()) {
    invalid(node, name) << "has " << node.input_size()
                        << " operands, but the function takes "
                        << function.input_size();
    return dropResults(node, scope);
  }
  Scope body;
  body.prefix = (name + "/").str();
  body.depth = scope.depth + 1;
  for (const onnx::OperatorSetIdProto &opset : function.opset_import())
    body.opsets[canonicalDomain(opset.domain())] = opset.version();
  declare(function.value_info(), {}, body);
  for (auto [i, input] : llvm::enumerate(function.input())) {
    body.definitions[input] = "an input";
    // An operand that the call leaves out is left out in the body, too.
    if (static_cast<int>(i) >= node.input_size() || node.input(i).empty() ||
        scope.omitted.contains(node.input(i))) {
      body.omitted.insert(input);
      continue;
    }
    FailureOr<Value> value =
        lookUp(NameLoc::get(builder.getStringAttr(name)),
               "node '" + name + "' (" + node.op_type() + "): reads",
               node.input(i), scope);
    body.values[input] = succeeded(value) ? *value : Value();
  }
  CallAttributes attributes;
  for (const onnx::AttributeProto &attribute : function.attribute_proto())
    attributes[attribute.name()] = &attribute;
  for (const onnx::AttributeProto &attribute : node.attribute()) {
    if (attribute.ref_attr_name().empty())
      attributes[attribute.name()] = &attribute;
    else if (scope.callAttributes)
      attributes[attribute.name()] =
          scope.callAttributes->lookup(attribute.ref_attr_name());
  }
  body.callAttributes = &attributes;
  for (const std::string &output : function.output())
    body.used.insert(output);
  importNodes(function.node(), body);
  SmallVector<Value> results;
  for (const std::string &output : function.output()) {
    FailureOr<Value> value =
        lookUp(NameLoc::get(builder.getStringAttr(name)),
               "node '" + name + "': its function gives", output, body);
    results.push_back(succeeded(value) ? *value : Value());
  }
  setResults(node, name, results, scope);
}

void Importer::importNode(const onnx::NodeProto &node, Scope &scope) {
  StringRef domain = canonicalDomain(node.domain());
  std::string name =
      scope.prefix + (node.name().empty()
                          ? node.op_type() + "_" + std::to_string(nodesSeen)
                          : node.name());
  ++nodesSeen;
  if (!checkNode(node, name, scope))
    return;
  if (const onnx::FunctionProto *function = functions.lookup(
          operatorKey(domain, node.op_type(), node.overload())))
    return importCall(node, name, *function, scope);

  Operation *before =
      builder.getBlock()->empty() ? nullptr : &builder.getBlock()->back();
  int64_t opset = scope.opsets.lookup(domain);
  auto importControl =
      StringSwitch<void (Importer::*)(const onnx::NodeProto &, StringRef,
                                      Scope &)>(node.op_type())
          .Case("If", &Importer::importIf)
          .Case("Loop", &Importer::importLoop)
          // Before opset 9 it had a batch.
          .Case("Scan", opset < 9 ? nullptr : &Importer::importScan)
          .Default(nullptr);
  if (domain.empty() && importControl) {
    (this->*importControl)(node, name, scope);
    nameOps(builder.getBlock(), before, name);
    return inferShapes(before);
  }

  auto nodeLoc = NameLoc::get(builder.getStringAttr(name));
  const OpHandler *handler =
      handlers.lookup(operatorKey(domain, node.op_type()));
  dropResults(node, scope);
  if (!handler || (domain.empty() && opset < handler->since)) {
    problems.unsupported = true;
    emitError(nodeLoc) << "node '" << name << "' (" << node.op_type() << ", "
                       << (domain.empty() ? "ai.onnx" : domain) << ", opset "
                       << opset << "): unsupported "
                       << (handler ? "opset" : "operator");
    return;
  }

  SmallVector<Value> operands;
  bool complete = true;
  for (const std::string &input : node.input()) {
    operands.emplace_back();
    if (input.empty() || scope.omitted.contains(input))
      continue;
    FailureOr<Value> value =
        lookUp(nodeLoc, "node '" + name + "' (" + node.op_type() + "): reads",
               input, scope);
    if (succeeded(value))
      operands.back() = *value;
    else
      complete = false;
  }
  if (!complete)
    return;
  SmallVector<bool> used;
  for (const std::string &output : node.output())
    used.push_back(!output.empty() && scope.used.contains(output));
  ImportContext ctx(builder, node, name, opset, operands, used,
                    scope.callAttributes, initializers, problems, *shapes);
  if (failed(handler->import(ctx)) || failed(ctx.checkLeftovers()))
    return;
  nameOps(builder.getBlock(), before, name);
  // Nobody can work with the results of an op that breaks its rules.
  if (!verifyOps(before))
    return;
  setResults(node, name, ctx.getResults(), scope);
  inferShapes(before);
}

/// Everything that nodes read, those of their graphs included.
static void collectUses(const Nodes &nodes, llvm::StringSet<> &used) {
  for (const onnx::NodeProto &node : nodes) {
    for (const std::string &input : node.input())
      used.insert(input);
    for (const onnx::AttributeProto &attribute : node.attribute())
      if (attribute.has_g()) {
        collectUses(attribute.g().node(), used);
        for (const onnx::ValueInfoProto &output : attribute.g().output())
          used.insert(output.name());
      }
  }
}

void Importer::importNodes(const Nodes &nodes, Scope &scope) {
  collectUses(nodes, scope.used);
  for (const onnx::NodeProto &node : nodes)
    for (const std::string &output : node.output())
      scope.producers[output] = &node;
  for (const onnx::NodeProto &node : nodes)
    importNode(node, scope);
}

OwningOpRef<ModuleOp> Importer::run() {
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  module.get()->setAttr("tenon.phase", builder.getStringAttr("import"));
  builder.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(builder, loc, "main",
                                       builder.getFunctionType({}, {}));
  Scope scope;
  checkOpsets(model.opset_import(), "");
  for (const onnx::FunctionProto &called : model.functions())
    checkOpsets(called.opset_import(), "function '" + called.name() + "' ");
  checkNames(scope);
  takeGivenInputs();
  checkGivenNames();
  if (problems.invalid || problems.unsupported)
    return nullptr; // What the nodes mean is not known.
  for (const onnx::OperatorSetIdProto &opset : model.opset_import())
    scope.opsets[canonicalDomain(opset.domain())] = opset.version();
  declare(model.graph().value_info(), model.graph().output(), scope);
  for (const onnx::SparseTensorProto &tensor :
       model.graph().sparse_initializer()) {
    problems.unsupported = true;
    emitError(loc) << "tensor '" << tensor.values().name()
                   << "': unsupported, it is sparse";
    scope.values[tensor.values().name()] = Value();
  }
  if (failed(importInputs(function, scope)))
    for (const onnx::ValueInfoProto &input : model.graph().input())
      if (!tensors.count(input.name()))
        scope.values.try_emplace(input.name(), Value());
  shapes.emplace(function);
  for (const onnx::ValueInfoProto &output : model.graph().output())
    scope.used.insert(output.name());
  importNodes(model.graph().node(), scope);

  SmallVector<Value> results;
  SmallVector<DictionaryAttr> attributes;
  for (const onnx::ValueInfoProto &output : model.graph().output()) {
    FailureOr<Value> value =
        lookUp(loc, "the model gives", output.name(), scope);
    if (failed(value))
      continue;
    results.push_back(*value);
    attributes.push_back(builder.getDictionaryAttr(builder.getNamedAttr(
        "tenon.name", builder.getStringAttr(output.name()))));
  }
  if (problems.invalid || problems.unsupported)
    return nullptr;
  func::ReturnOp::create(builder, loc, results);
  function.setType(builder.getFunctionType(function.getArgumentTypes(),
                                           ValueRange(results).getTypes()));
  function.setAllResultAttrs(attributes);
  if (failed(verify(*module))) {
    problems.invalid = true;
    return nullptr;
  }
  return module;
}

/// Returns what is wrong, or nothing.
static StringRef parse(const llvm::MemoryBuffer &file,
                       onnx::ModelProto &model) {
  if (file.getBufferSize() == 0)
    return "it is empty";
  std::string text;
  switch (withoutPayloads(file.getBuffer(),
                          llvm::sys::path::filename(file.getBufferIdentifier()),
                          constantLimit, text)) {
  case WireFormat::Good:
    break;
  case WireFormat::Damaged:
    return "it ends or changes in the middle of a field";
  case WireFormat::TooDeep:
    return "it is nested too deep";
  }
  if (!model.ParseFromString(text))
    return "a message in it is damaged";
  return model.has_graph() ? "" : "it has no graph";
}

OwningOpRef<ModuleOp> importOnnx(MLIRContext *context, StringRef path,
                                 const GivenWeightFiles &given,
                                 bool &unsupported) {
  context->loadDialect<arith::ArithDialect, func::FuncDialect,
                       graph::GraphDialect, scf::SCFDialect>();
  unsupported = false;
  auto loc = NameLoc::get(StringAttr::get(context, path));
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false);
  if (!file) {
    emitError(loc) << "cannot read " << path << ": "
                   << file.getError().message();
    return nullptr;
  }
  onnx::ModelProto model;
  if (StringRef problem = parse(**file, model); !problem.empty()) {
    emitError(loc) << path << " is no ONNX model: " << problem;
    return nullptr;
  }
  GivenWeights weights;
  if (llvm::Error error = weights.open(given)) {
    emitError(loc) << llvm::toString(std::move(error));
    return nullptr;
  }
  Importer importer(context, model, path, weights, loc);
  OwningOpRef<ModuleOp> module = importer.run();
  unsupported = !module && !importer.getProblems().invalid;
  return module;
}

} // namespace tenon
