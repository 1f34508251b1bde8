// GroupQueryAttention of domain com.microsoft: projections, rotary embedding, a
// cache and attention of a causal decoder in one node.
#include "Rotary.h"
#include <cmath>

using namespace mlir;

namespace tenon {
namespace {

/// One GroupQueryAttention node on its way to graph.append and graph.attention.
class GroupQueryAttention {
public:
  explicit GroupQueryAttention(ImportContext &ctx) : ctx(ctx) {}

  LogicalResult import();

private:
  LogicalResult refuseOthers();
  LogicalResult readHeads();
  LogicalResult normalizeHeads();
  LogicalResult findStarts();
  LogicalResult rotate();
  Value appendToPast(Value past, Value heads);
  LogicalResult attend();
  Value makeScalar(OpFoldResult size) {
    return graph::FromIndicesOp::create(
        ctx.builder, ctx.loc,
        RankedTensorType::get({}, ctx.builder.getI64Type()),
        ctx.materialize(size));
  }

  ImportContext &ctx;
  Value query, key, value; ///< batch, heads, sequence, size
  /// Of each sequence, how many tokens were before, i64; null without a past.
  Value starts;
  OpFoldResult capacity; ///< of what is past and new together
};

/// Fails, after an error, if the node asks for what there is no kernel for.
LogicalResult GroupQueryAttention::refuseOthers() {
  constexpr std::pair<unsigned, StringLiteral> operands[] = {
      {10, "attention_bias"},
      {11, "head_sink"},
      {12, "k_scale"},
      {13, "v_scale"}};
  for (auto [number, name] : operands)
    if (ctx.getOperand(number))
      return ctx.unsupported()
             << "operand " << number << " (" << name << ") has no kernel";
  if (ctx.getInt("smooth_softmax", 0) > 0)
    return ctx.unsupported() << "smooth_softmax has no kernel";
  if (ctx.getInt("sliding_window_cache", 0))
    return ctx.unsupported() << "sliding_window_cache has no kernel";
  if (int64_t causal = ctx.getInt("causal", 1); causal != 1)
    return ctx.unsupported() << "causal must be 1, but is " << causal;
  for (StringRef name : {"k_quant_type", "v_quant_type"})
    if (StringRef type = ctx.getString(name, "NONE"); type != "NONE")
      return ctx.unsupported() << name << " must be NONE, but is " << type;
  // Says nothing of a cache that is not quantized.
  (void)ctx.getInt("kv_cache_bit_width", 0);
  if (ctx.getInt("qk_output", 0) || ctx.isResultUsed(3))
    return ctx.unsupported() << "scores as a result have no kernel";
  return success();
}

/// Queries, keys and values beside each other, or each of its own.
LogicalResult GroupQueryAttention::readHeads() {
  int64_t heads = ctx.getInt("num_heads", 0),
          kvHeads = ctx.getInt("kv_num_heads", 0);
  if (heads <= 0 || kvHeads <= 0 || heads % kvHeads != 0)
    return ctx.invalid() << "needs a num_heads that is a multiple of "
                         << "kv_num_heads, but has " << heads << " and "
                         << kvHeads;
  Value packed = ctx.getOperand(0);
  Value flat[] = {packed, ctx.getOperand(1), ctx.getOperand(2)};
  if (bool(flat[1]) != bool(flat[2]))
    return ctx.invalid() << "needs key and value together";
  if (!flat[1]) {
    int64_t width = typeOf(packed).getDimSize(2), parts = heads + 2 * kvHeads;
    if (ShapedType::isDynamic(width))
      return ctx.unsupported() << "the size of a head must be known, but the "
                               << "query is " << packed.getType();
    if (width % parts != 0)
      return ctx.invalid() << "cannot split " << packed.getType() << " into "
                           << parts << " heads of one size";
    int64_t ends[] = {0, width / parts * heads,
                      width / parts * (heads + kvHeads), width};
    for (int64_t i = 0; i < 3; ++i)
      flat[i] = ctx.slice(packed, 2, ctx.makeSize(ends[i]),
                          ctx.makeSize(ends[i + 1]));
  }
  Value *parts[] = {&query, &key, &value};
  for (auto [i, part] : llvm::enumerate(parts)) {
    FailureOr<Value> split =
        ctx.splitHeads(flat[i], i == 0 ? "num_heads" : "kv_num_heads");
    if (failed(split))
      return failure();
    *part = *split;
  }
  for (Value part : {query, value})
    if (!graph::AttentionOp::takes(typeOf(part)))
      return ctx.unsupported()
             << "there are no kernels for heads of " << typeOf(part);
  return success();
}

/// Each head of queries and keys by the root of its mean square.
LogicalResult GroupQueryAttention::normalizeHeads() {
  Value scales[] = {ctx.getOperand(14), ctx.getOperand(15)};
  if (bool(scales[0]) != bool(scales[1]))
    return ctx.invalid() << "needs q_norm_weight and k_norm_weight together";
  float both = ctx.getFloat("qk_norm_epsilon", 1e-6f);
  float epsilons[] = {ctx.getFloat("q_norm_epsilon", both),
                      ctx.getFloat("k_norm_epsilon", both)};
  if (!scales[0])
    return success();
  if (failed(ctx.requireRank(14, 1)) || failed(ctx.requireRank(15, 1)))
    return failure();
  Value *parts[] = {&query, &key};
  for (auto [part, scale, epsilon] : llvm::zip(parts, scales, epsilons))
    *part = graph::NormOp::create(
        ctx.builder, ctx.loc, part->getType(), *part, scale, /*bias=*/Value(),
        ctx.builder.getI64IntegerAttr(3), ctx.builder.getF32FloatAttr(epsilon),
        ctx.builder.getUnitAttr());
  return success();
}

/// Of a sequence that has `seqlens_k` + 1 tokens with the new ones the last
/// `query_seqlens` are new, or as many as there are queries and tokens; what is
/// behind the new ones is padding, and so is what comes of it.
LogicalResult GroupQueryAttention::findStarts() {
  Value lengths = ctx.getOperand(5), total = ctx.getOperand(6);
  for (Value operand : {lengths, total})
    if (!typeOf(operand).getElementType().isInteger(32))
      return ctx.invalid() << "needs lengths of i32, but has "
                           << operand.getType();
  if (!typeOf(total).hasStaticShape() || typeOf(total).getNumElements() != 1)
    return ctx.invalid() << "needs one total_sequence_length, but has "
                         << total.getType();
  Type i64 = ctx.builder.getI64Type();
  OpFoldResult batch = ctx.getSize(query, 0), queries = ctx.getSize(query, 2);
  capacity = ctx.extract(total, 0);
  Value pastKey = ctx.getOperand(3), pastValue = ctx.getOperand(4);
  if (bool(pastKey) != bool(pastValue))
    return ctx.invalid() << "needs past_key and past_value together";
  Value counts = ctx.getOperand(16);
  if (!pastKey) {
    // All is new, and padding comes behind it.
    if (counts)
      return ctx.invalid() << "has query_seqlens without a past";
    ctx.assumeEqual(capacity, queries);
    return success();
  }
  capacity = ctx.maximum(capacity, ctx.getSize(pastKey, 2));
  Value ends = ctx.cast(ctx.reshape(lengths, {batch}), i64);
  if (counts) {
    counts = ctx.cast(ctx.reshape(counts, {batch}), i64);
    ends = ctx.binary<graph::AddOp>(ends, ctx.makeScalar(1, i64));
    starts = ctx.binary<graph::SubOp>(ends, counts);
    return success(bool(starts));
  }
  starts = ctx.binary<graph::AddOp>(
      ends, makeScalar(ctx.subtract(ctx.makeSize(1), queries)));
  starts = ctx.binary<graph::MaxOp>(starts, ctx.makeScalar(0, i64));
  return success(bool(starts));
}

/// By the positions that are given, or those that follow from the starts.
LogicalResult GroupQueryAttention::rotate() {
  bool interleaved = ctx.getInt("rotary_interleaved", 0) != 0;
  bool isWanted = ctx.getInt("do_rotary", 0) != 0;
  Value cosine = ctx.getOperand(7), sine = ctx.getOperand(8),
        positions = ctx.getOperand(9);
  if (!isWanted)
    return success();
  if (!cosine || !sine)
    return ctx.invalid() << "needs cos_cache and sin_cache for do_rotary";
  for (unsigned operand : {7, 8, 9})
    if (failed(ctx.requireRank(operand, 2)))
      return failure();
  int64_t half = typeOf(cosine).getDimSize(1),
          size = typeOf(query).getDimSize(3);
  if (ShapedType::isDynamic(half))
    return ctx.unsupported() << "how much of a head is rotated must be known, "
                             << "but cos_cache is " << cosine.getType();
  if (half == 0 || 2 * half > size)
    return ctx.invalid() << "rotates " << 2 * half << " elements of heads of "
                         << size;
  if (!positions) {
    OpFoldResult one = ctx.makeSize(1), queries = ctx.getSize(query, 2);
    positions = ctx.iota(ctx.makeSize(0), queries);
    if (starts)
      positions = ctx.binary<graph::AddOp>(
          ctx.reshape(starts, {ctx.getSize(query, 0), one}), positions);
    else
      positions = ctx.reshape(positions, {one, queries});
  }
  if (!positions)
    return failure();
  cosine = ctx.gather(cosine, positions, 0);
  sine = ctx.gather(sine, positions, 0);
  for (Value *part : {&query, &key})
    *part = rotateHeads(ctx, *part, cosine, sine, 2 * half, interleaved);
  return success();
}

/// append(heads into the past with room behind it)
Value GroupQueryAttention::appendToPast(Value past, Value heads) {
  RankedTensorType type = typeOf(heads);
  Sizes sizes = ctx.getSizes(past);
  // Exporters give the size of a head a name of its own.
  sizes[1] = ctx.makeSize(type.getDimSize(1));
  sizes[3] = ctx.makeSize(type.getDimSize(3));
  if (typeOf(past).getShape() != ArrayRef(staticSizes(sizes)))
    past = ctx.reshape(past, sizes);
  Sizes lows(4, ctx.makeSize(0)), highs = lows;
  highs[2] = ctx.subtract(capacity, sizes[2]);
  Value room =
      ctx.pad(past, ctx.makeScalar(0, type.getElementType()), lows, highs);
  return graph::AppendOp::create(ctx.builder, ctx.loc, room.getType(), heads,
                                 room, starts, /*slots=*/Value());
}

LogicalResult GroupQueryAttention::attend() {
  float scale = ctx.getFloat("scale", 0);
  if (scale == 0)
    scale =
        static_cast<float>(1 / std::sqrt(double(typeOf(query).getDimSize(3))));
  float softcap = ctx.getFloat("softcap", 0);
  // Counts the query's own key too.
  int64_t window = ctx.getInt("local_window_size", -1);
  if (window == 0 || window < -1)
    return ctx.invalid()
           << "local_window_size must be -1 or at least 1, but is " << window;
  Builder &builder = ctx.builder;
  Value result = graph::AttentionOp::create(
      ctx.builder, ctx.loc, query.getType(), query, key, value,
      /*mask=*/Value(), starts, /*slots=*/Value(),
      starts ? ctx.materialize(capacity) : Value(), /*parameters=*/Value(),
      builder.getF32FloatAttr(scale), /*causal=*/builder.getUnitAttr(),
      /*relative=*/UnitAttr(), /*zero_if_masked=*/UnitAttr(),
      /*round_weights=*/UnitAttr(),
      window < 0 ? IntegerAttr() : builder.getI64IntegerAttr(window),
      softcap > 0 ? builder.getF32FloatAttr(softcap) : FloatAttr());
  return ctx.setResult(ctx.joinHeads(result));
}

/// GroupQueryAttention(q, k, v, past k, past v, lengths - 1, …)  ->
///   attention at starts of q, append k into past k, append v into past v
LogicalResult GroupQueryAttention::import() {
  if (!ctx.getOperand(0) || !ctx.getOperand(5) || !ctx.getOperand(6))
    return ctx.invalid() << "needs query, seqlens_k and total_sequence_length";
  for (unsigned operand : {0, 1, 2})
    if (failed(ctx.requireRank(operand, 3)))
      return failure();
  for (unsigned operand : {3, 4})
    if (failed(ctx.requireRank(operand, 4)))
      return failure();
  if (failed(refuseOthers()) || failed(readHeads()) ||
      failed(normalizeHeads()) || failed(findStarts()) || failed(rotate()))
    return failure();
  if (starts) {
    key = appendToPast(ctx.getOperand(3), key);
    value = appendToPast(ctx.getOperand(4), value);
  }
  (void)ctx.setResult(key, 1);
  (void)ctx.setResult(value, 2);
  return attend();
}

LogicalResult importGroupQueryAttention(ImportContext &ctx) {
  return GroupQueryAttention(ctx).import();
}

const OpHandler handlers[] = {
    {"GroupQueryAttention", importGroupQueryAttention, 1, microsoftDomain},
};

} // namespace

ArrayRef<OpHandler> groupQueryAttentionHandlers() { return handlers; }

} // namespace tenon
