// ONNX operators that normalise channels, or groups of them.
#include "Reduction.h"

using namespace mlir;

namespace tenon {
namespace {

/// [C]  ->  [C, 1, 1, …], to go with channels at dimension 1 of `rank`.
Value alongChannels(ImportContext &ctx, Value vector, int64_t rank) {
  Sizes sizes(rank - 1, ctx.makeSize(1));
  sizes[0] = ctx.getSize(vector, 0);
  return ctx.reshape(vector, sizes);
}

/// Channels at dimension 1 are scaled and shifted. Fails after an error.
LogicalResult setScaled(ImportContext &ctx, Value normed, Value scale,
                        Value bias) {
  int64_t rank = typeOf(normed).getRank();
  Value result =
      ctx.binary<graph::MulOp>(normed, alongChannels(ctx, scale, rank));
  if (result)
    result = ctx.binary<graph::AddOp>(result, alongChannels(ctx, bias, rank));
  return result ? ctx.setResult(result) : failure();
}

LogicalResult requireChannels(ImportContext &ctx, unsigned operands) {
  if (failed(ctx.requireOperands(operands)))
    return failure();
  if (typeOf(ctx.getOperand(0)).getRank() < 2)
    return ctx.invalid() << "needs an input with channels at dimension 1, but "
                         << "has " << ctx.getOperand(0).getType();
  for (unsigned i = 1; i < operands; ++i)
    if (typeOf(ctx.getOperand(i)).getRank() != 1)
      return ctx.invalid() << "needs a vector as operand " << i << ", but has "
                           << ctx.getOperand(i).getType();
  return success();
}

/// Each of `groups` groups of channels is normalised:
/// x  ->  reshape (norm (reshape x to [N, groups, what remains]))
Value normGroups(ImportContext &ctx, Value input, OpFoldResult groups) {
  Sizes sizes = ctx.getSizes(input);
  OpFoldResult all = ctx.product(ArrayRef(sizes).drop_front());
  Value rows =
      ctx.reshape(input, {sizes[0], groups, ctx.ceilDivide(all, groups)});
  Value normed = makeNorm(ctx, rows, 2, ctx.getFloat("epsilon", 1e-5f));
  return ctx.reshape(normed, sizes);
}

LogicalResult importInstanceNorm(ImportContext &ctx) {
  if (failed(requireChannels(ctx, 3)))
    return failure();
  Value input = ctx.getOperand(0);
  return setScaled(ctx, normGroups(ctx, input, ctx.getSize(input, 1)),
                   ctx.getOperand(1), ctx.getOperand(2));
}

/// Before opset 21 there is one scale and bias for each group.
LogicalResult importGroupNorm(ImportContext &ctx) {
  if (failed(requireChannels(ctx, 3)))
    return failure();
  Value input = ctx.getOperand(0);
  int64_t groups = ctx.getInt("num_groups", 0);
  int64_t channels = typeOf(input).getDimSize(1);
  (void)ctx.getInt("stash_type", 1);
  if (groups <= 0 || ShapedType::isDynamic(channels) || channels % groups)
    return ctx.invalid() << "num_groups must divide the channels of "
                         << input.getType() << ", but is " << groups;
  Value scale = ctx.getOperand(1), bias = ctx.getOperand(2);
  if (ctx.opset < 21)
    for (Value *vector : {&scale, &bias}) {
      OpFoldResult count = ctx.makeSize(groups), one = ctx.makeSize(1);
      Value column = ctx.reshape(*vector, {count, one});
      *vector = ctx.reshape(
          ctx.broadcast(column, {count, ctx.makeSize(channels / groups)}),
          {ctx.makeSize(channels)});
    }
  return setScaled(ctx, normGroups(ctx, input, ctx.makeSize(groups)), scale,
                   bias);
}

/// Channels last, of com.microsoft, with x * sigmoid(x) behind it if
/// `activation` says so:
/// GroupNorm(x, s, b)  ->  transpose (add (mul (norm (transpose x)), s), b)
LogicalResult setGroupNorm(ImportContext &ctx, Value input) {
  RankedTensorType type = typeOf(input);
  bool isLast = ctx.getInt("channels_last", 1) != 0;
  int64_t groups = ctx.getInt("groups", 0);
  int64_t activation = ctx.getInt("activation", 0);
  int64_t channels = type.getShape()[isLast ? 3 : 1];
  if (groups <= 0 || ShapedType::isDynamic(channels) || channels % groups)
    return ctx.invalid() << "groups must divide the channels of " << type
                         << ", but is " << groups;
  if (activation != 0 && activation != 1)
    return ctx.invalid() << "activation must be 0 or 1, but is " << activation;
  // Scale and bias may be f32 where the rest is f16.
  Value wide = ctx.cast(input, typeOf(ctx.getOperand(1)).getElementType());
  if (isLast)
    wide = ctx.transpose(wide, {0, 3, 1, 2});
  if (failed(setScaled(ctx, normGroups(ctx, wide, ctx.makeSize(groups)),
                       ctx.getOperand(1), ctx.getOperand(2))))
    return failure();
  Value result = ctx.getResults().front();
  if (activation == 1) {
    Value gate = graph::SigmoidOp::create(ctx.builder, ctx.loc,
                                          result.getType(), result);
    result = ctx.binary<graph::MulOp>(result, gate);
  }
  if (isLast)
    result = ctx.transpose(result, {0, 2, 3, 1});
  return ctx.setResult(ctx.cast(result, type.getElementType()));
}

LogicalResult importMicrosoftGroupNorm(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)) || failed(ctx.requireRank(0, 4)) ||
      failed(ctx.requireRank(1, 1)) || failed(ctx.requireRank(2, 1)))
    return failure();
  return setGroupNorm(ctx, ctx.getOperand(0));
}

/// SkipGroupNorm(x, s, b, skip, bias)  ->  GroupNorm(x + skip + bias, s, b),
/// and the sum
LogicalResult importSkipGroupNorm(ImportContext &ctx) {
  if (failed(ctx.requireOperands(4)) || failed(ctx.requireRank(0, 4)) ||
      failed(ctx.requireRank(1, 1)) || failed(ctx.requireRank(2, 1)) ||
      failed(ctx.requireRank(4, 1)))
    return failure();
  if (!ctx.getInt("channels_last", 1))
    return ctx.unsupported() << "channels_last must be 1";
  Value skip = ctx.getOperand(3), bias = ctx.getOperand(4);
  if (typeOf(skip).getRank() == 2)
    skip = ctx.reshape(skip, {ctx.getSize(skip, 0), ctx.makeSize(1),
                              ctx.makeSize(1), ctx.getSize(skip, 1)});
  Value sum = ctx.binary<graph::AddOp>(ctx.getOperand(0), skip);
  if (sum && bias)
    sum = ctx.binary<graph::AddOp>(sum, bias);
  if (!sum)
    return failure();
  if (typeOf(sum).getRank() != 4)
    return ctx.invalid() << "needs a skip of rank 2 or 4, but has "
                         << ctx.getOperand(3).getType();
  (void)ctx.setResult(sum, 1);
  return setGroupNorm(ctx, sum);
}

/// With the statistics of the training:
/// BatchNormalization(x, s, b, m, v)  ->  (x - m) * (s / sqrt(v + epsilon)) + b
LogicalResult importBatchNorm(ImportContext &ctx) {
  if (failed(requireChannels(ctx, 5)))
    return failure();
  (void)ctx.getFloat("momentum", 0.9f);
  bool wantsTraining = ctx.getInt("training_mode", 0) != 0;
  for (unsigned i = 1; i < ctx.getNumResults(); ++i)
    wantsTraining |= ctx.isResultUsed(i);
  if (wantsTraining)
    return ctx.unsupported() << "training is unsupported";
  Value input = ctx.getOperand(0);
  Value epsilon = ctx.makeScalar(ctx.getFloat("epsilon", 1e-5f),
                                 typeOf(ctx.getOperand(4)).getElementType());
  Value variance = ctx.binary<graph::AddOp>(ctx.getOperand(4), epsilon);
  if (!variance)
    return failure();
  Value deviation =
      graph::SqrtOp::create(ctx.builder, ctx.loc, variance.getType(), variance);
  Value scale = ctx.binary<graph::DivOp>(ctx.getOperand(1), deviation);
  Value centred = ctx.binary<graph::SubOp>(
      input, alongChannels(ctx, ctx.getOperand(3), typeOf(input).getRank()));
  if (!scale || !centred)
    return failure();
  return setScaled(ctx, centred, scale, ctx.getOperand(2));
}

const OpHandler handlers[] = {
    {"BatchNormalization", importBatchNorm},
    {"GroupNorm", importMicrosoftGroupNorm, 1, microsoftDomain},
    {"GroupNormalization", importGroupNorm},
    {"InstanceNormalization", importInstanceNorm},
    {"SkipGroupNorm", importSkipGroupNorm, 1, microsoftDomain},
};

} // namespace

ArrayRef<OpHandler> channelNormHandlers() { return handlers; }

} // namespace tenon
