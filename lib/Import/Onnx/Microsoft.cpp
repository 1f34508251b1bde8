// Operators of domain com.microsoft: what ONNX Runtime's optimizer fuses.
#include "ImportContext.h"
#include <cmath>

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

/// 0, 1, 2, …  as a tensor of `size` elements.
Value makePositions(ImportContext &ctx, OpFoldResult size, Type element) {
  return graph::IotaOp::create(
      ctx.builder, ctx.loc, RankedTensorType::get(staticSize(size), element),
      ctx.materialize(ctx.makeSize(0)), /*step=*/1, ctx.materialize(size));
}

/// EmbedLayerNormalization  ->  norm (gather words + positions + segments)
/// The second result counts the tokens that the mask keeps in each sequence.
LogicalResult importEmbedNorm(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  for (unsigned i : {2, 3, 5, 6})
    if (!ctx.getOperand(i))
      return ctx.invalid() << "has no operand " << i;
  Value ids = ctx.getOperand(0), positions = ctx.getOperand(3);
  if (typeOf(ids).getRank() != 2)
    return ctx.invalid() << "needs input_ids of rank 2, but has "
                         << ids.getType();
  for (unsigned i : {2, 3, 4})
    if (Value table = ctx.getOperand(i); table && typeOf(table).getRank() != 2)
      return ctx.invalid() << "needs tables of rank 2, but has "
                           << table.getType();
  Value words = ctx.gather(ctx.getOperand(2), ids, 0);
  if (Value given = ctx.getOperand(8))
    positions = ctx.gather(positions, given, 0);
  else
    positions = ctx.slice(positions, 0, ctx.makeSize(0), ctx.getSize(ids, 1));
  Value sum = ctx.binary<graph::AddOp>(words, positions);
  if (Value table = ctx.getOperand(4)) {
    if (!ctx.getOperand(1))
      return ctx.invalid() << "has segment_embedding, but no segment_ids";
    Value segments = ctx.gather(table, ctx.getOperand(1), 0);
    sum = sum ? ctx.binary<graph::AddOp>(sum, segments) : sum;
  }
  if (!sum)
    return failure();
  (void)ctx.setResult(sum, 2);
  if (ctx.isResultUsed(1)) {
    Value mask = ctx.getOperand(7);
    if (!mask || typeOf(mask).getRank() != 2)
      return ctx.unsupported() << "mask_index without a mask is unsupported";
    RankedTensorType type = typeOf(mask);
    Value counts = graph::ReduceOp::create(
        ctx.builder, ctx.loc, type.clone({type.getDimSize(0), 1}),
        graph::ReductionKind::Sum, mask, ArrayRef<int64_t>{1});
    (void)ctx.setResult(ctx.reshape(counts, {ctx.getSize(mask, 0)}), 1);
  }
  Builder &builder = ctx.builder;
  return ctx.setResult(graph::NormOp::create(
      ctx.builder, ctx.loc, sum.getType(), sum, ctx.getOperand(5),
      ctx.getOperand(6), builder.getI64IntegerAttr(2),
      builder.getF32FloatAttr(ctx.getFloat("epsilon", 1e-12f)), UnitAttr()));
}

/// What is added to the scores: mask_filter_value for keys that the mask hides.
/// `mask` counts the keys of each sequence or says 1 for each key to see.
FailureOr<Value> makeKeyMask(ImportContext &ctx, Value mask, Value key) {
  RankedTensorType type = typeOf(mask);
  Type element = typeOf(key).getElementType();
  Value seen;
  if (type.getRank() == 1) {
    // A longer one holds starts behind the ends.
    if (type.getDimSize(0) != typeOf(key).getDimSize(0)) {
      ctx.unsupported() << "a mask of type " << type << " is unsupported";
      return failure();
    }
    Value ends = ctx.reshape(mask, {ctx.getSize(mask, 0), ctx.makeSize(1),
                                    ctx.makeSize(1), ctx.makeSize(1)});
    Value keys = makePositions(ctx, ctx.getSize(key, 2), type.getElementType());
    seen = ctx.binary<graph::LessOp>(keys, ends, ctx.builder.getI1Type());
  } else if (type.getRank() == 2) {
    Value flags = ctx.reshape(mask, {ctx.getSize(mask, 0), ctx.makeSize(1),
                                     ctx.makeSize(1), ctx.getSize(mask, 1)});
    seen = ctx.cast(flags, ctx.builder.getI1Type());
  } else {
    ctx.unsupported() << "a mask of type " << type << " is unsupported";
    return failure();
  }
  if (!seen)
    return failure();
  Value zero = ctx.makeScalar(0, element);
  Value hidden =
      ctx.makeScalar(ctx.getFloat("mask_filter_value", -10000), element);
  return graph::WhereOp::create(ctx.builder, ctx.loc,
                                typeOf(seen).clone(element), seen, zero, hidden)
      .getResult();
}

/// Attention of three tensors batch×S×(heads·D); sets the first result.
LogicalResult attend(ImportContext &ctx, ArrayRef<Value> flat, Value mask,
                     Value bias, bool causal) {
  SmallVector<Value, 3> heads;
  for (Value input : flat) {
    FailureOr<Value> split = ctx.splitHeads(input, "num_heads");
    if (failed(split))
      return failure();
    heads.push_back(*split);
  }
  if (mask) {
    FailureOr<Value> hidden = makeKeyMask(ctx, mask, heads[1]);
    if (failed(hidden))
      return failure();
    bias = bias ? ctx.binary<graph::AddOp>(*hidden, bias) : *hidden;
    if (!bias)
      return failure();
  }
  RankedTensorType query = typeOf(heads[0]);
  auto type = RankedTensorType::get({query.getDimSize(0), query.getDimSize(1),
                                     query.getDimSize(2),
                                     typeOf(heads[2]).getDimSize(3)},
                                    query.getElementType());
  float scale = ctx.getFloat("scale", 0);
  if (scale == 0)
    scale = static_cast<float>(1 / std::sqrt(double(query.getDimSize(3))));
  Builder &builder = ctx.builder;
  Value result = graph::AttentionOp::create(
      ctx.builder, ctx.loc, type, heads[0], heads[1], heads[2], bias,
      builder.getF32FloatAttr(scale),
      causal ? builder.getUnitAttr() : UnitAttr(), UnitAttr());
  return ctx.setResult(ctx.joinHeads(result));
}

LogicalResult refuseMoreThan(ImportContext &ctx, unsigned operands) {
  for (unsigned i = operands; i < ctx.getNumOperands(); ++i)
    if (ctx.getOperand(i))
      return ctx.unsupported() << "operand " << i << " is unsupported";
  for (unsigned i = 1; i < ctx.getNumResults(); ++i)
    if (ctx.isResultUsed(i))
      return ctx.unsupported() << "result " << i << " is unsupported";
  return success();
}

/// Attention(x, w, b, mask)  ->  attention of the three parts of x·w + b
LogicalResult importAttention(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)) || failed(refuseMoreThan(ctx, 4)))
    return failure();
  if (ctx.hasAttribute("qkv_hidden_sizes") || ctx.getInt("do_rotary", 0))
    return ctx.unsupported()
           << "qkv_hidden_sizes and do_rotary are unsupported";
  RankedTensorType input = typeOf(ctx.getOperand(0)),
                   weight = typeOf(ctx.getOperand(1));
  if (input.getRank() != 3 || weight.getRank() != 2 ||
      ShapedType::isDynamic(weight.getDimSize(1)) || weight.getDimSize(1) % 3)
    return ctx.invalid() << "multiplies " << input << " and " << weight
                         << ", which are no input and three projections";
  int64_t width = weight.getDimSize(1) / 3;
  auto type = RankedTensorType::get(
      {input.getDimSize(0), input.getDimSize(1), 3 * width},
      input.getElementType());
  Value all = graph::MatmulOp::create(ctx.builder, ctx.loc, type,
                                      ctx.getOperand(0), ctx.getOperand(1),
                                      /*transpose_lhs=*/false,
                                      /*transpose_rhs=*/false);
  if (Value bias = ctx.getOperand(2))
    all = ctx.binary<graph::AddOp>(all, bias);
  if (!all)
    return failure();
  SmallVector<Value> parts;
  for (int64_t i = 0; i < 3; ++i)
    parts.push_back(ctx.slice(all, 2, ctx.makeSize(i * width),
                              ctx.makeSize((i + 1) * width)));
  return attend(ctx, parts, ctx.getOperand(3), Value(),
                ctx.getInt("unidirectional", 0) != 0);
}

/// MultiHeadAttention(q, k, v, b, mask)  ->  attention of q, k, v, each plus
/// its part of b
LogicalResult importMultiHeadAttention(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)) || failed(refuseMoreThan(ctx, 6)))
    return failure();
  if (ctx.getInt("unidirectional", 0))
    return ctx.unsupported() << "unidirectional is unsupported";
  SmallVector<Value> parts = {ctx.getOperand(0), ctx.getOperand(1),
                              ctx.getOperand(2)};
  int64_t start = 0;
  for (Value &part : parts) {
    RankedTensorType type = typeOf(part);
    if (type.getRank() != 3 || ShapedType::isDynamic(type.getDimSize(2)))
      return ctx.unsupported()
             << "an operand of type " << type << " is unsupported";
    Value bias = ctx.getOperand(3);
    if (!bias)
      continue;
    if (typeOf(bias).getRank() != 1)
      return ctx.invalid() << "needs a bias of rank 1, but has "
                           << bias.getType();
    int64_t end = start + type.getDimSize(2);
    part = ctx.binary<graph::AddOp>(
        part, ctx.slice(bias, 0, ctx.makeSize(start), ctx.makeSize(end)));
    if (!part)
      return failure();
    start = end;
  }
  return attend(ctx, parts, ctx.getOperand(4), ctx.getOperand(5), false);
}

const OpHandler handlers[] = {
    {"Attention", importAttention},
    {"BiasGelu", importBiasGelu<false>},
    {"EmbedLayerNormalization", importEmbedNorm},
    {"FastGelu", importBiasGelu<true>},
    {"Gelu", importBiasGelu<false>},
    {"MultiHeadAttention", importMultiHeadAttention},
    {"SkipLayerNormalization", importSkipNorm<false>},
    {"SkipSimplifiedLayerNormalization", importSkipNorm<true>},
};

} // namespace

ArrayRef<OpHandler> microsoftHandlers() { return handlers; }

} // namespace tenon
