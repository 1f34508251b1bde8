// ONNX operators that quantize, and matrix products of what is quantized.
#include "Formula.h"
#include "ImportContext.h"

using namespace mlir;

namespace tenon {
namespace {

/// A scale or zero point in a shape that broadcasts to `input`: one for all,
/// one for each index along `axis`, or, repeated, one for each block of
/// `blockSize` indices. Fails after an error.
FailureOr<Value> spread(ImportContext &ctx, Value parameter, Value input,
                        int64_t axis, int64_t blockSize) {
  RankedTensorType type = typeOf(parameter), inputType = typeOf(input);
  int64_t rank = inputType.getRank();
  if (blockSize == 0 && type.hasStaticShape() && type.getNumElements() == 1)
    return ctx.reshape(parameter, {});
  if (blockSize < 0 || type.getRank() != (blockSize ? rank : 1)) {
    ctx.invalid() << "has blocks of " << blockSize
                  << " and a parameter of type " << type << " for "
                  << inputType;
    return failure();
  }
  FailureOr<int64_t> along = ctx.normalizeAxis(axis, rank);
  if (failed(along))
    return failure();
  if (!blockSize) {
    Sizes sizes(rank - *along, ctx.makeSize(1));
    sizes[0] = ctx.getSize(parameter, 0);
    return ctx.reshape(parameter, sizes);
  }
  Sizes sizes = ctx.getSizes(parameter), apart = sizes, repeated,
        joined = sizes;
  apart.insert(apart.begin() + *along + 1, ctx.makeSize(1));
  repeated = apart;
  repeated[*along + 1] = ctx.makeSize(blockSize);
  joined[*along] = ctx.multiply(sizes[*along], ctx.makeSize(blockSize));
  Value result = ctx.reshape(
      ctx.broadcast(ctx.reshape(parameter, apart), repeated), joined);
  // The last block may be cut off.
  OpFoldResult size = ctx.getSize(input, *along);
  if (ShapedType::isDynamic(staticSize(size)) ||
      staticSize(size) != staticSize(joined[*along]))
    result = ctx.slice(result, *along, ctx.makeSize(0), size);
  return result;
}

/// The scale, and in place the zero point if there is one, as attributes axis
/// and block_size spread them over `input`. Fails after an error.
FailureOr<Value> spreadParameters(ImportContext &ctx, Value scale,
                                  Value &zeroPoint, Value input) {
  int64_t axis = ctx.getInt("axis", 1), blockSize = ctx.getInt("block_size", 0);
  FailureOr<Value> factor = spread(ctx, scale, input, axis, blockSize);
  if (failed(factor) || !zeroPoint)
    return factor;
  FailureOr<Value> offset = spread(ctx, zeroPoint, input, axis, blockSize);
  if (failed(offset))
    return failure();
  zeroPoint = *offset;
  return factor;
}

/// The f32 `value`, rounded with halves to the even neighbour, plus `zeroPoint`
/// if there is one, as the nearest number of `type`; a NaN is the smallest.
Value saturate(ImportContext &ctx, Value value, Value zeroPoint,
               IntegerType type) {
  bool isUnsigned = type.isUnsigned();
  int64_t count = int64_t(1) << type.getWidth();
  Value result =
      graph::RoundOp::create(ctx.builder, ctx.loc, value.getType(), value);
  if (zeroPoint)
    result = ctx.binary<graph::AddOp>(
        result, ctx.cast(zeroPoint, ctx.builder.getF32Type()));
  if (!result)
    return {};
  Formula f(ctx, result);
  Value low = f.number(isUnsigned ? 0 : -count / 2);
  Value high = f.number(isUnsigned ? count - 1 : count / 2 - 1);
  // Not a maximum, which would stay NaN.
  return ctx.cast(f.min(f.select(f.less(low, result), result, low), high),
                  type);
}

/// QuantizeLinear(x, s, z)  ->  saturate(round(x / s) + z)
/// Of floats of 8 bits or fewer, which have no zero point but 0, the cast
/// rounds.
LogicalResult importQuantize(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0), scale = ctx.getOperand(1),
        zeroPoint = ctx.getOperand(2);
  int64_t to = ctx.getInt("output_dtype", 0),
          precision = ctx.getInt("precision", 0);
  bool saturates = ctx.getInt("saturate", 1) != 0;
  Type type =
      zeroPoint
          ? typeOf(zeroPoint).getElementType()
          : ctx.getElementType(to ? to : int64_t(onnx::TensorProto::UINT8));
  auto integer = dyn_cast_if_present<IntegerType>(type);
  bool isInteger =
      integer && integer.getWidth() > 1 && integer.getWidth() <= 16;
  if (!type || (!isInteger && !isNarrowFloat(type))) {
    auto error = ctx.unsupported()
                 << "quantizes to another type than integers of up to 16 bits "
                 << "or floats of up to 8: ";
    if (type)
      return error << type;
    return error << elementTypeName(to);
  }
  if (to && ctx.getElementType(to) != type)
    return ctx.invalid() << "output_dtype is " << elementTypeName(to)
                         << ", but the zero point has type "
                         << zeroPoint.getType();
  Type single = ctx.builder.getF32Type();
  Type quotientType = precision ? ctx.getElementType(precision)
                                : typeOf(scale).getElementType();
  if (!isa_and_present<Float32Type, Float16Type, BFloat16Type>(quotientType))
    return ctx.unsupported() << "divides in another type than f32, f16 or bf16";
  FailureOr<Value> divisor = spreadParameters(ctx, scale, zeroPoint, input);
  if (failed(divisor))
    return failure();
  Value quotient = ctx.binary<graph::DivOp>(ctx.cast(input, single),
                                            ctx.cast(*divisor, single));
  if (!quotient)
    return failure();
  // Rounding the quotient of f32 gives that of 16 bits.
  quotient = ctx.cast(ctx.cast(quotient, quotientType), single);
  if (!isInteger)
    return ctx.setResult(
        saturates ? ctx.castSaturated(quotient, cast<FloatType>(type))
                  : ctx.cast(quotient, type));
  Value result = saturate(ctx, quotient, zeroPoint, integer);
  return result ? ctx.setResult(result) : failure();
}

/// As i32, without the zero point if there is one. Null after an error.
Value subtractZeroPoint(ImportContext &ctx, Value value, Value zeroPoint) {
  Type type = ctx.builder.getI32Type();
  value = ctx.cast(value, type);
  return zeroPoint ? ctx.binary<graph::SubOp>(value, ctx.cast(zeroPoint, type))
                   : value;
}

/// DequantizeLinear(x, s, z)  ->  (x - z) * s
LogicalResult importDequantize(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0), zeroPoint = ctx.getOperand(2);
  Type element = typeOf(input).getElementType(),
       single = ctx.builder.getF32Type();
  bool isInteger = isa<IntegerType>(element) && !element.isInteger(1) &&
                   element.getIntOrFloatBitWidth() <= 32;
  if (!isInteger && !isNarrowFloat(element))
    return ctx.invalid()
           << "needs integers of up to 32 bits or floats of up to "
           << "8, but has " << input.getType();
  Type type = typeOf(ctx.getOperand(1)).getElementType();
  if (int64_t to = ctx.getInt("output_dtype", 0))
    type = ctx.getElementType(to);
  if (!isa_and_present<Float32Type, Float16Type, BFloat16Type>(type))
    return ctx.unsupported() << "dequantizes to another type than f32, f16 or "
                             << "bf16";
  FailureOr<Value> scale =
      spreadParameters(ctx, ctx.getOperand(1), zeroPoint, input);
  if (failed(scale))
    return failure();
  Value difference =
      isInteger ? subtractZeroPoint(ctx, input, zeroPoint) : input;
  if (!difference)
    return failure();
  Value result = ctx.binary<graph::MulOp>(ctx.cast(difference, single),
                                          ctx.cast(*scale, single));
  return result ? ctx.setResult(ctx.cast(result, type)) : failure();
}

/// To u8, with the scale and zero point that the elements and 0 need; the scale
/// is 1 where all are 0, as in ONNX Runtime.
LogicalResult importDynamicQuantize(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  if (!typeOf(input).getElementType().isF32())
    return ctx.invalid() << "needs an input of f32, but has "
                         << input.getType();
  auto axes = llvm::to_vector(llvm::seq(typeOf(input).getRank()));
  auto bound = [&](graph::ReductionKind kind) {
    return ctx.reshape(ctx.reduce(kind, input, axes), {});
  };
  auto type = cast<IntegerType>(ctx.getElementType(onnx::TensorProto::UINT8));
  Value least = bound(graph::ReductionKind::Min);
  Value largest = bound(graph::ReductionKind::Max);
  Formula f(ctx, least);
  least = f.min(least, f.number(0));
  Value range = f.sub(f.max(largest, f.number(0)), least);
  Value scale = f.select(f.less(f.number(0), range),
                         f.div(range, f.number(255)), f.number(1));
  Value zeroPoint =
      saturate(ctx, f.sub(f.number(0), f.div(least, scale)), Value(), type);
  Value quotient = ctx.binary<graph::DivOp>(input, scale);
  (void)ctx.setResult(scale, 1);
  (void)ctx.setResult(zeroPoint, 2);
  return ctx.setResult(saturate(ctx, quotient, zeroPoint, type));
}

/// One parameter for each row of `matrix` as a column.
Value alongRows(ImportContext &ctx, Value parameter, Value matrix) {
  RankedTensorType type = typeOf(parameter);
  bool isVector = type.getRank() == 1 && type.getDimSize(0) != 1 &&
                  typeOf(matrix).getRank() > 1;
  return isVector ? ctx.reshape(parameter,
                                {ctx.getSize(parameter, 0), ctx.makeSize(1)})
                  : parameter;
}

/// The product of integers of 8 bits without their zero points, of which there
/// may be none, in i32. Null after an error.
Value multiplyIntegers(ImportContext &ctx, Value lhs, Value lhsZeroPoint,
                       Value rhs, Value rhsZeroPoint) {
  for (Value operand : {lhs, rhs})
    if (!typeOf(operand).getElementType().isInteger(8)) {
      ctx.invalid() << "multiplies integers of 8 bits, but has "
                    << operand.getType();
      return {};
    }
  if (lhsZeroPoint)
    lhsZeroPoint = alongRows(ctx, lhsZeroPoint, lhs);
  lhs = subtractZeroPoint(ctx, lhs, lhsZeroPoint);
  rhs = subtractZeroPoint(ctx, rhs, rhsZeroPoint);
  return lhs && rhs ? ctx.numpyMatmul(lhs, rhs) : Value();
}

LogicalResult importMatMulInteger(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value result = multiplyIntegers(ctx, ctx.getOperand(0), ctx.getOperand(2),
                                  ctx.getOperand(1), ctx.getOperand(3));
  return result ? ctx.setResult(result) : failure();
}

/// QLinearMatMul(a, b)  ->  quantize (matmul a, b) by a's · b's / y's scale
LogicalResult importQLinearMatMul(ImportContext &ctx) {
  if (failed(ctx.requireOperands(8)))
    return failure();
  Value product = multiplyIntegers(ctx, ctx.getOperand(0), ctx.getOperand(2),
                                   ctx.getOperand(3), ctx.getOperand(5));
  if (!product)
    return failure();
  Type type = typeOf(ctx.getOperand(7)).getElementType();
  if (!type.isInteger(8))
    return ctx.invalid() << "needs a zero point of 8 bits, but has "
                         << ctx.getOperand(7).getType();
  Type single = ctx.builder.getF32Type();
  auto scale = [&](unsigned i) { return ctx.cast(ctx.getOperand(i), single); };
  Value factor = ctx.binary<graph::MulOp>(
      alongRows(ctx, scale(1), ctx.getOperand(0)), scale(4));
  if (factor)
    factor = ctx.binary<graph::DivOp>(factor, scale(6));
  if (!factor)
    return failure();
  // One for all must not add dimensions.
  auto asScalar = [&](Value value) {
    RankedTensorType type = typeOf(value);
    return type.hasStaticShape() && type.getNumElements() == 1
               ? ctx.reshape(value, {})
               : value;
  };
  Value scaled =
      ctx.binary<graph::MulOp>(ctx.cast(product, single), asScalar(factor));
  if (!scaled)
    return failure();
  Value result = saturate(ctx, scaled, asScalar(ctx.getOperand(7)),
                          cast<IntegerType>(type));
  return result ? ctx.setResult(result) : failure();
}

const OpHandler handlers[] = {
    {"DequantizeLinear", importDequantize},
    {"DynamicQuantizeLinear", importDynamicQuantize},
    {"MatMulInteger", importMatMulInteger},
    {"QLinearMatMul", importQLinearMatMul},
    {"QuantizeLinear", importQuantize},
};

} // namespace

ArrayRef<OpHandler> quantizationHandlers() { return handlers; }

} // namespace tenon
