// Gives every region its loops. See Passes.td.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Kernel/Transforms/Passes.h"
#include "tenon/Target/Interface/Target.h"

using namespace mlir;

namespace tenon::kernel {
#define GEN_PASS_DEF_SCHEDULEREGIONSPASS
#include "tenon/Dialect/Kernel/Transforms/Passes.h.inc"

namespace {

struct ScheduleRegionsPass
    : impl::ScheduleRegionsPassBase<ScheduleRegionsPass> {
  using ScheduleRegionsPassBase::ScheduleRegionsPassBase;

  void runOnOperation() override {
    auto *dialect = getContext().getLoadedDialect<KernelDialect>();
    auto *table = dialect->getRegisteredInterface<TargetTable>();
    llvm::Expected<TargetChoice> choice = chooseTarget(table->targets, target);
    if (!choice) {
      getOperation()->emitError(llvm::toString(choice.takeError()));
      return signalPassFailure();
    }
    SmallVector<RegionOp> regions;
    getOperation()->walk([&](RegionOp region) {
      if (!region.getSchedule())
        regions.push_back(region);
    });
    IRRewriter rewriter(&getContext());
    for (RegionOp region : regions)
      if (failed(schedule(region, *choice, rewriter)))
        return signalPassFailure();
  }

private:
  static LogicalResult schedule(RegionOp region, const TargetChoice &choice,
                                RewriterBase &rewriter) {
    for (TypeRange types :
         {TypeRange(region.getInputs()), TypeRange(region.getResults())})
      for (Type type : types)
        if (auto element = dyn_cast<FloatType>(getElementTypeOrSelf(type));
            element && !choice.target->takes(element))
          return region.emitOpError("works on ")
                 << element << ", which target " << choice.target->name()
                 << " has no kernels for";
    ArrayRef<KernelFamily> families = choice.target->families();
    for (const KernelFamily &family : families)
      if (family.matches(region))
        return family.schedule(region, choice.facts, rewriter);
    InFlightDiagnostic error =
        region.emitOpError("is taken by none of the kernel families ");
    llvm::interleaveComma(families, error,
                          [&](const KernelFamily &f) { error << f.name; });
    return error;
  }
};

} // namespace
} // namespace tenon::kernel
