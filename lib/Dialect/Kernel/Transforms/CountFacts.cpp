// Writes on every region what it costs. See Passes.td.
#include "tenon/Analysis/KernelFacts.h"
#include "tenon/Dialect/Kernel/Transforms/Passes.h"

using namespace mlir;

namespace tenon::kernel {
#define GEN_PASS_DEF_COUNTFACTSPASS
#include "tenon/Dialect/Kernel/Transforms/Passes.h.inc"

namespace {

struct CountFactsPass : impl::CountFactsPassBase<CountFactsPass> {
  void runOnOperation() override {
    KernelFactsAnalysis analysis(getOperation());
    KernelFacts total;
    bool allKnown = true;
    getOperation().walk([&](RegionOp region) {
      // Facts are counted on the first form and stay as they are afterwards.
      std::optional<KernelFacts> facts;
      if (!region.getSchedule())
        facts = analysis.get(region);
      // How often a loop runs, or a branch, is not known.
      allKnown &= facts && region->getParentOp() == getOperation();
      if (!facts)
        return;
      write(region, *facts);
      total.flops = total.flops + facts->flops;
      total.readBytes = total.readBytes + facts->readBytes;
      total.writtenBytes = total.writtenBytes + facts->writtenBytes;
    });
    if (allKnown)
      write(getOperation(), total);
  }

private:
  static void write(Operation *op, const KernelFacts &facts) {
    Builder builder(op->getContext());
    op->setAttr("tenon.flops", builder.getStringAttr(facts.flops.str()));
    op->setAttr("tenon.read_bytes",
                builder.getStringAttr(facts.readBytes.str()));
    op->setAttr("tenon.written_bytes",
                builder.getStringAttr(facts.writtenBytes.str()));
  }
};

} // namespace
} // namespace tenon::kernel
