// ONNX Attention, opset 23 and newer.
#include "ImportContext.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace tenon {
namespace {

/// One Attention node on its way to ops of graph.
class Attention {
public:
  explicit Attention(ImportContext &ctx) : ctx(ctx) {}

  LogicalResult import();

private:
  LogicalResult readOperands();
  LogicalResult readScale();
  FailureOr<Value> padMask(Value mask);
  Value findVisible();
  LogicalResult readMask();
  Value makeScalar(double value) {
    return ctx.makeScalar(value, typeOf(query).getElementType());
  }
  Value repeatHeads(Value input);
  Value decompose();
  Value fuse();

  ImportContext &ctx;
  Value query, key, value;        ///< of rank 4: batch, heads, sequence, size
  bool isFlat = false;            ///< the operands had rank 3
  OpFoldResult newKeys, pastKeys; ///< along the sequence
  float scale = 1;
  float softcap = 0;     ///< or none
  int64_t stage = 0;     ///< of the scores that are a result
  bool isCausal = false; ///< in the way of graph.attention
  Value mask; ///< all that hides or weighs keys but isCausal; or null
};

LogicalResult Attention::readOperands() {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Value operands[] = {ctx.getOperand(0), ctx.getOperand(1), ctx.getOperand(2)};
  isFlat = typeOf(operands[0]).getRank() == 3;
  // Exporters write these beside operands of rank 4, too, which have them.
  (void)ctx.getInt("q_num_heads", 0);
  (void)ctx.getInt("kv_num_heads", 0);
  for (auto [i, operand] : llvm::enumerate(operands)) {
    if (typeOf(operand).getRank() == 3) {
      FailureOr<Value> split =
          ctx.splitHeads(operand, i == 0 ? "q_num_heads" : "kv_num_heads");
      if (failed(split))
        return failure();
      operand = *split;
    }
    if (typeOf(operand).getRank() != 4)
      return ctx.invalid() << "needs operands of rank 3 or 4, but has "
                           << operand.getType();
  }
  query = operands[0], key = operands[1], value = operands[2];
  newKeys = ctx.getSize(key, 2);
  pastKeys = ctx.makeSize(0);
  Value pastKey = ctx.getOperand(4), pastValue = ctx.getOperand(5);
  if (bool(pastKey) != bool(pastValue))
    return ctx.invalid() << "needs past_key and past_value together";
  if (!pastKey)
    return success();
  if (ctx.getOperand(6))
    return ctx.invalid() << "has both a past and nonpad_kv_seqlen";
  for (Value past : {pastKey, pastValue})
    if (typeOf(past).getRank() != 4)
      return ctx.invalid() << "needs a past of rank 4, but has "
                           << past.getType();
  pastKeys = ctx.getSize(pastKey, 2);
  key = ctx.concat({pastKey, key}, 2);
  value = ctx.concat({pastValue, value}, 2);
  return success();
}

LogicalResult Attention::readScale() {
  int64_t headSize = typeOf(query).getDimSize(3);
  if (ShapedType::isDynamic(headSize))
    headSize = typeOf(key).getDimSize(3);
  if (!ctx.hasAttribute("scale") && ShapedType::isDynamic(headSize))
    return ctx.unsupported() << "without scale the size of a head must be "
                             << "known, but the query is " << query.getType();
  scale = ctx.getFloat("scale",
                       static_cast<float>(1 / std::sqrt(double(headSize))));
  return success();
}

/// Since opset 24 a shorter mask hides the keys behind its end.
FailureOr<Value> Attention::padMask(Value given) {
  RankedTensorType type = typeOf(given);
  if (type.getRank() == 0)
    return ctx.invalid() << "has a mask without dimensions";
  int64_t keys = typeOf(key).getDimSize(2), covered = type.getShape().back();
  if (ShapedType::isDynamic(covered) || ShapedType::isDynamic(keys) ||
      covered == keys || (covered == 1 && ctx.opset < 24))
    return given;
  if (covered > keys || ctx.opset < 24)
    return ctx.invalid() << "has a mask for " << covered << " keys, of "
                         << "which there are " << keys;
  Type element = type.getElementType();
  Value hidden = ctx.makeScalar(
      element.isInteger(1) ? 0 : -std::numeric_limits<double>::infinity(),
      element);
  Sizes sizes = ctx.getSizes(given);
  sizes.back() = ctx.makeSize(keys - covered);
  return ctx.concat({given, ctx.broadcast(hidden, sizes)}, type.getRank() - 1);
}

/// Which keys each query may see by is_causal, the window and nonpad_kv_seqlen,
/// S×T or batch×1×S×T; null if all, or if graph.attention's causal says it.
Value Attention::findVisible() {
  int64_t left = ctx.getInt("left_window_size", -1);
  int64_t right = ctx.getInt("right_window_size", -1);
  OpFoldResult queries = ctx.getSize(query, 2);
  Value lengths = ctx.getOperand(6);
  bool wantsCausal = ctx.getInt("is_causal", 0) != 0;
  int64_t knownQueries = staticSize(queries), knownKeys = staticSize(newKeys);
  bool isDynamic =
      ShapedType::isDynamic(knownQueries) || ShapedType::isDynamic(knownKeys);
  if (left < 0 && right < 0 && !lengths) {
    if (!wantsCausal)
      return {};
    // ONNX aligns the first query with the first new key, graph.attention the
    // last with the last: the same where there are as many of both.
    isCausal = isDynamic || knownQueries == knownKeys;
    if (isDynamic)
      ctx.assumeEqual(queries, newKeys);
    if (isCausal)
      return {};
  }
  Type flag = ctx.builder.getI1Type(), index = ctx.builder.getI64Type();
  OpFoldResult one = ctx.makeSize(1);
  Value keys = ctx.iota(ctx.makeSize(0), ctx.getSize(key, 2));
  OpFoldResult first =
      lengths ? ctx.subtract(ctx.makeSize(0), queries) : pastKeys;
  Value positions = ctx.reshape(ctx.iota(first, queries), {queries, one});
  if (lengths) {
    lengths = ctx.reshape(lengths, {ctx.getSize(lengths, 0), one, one, one});
    positions = ctx.binary<graph::AddOp>(positions, lengths);
  }
  auto shifted = [&](int64_t by) {
    return ctx.binary<graph::AddOp>(positions, ctx.makeScalar(by, index));
  };
  Value visible;
  auto restrict = [&](Value condition) {
    visible =
        visible ? ctx.binary<graph::AndOp>(visible, condition) : condition;
  };
  if (wantsCausal)
    restrict(ctx.binary<graph::LessEqualOp>(keys, positions, flag));
  if (left >= 0)
    restrict(ctx.binary<graph::GreaterEqualOp>(keys, shifted(-left), flag));
  if (right >= 0)
    restrict(ctx.binary<graph::LessEqualOp>(keys, shifted(right), flag));
  if (lengths)
    restrict(ctx.binary<graph::LessOp>(keys, lengths, flag));
  return visible;
}

LogicalResult Attention::readMask() {
  if (Value lengths = ctx.getOperand(6);
      lengths && typeOf(lengths).getRank() != 1)
    return ctx.invalid() << "needs one nonpad_kv_seqlen for each sequence, but "
                         << "has " << lengths.getType();
  Value visible = findVisible();
  mask = ctx.getOperand(3);
  if (!mask) {
    mask = visible;
    return success();
  }
  FailureOr<Value> padded = padMask(mask);
  if (failed(padded))
    return failure();
  mask = *padded;
  if (!visible)
    return success();
  Type element = typeOf(mask).getElementType();
  if (element.isInteger(1)) {
    mask = ctx.binary<graph::AndOp>(mask, visible);
    return success(bool(mask));
  }
  RankedTensorType type = ctx.broadcastType({visible, mask}, element);
  if (!type)
    return failure();
  Value hidden =
      ctx.makeScalar(-std::numeric_limits<double>::infinity(), element);
  mask =
      graph::WhereOp::create(ctx.builder, ctx.loc, type, visible, mask, hidden);
  return success();
}

/// batch×kv_heads×T×D  ->  batch×heads×T×D, each head as often as needed.
Value Attention::repeatHeads(Value input) {
  int64_t heads = typeOf(query).getDimSize(1),
          kvHeads = typeOf(input).getDimSize(1);
  if (heads == kvHeads)
    return input;
  Sizes sizes = ctx.getSizes(input), result = sizes;
  sizes.insert(sizes.begin() + 2, ctx.makeSize(1));
  Value repeated = ctx.reshape(input, sizes);
  sizes[2] = ctx.makeSize(heads / kvHeads);
  result[1] = ctx.makeSize(heads);
  return ctx.reshape(ctx.broadcast(repeated, sizes), result);
}

/// Written out, for what graph.attention does not do: scores as a result, and
/// heads that there are no kernels for. Null after an error.
Value Attention::decompose() {
  int64_t heads = typeOf(query).getDimSize(1),
          kvHeads = typeOf(key).getDimSize(1);
  if (ShapedType::isDynamic(heads) || ShapedType::isDynamic(kvHeads) ||
      kvHeads == 0 || heads % kvHeads != 0) {
    ctx.unsupported() << "has " << query.getType() << " and " << key.getType()
                      << ", but the number of heads must be known and a "
                      << "multiple of that of the keys";
    return {};
  }
  Value scores = ctx.matmul(query, repeatHeads(key), false, true);
  if (!scores)
    return {};
  scores = ctx.binary<graph::MulOp>(scores, makeScalar(scale));
  Value stages[4] = {scores};
  if (softcap != 0) {
    Value part = ctx.binary<graph::DivOp>(scores, makeScalar(softcap));
    part = graph::TanhOp::create(ctx.builder, ctx.loc, part.getType(), part);
    scores = ctx.binary<graph::MulOp>(part, makeScalar(softcap));
  }
  stages[1] = scores;
  RankedTensorType type = typeOf(scores);
  Type flag = ctx.builder.getI1Type();
  Value hidden = makeScalar(-std::numeric_limits<double>::infinity());
  if (isCausal) {
    OpFoldResult queries = ctx.getSize(query, 2);
    Value keys = ctx.iota(ctx.makeSize(0), ctx.getSize(key, 2));
    Value positions =
        ctx.reshape(ctx.iota(pastKeys, queries), {queries, ctx.makeSize(1)});
    Value visible = ctx.binary<graph::LessEqualOp>(keys, positions, flag);
    scores = graph::WhereOp::create(ctx.builder, ctx.loc, type, visible, scores,
                                    hidden);
  }
  if (mask && typeOf(mask).getElementType().isInteger(1))
    scores = graph::WhereOp::create(ctx.builder, ctx.loc, type, mask, scores,
                                    hidden);
  else if (mask)
    scores = ctx.binary<graph::AddOp>(scores, mask);
  if (!scores)
    return {};
  stages[2] = scores;
  SmallVector<int64_t> rowSizes(type.getShape());
  rowSizes.back() = 1;
  Value largest = graph::ReduceOp::create(
      ctx.builder, ctx.loc, type.clone(rowSizes), graph::ReductionKind::Max,
      scores, ArrayRef<int64_t>{3});
  Value isEmpty = ctx.binary<graph::EqualOp>(largest, hidden, flag);
  Value shares = graph::SoftmaxOp::create(ctx.builder, ctx.loc, type, scores,
                                          /*axis=*/3);
  shares = graph::WhereOp::create(ctx.builder, ctx.loc, type, isEmpty,
                                  makeScalar(0), shares);
  stages[3] = shares;
  (void)ctx.setResult(stages[stage], 3);
  return ctx.matmul(shares, repeatHeads(value));
}

Value Attention::fuse() {
  RankedTensorType queryType = typeOf(query);
  auto type = RankedTensorType::get(
      {queryType.getDimSize(0), queryType.getDimSize(1),
       queryType.getDimSize(2), typeOf(value).getDimSize(3)},
      queryType.getElementType());
  Builder &builder = ctx.builder;
  // A row that sees no key gives zeros: so says the op since ONNX 1.23, of
  // opset 23 too, and so does onnxruntime. Rows of padding must not become NaN,
  // which would spread through the values of the next layer.
  return graph::AttentionOp::create(
      ctx.builder, ctx.loc, type, query, key, value, mask,
      /*starts=*/nullptr, /*slots=*/nullptr, /*length=*/nullptr,
      /*parameters=*/nullptr, builder.getF32FloatAttr(scale),
      isCausal ? builder.getUnitAttr() : UnitAttr(), /*relative=*/nullptr,
      /*zero_if_masked=*/builder.getUnitAttr(),
      /*round_weights=*/nullptr, /*window=*/nullptr,
      softcap != 0 ? builder.getF32FloatAttr(softcap) : FloatAttr());
}

LogicalResult Attention::import() {
  // What is computed in f32 has at least the precision that this asks for.
  (void)ctx.getInt("softmax_precision", 0);
  stage = ctx.getInt("qk_matmul_output_mode", 0);
  if (stage < 0 || stage > 3)
    return ctx.invalid() << "qk_matmul_output_mode must be from 0 to 3, but is "
                         << stage;
  if (failed(readOperands()) || failed(readScale()) || failed(readMask()))
    return failure();
  softcap = ctx.getFloat("softcap", 0);
  bool isPlain = !ctx.isResultUsed(3) &&
                 graph::AttentionOp::takes(typeOf(query)) &&
                 graph::AttentionOp::takes(typeOf(value));
  Value result = isPlain ? fuse() : decompose();
  if (!result)
    return failure();
  if (isFlat)
    result = ctx.joinHeads(result);
  (void)ctx.setResult(key, 1);
  (void)ctx.setResult(value, 2);
  return ctx.setResult(result);
}

LogicalResult importAttention(ImportContext &ctx) {
  return Attention(ctx).import();
}

const OpHandler handlers[] = {{"Attention", importAttention}};

} // namespace

ArrayRef<OpHandler> attentionHandlers() { return handlers; }

} // namespace tenon
