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
#include "mlir/IR/Remarks.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Analysis/KernelFacts.h"
#include "tenon/Dialect/Kernel/Transforms/Passes.h"
#include "tenon/Target/Interface/Target.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/InterleavedRange.h"

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
    WalkResult result = getOperation()->walk([&](RegionOp region) {
      correctFacts(region);
      report(region);
      return WalkResult(checkWanted(region));
    });
    if (result.wasInterrupted())
      signalPassFailure();
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
    auto wanted = region->getAttrOfType<ScheduleAttr>(wantedScheduleAttr);
    StringRef wantedFamily = wanted ? wanted.getFamily() : "";
    for (const KernelFamily &family : families)
      if ((wantedFamily.empty() || family.name == wantedFamily) &&
          family.matches(region))
        return family.schedule(region, choice.facts, rewriter);
    if (!wantedFamily.empty())
      return region.emitOpError("is wanted in kernel family '")
             << wantedFamily << "', which does not take it";
    InFlightDiagnostic error =
        region.emitOpError("is taken by none of the kernel families ");
    llvm::interleaveComma(families, error,
                          [&](const KernelFamily &f) { error << f.name; });
    return error;
  }

  /// A family that has no such choice has not done what was wanted.
  static LogicalResult checkWanted(RegionOp region) {
    auto wanted = region->getAttrOfType<ScheduleAttr>(wantedScheduleAttr);
    if (!wanted)
      return success();
    region->removeAttr(wantedScheduleAttr);
    ScheduleAttr schedule = *region.getSchedule();
    if (wanted.getTile().empty() || wanted.getTile() == schedule.getTile())
      return success();
    return region.emitOpError("is wanted with tile [")
           << wanted.getTile() << "], but kernel family '"
           << schedule.getFamily() << "' gives it [" << schedule.getTile()
           << "]";
  }

  /// A product of floats in parts is several of bf16. Expressions have no
  /// parentheses.
  static void countParts(RegionOp region, int64_t parts) {
    auto products = region->getAttrOfType<StringAttr>(productFlopsAttr);
    if (!products)
      return;
    SmallVector<StringRef> each(MultiplyTilesOp::splitProducts(parts).size(),
                                products);
    auto all = StringAttr::get(region.getContext(), llvm::join(each, " + "));
    region->setAttr(productFlopsAttr, all);
    region->setAttr(bf16FlopsAttr, all);
  }

  /// Facts were counted on what the operands are; a machine without the
  /// instruction, or that is no faster with it, widens them to f32.
  static void correctFacts(RegionOp region) {
    bool hasBf16 = false, hasBytes = false;
    auto note = [&](DotKind kind) {
      hasBf16 |= kind == DotKind::BF16;
      hasBytes |= kind != DotKind::BF16;
    };
    region.walk([&](DotOp dot) { note(dot.getKind()); });
    std::optional<int64_t> parts;
    region.walk([&](MultiplyTilesOp tiles) {
      note(tiles.getKind());
      parts = tiles.getSplit();
    });
    if (parts)
      return countParts(region, *parts);
    if (!hasBf16)
      region->removeAttr(bf16FlopsAttr);
    if (!hasBytes)
      region->removeAttr(int8OpsAttr);
  }

  static void report(RegionOp region) {
    auto id = region->getAttrOfType<StringAttr>("tenon.id");
    ScheduleAttr schedule = *region.getSchedule();
    bool hasVectors = region
                          .walk([](Operation *op) {
                            return llvm::any_of(op->getResultTypes(),
                                                llvm::IsaPred<VectorType>)
                                       ? WalkResult::interrupt()
                                       : WalkResult::advance();
                          })
                          .wasInterrupted();
    std::string tile;
    llvm::raw_string_ostream os(tile);
    os << "[" << llvm::interleaved(schedule.getTile()) << "]";
    remark::passed(region.getLoc(), remark::RemarkOpts::name("Scheduled")
                                        .category("schedule")
                                        .function(id ? id.getValue() : ""))
        << remark::metric("Region", region.getName())
        << remark::metric("Family", schedule.getFamily())
        << remark::metric("Tile", tile)
        << remark::metric("Lanes", hasVectors ? schedule.getVector() : 1);
  }
};

} // namespace
} // namespace tenon::kernel
