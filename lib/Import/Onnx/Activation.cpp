// ONNX activation functions, as formulas of elementwise ops.
#include "Activation.h"
#include "Formula.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;

namespace tenon {
namespace {

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

/// Of com.microsoft: another default.
Value quickGelu(Formula &f) {
  return f.mul(f.x,
               f.map<graph::SigmoidOp>(f.mul(f.x, f.number("alpha", 1.702f))));
}

template <typename OpTy> Value plain(Formula &f) { return f.map<OpTy>(f.x); }

Value clip(Formula &f) {
  return f.min(f.max(f.x, f.number("min", 0)), f.number("max", 0));
}

/// SwiGLU(a, b)  ->  mul (a * sigmoid(alpha * a)), b
LogicalResult importSwiGlu(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Formula f(ctx);
  Value linear = ctx.getOperand(1);
  if (failed(verifyCompatibleShape(linear.getType(), f.type)))
    return ctx.invalid() << "needs operands of one shape, but has " << f.type
                         << " and " << linear.getType();
  return ctx.setResult(f.mul(swish(f), linear));
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

/// What other operators may fuse, and its attributes.
struct FusedActivation {
  StringLiteral name;
  Value (*formula)(Formula &);
  unsigned count = 0;
  StringLiteral attributes[2] = {"", ""};
};

const FusedActivation fusedActivations[] = {
    {"Clip", clip, 2, {"min", "max"}},
    {"Elu", elu, 1, {"alpha", ""}},
    {"HardSigmoid", hardSigmoid, 2, {"alpha", "beta"}},
    {"HardSwish", hardSwish},
    {"LeakyRelu", leakyRelu, 1, {"alpha", ""}},
    {"Relu", plain<graph::ReluOp>},
    {"Sigmoid", plain<graph::SigmoidOp>},
    {"Softplus", softplus},
    {"Softsign", softsign},
    {"Tanh", plain<graph::TanhOp>},
    {"ThresholdedRelu", thresholdedRelu, 1, {"alpha", ""}},
};

} // namespace

Value activate(ImportContext &ctx, Value input, ArrayRef<float> parameters) {
  StringRef name = ctx.getString("activation", "");
  if (name.empty())
    return input;
  const auto *found =
      llvm::find_if(fusedActivations, [&](const FusedActivation &each) {
        return each.name == name;
      });
  if (found == std::end(fusedActivations)) {
    ctx.unsupported() << "activation " << name << " is unsupported";
    return {};
  }
  if (parameters.size() < found->count) {
    ctx.invalid() << "activation " << name << " needs " << found->count
                  << " parameters, but has " << parameters.size();
    return {};
  }
  Formula f(ctx, input);
  for (unsigned i = 0; i < found->count; ++i)
    f.given[found->attributes[i]] = parameters[i];
  return found->formula(f);
}

namespace {

const OpHandler handlers[] = {
    {"Celu", importFormula<celu>},
    {"Elu", importFormula<elu>},
    {"Gelu", importGelu},
    {"HardSigmoid", importFormula<hardSigmoid>},
    {"HardSwish", importFormula<hardSwish>},
    {"LeakyRelu", importFormula<leakyRelu>},
    {"Mish", importFormula<mish>},
    {"PRelu", importPRelu},
    {"QuickGelu", importFormula<quickGelu>, 1, microsoftDomain},
    {"Selu", importFormula<selu>},
    {"Shrink", importFormula<shrink>},
    {"Softplus", importFormula<softplus>},
    {"Softsign", importFormula<softsign>},
    {"SwiGLU", importSwiGlu},
    {"Swish", importFormula<swish>},
    {"ThresholdedRelu", importFormula<thresholdedRelu>},
};

} // namespace

ArrayRef<OpHandler> activationHandlers() { return handlers; }

} // namespace tenon
