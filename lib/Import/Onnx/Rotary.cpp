// Rotary embedding of ONNX, opset 23 and newer, and of domain com.microsoft.
#include "Rotary.h"

using namespace mlir;

namespace tenon {

Value rotateHeads(ImportContext &ctx, Value heads, Value cosine, Value sine,
                  int64_t rotated, bool interleaved) {
  Value rest;
  if (rotated != 0 && rotated != typeOf(heads).getDimSize(3)) {
    rest = ctx.slice(heads, 3, ctx.makeSize(rotated), ctx.getSize(heads, 3));
    heads = ctx.slice(heads, 3, ctx.makeSize(0), ctx.makeSize(rotated));
  }
  Value result = graph::RotaryOp::create(ctx.builder, ctx.loc, heads.getType(),
                                         heads, cosine, sine, interleaved);
  return rest ? ctx.concat({result, rest}, 3) : result;
}

namespace {

/// The heads of the first operand, of which there are `heads` where no
/// num_heads says it, rotated by rows of cosines and sines. Rank 3 is split
/// into heads around the op; without rotary_embedding_dim, which leaves the
/// rest of each head as it is:
/// RotaryEmbedding(x)  ->  rotary x, cosine, sine
LogicalResult setRotated(ImportContext &ctx, Value cosine, Value sine,
                         int64_t heads = 0) {
  Value input = ctx.getOperand(0);
  bool flat = typeOf(input).getRank() == 3;
  (void)ctx.getInt("num_heads", 0); // said by a rank of 4, too
  if (flat) {
    FailureOr<Value> split = ctx.splitHeads(input, "num_heads", heads);
    if (failed(split))
      return failure();
    input = *split;
  }
  if (typeOf(input).getRank() != 4)
    return ctx.invalid() << "needs an input of rank 3 or 4, but has "
                         << input.getType();
  int64_t rotated = ctx.getInt("rotary_embedding_dim", 0);
  int64_t headSize = typeOf(input).getDimSize(3);
  if (rotated < 0 || (!ShapedType::isDynamic(headSize) && rotated > headSize))
    return ctx.invalid() << "rotates " << rotated
                         << " elements of each head of " << input.getType();
  Value result = rotateHeads(ctx, input, cosine, sine, rotated,
                             ctx.getInt("interleaved", 0) != 0);
  if (flat)
    result = ctx.joinHeads(result);
  return ctx.setResult(result);
}

/// RotaryEmbedding(x, cos, sin, ids)  ->  rotary x, gather cos, gather sin
LogicalResult importRotaryEmbedding(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Value cosine = ctx.getOperand(1), sine = ctx.getOperand(2);
  int64_t cacheRank = ctx.getOperand(3) ? 2 : 3;
  for (Value cache : {cosine, sine})
    if (typeOf(cache).getRank() != cacheRank)
      return ctx.invalid() << "needs caches of rank " << cacheRank
                           << ", but one is " << cache.getType();
  if (Value positions = ctx.getOperand(3)) {
    cosine = ctx.gather(cosine, positions, 0);
    sine = ctx.gather(sine, positions, 0);
  }
  return setRotated(ctx, cosine, sine);
}

/// One position is that of the first token of every sequence:
/// RotaryEmbedding(x, [n], cos, sin)  ->  rotary x, gather cos (n + iota), …
LogicalResult importMicrosoftRotary(ImportContext &ctx) {
  if (failed(ctx.requireOperands(4)) || failed(ctx.requireRank(2, 2)) ||
      failed(ctx.requireRank(3, 2)))
    return failure();
  // Packed tokens have positions like others.
  (void)ctx.getInt("is_packed_batching", 0);
  if (float scale = ctx.getFloat("scale", 1); scale != 1)
    return ctx.unsupported() << "scale must be 1, but is " << scale;
  RankedTensorType input = typeOf(ctx.getOperand(0));
  if (input.getRank() != 3 && input.getRank() != 4)
    return ctx.invalid() << "needs an input of rank 3 or 4, but has " << input;
  Value positions = ctx.getOperand(1);
  RankedTensorType type = typeOf(positions);
  if (type.getRank() != 2) {
    if (!type.hasStaticShape() || type.getNumElements() != 1)
      return ctx.invalid() << "needs one position or one for each token, but "
                           << "has " << type;
    Value tokens = ctx.iota(
        ctx.makeSize(0), ctx.getSize(ctx.getOperand(0), input.getRank() - 2));
    Value first =
        ctx.cast(ctx.reshape(positions, {}), typeOf(tokens).getElementType());
    Value all = ctx.binary<graph::AddOp>(tokens, first);
    positions = ctx.reshape(all, {ctx.makeSize(1), ctx.getSize(all, 0)});
  }
  // Without num_heads, a head is as large as the caches say.
  int64_t width = input.getShape().back(),
          half = typeOf(ctx.getOperand(2)).getDimSize(1), heads = 0;
  if (!ShapedType::isDynamic(width) && !ShapedType::isDynamic(half) &&
      half > 0 && width % (2 * half) == 0)
    heads = width / (2 * half);
  return setRotated(ctx, ctx.gather(ctx.getOperand(2), positions, 0),
                    ctx.gather(ctx.getOperand(3), positions, 0), heads);
}

const OpHandler handlers[] = {
    {"RotaryEmbedding", importRotaryEmbedding},
    {"RotaryEmbedding", importMicrosoftRotary, 1, microsoftDomain},
};

} // namespace

ArrayRef<OpHandler> rotaryHandlers() { return handlers; }

} // namespace tenon
