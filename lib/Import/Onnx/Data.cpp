// ONNX operators that make tensors of constants, or look values up or write
// them by index.
#include "ImportContext.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace tenon {
namespace {

LogicalResult importConstant(ImportContext &ctx) {
  Builder &builder = ctx.builder;
  if (const onnx::AttributeProto *value = ctx.getAttribute("value")) {
    FailureOr<Value> tensor = ctx.makeTensor(value->t());
    return failed(tensor) ? failure() : ctx.setResult(*tensor);
  }
  auto make = [&](Type type, ArrayRef<int64_t> shape, auto values) {
    return ctx.setResult(ctx.makeConstant(
        DenseElementsAttr::get(RankedTensorType::get(shape, type), values)));
  };
  if (ctx.getAttribute("value_int"))
    return make(builder.getI64Type(), {}, ArrayRef(ctx.getInt("value_int", 0)));
  if (ctx.getAttribute("value_float"))
    return make(builder.getF32Type(), {},
                ArrayRef(ctx.getFloat("value_float", 0)));
  if (std::optional<SmallVector<int64_t>> ints = ctx.getInts("value_ints"))
    return make(builder.getI64Type(), static_cast<int64_t>(ints->size()),
                ArrayRef<int64_t>(*ints));
  if (const onnx::AttributeProto *value = ctx.getAttribute("value_floats"))
    return make(builder.getF32Type(), value->floats_size(),
                ArrayRef<float>(value->floats().data(), value->floats_size()));
  return ctx.unsupported() << "strings and sparse values are unsupported";
}

/// ConstantOfShape(sizes)  ->  broadcast c to [sizes]
LogicalResult importConstantOfShape(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  FailureOr<Sizes> sizes = ctx.extractAll(ctx.getOperand(0), 0);
  if (failed(sizes))
    return failure();
  Value scalar;
  if (const onnx::AttributeProto *value = ctx.getAttribute("value")) {
    FailureOr<Value> tensor = ctx.makeTensor(value->t());
    if (failed(tensor))
      return failure();
    if (typeOf(*tensor).getNumElements() != 1)
      return ctx.invalid() << "value must have 1 element, but has "
                           << typeOf(*tensor).getNumElements();
    scalar = *tensor;
  } else {
    scalar = ctx.makeScalar(0, ctx.builder.getF32Type());
  }
  // Rank 0, so that a shape of rank 0 gives a scalar.
  auto elements = cast<DenseElementsAttr>(
      scalar.getDefiningOp<graph::ConstantOp>().getValue());
  Type element = elements.getElementType();
  scalar.getDefiningOp()->erase();
  auto splat = [&](ArrayRef<int64_t> shape) {
    return ctx.makeConstant(
        DenseElementsAttr::get(RankedTensorType::get(shape, element),
                               *elements.getValues<Attribute>().begin()));
  };
  SmallVector<int64_t> shape = staticSizes(*sizes);
  if (!ShapedType::isDynamicShape(shape) &&
      ShapedType::getNumElements(shape) <= 128)
    return ctx.setResult(splat(shape));
  SmallVector<Value> values;
  SmallVector<int64_t> known;
  dispatchIndexOpFoldResults(*sizes, values, known);
  return ctx.setResult(graph::BroadcastOp::create(
      ctx.builder, ctx.loc, RankedTensorType::get(shape, element), splat({}),
      values, known));
}

LogicalResult importGather(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  FailureOr<int64_t> axis = ctx.getAxis(0, typeOf(ctx.getOperand(0)).getRank());
  if (failed(axis))
    return failure();
  return ctx.setResult(ctx.gather(ctx.getOperand(0), ctx.getOperand(1), *axis));
}

LogicalResult importGatherND(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0), indices = ctx.getOperand(1);
  RankedTensorType type = typeOf(input), indexType = typeOf(indices);
  int64_t batchDims = ctx.getInt("batch_dims", 0);
  if (indexType.getRank() == 0)
    return ctx.invalid() << "indices must have a rank of 1 or more";
  int64_t tuple = indexType.getShape().back();
  if (ShapedType::isDynamic(tuple))
    return ctx.unsupported() << "the last size of indices must be known";
  if (batchDims < 0 || tuple < 1 || batchDims + tuple > type.getRank())
    return ctx.invalid() << "has index tuples of " << tuple
                         << " for an input of rank " << type.getRank()
                         << " with " << batchDims << " batch dimensions";
  SmallVector<int64_t> sizes(indexType.getShape().drop_back());
  llvm::append_range(sizes, type.getShape().drop_front(batchDims + tuple));
  return ctx.setResult(graph::GatherNDOp::create(
      ctx.builder, ctx.loc, RankedTensorType::get(sizes, type.getElementType()),
      input, indices, batchDims));
}

LogicalResult importGatherElements(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0), indices = ctx.getOperand(1);
  FailureOr<int64_t> axis = ctx.getAxis(0, typeOf(input).getRank());
  if (failed(axis))
    return failure();
  return ctx.setResult(graph::GatherElementsOp::create(
      ctx.builder, ctx.loc,
      typeOf(indices).clone(typeOf(input).getElementType()), input, indices,
      *axis));
}

/// Attribute `reduction` of a scatter into operand 0.
FailureOr<graph::ScatterKind> getScatterKind(ImportContext &ctx) {
  StringRef reduction = ctx.getString("reduction", "none");
  auto kind = llvm::StringSwitch<std::optional<graph::ScatterKind>>(reduction)
                  .Case("none", graph::ScatterKind::Replace)
                  .Case("add", graph::ScatterKind::Add)
                  .Case("mul", graph::ScatterKind::Mul)
                  .Case("max", graph::ScatterKind::Max)
                  .Case("min", graph::ScatterKind::Min)
                  .Default(std::nullopt);
  if (!kind) {
    ctx.invalid() << "reduction must be none, add, mul, max or min, got "
                  << reduction;
    return failure();
  }
  Type element = typeOf(ctx.getOperand(0)).getElementType();
  if (*kind != graph::ScatterKind::Replace && element.isInteger(1)) {
    ctx.unsupported() << "reduction " << reduction
                      << " of bools is unsupported";
    return failure();
  }
  return *kind;
}

LogicalResult importScatterElements(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Value input = ctx.getOperand(0);
  FailureOr<int64_t> axis = ctx.getAxis(0, typeOf(input).getRank());
  FailureOr<graph::ScatterKind> kind = getScatterKind(ctx);
  if (failed(axis) || failed(kind))
    return failure();
  return ctx.setResult(graph::ScatterElementsOp::create(
      ctx.builder, ctx.loc, input.getType(), *kind, input, ctx.getOperand(1),
      ctx.getOperand(2), *axis));
}

LogicalResult importScatterND(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Value input = ctx.getOperand(0), indices = ctx.getOperand(1);
  FailureOr<graph::ScatterKind> kind = getScatterKind(ctx);
  if (failed(kind))
    return failure();
  if (typeOf(indices).getRank() == 0)
    return ctx.invalid() << "indices must have a rank of 1 or more";
  if (ShapedType::isDynamic(typeOf(indices).getShape().back()))
    return ctx.unsupported() << "the last size of indices must be known";
  return ctx.setResult(graph::ScatterNDOp::create(ctx.builder, ctx.loc,
                                                  input.getType(), *kind, input,
                                                  indices, ctx.getOperand(2)));
}

/// OneHot(x, depth, values)  ->  where x = iota depth, values[1], values[0]
LogicalResult importOneHot(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  OpBuilder &builder = ctx.builder;
  Type index = builder.getI64Type();
  // Any type of number is allowed.
  Value indices = ctx.cast(ctx.getOperand(0), index);
  int64_t rank = typeOf(indices).getRank();
  FailureOr<int64_t> axis = ctx.getAxis(-1, rank + 1);
  FailureOr<Sizes> depth =
      ctx.extractAll(ctx.cast(ctx.getOperand(1), index), 0);
  if (failed(axis) || failed(depth))
    return failure();
  if (depth->size() != 1)
    return ctx.invalid() << "depth must have 1 element, but has "
                         << depth->size();
  RankedTensorType values = typeOf(ctx.getOperand(2));
  if (values.getRank() != 1 || values.getDimSize(0) != 2)
    return ctx.invalid() << "values must be of size 2, but has type " << values;
  if (ctx.opset >= 11) {
    // Before that, negative indices were out of range.
    Value negative = ctx.binary<graph::LessOp>(
        indices, ctx.makeScalar(0, index), builder.getI1Type());
    Value last = graph::FromIndicesOp::create(builder, ctx.loc,
                                              RankedTensorType::get({}, index),
                                              ctx.materialize(depth->front()));
    Value wrapped = ctx.binary<graph::AddOp>(indices, last);
    indices = graph::WhereOp::create(builder, ctx.loc, indices.getType(),
                                     negative, wrapped, indices);
  }
  Sizes sizes = ctx.getSizes(indices);
  sizes.insert(sizes.begin() + *axis, ctx.makeSize(1));
  indices = ctx.reshape(indices, sizes);
  Value positions = ctx.iota(ctx.makeSize(0), depth->front());
  Sizes along(rank + 1 - *axis, ctx.makeSize(1));
  along.front() = depth->front();
  positions = ctx.reshape(positions, along);
  Value hot =
      ctx.binary<graph::EqualOp>(indices, positions, builder.getI1Type());
  if (!hot)
    return failure();
  auto value = [&](int64_t position) {
    Value part = ctx.slice(ctx.getOperand(2), 0, ctx.makeSize(position),
                           ctx.makeSize(position + 1));
    return ctx.reshape(part, {});
  };
  return ctx.setResult(graph::WhereOp::create(
      builder, ctx.loc, typeOf(hot).clone(values.getElementType()), hot,
      value(1), value(0)));
}

LogicalResult importNonZero(ImportContext &ctx) {
  return ctx.unsupported()
         << "the size of the result depends on data, which is unsupported";
}

/// Range(start, limit, step)  ->  iota start step size ceildiv(limit - start)
LogicalResult importRange(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Type element = typeOf(ctx.getOperand(0)).getElementType();
  if (!isa<IntegerType>(element))
    return ctx.unsupported()
           << "a range of " << element << " is unsupported, only integers are";
  std::optional<SmallVector<int64_t>> step =
      ctx.getConstantInts(ctx.getOperand(2));
  if (!step || step->size() != 1)
    return ctx.unsupported() << "delta must be a constant";
  if (step->front() == 0)
    return ctx.invalid() << "delta must not be 0";
  Sizes bounds;
  for (unsigned i = 0; i < 2; ++i) {
    FailureOr<Sizes> bound = ctx.extractAll(ctx.getOperand(i), INT64_MIN);
    if (failed(bound))
      return failure();
    if (bound->size() != 1)
      return ctx.invalid() << "operand " << i
                           << " must have 1 element, but has " << bound->size();
    bounds.push_back(bound->front());
  }
  OpFoldResult start = bounds[0], limit = bounds[1];
  OpFoldResult size =
      ctx.ceilDivide(ctx.subtract(limit, start), ctx.makeSize(step->front()));
  if (std::optional<int64_t> known = getConstantIntValue(size))
    size = ctx.makeSize(std::max<int64_t>(*known, 0));
  return ctx.setResult(graph::IotaOp::create(
      ctx.builder, ctx.loc, RankedTensorType::get(staticSize(size), element),
      ctx.materialize(start), step->front(), ctx.materialize(size)));
}

const OpHandler handlers[] = {
    {"Constant", importConstant},
    {"ConstantOfShape", importConstantOfShape},
    {"Gather", importGather},
    {"GatherElements", importGatherElements},
    {"GatherND", importGatherND},
    {"NonZero", importNonZero},
    {"OneHot", importOneHot},
    {"Range", importRange},
    {"Scatter", importScatterElements},
    {"ScatterElements", importScatterElements},
    {"ScatterND", importScatterND},
};

} // namespace

ArrayRef<OpHandler> dataHandlers() { return handlers; }

} // namespace tenon
