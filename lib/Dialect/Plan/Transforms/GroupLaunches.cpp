// Makes sections of launches that follow each other. See Passes.td.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon-c/ModuleAbi.h"
#include "tenon/Dialect/Plan/IR/PlanOps.h"
#include "tenon/Dialect/Plan/Transforms/Passes.h"

using namespace mlir;

namespace tenon::plan {
#define GEN_PASS_DEF_GROUPLAUNCHESPASS
#include "tenon/Dialect/Plan/Transforms/Passes.h.inc"

namespace {

/// Whether launches may move past it, since it needs none of them.
bool isPassed(Operation &op) {
  return isa<AllocOp, ConstantOp, WeightOp, IndexErrorOp, ViewOp, SymbolOp>(
             op) ||
         isa<arith::ArithDialect>(op.getDialect());
}

struct GroupLaunchesPass : impl::GroupLaunchesPassBase<GroupLaunchesPass> {
  void runOnOperation() override {
    SmallVector<Block *> blocks;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function->hasAttr("tenon.kernel"))
        function.walk([&](Block *block) {
          if (!isa<SectionOp>(block->getParentOp()))
            blocks.push_back(block);
        });
    for (Block *block : blocks)
      group(*block);
  }

private:
  static void group(Block &block) {
    SmallVector<LaunchOp> launches;
    DenseSet<Value> read, written;
    auto finish = [&] {
      if (launches.size() > 1)
        createSection(launches);
      launches.clear();
      read.clear();
      written.clear();
    };
    for (Operation &op : llvm::make_early_inc_range(block)) {
      auto launch = dyn_cast<LaunchOp>(op);
      if (launch) {
        if (launches.size() == TN_MAX_SECTION ||
            !isIndependent(launch, read, written))
          finish();
        launches.push_back(launch);
        addUses(launch, read, written);
      } else if (!isPassed(op)) {
        finish();
      }
    }
    finish();
  }

  /// In the place of the last, behind all that the others need.
  static void createSection(MutableArrayRef<LaunchOp> launches) {
    OpBuilder builder(launches.back());
    auto section = SectionOp::create(builder, launches.back().getLoc());
    Block *body = builder.createBlock(&section.getBody());
    for (LaunchOp launch : launches)
      launch->moveBefore(body, body->end());
  }
};

} // namespace
} // namespace tenon::plan
