// Canonicalizes scheduled bodies, equal ones once. See Passes.td.
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "tenon/Dialect/Kernel/Transforms/Passes.h"

using namespace mlir;

namespace tenon::kernel {
#define GEN_PASS_DEF_SIMPLIFYBODIESPASS
#include "tenon/Dialect/Kernel/Transforms/Passes.h.inc"

namespace {

/// Equal for equal bodies, and cheap: the names of the ops in order.
llvm::hash_code hashOf(RegionOp region) {
  llvm::hash_code hash = 0;
  region.getBody().walk([&](Operation *op) {
    hash = llvm::hash_combine(hash, op->getName().getAsOpaquePointer());
  });
  return hash;
}

bool haveEqualBodies(RegionOp lhs, RegionOp rhs) {
  return OperationEquivalence::isRegionEquivalentTo(
      &lhs.getBody(), &rhs.getBody(), OperationEquivalence::IgnoreLocations);
}

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
    // In the order of the module, so that the first of equal ones is the same
    // every time.
    SmallVector<SmallVector<RegionOp>> groups;
    DenseMap<size_t, SmallVector<size_t>> byHash;
    getOperation().walk([&](RegionOp region) {
      if (!region.getSchedule())
        return;
      SmallVector<size_t> &alike = byHash[hashOf(region)];
      auto *found = llvm::find_if(alike, [&](size_t group) {
        return haveEqualBodies(groups[group].front(), region);
      });
      if (found != alike.end()) {
        groups[*found].push_back(region);
        return;
      }
      alike.push_back(groups.size());
      groups.push_back({region});
    });
    for (ArrayRef<RegionOp> group : groups) {
      RegionOp first = group.front();
      // What does not converge is as right as before.
      (void)applyPatternsGreedily(first.getBody(), patterns);
      for (RegionOp region : group.drop_front()) {
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
