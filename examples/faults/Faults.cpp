// Passes that are wrong on purpose, to find them with Tenon's own tools:
// docs/guides/find-a-wrong-number.md.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

using namespace mlir;
using namespace tenon;

namespace {

/// The first a - b of the module becomes b - a, before fuse or after it.
struct SwapDifferencePass
    : PassWrapper<SwapDifferencePass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SwapDifferencePass)
  StringRef getArgument() const override { return "fault-swap-difference"; }
  StringRef getDescription() const override {
    return "Makes the first difference wrong";
  }

  void runOnOperation() override {
    getOperation().walk([](Operation *op) {
      if (!isa<graph::SubOp, arith::SubFOp>(op))
        return WalkResult::advance();
      Value lhs = op->getOperand(0);
      op->setOperand(0, op->getOperand(1));
      op->setOperand(1, lhs);
      return WalkResult::interrupt();
    });
  }
};

/// The same of a difference that is fused with something else.
struct SwapFusedDifferencePass
    : PassWrapper<SwapFusedDifferencePass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SwapFusedDifferencePass)
  StringRef getArgument() const override {
    return "fault-swap-fused-difference";
  }
  StringRef getDescription() const override {
    return "Makes the first difference wrong that is not computed alone";
  }

  void runOnOperation() override {
    getOperation().walk([](arith::SubFOp op) {
      // Alone it has only the terminator beside it.
      if (op->getBlock()->getOperations().size() <= 2)
        return WalkResult::advance();
      Value lhs = op.getLhs();
      op->setOperand(0, op.getRhs());
      op->setOperand(1, lhs);
      return WalkResult::interrupt();
    });
  }
};

struct CrashPass : PassWrapper<CrashPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CrashPass)
  StringRef getArgument() const override { return "fault-crash"; }
  StringRef getDescription() const override { return "Crashes"; }
  void runOnOperation() override {
    *reinterpret_cast<volatile int *>(sizeof(int)) = 0;
  }
};

struct FailPass : PassWrapper<FailPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FailPass)
  StringRef getArgument() const override { return "fault-fail"; }
  StringRef getDescription() const override { return "Fails"; }
  void runOnOperation() override {
    getOperation()->emitError("is refused on purpose");
    signalPassFailure();
  }
};

} // namespace

extern "C" PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "faults", "1", [] {
            PassRegistration<SwapDifferencePass>();
            PassRegistration<SwapFusedDifferencePass>();
            PassRegistration<CrashPass>();
            PassRegistration<FailPass>();
          }};
}
