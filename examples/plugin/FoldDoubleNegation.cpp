// A pass on Tenon's graph dialect that tenon-opt loads as a plugin.
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

using namespace mlir;
using namespace tenon;

namespace {

/// neg(neg(x))  ->  x
struct FoldDoubleNegation : OpRewritePattern<graph::NegOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(graph::NegOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<graph::NegOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "input is not a negation");
    if (inner.getInput().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "the types know different sizes");
    rewriter.replaceOp(op, inner.getInput());
    return success();
  }
};

struct FoldDoubleNegationPass
    : PassWrapper<FoldDoubleNegationPass, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FoldDoubleNegationPass)

  StringRef getArgument() const override {
    return "example-fold-double-negation";
  }
  StringRef getDescription() const override {
    return "Removes pairs of negations";
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldDoubleNegation>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

extern "C" PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "fold-double-negation", "1",
          [] { PassRegistration<FoldDoubleNegationPass>(); }};
}
