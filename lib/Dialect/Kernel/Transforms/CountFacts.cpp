// Writes on every region what it costs. See Passes.td.
#include "tenon/Analysis/KernelFacts.h"
#include "tenon/Analysis/Layers.h"
#include "tenon/Dialect/Kernel/Transforms/Passes.h"

using namespace mlir;

namespace tenon::kernel {
#define GEN_PASS_DEF_COUNTFACTSPASS
#include "tenon/Dialect/Kernel/Transforms/Passes.h.inc"

namespace {

struct CountFactsPass : impl::CountFactsPassBase<CountFactsPass> {
  void runOnOperation() override {
    KernelFactsAnalysis analysis(getOperation());
    Layers layers(getOperation());
    KernelFacts total;
    bool allKnown = true;
    getOperation().walk([&](RegionOp region) {
      // Facts are counted on the first form and stay as they are afterwards.
      std::optional<KernelFacts> facts;
      if (!region.getSchedule()) {
        facts = analysis.get(region);
        describe(region, layers);
      }
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
  static void describe(RegionOp region, const Layers &layers) {
    Builder builder(region.getContext());
    region->setAttr("tenon.kind", builder.getStringAttr(kindOf(region)));
    StringRef layer = layers.of(region.getLoc());
    if (!layer.empty())
      region->setAttr("tenon.layer", builder.getStringAttr(layer));
  }

  static void write(Operation *op, const KernelFacts &facts) {
    Builder builder(op->getContext());
    op->setAttr("tenon.flops", builder.getStringAttr(facts.flops.str()));
    op->setAttr("tenon.read_bytes",
                builder.getStringAttr(facts.readBytes.str()));
    op->setAttr("tenon.written_bytes",
                builder.getStringAttr(facts.writtenBytes.str()));
    for (auto [name, operations] :
         {std::pair(productFlopsAttr, facts.productFlops),
          std::pair(bf16FlopsAttr, facts.bf16Flops),
          std::pair(int8OpsAttr, facts.int8Ops),
          std::pair(stepsAttr, facts.steps)})
      if (operations != SymbolicExpr(0))
        op->setAttr(name, builder.getStringAttr(operations.str()));
  }
};

} // namespace
} // namespace tenon::kernel
