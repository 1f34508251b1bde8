// ONNX operators that compute each element from the elements at the same index.
#include "ImportContext.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace tenon {
namespace {

template <typename OpTy> LogicalResult importUnary(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  return ctx.setResult(
      OpTy::create(ctx.builder, ctx.loc, input.getType(), input));
}

LogicalResult importIsNaN(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  auto type = typeOf(input).clone(ctx.builder.getI1Type());
  return ctx.setResult(
      graph::IsNaNOp::create(ctx.builder, ctx.loc, type, input));
}

template <typename OpTy, bool isPredicate = false>
LogicalResult importBinary(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value result =
      ctx.binary<OpTy>(ctx.getOperand(0), ctx.getOperand(1),
                       isPredicate ? Type(ctx.builder.getI1Type()) : Type());
  return result ? ctx.setResult(result) : failure();
}

/// Max(a, b, c)  ->  max(max(a, b), c)
template <typename OpTy> LogicalResult importVariadic(ImportContext &ctx) {
  if (failed(ctx.requireOperands(std::max(1u, ctx.getNumOperands()))))
    return failure();
  Value result = ctx.getOperand(0);
  for (unsigned i = 1; i < ctx.getNumOperands(); ++i) {
    result = ctx.binary<OpTy>(result, ctx.getOperand(i));
    if (!result)
      return failure();
  }
  return ctx.setResult(result);
}

/// The exponent's type may differ from the base's, which is the result's. An
/// integer to the power of a float:
/// Pow(n, x)  ->  cast (mul (pow (cast n), x), 1 + 2⁻²¹)
/// where the product makes a whole number of one that rounding left below.
LogicalResult importPow(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value base = ctx.getOperand(0), exponent = ctx.getOperand(1);
  Type type = typeOf(base).getElementType(), single = ctx.builder.getF32Type();
  if (isa<IntegerType>(type) &&
      isa<FloatType>(typeOf(exponent).getElementType())) {
    Value power = ctx.binary<graph::PowOp>(ctx.cast(base, single),
                                           ctx.cast(exponent, single));
    if (!power)
      return failure();
    power = ctx.binary<graph::MulOp>(
        power, ctx.makeScalar(1 + std::ldexp(1.0, -21), single));
    return ctx.setResult(ctx.cast(power, type));
  }
  Value result = ctx.binary<graph::PowOp>(base, ctx.cast(exponent, type));
  return result ? ctx.setResult(result) : failure();
}

LogicalResult importWhere(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Value condition = ctx.getOperand(0), onTrue = ctx.getOperand(1),
        onFalse = ctx.getOperand(2);
  RankedTensorType type = ctx.broadcastType({condition, onTrue, onFalse},
                                            typeOf(onTrue).getElementType());
  if (!type)
    return failure();
  return ctx.setResult(graph::WhereOp::create(ctx.builder, ctx.loc, type,
                                              condition, onTrue, onFalse));
}

/// By default, what is too large for a narrow float is its largest number.
Value castAsNode(ImportContext &ctx, Type type) {
  Value input = ctx.getOperand(0);
  // Of a float without a mantissa only, which is unsupported.
  (void)ctx.getString("round_mode", "up");
  return ctx.getInt("saturate", 1) && isNarrowFloat(type)
             ? ctx.castSaturated(input, cast<FloatType>(type))
             : ctx.cast(input, type);
}

LogicalResult importCast(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)) || failed(ctx.requireAttribute("to")))
    return failure();
  int64_t to = ctx.getInt("to", 0);
  Type type = ctx.getElementType(to);
  if (!type)
    return ctx.unsupported() << "casts to element type " << elementTypeName(to)
                             << ", which is unsupported";
  return ctx.setResult(castAsNode(ctx, type));
}

/// A bool is a byte of 0 or 1:
/// BitCast(b)  ->  cast b
LogicalResult importBitCast(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)) || failed(ctx.requireAttribute("to")))
    return failure();
  Value input = ctx.getOperand(0);
  int64_t to = ctx.getInt("to", 0);
  Type from = typeOf(input).getElementType(), type = ctx.getElementType(to);
  if (!type)
    return ctx.unsupported() << "takes bits as element type "
                             << elementTypeName(to) << ", which is unsupported";
  auto width = [](Type element) {
    return element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth();
  };
  if (width(from) != width(type))
    return ctx.invalid() << "takes the bits of " << from << " as " << type
                         << ", but their widths differ";
  if (from.isInteger(1) || type.isInteger(1))
    return ctx.setResult(ctx.cast(input, type));
  return ctx.setResult(graph::BitcastOp::create(
      ctx.builder, ctx.loc, typeOf(input).clone(type), input));
}

LogicalResult importCastLike(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  return ctx.setResult(
      castAsNode(ctx, typeOf(ctx.getOperand(1)).getElementType()));
}

/// Clip(x, low, high)  ->  min(max(x, low), high)
LogicalResult importClip(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value result = ctx.getOperand(0);
  Value low = ctx.getOperand(1), high = ctx.getOperand(2);
  if (ctx.opset < 11) {
    Type type = typeOf(result).getElementType();
    if (ctx.hasAttribute("min"))
      low = ctx.makeScalar(ctx.getFloat("min", 0), type);
    if (ctx.hasAttribute("max"))
      high = ctx.makeScalar(ctx.getFloat("max", 0), type);
  }
  if (low)
    result = ctx.binary<graph::MaxOp>(result, low);
  if (result && high)
    result = ctx.binary<graph::MinOp>(result, high);
  return result ? ctx.setResult(result) : failure();
}

/// IsInf(x)  ->  x = inf or x = -inf
LogicalResult importIsInf(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  Type flag = ctx.builder.getI1Type();
  double infinity = std::numeric_limits<double>::infinity();
  auto equals = [&](double value) {
    return ctx.binary<graph::EqualOp>(
        input, ctx.makeScalar(value, typeOf(input).getElementType()), flag);
  };
  bool positive = ctx.getInt("detect_positive", 1) != 0;
  bool negative = ctx.getInt("detect_negative", 1) != 0;
  if (positive && negative)
    return ctx.setResult(
        ctx.binary<graph::OrOp>(equals(infinity), equals(-infinity)));
  if (positive || negative)
    return ctx.setResult(equals(positive ? infinity : -infinity));
  Value never = ctx.makeScalar(0, flag);
  return ctx.setResult(ctx.binary<graph::AndOp>(equals(infinity), never));
}

/// Sign(x)  ->  where x > 0, 1, where x < 0, -1, x
LogicalResult importSign(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  RankedTensorType type = typeOf(input);
  Type flag = ctx.builder.getI1Type();
  auto number = [&](double value) {
    return ctx.makeScalar(value, type.getElementType());
  };
  Value result = input;
  if (!type.getElementType().isUnsignedInteger())
    result = graph::WhereOp::create(
        ctx.builder, ctx.loc, type,
        ctx.binary<graph::LessOp>(input, number(0), flag), number(-1), result);
  return ctx.setResult(graph::WhereOp::create(
      ctx.builder, ctx.loc, type,
      ctx.binary<graph::GreaterOp>(input, number(0), flag), number(1), result));
}

/// Mean(a, b, c)  ->  (a + b + c) / 3
LogicalResult importMean(ImportContext &ctx) {
  if (failed(importVariadic<graph::AddOp>(ctx)))
    return failure();
  Value sum = ctx.getResults().front();
  return ctx.setResult(ctx.binary<graph::DivOp>(
      sum, ctx.makeScalar(ctx.getNumOperands(), typeOf(sum).getElementType())));
}

LogicalResult importMod(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value lhs = ctx.getOperand(0), rhs = ctx.getOperand(1);
  RankedTensorType type = ctx.broadcastType({lhs, rhs});
  if (!type)
    return failure();
  return ctx.setResult(graph::ModOp::create(ctx.builder, ctx.loc, type, lhs,
                                            rhs, ctx.getInt("fmod", 0) != 0));
}

LogicalResult importBitShift(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  StringRef direction = ctx.getString("direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    return ctx.invalid() << "direction must be LEFT or RIGHT, but is '"
                         << direction << "'";
  Value lhs = ctx.getOperand(0), rhs = ctx.getOperand(1);
  Value result = direction == "LEFT"
                     ? ctx.binary<graph::ShiftLeftOp>(lhs, rhs)
                     : ctx.binary<graph::ShiftRightOp>(lhs, rhs);
  return result ? ctx.setResult(result) : failure();
}

const OpHandler handlers[] = {
    {"Abs", importUnary<graph::AbsOp>},
    {"Add", importBinary<graph::AddOp>},
    {"And", importBinary<graph::AndOp>},
    {"BitCast", importBitCast},
    {"BitShift", importBitShift},
    {"BitwiseAnd", importBinary<graph::AndOp>},
    {"BitwiseNot", importUnary<graph::NotOp>},
    {"BitwiseOr", importBinary<graph::OrOp>},
    {"BitwiseXor", importBinary<graph::XorOp>},
    {"Cast", importCast},
    {"CastLike", importCastLike},
    {"Ceil", importUnary<graph::CeilOp>},
    {"Clip", importClip},
    {"Cos", importUnary<graph::CosOp>},
    {"Div", importBinary<graph::DivOp>},
    {"Equal", importBinary<graph::EqualOp, true>},
    {"Erf", importUnary<graph::ErfOp>},
    {"Exp", importUnary<graph::ExpOp>},
    {"Floor", importUnary<graph::FloorOp>},
    {"Greater", importBinary<graph::GreaterOp, true>},
    {"GreaterOrEqual", importBinary<graph::GreaterEqualOp, true>},
    {"IsInf", importIsInf},
    {"IsNaN", importIsNaN},
    {"Less", importBinary<graph::LessOp, true>},
    {"LessOrEqual", importBinary<graph::LessEqualOp, true>},
    {"Log", importUnary<graph::LogOp>},
    {"Max", importVariadic<graph::MaxOp>},
    {"Mean", importMean},
    {"Min", importVariadic<graph::MinOp>},
    {"Mod", importMod},
    {"Mul", importBinary<graph::MulOp>},
    {"Neg", importUnary<graph::NegOp>},
    {"Not", importUnary<graph::NotOp>, /*since=*/1},
    {"Or", importBinary<graph::OrOp>},
    {"Pow", importPow},
    {"Reciprocal", importUnary<graph::ReciprocalOp>},
    {"Relu", importUnary<graph::ReluOp>},
    {"Round", importUnary<graph::RoundOp>},
    {"Sigmoid", importUnary<graph::SigmoidOp>},
    {"Sign", importSign},
    {"Sin", importUnary<graph::SinOp>},
    {"Sqrt", importUnary<graph::SqrtOp>},
    {"Sub", importBinary<graph::SubOp>},
    {"Sum", importVariadic<graph::AddOp>},
    {"Tanh", importUnary<graph::TanhOp>},
    {"Where", importWhere},
    {"Xor", importBinary<graph::XorOp>},
};

} // namespace

ArrayRef<OpHandler> elementwiseHandlers() { return handlers; }

} // namespace tenon
