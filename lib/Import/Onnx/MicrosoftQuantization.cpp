// Operators of domain com.microsoft on integers of 8 bits.
#include "Formula.h"
#include "Quantized.h"

using namespace mlir;

namespace tenon {
namespace {

/// Adds operand `i`, a bias, if there is one, and makes the sum the result. A
/// null value stands for an error.
LogicalResult addBias(ImportContext &ctx, Value value, unsigned i) {
  if (Value bias = ctx.getOperand(i); value && bias)
    value = ctx.binary<graph::AddOp>(value, bias);
  return value ? ctx.setResult(value) : failure();
}

/// DynamicQuantizeMatMul(a, b, bs, bz, bias)
LogicalResult importDynamicQuantizeMatMul(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  if (!typeOf(ctx.getOperand(0)).getElementType().isF32())
    return ctx.invalid() << "needs an input of f32, but has "
                         << ctx.getOperand(0).getType();
  Quantized lhs = quantizeDynamically(ctx, ctx.getOperand(0));
  Value product = multiplyIntegers(ctx, lhs.values, lhs.zeroPoint,
                                   ctx.getOperand(1), ctx.getOperand(3));
  return addBias(ctx, scaleProduct(ctx, product, lhs.scale, ctx.getOperand(2)),
                 4);
}

/// MatMulIntegerToFloat(a, b, as, bs, az, bz, bias)
LogicalResult importMatMulIntegerToFloat(ImportContext &ctx) {
  if (failed(ctx.requireOperands(4)))
    return failure();
  Value product = multiplyIntegers(ctx, ctx.getOperand(0), ctx.getOperand(4),
                                   ctx.getOperand(1), ctx.getOperand(5));
  return addBias(
      ctx, scaleProduct(ctx, product, ctx.getOperand(2), ctx.getOperand(3)), 6);
}

/// The float `value` as the result, quantized by the scale that is operand
/// `first` and the zero point behind it, of `type` if that is left out. A null
/// value stands for an error.
LogicalResult setQuantized(ImportContext &ctx, Value value, unsigned first,
                           Type type) {
  Value scale = asScalar(ctx, ctx.getOperand(first)),
        zeroPoint = asScalar(ctx, ctx.getOperand(first + 1));
  if (!value)
    return failure();
  for (Value parameter : {scale, zeroPoint})
    if (parameter && typeOf(parameter).getRank() != 0)
      return ctx.invalid() << "needs one scale and zero point of its result, "
                           << "but has " << parameter.getType();
  if (zeroPoint)
    type = typeOf(zeroPoint).getElementType();
  Value result = quantize(ctx, value, scale, zeroPoint, type);
  return result ? ctx.setResult(result) : failure();
}

/// QGemm(a, as, az, b, bs, bz, c, ys, yz)  ->
///   quantize ((a - az)·(b - bz) + c) by alpha · as · bs / ys
LogicalResult importQGemm(ImportContext &ctx) {
  if (failed(ctx.requireOperands(5)) || failed(ctx.requireRank(0, 2)) ||
      failed(ctx.requireRank(3, 2)))
    return failure();
  Value operands[] = {ctx.getOperand(0), ctx.getOperand(3)};
  bool isTransposed[] = {ctx.getInt("transA", 0) != 0,
                         ctx.getInt("transB", 0) != 0};
  for (auto [operand, transposed] : llvm::zip(operands, isTransposed))
    if (transposed)
      operand = ctx.transpose(operand, {1, 0});
  Value sum = multiplyIntegers(ctx, operands[0], ctx.getOperand(2), operands[1],
                               ctx.getOperand(5));
  if (Value bias = ctx.getOperand(6); sum && bias)
    sum = ctx.binary<graph::AddOp>(sum, bias);
  if (!sum)
    return failure();
  Value scale = ctx.getOperand(1);
  if (float alpha = ctx.getFloat("alpha", 1); alpha != 1)
    scale = ctx.binary<graph::MulOp>(
        scale, ctx.makeScalar(alpha, typeOf(scale).getElementType()));
  Value result = scaleProduct(ctx, sum, scale, ctx.getOperand(4));
  if (!ctx.getOperand(7) && !ctx.getOperand(8))
    return result ? ctx.setResult(result) : failure();
  if (!ctx.getOperand(7) || !ctx.getOperand(8))
    return ctx.invalid() << "needs a scale and a zero point of its result, or "
                         << "neither";
  return setQuantized(ctx, result, 7, Type());
}

/// QLinearAdd(a, as, az, b, bs, bz, ys, yz), and QLinearMul
template <typename OpTy> LogicalResult importQLinearBinary(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  for (unsigned i : {3, 4, 6})
    if (!ctx.getOperand(i))
      return ctx.invalid() << "has no operand " << i;
  Value lhs = dequantizeOperand(ctx, 0), rhs = dequantizeOperand(ctx, 3);
  Value result = lhs && rhs ? ctx.binary<OpTy>(lhs, rhs) : Value();
  return setQuantized(ctx, result, 6,
                      typeOf(ctx.getOperand(0)).getElementType());
}

/// What is operand 0, with its parameters behind it; those of the result are
/// operands 3 and 4. Null after an error.
Value readOnly(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return {};
  if (!ctx.getOperand(3)) {
    ctx.invalid() << "has no operand 3";
    return {};
  }
  return dequantizeOperand(ctx, 0);
}

/// What a function of that one tensor gives.
LogicalResult setOnly(ImportContext &ctx, Value value) {
  return setQuantized(ctx, value, 3,
                      typeOf(ctx.getOperand(0)).getElementType());
}

LogicalResult importQLinearSigmoid(ImportContext &ctx) {
  Value x = readOnly(ctx);
  if (!x)
    return failure();
  return setOnly(
      ctx, graph::SigmoidOp::create(ctx.builder, ctx.loc, x.getType(), x));
}

/// x where it is not negative, else alpha · x
LogicalResult importQLinearLeakyRelu(ImportContext &ctx) {
  Value x = readOnly(ctx);
  if (!x)
    return failure();
  Formula f(ctx, x);
  Value scaled = f.mul(x, f.number("alpha", 0.01f));
  return setOnly(ctx, f.select(f.less(x, f.number(0)), scaled, x));
}

/// Before opset 13 all dimensions from the axis on are one.
LogicalResult importQLinearSoftmax(ImportContext &ctx) {
  Value x = readOnly(ctx);
  if (!x || failed(ctx.requireAttribute("opset")))
    return failure();
  bool isFlat = ctx.getInt("opset", 13) < 13;
  RankedTensorType type = typeOf(x);
  FailureOr<int64_t> axis = ctx.getAxis(isFlat ? 1 : -1, type.getRank());
  if (failed(axis))
    return failure();
  Sizes sizes = ctx.getSizes(x);
  if (isFlat)
    x = ctx.reshape(x, {ctx.product(ArrayRef(sizes).take_front(*axis)),
                        ctx.product(ArrayRef(sizes).drop_front(*axis))});
  Value result = graph::SoftmaxOp::create(ctx.builder, ctx.loc, x.getType(), x,
                                          isFlat ? 1 : *axis);
  if (isFlat)
    result = ctx.reshape(result, sizes);
  return setOnly(ctx, result);
}

/// The mean of each channel.
LogicalResult importQLinearGlobalAveragePool(ImportContext &ctx) {
  Value x = readOnly(ctx);
  if (!x)
    return failure();
  bool isLast = ctx.getInt("channels_last", 0) != 0;
  int64_t rank = typeOf(x).getRank();
  if (rank < 3)
    return ctx.invalid() << "needs an input of rank 3 or more, but has "
                         << ctx.getOperand(0).getType();
  auto axes = llvm::to_vector(isLast ? llvm::seq<int64_t>(1, rank - 1)
                                     : llvm::seq<int64_t>(2, rank));
  return setOnly(ctx, ctx.reduce(graph::ReductionKind::Mean, x, axes));
}

/// QLinearConcat(ys, yz, x, xs, xz, …)
LogicalResult importQLinearConcat(ImportContext &ctx) {
  if (failed(ctx.requireOperands(5)))
    return failure();
  if (ctx.getNumOperands() % 3 != 2)
    return ctx.invalid() << "needs each tensor with its scale and zero point, "
                         << "but has " << ctx.getNumOperands() << " operands";
  FailureOr<int64_t> axis = ctx.getAxis(0, typeOf(ctx.getOperand(2)).getRank());
  if (failed(axis) || failed(ctx.requireAttribute("axis")) ||
      failed(ctx.requireOperands(ctx.getNumOperands())))
    return failure();
  SmallVector<Value> inputs;
  for (unsigned i = 2; i < ctx.getNumOperands(); i += 3) {
    inputs.push_back(dequantizeOperand(ctx, i));
    if (!inputs.back() ||
        failed(ctx.requireRank(i, typeOf(inputs.front()).getRank())))
      return failure();
  }
  return setQuantized(ctx, ctx.concat(inputs, *axis), 0, Type());
}

/// QLinearWhere(c, x, xs, xz, y, ys, yz, zs, zz)
LogicalResult importQLinearWhere(ImportContext &ctx) {
  if (failed(ctx.requireOperands(9)))
    return failure();
  Value x = dequantizeOperand(ctx, 1), y = dequantizeOperand(ctx, 4);
  if (!x || !y)
    return failure();
  RankedTensorType type =
      ctx.broadcastType({ctx.getOperand(0), x, y}, ctx.builder.getF32Type());
  if (!type)
    return failure();
  Value result = graph::WhereOp::create(ctx.builder, ctx.loc, type,
                                        ctx.getOperand(0), x, y);
  return setQuantized(ctx, result, 7, Type());
}

const OpHandler handlers[] = {
    {"DynamicQuantizeMatMul", importDynamicQuantizeMatMul, 1, microsoftDomain},
    {"MatMulIntegerToFloat", importMatMulIntegerToFloat, 1, microsoftDomain},
    {"QGemm", importQGemm, 1, microsoftDomain},
    {"QLinearAdd", importQLinearBinary<graph::AddOp>, 1, microsoftDomain},
    {"QLinearConcat", importQLinearConcat, 1, microsoftDomain},
    {"QLinearGlobalAveragePool", importQLinearGlobalAveragePool, 1,
     microsoftDomain},
    {"QLinearLeakyRelu", importQLinearLeakyRelu, 1, microsoftDomain},
    {"QLinearMul", importQLinearBinary<graph::MulOp>, 1, microsoftDomain},
    {"QLinearSigmoid", importQLinearSigmoid, 1, microsoftDomain},
    {"QLinearSoftmax", importQLinearSoftmax, 1, microsoftDomain},
    {"QLinearWhere", importQLinearWhere, 1, microsoftDomain},
};

} // namespace

ArrayRef<OpHandler> microsoftQuantizationHandlers() { return handlers; }

} // namespace tenon
