// Canonicalizes scheduled bodies, equal ones once. See Passes.td.
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Analysis/EqualBodies.h"
#include "tenon/Dialect/Kernel/Transforms/Passes.h"

using namespace mlir;

namespace tenon::kernel {
#define GEN_PASS_DEF_SIMPLIFYBODIESPASS
#include "tenon/Dialect/Kernel/Transforms/Passes.h.inc"

namespace {

struct SimplifyBodiesPass : impl::SimplifyBodiesPassBase<SimplifyBodiesPass> {
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet all(context);
    for (Dialect *dialect : context->getLoadedDialects())
      dialect->getCanonicalizationPatterns(all);
    for (RegisteredOperationName op : context->getRegisteredOperations())
      op.getCanonicalizationPatterns(all, context);
    patterns = FrozenRewritePatternSet(std::move(all));
    return success();
  }

  void runOnOperation() override {
    for (const EqualBodies &group : groupEqualBodies(getOperation())) {
      RegionOp first = group.front();
      // What does not converge is as right as before.
      (void)applyPatternsGreedily(first.getBody(), patterns);
      for (RegionOp region : llvm::drop_begin(group)) {
        region.getBody().dropAllReferences();
        region.getBody().getBlocks().clear();
        IRMapping mapping;
        first.getBody().cloneInto(&region.getBody(), mapping);
      }
    }
    simplifyAround();
  }

private:
  /// What is outside of bodies: sizes, grids, and what has no user any more.
  void simplifyAround() {
    SmallVector<Operation *> ops;
    getOperation()->walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (op != getOperation())
        ops.push_back(op);
      return isa<RegionOp>(op) ? WalkResult::skip() : WalkResult::advance();
    });
    GreedyRewriteConfig config;
    config.setStrictness(GreedyRewriteStrictness::ExistingAndNewOps);
    (void)applyOpPatternsGreedily(ops, patterns, config);
  }

  FrozenRewritePatternSet patterns;
};

} // namespace
} // namespace tenon::kernel
