// ONNX operators that combine elements along dimensions: reductions, softmax,
// norms, and rotary embedding, which works on rows too.
#include "ImportContext.h"

using namespace mlir;

namespace tenon {
namespace {

/// ReduceX(x) without keepdims  ->  reshape (reduce x)
template <graph::ReductionKind kind, int64_t axesOperandSince>
LogicalResult importReduce(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  FailureOr<std::optional<SmallVector<int64_t>>> given =
      ctx.getIntsOrOperand("axes", 1, axesOperandSince);
  if (failed(given))
    return failure();
  Value input = ctx.getOperand(0);
  RankedTensorType type = typeOf(input);
  SmallVector<int64_t> axes = given->value_or(SmallVector<int64_t>());
  if (axes.empty()) {
    if (ctx.getInt("noop_with_empty_axes", 0))
      return ctx.setResult(input);
    axes = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
  }
  if (failed(ctx.normalizeAxes(axes, type.getRank())))
    return failure();
  llvm::sort(axes);
  axes.erase(llvm::unique(axes), axes.end());
  SmallVector<int64_t> sizes(type.getShape());
  for (int64_t axis : axes)
    sizes[axis] = 1;
  Value result = graph::ReduceOp::create(ctx.builder, ctx.loc,
                                         type.clone(sizes), kind, input, axes);
  if (ctx.getInt("keepdims", 1) == 0) {
    Sizes kept;
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      if (!llvm::is_contained(axes, dim))
        kept.push_back(ctx.getSize(input, dim));
    result = ctx.reshape(result, kept);
  }
  return ctx.setResult(result);
}

/// Before opset 13 the input is taken as a matrix whose rows are softmaxed:
/// Softmax(x)  ->  reshape (softmax (reshape x to [before axis, from axis on]))
LogicalResult importSoftmax(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  int64_t rank = typeOf(input).getRank();
  FailureOr<int64_t> axis = ctx.getAxis(ctx.opset < 13 ? 1 : -1, rank);
  if (failed(axis))
    return failure();
  if (ctx.opset >= 13 || *axis == rank - 1)
    return ctx.setResult(graph::SoftmaxOp::create(
        ctx.builder, ctx.loc, input.getType(), input, *axis));
  Sizes sizes = ctx.getSizes(input);
  ArrayRef<OpFoldResult> all(sizes);
  OpFoldResult rows = ctx.product(all.take_front(*axis));
  Value matrix = ctx.reshape(input, {rows, ctx.product(all.drop_front(*axis))});
  matrix = graph::SoftmaxOp::create(ctx.builder, ctx.loc, matrix.getType(),
                                    matrix, /*axis=*/1);
  return ctx.setResult(ctx.reshape(matrix, sizes));
}

/// `rms`: without subtracting the mean.
template <bool rms> LogicalResult importNorm(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  if (ctx.isResultUsed(1) || ctx.isResultUsed(2))
    return ctx.unsupported() << "only the first result is supported";
  Value input = ctx.getOperand(0), scale = ctx.getOperand(1),
        bias = rms ? Value() : ctx.getOperand(2);
  int64_t rank = typeOf(input).getRank();
  FailureOr<int64_t> axis = ctx.getAxis(-1, rank);
  if (failed(axis))
    return failure();
  for (Value operand : {scale, bias})
    if (operand && typeOf(operand).getRank() != rank - *axis)
      return ctx.unsupported()
             << "scale and bias must have the " << rank - *axis
             << " normalised dimensions, but one is " << operand.getType();
  return ctx.setResult(graph::NormOp::create(
      ctx.builder, ctx.loc, input.getType(), input, scale, bias,
      ctx.builder.getI64IntegerAttr(*axis),
      ctx.builder.getF32FloatAttr(ctx.getFloat("epsilon", 1e-5f)),
      rms ? ctx.builder.getUnitAttr() : UnitAttr()));
}

/// Rank 3, with num_heads, is split into heads around the op; without
/// rotary_embedding_dim, which leaves the rest of each head as it is:
/// RotaryEmbedding(x, cos, sin, ids)  ->  rotary x, gather cos, gather sin
LogicalResult importRotaryEmbedding(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Value input = ctx.getOperand(0), cosine = ctx.getOperand(1),
        sine = ctx.getOperand(2);
  int64_t cacheRank = ctx.getOperand(3) ? 2 : 3;
  for (Value cache : {cosine, sine})
    if (typeOf(cache).getRank() != cacheRank)
      return ctx.invalid() << "needs caches of rank " << cacheRank
                           << ", but one is " << cache.getType();
  if (Value positions = ctx.getOperand(3)) {
    cosine = ctx.gather(cosine, positions, 0);
    sine = ctx.gather(sine, positions, 0);
  }
  bool flat = typeOf(input).getRank() == 3;
  if (flat) {
    FailureOr<Value> split = ctx.splitHeads(input, "num_heads");
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
  Value rest;
  if (rotated != 0 && rotated != headSize) {
    rest = ctx.slice(input, 3, ctx.makeSize(rotated), ctx.getSize(input, 3));
    input = ctx.slice(input, 3, ctx.makeSize(0), ctx.makeSize(rotated));
  }
  Value result =
      graph::RotaryOp::create(ctx.builder, ctx.loc, input.getType(), input,
                              cosine, sine, ctx.getInt("interleaved", 0) != 0);
  if (rest)
    result = ctx.concat({result, rest}, 3);
  if (flat)
    result = ctx.joinHeads(result);
  return ctx.setResult(result);
}

const OpHandler handlers[] = {
    {"LayerNormalization", importNorm<false>},
    {"RMSNormalization", importNorm<true>},
    {"ReduceMax", importReduce<graph::ReductionKind::Max, 18>},
    {"ReduceMean", importReduce<graph::ReductionKind::Mean, 18>},
    {"ReduceMin", importReduce<graph::ReductionKind::Min, 18>},
    {"ReduceSum", importReduce<graph::ReductionKind::Sum, 13>},
    {"RotaryEmbedding", importRotaryEmbedding},
    {"SimplifiedLayerNormalization", importNorm<true>},
    {"Softmax", importSoftmax},
};

} // namespace

ArrayRef<OpHandler> reductionHandlers() { return handlers; }

} // namespace tenon
