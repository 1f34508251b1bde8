// Mixtures of experts of domain com.microsoft: each token is computed by the
// few experts that a router rates highest.
#include "Formula.h"

using namespace mlir;

namespace tenon {
namespace {

/// The weight of each expert for each token, tokens×experts: of the best k what
/// softmax says, of others 0.
/// scatter_elements 0, (top_k p), (gather_elements p, (top_k p))
FailureOr<Value> rateExperts(ImportContext &ctx, Value logits) {
  RankedTensorType type = typeOf(logits);
  int64_t k = ctx.getInt("k", 1), experts = type.getDimSize(1);
  if (k < 1 || (!ShapedType::isDynamic(experts) && k > experts)) {
    ctx.invalid() << "takes " << k << " of the experts in " << type;
    return failure();
  }
  Value shares = graph::SoftmaxOp::create(ctx.builder, ctx.loc, type, logits,
                                          /*axis=*/1);
  auto bestType =
      RankedTensorType::get({type.getDimSize(0), k}, type.getElementType());
  Value indices = graph::TopKOp::create(
      ctx.builder, ctx.loc, bestType.clone(ctx.builder.getI64Type()),
      ctx.materialize(ctx.makeSize(k)), shares, /*axis=*/1, /*smallest=*/false,
      /*prefer_last=*/false);
  Value best = graph::GatherElementsOp::create(ctx.builder, ctx.loc, bestType,
                                               shares, indices, /*axis=*/1);
  if (ctx.getInt("normalize_routing_weights", 0))
    best = ctx.binary<graph::DivOp>(
        best, ctx.reduce(graph::ReductionKind::Sum, best, {1}));
  Value zero = ctx.makeScalar(0, type.getElementType());
  return graph::ScatterElementsOp::create(
             ctx.builder, ctx.loc, type, graph::ScatterKind::Replace,
             ctx.broadcast(zero, ctx.getSizes(logits)), indices, best,
             /*axis=*/1)
      .getResult();
}

/// x·wᵀ + b for every expert: experts×tokens×width. Null after an error.
Value project(ImportContext &ctx, Value input, unsigned weights) {
  Value result = ctx.matmul(input, ctx.getOperand(weights), false, true);
  Value bias = ctx.getOperand(weights + 1);
  if (!result || !bias)
    return result;
  return ctx.binary<graph::AddOp>(
      result, ctx.reshape(bias, {ctx.getSize(bias, 0), ctx.makeSize(1),
                                 ctx.getSize(bias, 1)}));
}

/// Of rows of gates and values, which alternate: gate * sigmoid(alpha * gate) *
/// (value + beta), both within the limit.
Value swiGlu(ImportContext &ctx, Value fused) {
  Sizes sizes = ctx.getSizes(fused);
  OpFoldResult half = ctx.floorDivide(sizes[2], ctx.makeSize(2));
  Value pairs = ctx.reshape(fused, {sizes[0], sizes[1], half, ctx.makeSize(2)});
  auto part = [&](int64_t i) {
    return ctx.reshape(
        ctx.slice(pairs, 3, ctx.makeSize(i), ctx.makeSize(i + 1)),
        {sizes[0], sizes[1], half});
  };
  Formula f(ctx, part(0));
  Value gate = f.x, value = part(1);
  if (ctx.hasAttribute("swiglu_limit")) {
    float limit = ctx.getFloat("swiglu_limit", 0);
    gate = f.min(gate, f.number(limit));
    value = f.max(f.min(value, f.number(limit)), f.number(-limit));
  }
  Value slope = f.mul(gate, f.number("activation_alpha", 1));
  return f.mul(f.mul(gate, f.map<graph::SigmoidOp>(slope)),
               f.add(value, f.number("activation_beta", 0)));
}

/// Null after an error.
Value activateExperts(ImportContext &ctx, Value input) {
  StringRef kind = ctx.getString("activation_type", "relu");
  Formula f(ctx, input);
  if (kind == "swiglu")
    return swiGlu(ctx, input);
  if (kind == "relu")
    return f.map<graph::ReluOp>(input);
  if (kind == "silu")
    return f.mul(input, f.map<graph::SigmoidOp>(input));
  if (kind == "gelu")
    return graph::GeluOp::create(ctx.builder, ctx.loc, input.getType(), input,
                                 /*approximate=*/true);
  if (kind == "identity")
    return input;
  ctx.unsupported() << "activation_type " << kind << " is unsupported";
  return {};
}

/// Every expert computes every token, and what was not asked for weighs 0:
/// MoE(x, r, v, w)  ->  reduce sum (mul (w · activation (v · x)), weights of r)
LogicalResult importMoE(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)) || failed(ctx.requireRank(1, 2)))
    return failure();
  if (!ctx.getOperand(4))
    return ctx.invalid() << "has no operand 4";
  for (unsigned i : {2, 4})
    if (failed(ctx.requireRank(i, 3)) || failed(ctx.requireRank(i + 1, 2)))
      return failure();
  if (ctx.getOperand(6))
    return ctx.unsupported() << "a third product of the experts is unsupported";
  if (ctx.getInt("use_sparse_mixer", 0))
    return ctx.unsupported() << "use_sparse_mixer is unsupported";
  if (ctx.getString("activation_type", "relu") == "swiglu" &&
      ctx.getInt("swiglu_fusion", 0) != 1)
    return ctx.unsupported() << "swiglu_fusion must be 1";
  Value input = ctx.getOperand(0);
  Sizes sizes = ctx.getSizes(input);
  if (sizes.size() != 2 && sizes.size() != 3)
    return ctx.invalid() << "needs an input of rank 2 or 3, but has "
                         << input.getType();
  OpFoldResult tokens = ctx.product(ArrayRef(sizes).drop_back());
  FailureOr<Value> weights = rateExperts(ctx, ctx.getOperand(1));
  if (failed(weights))
    return failure();
  Value hidden = project(
      ctx, ctx.reshape(input, {ctx.makeSize(1), tokens, sizes.back()}), 2);
  hidden = hidden ? activateExperts(ctx, hidden) : hidden;
  Value results = hidden ? project(ctx, hidden, 4) : hidden;
  if (!results)
    return failure();
  Value factors = ctx.transpose(*weights, {1, 0});
  Sizes factorSizes = ctx.getSizes(factors);
  factorSizes.push_back(ctx.makeSize(1));
  results =
      ctx.binary<graph::MulOp>(results, ctx.reshape(factors, factorSizes));
  if (!results)
    return failure();
  return ctx.setResult(
      ctx.reshape(ctx.reduce(graph::ReductionKind::Sum, results, {0}), sizes));
}

const OpHandler handlers[] = {{"MoE", importMoE, 1, microsoftDomain}};

} // namespace

ArrayRef<OpHandler> expertHandlers() { return handlers; }

} // namespace tenon
