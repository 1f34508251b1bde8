// Moves elements as integers where they are dequantized. See Passes.td.
#include "Matching.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include <cmath>

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_SINKDEQUANTIZEPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// Whether two parameters are one value, equal constants, or both left out.
bool areEqual(Value lhs, Value rhs) {
  if (lhs == rhs)
    return true;
  auto one = lhs ? lhs.getDefiningOp<ConstantOp>() : nullptr;
  auto other = rhs ? rhs.getDefiningOp<ConstantOp>() : nullptr;
  return one && other && one.getValue() == other.getValue();
}

/// move(dequantize x)  ->  dequantize (move x)
struct SinkDequantize : RewritePattern {
  SinkDequantize(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa<GatherNDOp, GatherOp, ReshapeOp, SliceOp, TransposeOp>(op))
      return rewriter.notifyMatchFailure(op, "does not move elements");
    auto dequantize = op->getOperand(0).getDefiningOp<DequantizeOp>();
    if (!dequantize || !isMovable(dequantize.getScale(), op) ||
        !isMovable(dequantize.getZeroPoint(), op))
      return rewriter.notifyMatchFailure(
          op, "moves nothing that is dequantized alike in all places");
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    Operation *moved = rewriter.clone(*op);
    moved->setOperand(0, dequantize.getInput());
    moved->getResult(0).setType(
        type.clone(cast<RankedTensorType>(dequantize.getInput().getType())
                       .getElementType()));
    auto result = rewriter.replaceOpWithNewOp<DequantizeOp>(
        op, type, moved->getResult(0), dequantize.getScale(),
        dequantize.getZeroPoint());
    if (auto id = moved->getAttrOfType<StringAttr>("tenon.id"))
      result->setAttr("tenon.id",
                      rewriter.getStringAttr(id.getValue() + "/dequantize"));
    return success();
  }

  /// Whether a parameter, if there is one, is the same for all that `op` may
  /// exchange: one for all elements, or of a look-up for dimensions behind the
  /// axis.
  static bool isMovable(Value parameter, Operation *op) {
    int64_t rank =
        parameter ? cast<RankedTensorType>(parameter.getType()).getRank() : 0;
    auto gather = dyn_cast<GatherOp>(op);
    if (!gather)
      return rank == 0;
    return rank <
           cast<RankedTensorType>(gather.getInput().getType()).getRank() -
               gather.getAxis();
  }
};

/// quantize (move x)  ->  move (quantize x)
/// of what nothing else reads, so that quantizing joins what computes it.
struct RaiseQuantize : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeOp op,
                                PatternRewriter &rewriter) const override {
    Operation *move = op.getInput().getDefiningOp();
    if (!isa_and_present<ReshapeOp, TransposeOp>(move) || !move->hasOneUse() ||
        !move->getOperand(0).hasOneUse())
      return rewriter.notifyMatchFailure(op, "quantizes nothing that is moved");
    for (Value parameter : {op.getScale(), op.getZeroPoint()})
      if (parameter &&
          cast<RankedTensorType>(parameter.getType()).getRank() != 0)
        return rewriter.notifyMatchFailure(op, "has more than one scale");
    Value input = move->getOperand(0);
    auto type = cast<RankedTensorType>(op.getType());
    auto raised = QuantizeOp::create(
        rewriter, op.getLoc(),
        cast<RankedTensorType>(input.getType()).clone(type.getElementType()),
        input, op.getScale(), op.getZeroPoint());
    raised->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    Operation *moved = rewriter.clone(*move);
    moved->setOperand(0, raised);
    moved->getResult(0).setType(type);
    rewriter.replaceOp(op, moved);
    return success();
  }
};

/// quantize (dequantize x)  ->  x
/// of one scale that is far from the ends of its range, so that the quotient of
/// the product is as good as exact.
struct CancelQuantize : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeOp op,
                                PatternRewriter &rewriter) const override {
    auto dequantize = op.getInput().getDefiningOp<DequantizeOp>();
    if (!dequantize || dequantize.getInput().getType() != op.getType() ||
        !areEqual(op.getScale(), dequantize.getScale()) ||
        !areEqual(op.getZeroPoint(), dequantize.getZeroPoint()))
      return rewriter.notifyMatchFailure(
          op, "input was not dequantized with the same parameters");
    std::optional<double> scale = getSplat(op.getScale());
    if (!scale || !(*scale > 1e-30 && *scale < 1e30))
      return rewriter.notifyMatchFailure(op, "scale is no usual number");
    rewriter.replaceOp(op, dequantize.getInput());
    return success();
  }
};

struct SinkDequantizePass : impl::SinkDequantizePassBase<SinkDequantizePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<CancelQuantize, RaiseQuantize, SinkDequantize>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon::graph
