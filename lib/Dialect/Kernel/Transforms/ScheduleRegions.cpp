// Gives every region its loops. See Passes.td.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/PatternMatch.h"
#include "tenon/Dialect/Kernel/Transforms/Passes.h"
#include "tenon/Kernels/Family.h"

using namespace mlir;

namespace tenon::kernel {
#define GEN_PASS_DEF_SCHEDULEREGIONSPASS
#include "tenon/Dialect/Kernel/Transforms/Passes.h.inc"

namespace {

struct ScheduleRegionsPass
    : impl::ScheduleRegionsPassBase<ScheduleRegionsPass> {
  using ScheduleRegionsPassBase::ScheduleRegionsPassBase;

  void runOnOperation() override {
    llvm::Expected<TargetFacts> facts = readTargetFacts(target);
    if (!facts) {
      getOperation()->emitError(llvm::toString(facts.takeError()));
      return signalPassFailure();
    }
    SmallVector<RegionOp> regions;
    getOperation()->walk([&](RegionOp region) {
      if (!region.getSchedule())
        regions.push_back(region);
    });
    IRRewriter rewriter(&getContext());
    for (RegionOp region : regions)
      if (failed(schedule(region, *facts, rewriter)))
        return signalPassFailure();
  }

private:
  static LogicalResult schedule(RegionOp region, const TargetFacts &facts,
                                RewriterBase &rewriter) {
    for (const KernelFamily &family : cpuFamilies())
      if (family.matches(region))
        return family.schedule(region, facts, rewriter);
    InFlightDiagnostic error =
        region.emitOpError("is taken by none of the kernel families ");
    llvm::interleaveComma(cpuFamilies(), error,
                          [&](const KernelFamily &f) { error << f.name; });
    return error;
  }
};

} // namespace
} // namespace tenon::kernel
