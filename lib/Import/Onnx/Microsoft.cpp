// Operators of domain com.microsoft: what ONNX Runtime's optimizer fuses.
#include "ImportContext.h"

using namespace mlir;

namespace tenon {
namespace {

/// SkipLayerNormalization(x, skip, …)  ->  norm (add (add x, skip), bias)
/// The sum is a result too, the fourth.
template <bool rms> LogicalResult importSkipNorm(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  if (ctx.isResultUsed(1) || ctx.isResultUsed(2))
    return ctx.unsupported() << "mean and inv_std_var are unsupported";
  Value sum = ctx.binary<graph::AddOp>(ctx.getOperand(0), ctx.getOperand(1));
  Value shift = rms ? Value() : ctx.getOperand(3);
  Value bias = ctx.getOperand(rms ? 3 : 4);
  if (sum && bias)
    sum = ctx.binary<graph::AddOp>(sum, bias);
  if (!sum)
    return failure();
  int64_t rank = typeOf(sum).getRank();
  if (rank == 0)
    return ctx.invalid() << "normalises a scalar";
  (void)ctx.setResult(sum, 3);
  Builder &builder = ctx.builder;
  return ctx.setResult(graph::NormOp::create(
      ctx.builder, ctx.loc, sum.getType(), sum, ctx.getOperand(2), shift,
      builder.getI64IntegerAttr(rank - 1),
      builder.getF32FloatAttr(ctx.getFloat("epsilon", rms ? 1e-5f : 1e-12f)),
      rms ? builder.getUnitAttr() : UnitAttr()));
}

/// BiasGelu(x, b)  ->  gelu (add x, b)
template <bool approximate> LogicalResult importBiasGelu(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  if (Value bias = ctx.getOperand(1))
    input = ctx.binary<graph::AddOp>(input, bias);
  if (!input)
    return failure();
  return ctx.setResult(graph::GeluOp::create(
      ctx.builder, ctx.loc, input.getType(), input, approximate));
}

const OpHandler handlers[] = {
    {"BiasGelu", importBiasGelu<false>},
    {"FastGelu", importBiasGelu<true>},
    {"Gelu", importBiasGelu<false>},
    {"SkipLayerNormalization", importSkipNorm<false>},
    {"SkipSimplifiedLayerNormalization", importSkipNorm<true>},
};

} // namespace

ArrayRef<OpHandler> microsoftHandlers() { return handlers; }

} // namespace tenon
