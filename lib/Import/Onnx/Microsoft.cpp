// Norms and activations of domain com.microsoft with what ONNX Runtime's
// optimizer fuses into them.
#include "Quantized.h"

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
      builder.getF32FloatAttr(ctx.getFloat("epsilon", 1e-12f)),
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

/// How many ones there are in each row of a mask, or 0 without a mask.
Value countTokens(ImportContext &ctx, Value mask, OpFoldResult batch,
                  Type element) {
  Value zero = ctx.makeScalar(0, element);
  if (!mask)
    return ctx.broadcast(zero, batch);
  Value isOne = ctx.binary<graph::EqualOp>(
      mask, ctx.makeScalar(1, typeOf(mask).getElementType()),
      ctx.builder.getI1Type());
  Value counts =
      ctx.reduce(graph::ReductionKind::Sum, ctx.cast(isOne, element), {1});
  return ctx.reshape(counts, {ctx.getSize(mask, 0)});
}

/// EmbedLayerNormalization  ->  norm (gather words + positions + segments)
/// The second result counts the tokens that the mask keeps in each sequence.
/// Quantized, the three tables and the norm's scale and bias have their scales,
/// then their zero points, behind them.
template <bool isQuantized> LogicalResult importEmbedNorm(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  for (unsigned i : {2, 3, 5, 6})
    if (!ctx.getOperand(i))
      return ctx.invalid() << "has no operand " << i;
  for (unsigned i : {0, 1, 2, 3, 4, 7})
    if (failed(ctx.requireRank(i, 2)))
      return failure();
  if (!isQuantized && failed(ctx.requireRank(8, 2)))
    return failure();
  Value parameters[5]; // operands 2 to 6
  for (auto [i, parameter] : llvm::enumerate(parameters)) {
    parameter = ctx.getOperand(2 + i);
    if (!isQuantized || !parameter)
      continue;
    Value scale = ctx.getOperand(8 + i);
    if (!scale)
      return ctx.invalid() << "has no operand " << 8 + i;
    parameter = dequantize(ctx, parameter, asScalar(ctx, scale),
                           asScalar(ctx, ctx.getOperand(13 + i)));
    if (!parameter)
      return failure();
  }
  auto [wordTable, positions, segmentTable, scale, bias] = parameters;
  // It says only whether there is a second result.
  (void)ctx.getInt("mask_index_type", 0);
  Value ids = ctx.getOperand(0);
  Value words = ctx.gather(wordTable, ids, 0);
  if (Value given = isQuantized ? Value() : ctx.getOperand(8))
    positions = ctx.gather(positions, given, 0);
  else
    positions = ctx.slice(positions, 0, ctx.makeSize(0), ctx.getSize(ids, 1));
  Value sum = ctx.binary<graph::AddOp>(words, positions);
  if (segmentTable) {
    if (!ctx.getOperand(1))
      return ctx.invalid() << "has segment_embedding, but no segment_ids";
    Value segments = ctx.gather(segmentTable, ctx.getOperand(1), 0);
    sum = sum ? ctx.binary<graph::AddOp>(sum, segments) : sum;
  }
  if (!sum)
    return failure();
  (void)ctx.setResult(sum, 2);
  if (ctx.isResultUsed(1))
    (void)ctx.setResult(countTokens(ctx, ctx.getOperand(7), ctx.getSize(ids, 0),
                                    typeOf(ids).getElementType()),
                        1);
  Builder &builder = ctx.builder;
  return ctx.setResult(graph::NormOp::create(
      ctx.builder, ctx.loc, sum.getType(), sum, scale, bias,
      builder.getI64IntegerAttr(2),
      builder.getF32FloatAttr(ctx.getFloat("epsilon", 1e-12f)), UnitAttr()));
}

/// BiasAdd(x, b, skip)  ->  add (add x, b), skip
LogicalResult importBiasAdd(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Value result = ctx.binary<graph::AddOp>(ctx.getOperand(0), ctx.getOperand(1));
  if (result)
    result = ctx.binary<graph::AddOp>(result, ctx.getOperand(2));
  return result ? ctx.setResult(result) : failure();
}

/// BiasSplitGelu(x, b)  ->  mul (first half of x + b), (gelu (second half))
LogicalResult importBiasSplitGelu(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)) || failed(ctx.requireRank(0, 3)))
    return failure();
  Value sum = ctx.binary<graph::AddOp>(ctx.getOperand(0), ctx.getOperand(1));
  if (!sum)
    return failure();
  if (typeOf(sum).getRank() != 3)
    return ctx.invalid() << "needs a bias of rank 1, but has "
                         << ctx.getOperand(1).getType();
  OpFoldResult width = ctx.getSize(sum, 2);
  OpFoldResult half = ctx.floorDivide(width, ctx.makeSize(2));
  Value linear = ctx.slice(sum, 2, ctx.makeSize(0), half);
  Value gate = ctx.slice(sum, 2, half, width);
  gate = graph::GeluOp::create(ctx.builder, ctx.loc, gate.getType(), gate,
                               /*approximate=*/false);
  Value result = ctx.binary<graph::MulOp>(linear, gate);
  return result ? ctx.setResult(result) : failure();
}

const OpHandler handlers[] = {
    {"BiasAdd", importBiasAdd, 1, microsoftDomain},
    {"BiasGelu", importBiasGelu<false>, 1, microsoftDomain},
    {"BiasSplitGelu", importBiasSplitGelu, 1, microsoftDomain},
    {"EmbedLayerNormalization", importEmbedNorm<false>, 1, microsoftDomain},
    {"FastGelu", importBiasGelu<true>, 1, microsoftDomain},
    {"Gelu", importBiasGelu<false>, 1, microsoftDomain},
    {"QEmbedLayerNormalization", importEmbedNorm<true>, 1, microsoftDomain},
    {"SkipLayerNormalization", importSkipNorm<false>, 1, microsoftDomain},
    {"SkipSimplifiedLayerNormalization", importSkipNorm<true>, 1,
     microsoftDomain},
};

} // namespace

ArrayRef<OpHandler> microsoftHandlers() { return handlers; }

} // namespace tenon
