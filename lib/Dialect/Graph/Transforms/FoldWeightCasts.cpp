// Reads weights of 16 bits where they are used. See Passes.td.
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_FOLDWEIGHTCASTSPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// The weight of f16 or bf16 that `value` is the f32 of, or null.
WeightOp getWidenedWeight(Value value) {
  auto cast = value.getDefiningOp<CastOp>();
  auto weight = cast ? cast.getInput().getDefiningOp<WeightOp>() : nullptr;
  if (!weight)
    return nullptr;
  Type from = weight.getOutput().getType().getElementType();
  Type to = mlir::cast<RankedTensorType>(value.getType()).getElementType();
  return isa<Float16Type, BFloat16Type>(from) && to.isF32() ? weight : nullptr;
}

/// matmul(x, cast w)  ->  matmul(x, w)
struct FoldIntoMatmul : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &rewriter) const override {
    WeightOp weight = getWidenedWeight(op.getRhs());
    if (!weight)
      return rewriter.notifyMatchFailure(op, "rhs is no widened weight");
    rewriter.modifyOpInPlace(op, [&] { op.getRhsMutable().assign(weight); });
    return success();
  }
};

/// gather(cast w, i)  ->  cast (gather(w, i))
struct SinkBelowGather : OpRewritePattern<GatherOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(GatherOp op,
                                PatternRewriter &rewriter) const override {
    WeightOp weight = getWidenedWeight(op.getInput());
    if (!weight)
      return rewriter.notifyMatchFailure(op, "input is no widened weight");
    auto type = cast<RankedTensorType>(op.getType());
    auto gather = GatherOp::create(
        rewriter, op.getLoc(),
        type.clone(weight.getOutput().getType().getElementType()), weight,
        op.getIndices(), op.getAxis());
    gather->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    auto widened = rewriter.replaceOpWithNewOp<CastOp>(op, type, gather);
    if (auto id = gather->getAttrOfType<StringAttr>("tenon.id"))
      widened->setAttr("tenon.id",
                       rewriter.getStringAttr(id.getValue() + "/cast"));
    return success();
  }
};

struct FoldWeightCastsPass
    : impl::FoldWeightCastsPassBase<FoldWeightCastsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldIntoMatmul, SinkBelowGather>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon::graph
