// ONNX operators that compute a loss from scores of classes and labels.
#include "Reduction.h"

using namespace mlir;

namespace tenon {
namespace {

/// A reduction to a scalar.
Value reduceAll(ImportContext &ctx, graph::ReductionKind kind, Value input) {
  auto axes = llvm::to_vector(llvm::seq(typeOf(input).getRank()));
  return ctx.reshape(ctx.reduce(kind, input, axes), {});
}

/// The loss of `logProbabilities`, batch×classes×…, with the labels and weights
/// that are the node's operands 1 and 2:
/// -gather_elements(p, labels) * gather(weights, labels), 0 where a label is
/// ignore_index; reduced, the mean of samples by their weights.
LogicalResult setLoss(ImportContext &ctx, Value logProbabilities) {
  Value labels = ctx.getOperand(1), weights = ctx.getOperand(2);
  RankedTensorType type = typeOf(logProbabilities), labelType = typeOf(labels);
  Type element = type.getElementType(), flag = ctx.builder.getI1Type();
  if (type.getRank() < 2 || labelType.getRank() != type.getRank() - 1)
    return ctx.invalid() << "needs scores of batch, classes and more, and "
                         << "labels without the classes, but has " << type
                         << " and " << labelType;
  if (weights && typeOf(weights).getRank() != 1)
    return ctx.invalid() << "needs a weight for each class, but has "
                         << weights.getType();
  StringRef reduction = ctx.getString("reduction", "mean");
  if (reduction != "none" && reduction != "mean" && reduction != "sum")
    return ctx.invalid() << "reduction must be none, mean or sum, but is "
                         << reduction;

  auto whereIgnored = [&](Value ignored, Value onTrue, Value onFalse) -> Value {
    RankedTensorType result = ctx.broadcastType(
        {ignored, onTrue, onFalse}, typeOf(onFalse).getElementType());
    return graph::WhereOp::create(ctx.builder, ctx.loc, result, ignored, onTrue,
                                  onFalse);
  };
  Value zero = ctx.makeScalar(0, element), ignored;
  if (ctx.hasAttribute("ignore_index")) {
    Type index = labelType.getElementType();
    Value number = ctx.makeScalar(ctx.getInt("ignore_index", 0), index);
    ignored = ctx.binary<graph::EqualOp>(labels, number, flag);
    labels = whereIgnored(ignored, ctx.makeScalar(0, index), labels);
  }
  Sizes sizes = ctx.getSizes(labels), column = sizes;
  column.insert(column.begin() + 1, ctx.makeSize(1));
  Value indices = ctx.reshape(labels, column);
  Value picked = graph::GatherElementsOp::create(
      ctx.builder, ctx.loc, typeOf(indices).clone(element), logProbabilities,
      indices, /*axis=*/1);
  Value loss = ctx.reshape(picked, sizes);
  loss = graph::NegOp::create(ctx.builder, ctx.loc, loss.getType(), loss);
  if (weights) {
    weights = ctx.gather(weights, labels, 0);
    loss = ctx.binary<graph::MulOp>(loss, weights);
  }
  if (ignored) {
    loss = whereIgnored(ignored, zero, loss);
    // An ignored sample has no weight in the mean.
    weights = whereIgnored(ignored, zero,
                           weights ? weights : ctx.makeScalar(1, element));
  }
  using Kind = graph::ReductionKind;
  if (reduction == "mean" && weights) {
    Value sum = reduceAll(ctx, Kind::Sum, loss);
    loss = ctx.binary<graph::DivOp>(sum, reduceAll(ctx, Kind::Sum, weights));
  } else if (reduction != "none") {
    loss = reduceAll(ctx, reduction == "mean" ? Kind::Mean : Kind::Sum, loss);
  }
  return ctx.setResult(loss);
}

LogicalResult importNegativeLogLikelihood(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  return setLoss(ctx, ctx.getOperand(0));
}

/// The logarithms of the probabilities are a result too, the second.
LogicalResult importSoftmaxCrossEntropy(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value scores = ctx.getOperand(0);
  if (typeOf(scores).getRank() < 2)
    return ctx.invalid() << "needs scores of batch and classes, but has "
                         << scores.getType();
  Value logProbabilities = makeLogSoftmax(ctx, scores, 1);
  (void)ctx.setResult(logProbabilities, 1);
  return setLoss(ctx, logProbabilities);
}

const OpHandler handlers[] = {
    {"NegativeLogLikelihoodLoss", importNegativeLogLikelihood},
    {"SoftmaxCrossEntropyLoss", importSoftmaxCrossEntropy},
};

} // namespace

ArrayRef<OpHandler> lossHandlers() { return handlers; }

} // namespace tenon
