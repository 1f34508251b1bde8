// ONNX operators that compute each element from the elements at the same index.
#include "ImportContext.h"

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

/// The exponent's type may differ from the base's, which is the result's.
LogicalResult importPow(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value base = ctx.getOperand(0);
  Value exponent = ctx.cast(ctx.getOperand(1), typeOf(base).getElementType());
  Value result = ctx.binary<graph::PowOp>(base, exponent);
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

LogicalResult importCast(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  auto to = static_cast<onnx::TensorProto::DataType>(ctx.getInt("to", 0));
  Type type = ctx.getElementType(to);
  if (!type)
    return ctx.unsupported()
           << "casts to element type " << onnx::TensorProto_DataType_Name(to)
           << ", which is unsupported";
  return ctx.setResult(ctx.cast(ctx.getOperand(0), type));
}

LogicalResult importCastLike(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  return ctx.setResult(
      ctx.cast(ctx.getOperand(0), typeOf(ctx.getOperand(1)).getElementType()));
}

/// Clip(x, low, high)  ->  min(max(x, low), high)
LogicalResult importClip(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value result = ctx.getOperand(0);
  Value low = ctx.getOperand(1), high = ctx.getOperand(2);
  if (ctx.opset < 11) {
    Type type = typeOf(result).getElementType();
    if (ctx.getAttribute("min"))
      low = ctx.makeScalar(ctx.getFloat("min", 0), type);
    if (ctx.getAttribute("max"))
      high = ctx.makeScalar(ctx.getFloat("max", 0), type);
  }
  if (low)
    result = ctx.binary<graph::MaxOp>(result, low);
  if (result && high)
    result = ctx.binary<graph::MinOp>(result, high);
  return result ? ctx.setResult(result) : failure();
}

LogicalResult importGelu(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  StringRef approximate = ctx.getString("approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    return ctx.invalid() << "approximate must be none or tanh, got "
                         << approximate;
  Value input = ctx.getOperand(0);
  return ctx.setResult(graph::GeluOp::create(
      ctx.builder, ctx.loc, input.getType(), input, approximate == "tanh"));
}

/// Swish(x)  ->  x * sigmoid(alpha * x)
LogicalResult importSwish(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0), scaled = input;
  float alpha = ctx.getFloat("alpha", 1);
  if (alpha != 1)
    scaled = ctx.binary<graph::MulOp>(
        input, ctx.makeScalar(alpha, typeOf(input).getElementType()));
  Value gate =
      graph::SigmoidOp::create(ctx.builder, ctx.loc, input.getType(), scaled);
  return ctx.setResult(ctx.binary<graph::MulOp>(input, gate));
}

/// LeakyRelu(x)  ->  where x < 0, alpha * x, x
LogicalResult importLeakyRelu(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  Type element = typeOf(input).getElementType();
  Value negative = ctx.binary<graph::LessOp>(input, ctx.makeScalar(0, element),
                                             ctx.builder.getI1Type());
  Value scaled = ctx.binary<graph::MulOp>(
      input, ctx.makeScalar(ctx.getFloat("alpha", 0.01f), element));
  return ctx.setResult(graph::WhereOp::create(
      ctx.builder, ctx.loc, input.getType(), negative, scaled, input));
}

/// Xor(a, b)  ->  not (equal a, b)
LogicalResult importXor(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value same = ctx.binary<graph::EqualOp>(ctx.getOperand(0), ctx.getOperand(1));
  if (!same)
    return failure();
  return ctx.setResult(
      graph::NotOp::create(ctx.builder, ctx.loc, same.getType(), same));
}

const OpHandler handlers[] = {
    {"Abs", importUnary<graph::AbsOp>},
    {"Add", importBinary<graph::AddOp>},
    {"And", importBinary<graph::AndOp>},
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
    {"Gelu", importGelu},
    {"Greater", importBinary<graph::GreaterOp, true>},
    {"GreaterOrEqual", importBinary<graph::GreaterEqualOp, true>},
    {"IsNaN", importIsNaN},
    {"LeakyRelu", importLeakyRelu},
    {"Less", importBinary<graph::LessOp, true>},
    {"LessOrEqual", importBinary<graph::LessEqualOp, true>},
    {"Log", importUnary<graph::LogOp>},
    {"Max", importVariadic<graph::MaxOp>},
    {"Min", importVariadic<graph::MinOp>},
    {"Mul", importBinary<graph::MulOp>},
    {"Neg", importUnary<graph::NegOp>},
    {"Not", importUnary<graph::NotOp>},
    {"Or", importBinary<graph::OrOp>},
    {"Pow", importPow},
    {"Reciprocal", importUnary<graph::ReciprocalOp>},
    {"Relu", importUnary<graph::ReluOp>},
    {"Sigmoid", importUnary<graph::SigmoidOp>},
    {"Sin", importUnary<graph::SinOp>},
    {"Sqrt", importUnary<graph::SqrtOp>},
    {"Sub", importBinary<graph::SubOp>},
    {"Sum", importVariadic<graph::AddOp>},
    {"Swish", importSwish},
    {"Tanh", importUnary<graph::TanhOp>},
    {"Where", importWhere},
    {"Xor", importXor},
};

} // namespace

ArrayRef<OpHandler> elementwiseHandlers() { return handlers; }

} // namespace tenon
