// ONNX operators that make tensors of constants, or look values up by index.
#include "ImportContext.h"

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
  FailureOr<Sizes> sizes = ctx.extractAll(ctx.getOperand(0));
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

/// Range(start, limit, step)  ->  iota start step size ceildiv(limit - start)
LogicalResult importRange(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Type element = typeOf(ctx.getOperand(0)).getElementType();
  if (!isa<IntegerType>(element))
    return ctx.unsupported()
           << "a range of " << element << " is unsupported, only integers are";
  std::optional<SmallVector<int64_t>> step = constantInts(ctx.getOperand(2));
  if (!step || step->size() != 1)
    return ctx.unsupported() << "delta must be a constant";
  if (step->front() == 0)
    return ctx.invalid() << "delta must not be 0";
  OpFoldResult start = ctx.extract(ctx.getOperand(0), 0);
  OpFoldResult limit = ctx.extract(ctx.getOperand(1), 0);
  OpFoldResult size =
      ctx.ceilDivide(ctx.subtract(limit, start), ctx.makeSize(step->front()));
  if (std::optional<int64_t> known = getConstantIntValue(size))
    size = ctx.makeSize(std::max<int64_t>(*known, 0));
  return ctx.setResult(graph::IotaOp::create(
      ctx.builder, ctx.loc, RankedTensorType::get(staticSize(size), element),
      ctx.materialize(start), step->front(), ctx.materialize(size)));
}

const OpHandler handlers[] = {
    {"Constant", importConstant}, {"ConstantOfShape", importConstantOfShape},
    {"Gather", importGather},     {"GatherND", importGatherND},
    {"Range", importRange},
};

} // namespace

ArrayRef<OpHandler> dataHandlers() { return handlers; }

} // namespace tenon
