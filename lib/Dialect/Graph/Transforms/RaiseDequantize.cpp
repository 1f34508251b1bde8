// Dequantizes in front of what moves elements to anchors. See Passes.td.
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_RAISEDEQUANTIZEPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// Whether the elements of `value` are quantized for it alone, and then only
/// moved.
bool isQuantizedFor(Value value) {
  while (isa_and_present<ReshapeOp, TransposeOp>(value.getDefiningOp())) {
    if (!value.hasOneUse())
      return false;
    value = value.getDefiningOp()->getOperand(0);
  }
  return value.getDefiningOp<QuantizeOp>() && value.hasOneUse();
}

/// Whether all that reads what is made of `value` by moving elements takes in
/// no conversion.
bool isForAnchors(Value value) {
  return llvm::all_of(value.getUsers(), [](Operation *user) {
    return isa<AttentionOp, MatmulOp, NormOp, SoftmaxOp>(user) ||
           (isa<ReshapeOp, TransposeOp>(user) &&
            isForAnchors(user->getResult(0)));
  });
}

/// dequantize (move x)  ->  move (dequantize x)
struct RaiseDequantize : OpRewritePattern<DequantizeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DequantizeOp op,
                                PatternRewriter &rewriter) const override {
    Operation *move = op.getInput().getDefiningOp();
    if (!isa_and_present<ReshapeOp, TransposeOp>(move) ||
        !isQuantizedFor(op.getInput()) || !isForAnchors(op.getOutput()))
      return rewriter.notifyMatchFailure(
          op, "does not stand between what quantizes and an anchor");
    for (Value parameter : {op.getScale(), op.getZeroPoint()})
      if (parameter &&
          cast<RankedTensorType>(parameter.getType()).getRank() != 0)
        return rewriter.notifyMatchFailure(op, "has more than one scale");
    Value input = move->getOperand(0);
    auto type = cast<RankedTensorType>(op.getType());
    auto raised = DequantizeOp::create(
        rewriter, op.getLoc(),
        cast<RankedTensorType>(input.getType()).clone(type.getElementType()),
        input, op.getScale(), op.getZeroPoint());
    if (Attribute id = op->getAttr("tenon.id"))
      raised->setAttr("tenon.id", id);
    Operation *moved = rewriter.clone(*move);
    moved->setOperand(0, raised);
    moved->getResult(0).setType(type);
    rewriter.replaceOp(op, moved);
    return success();
  }
};

struct RaiseDequantizePass
    : impl::RaiseDequantizePassBase<RaiseDequantizePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseDequantize>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon::graph
