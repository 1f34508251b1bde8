// ONNX activation functions, as formulas of elementwise ops.
#include "ImportContext.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;

namespace tenon {
namespace {

/// Writes a formula over the node's first operand.
class Formula {
public:
  explicit Formula(ImportContext &ctx)
      : ctx(ctx), x(ctx.getOperand(0)), type(typeOf(x)) {}

  Value number(double value) {
    return ctx.makeScalar(value, type.getElementType());
  }
  /// An attribute of the node.
  Value number(StringRef attribute, float otherwise) {
    return number(ctx.getFloat(attribute, otherwise));
  }
  template <typename OpTy> Value map(Value value) {
    return OpTy::create(ctx.builder, ctx.loc, value.getType(), value);
  }
  template <typename OpTy> Value join(Value lhs, Value rhs) {
    return ctx.binary<OpTy>(lhs, rhs);
  }
  Value add(Value lhs, Value rhs) { return join<graph::AddOp>(lhs, rhs); }
  Value sub(Value lhs, Value rhs) { return join<graph::SubOp>(lhs, rhs); }
  Value mul(Value lhs, Value rhs) { return join<graph::MulOp>(lhs, rhs); }
  Value div(Value lhs, Value rhs) { return join<graph::DivOp>(lhs, rhs); }
  Value min(Value lhs, Value rhs) { return join<graph::MinOp>(lhs, rhs); }
  Value max(Value lhs, Value rhs) { return join<graph::MaxOp>(lhs, rhs); }
  Value exp(Value value) { return map<graph::ExpOp>(value); }
  Value less(Value lhs, Value rhs) {
    return ctx.binary<graph::LessOp>(lhs, rhs, ctx.builder.getI1Type());
  }
  Value select(Value condition, Value onTrue, Value onFalse) {
    return graph::WhereOp::create(ctx.builder, ctx.loc, type, condition, onTrue,
                                  onFalse);
  }
  /// alpha * (exp(x) - 1)
  Value exponential(Value value, Value alpha) {
    return mul(alpha, sub(exp(value), number(1)));
  }
  /// max(0, min(1, value))
  Value clamp(Value value) { return max(number(0), min(number(1), value)); }
  /// log(1 + exp(x)), written so that exp cannot overflow.
  Value softplus() {
    Value power = exp(map<graph::NegOp>(map<graph::AbsOp>(x)));
    return add(max(x, number(0)), map<graph::LogOp>(add(number(1), power)));
  }

  ImportContext &ctx;
  Value x;
  RankedTensorType type;
};

/// Imports a node as what `formula` makes of its operand.
template <Value (*formula)(Formula &)>
LogicalResult importFormula(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Formula f(ctx);
  Value result = formula(f);
  return result ? ctx.setResult(result) : failure();
}

Value celu(Formula &f) {
  Value alpha = f.number("alpha", 1);
  return f.add(f.max(f.number(0), f.x),
               f.min(f.number(0), f.exponential(f.div(f.x, alpha), alpha)));
}

Value elu(Formula &f) {
  return f.select(f.less(f.x, f.number(0)),
                  f.exponential(f.x, f.number("alpha", 1)), f.x);
}

Value hardSigmoid(Formula &f) {
  return f.clamp(
      f.add(f.mul(f.x, f.number("alpha", 0.2f)), f.number("beta", 0.5f)));
}

Value hardSwish(Formula &f) {
  return f.mul(f.x,
               f.clamp(f.add(f.mul(f.x, f.number(1 / 6.0)), f.number(0.5))));
}

Value leakyRelu(Formula &f) {
  return f.select(f.less(f.x, f.number(0)),
                  f.mul(f.x, f.number("alpha", 0.01f)), f.x);
}

Value mish(Formula &f) {
  return f.mul(f.x, f.map<graph::TanhOp>(f.softplus()));
}

Value selu(Formula &f) {
  Value negative =
      f.exponential(f.x, f.number("alpha", 1.67326319217681884765625f));
  return f.mul(f.number("gamma", 1.05070102214813232421875f),
               f.select(f.less(f.number(0), f.x), f.x, negative));
}

Value shrink(Formula &f) {
  Value lambda = f.number("lambd", 0.5f), bias = f.number("bias", 0);
  return f.select(f.less(f.x, f.map<graph::NegOp>(lambda)), f.add(f.x, bias),
                  f.select(f.less(lambda, f.x), f.sub(f.x, bias), f.number(0)));
}

Value softplus(Formula &f) { return f.softplus(); }

Value softsign(Formula &f) {
  return f.div(f.x, f.add(f.number(1), f.map<graph::AbsOp>(f.x)));
}

/// x * sigmoid(alpha * x)
Value swish(Formula &f) {
  float alpha = f.ctx.getFloat("alpha", 1);
  Value scaled = alpha == 1 ? f.x : f.mul(f.x, f.number(alpha));
  return f.mul(f.x, f.map<graph::SigmoidOp>(scaled));
}

Value thresholdedRelu(Formula &f) {
  return f.select(f.less(f.number("alpha", 1), f.x), f.x, f.number(0));
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

/// PRelu(x, slope)  ->  where x < 0, slope * x, x
LogicalResult importPRelu(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Formula f(ctx);
  Value scaled = f.mul(f.x, ctx.getOperand(1));
  if (!scaled)
    return failure();
  if (failed(verifyCompatibleShape(scaled.getType(), f.type)))
    return ctx.invalid() << "the slope must broadcast to the input " << f.type
                         << ", but is " << ctx.getOperand(1).getType();
  return ctx.setResult(f.select(f.less(f.x, f.number(0)), scaled, f.x));
}

const OpHandler handlers[] = {
    {"Celu", importFormula<celu>},
    {"Elu", importFormula<elu>},
    {"Gelu", importGelu},
    {"HardSigmoid", importFormula<hardSigmoid>},
    {"HardSwish", importFormula<hardSwish>},
    {"LeakyRelu", importFormula<leakyRelu>},
    {"Mish", importFormula<mish>},
    {"PRelu", importPRelu},
    {"Selu", importFormula<selu>},
    {"Shrink", importFormula<shrink>},
    {"Softplus", importFormula<softplus>},
    {"Softsign", importFormula<softsign>},
    {"Swish", importFormula<swish>},
    {"ThresholdedRelu", importFormula<thresholdedRelu>},
};

} // namespace

ArrayRef<OpHandler> activationHandlers() { return handlers; }

} // namespace tenon
