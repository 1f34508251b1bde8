// ONNX operators that quantize, and matrix products of what is quantized.
#include "Formula.h"
#include "Quantized.h"

using namespace mlir;

namespace tenon {

Value asScalar(ImportContext &ctx, Value parameter) {
  if (!parameter)
    return parameter;
  RankedTensorType type = typeOf(parameter);
  return type.hasStaticShape() && type.getNumElements() == 1
             ? ctx.reshape(parameter, {})
             : parameter;
}

/// Whether graph.quantize and graph.dequantize know the integers.
static bool isWhole(Type type) {
  auto integer = dyn_cast<IntegerType>(type);
  return integer && (integer.getWidth() == 8 || integer.getWidth() == 16);
}

Value quantize(ImportContext &ctx, Value value, Value scale, Value zeroPoint,
               Type type) {
  if (!scale)
    scale = ctx.makeScalar(1, ctx.builder.getF32Type());
  SmallVector<Value> operands{value, scale};
  if (zeroPoint)
    operands.push_back(zeroPoint);
  RankedTensorType resultType = ctx.broadcastType(operands, type);
  if (!resultType)
    return {};
  return graph::QuantizeOp::create(ctx.builder, ctx.loc, resultType, value,
                                   scale, zeroPoint);
}

Value dequantize(ImportContext &ctx, Value value, Value scale,
                 Value zeroPoint) {
  SmallVector<Value> operands{value, scale};
  if (zeroPoint)
    operands.push_back(zeroPoint);
  RankedTensorType type = ctx.broadcastType(operands, ctx.builder.getF32Type());
  if (!type)
    return {};
  return graph::DequantizeOp::create(ctx.builder, ctx.loc, type, value, scale,
                                     zeroPoint);
}

/// As i32, without the zero point if there is one. Null after an error.
static Value subtractZeroPoint(ImportContext &ctx, Value value,
                               Value zeroPoint) {
  Type type = ctx.builder.getI32Type();
  value = ctx.cast(value, type);
  return zeroPoint ? ctx.binary<graph::SubOp>(value, ctx.cast(zeroPoint, type))
                   : value;
}

/// One parameter for each row of `matrix` as a column.
static Value alongRows(ImportContext &ctx, Value parameter, Value matrix) {
  RankedTensorType type = typeOf(parameter);
  bool isVector = type.getRank() == 1 && type.getDimSize(0) != 1 &&
                  typeOf(matrix).getRank() > 1;
  return isVector ? ctx.reshape(parameter,
                                {ctx.getSize(parameter, 0), ctx.makeSize(1)})
                  : parameter;
}

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
  lhs = subtractZeroPoint(ctx, lhs, asScalar(ctx, lhsZeroPoint));
  rhs = subtractZeroPoint(ctx, rhs, asScalar(ctx, rhsZeroPoint));
  return lhs && rhs ? ctx.numpyMatmul(lhs, rhs) : Value();
}

Value scaleProduct(ImportContext &ctx, Value product, Value lhsScale,
                   Value rhsScale) {
  if (!product)
    return {};
  lhsScale = asScalar(ctx, lhsScale);
  if (typeOf(lhsScale).getRank() != 0 || typeOf(rhsScale).getRank() > 1) {
    ctx.invalid() << "needs one scale of the left operand and one of each "
                  << "column of the right one, but has " << lhsScale.getType()
                  << " and " << rhsScale.getType();
    return {};
  }
  Value scale = ctx.binary<graph::MulOp>(asScalar(ctx, rhsScale), lhsScale);
  return scale ? ctx.binary<graph::MulOp>(
                     ctx.cast(product, ctx.builder.getF32Type()), scale)
               : Value();
}

Value dequantizeOperand(ImportContext &ctx, unsigned first) {
  Value scale = asScalar(ctx, ctx.getOperand(first + 1)),
        zeroPoint = asScalar(ctx, ctx.getOperand(first + 2));
  for (Value parameter : {scale, zeroPoint})
    if (parameter && typeOf(parameter).getRank() != 0) {
      ctx.invalid() << "needs one scale and zero point for operand " << first
                    << ", but has " << parameter.getType();
      return {};
    }
  return dequantize(ctx, ctx.getOperand(first), scale, zeroPoint);
}

Quantized quantizeDynamically(ImportContext &ctx, Value input) {
  // The largest of -x and of x, of each row first: one kernel finds both.
  Type single = ctx.builder.getF32Type();
  Sizes sizes = ctx.getSizes(input);
  int64_t rows = std::max<int64_t>(int64_t(sizes.size()) - 1, 0);
  if (sizes.empty())
    sizes.push_back(ctx.makeSize(1));
  sizes.insert(sizes.end() - 1, ctx.makeSize(1));
  Value signs = ctx.makeConstant(DenseElementsAttr::get(
      RankedTensorType::get({2, 1}, single), ArrayRef<float>{-1, 1}));
  Value both = ctx.binary<graph::MulOp>(ctx.reshape(input, sizes), signs);
  both = ctx.reduce(graph::ReductionKind::Max, both, {rows + 1});
  both = ctx.reduce(graph::ReductionKind::Max, both,
                    llvm::to_vector(llvm::seq<int64_t>(0, rows)));
  both = ctx.reshape(both, {ctx.makeSize(2)});
  // Of one element each until the end, so that no reshape stands between.
  auto bound = [&](int64_t at) {
    return ctx.slice(both, 0, ctx.makeSize(at), ctx.makeSize(at + 1));
  };
  Type type = ctx.getElementType(onnx::TensorProto::UINT8);
  Value largest = bound(1);
  Formula f(ctx, largest);
  Value least = f.min(f.sub(f.number(0), bound(0)), f.number(0));
  Value range = f.sub(f.max(largest, f.number(0)), least);
  Value scale = f.select(f.less(f.number(0), range),
                         f.div(range, f.number(255)), f.number(1));
  Value zeroPoint = quantize(ctx, f.sub(f.number(0), f.div(least, scale)),
                             Value(), Value(), type);
  scale = ctx.reshape(scale, {});
  zeroPoint = ctx.reshape(zeroPoint, {});
  return {quantize(ctx, input, scale, zeroPoint, type), scale, zeroPoint};
}

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
  if (isInteger && isWhole(integer) && quotientType.isF32() &&
      typeOf(*divisor).getElementType().isF32()) {
    Value result =
        quantize(ctx, ctx.cast(input, single), *divisor, zeroPoint, integer);
    return result ? ctx.setResult(result) : failure();
  }
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

/// Whether blocks along one dimension of a matrix are dequantized that is known
/// when compiling.
bool isBlockWeight(Value input, int64_t block) {
  auto type = typeOf(input);
  auto element = dyn_cast<IntegerType>(type.getElementType());
  return block >= 16 && block <= 256 && llvm::isPowerOf2_64(block) && element &&
         element.getWidth() <= 8 && type.getRank() == 2 &&
         type.hasStaticShape() && isOfConstants(input);
}

/// DequantizeLinear(x, s, z)  ->  (x - z) * s
/// Of a weight in blocks it is an op of its own, which products read.
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
  int64_t block = ctx.getInt("block_size", 0);
  if (isBlockWeight(input, block)) {
    FailureOr<int64_t> axis = ctx.normalizeAxis(ctx.getInt("axis", 1), 2);
    if (failed(axis))
      return failure();
    FailureOr<Value> result =
        dequantizeAlong(ctx, input, ctx.getOperand(1), zeroPoint, *axis, block);
    if (failed(result))
      return failure();
    return ctx.setResult(ctx.cast(*result, type));
  }
  FailureOr<Value> scale =
      spreadParameters(ctx, ctx.getOperand(1), zeroPoint, input);
  if (failed(scale))
    return failure();
  if ((isWhole(element) || element.isSignlessInteger(32)) &&
      typeOf(*scale).getElementType().isF32()) {
    Value result = dequantize(ctx, input, *scale, zeroPoint);
    return result ? ctx.setResult(ctx.cast(result, type)) : failure();
  }
  Value difference =
      isInteger ? subtractZeroPoint(ctx, input, zeroPoint) : input;
  if (!difference)
    return failure();
  Value result = ctx.binary<graph::MulOp>(ctx.cast(difference, single),
                                          ctx.cast(*scale, single));
  return result ? ctx.setResult(ctx.cast(result, type)) : failure();
}

LogicalResult importDynamicQuantize(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  if (!typeOf(input).getElementType().isF32())
    return ctx.invalid() << "needs an input of f32, but has "
                         << input.getType();
  Quantized result = quantizeDynamically(ctx, input);
  (void)ctx.setResult(result.scale, 1);
  (void)ctx.setResult(result.zeroPoint, 2);
  return ctx.setResult(result.values);
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
  Value scaled = ctx.binary<graph::MulOp>(ctx.cast(product, single),
                                          asScalar(ctx, factor));
  if (!scaled)
    return failure();
  Value result = quantize(ctx, scaled, /*scale=*/Value(),
                          asScalar(ctx, ctx.getOperand(7)), type);
  return result ? ctx.setResult(result) : failure();
}

const OpHandler handlers[] = {
    {"DequantizeLinear", importDequantize},
    {"DequantizeLinear", importDequantize, 1, microsoftDomain},
    {"DynamicQuantizeLinear", importDynamicQuantize},
    {"MatMulInteger", importMatMulInteger},
    {"QLinearMatMul", importQLinearMatMul},
    {"QuantizeLinear", importQuantize},
    {"QuantizeLinear", importQuantize, 1, microsoftDomain},
};

} // namespace

ArrayRef<OpHandler> quantizationHandlers() { return handlers; }

} // namespace tenon
