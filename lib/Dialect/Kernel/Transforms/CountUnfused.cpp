// Writes on the function what its regions cost, layer by layer. See Passes.td.
#include "tenon/Analysis/KernelFacts.h"
#include "tenon/Analysis/Layers.h"
#include "tenon/Dialect/Kernel/Transforms/Passes.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace tenon::kernel {
#define GEN_PASS_DEF_COUNTUNFUSEDPASS
#include "tenon/Dialect/Kernel/Transforms/Passes.h.inc"

namespace {

struct Sums {
  int64_t launches = 0;
  SymbolicExpr readBytes, writtenBytes;
};

struct CountUnfusedPass : impl::CountUnfusedPassBase<CountUnfusedPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    KernelFactsAnalysis analysis(function);
    Layers layers(function);
    llvm::MapVector<StringRef, Sums> sums; // in the order of the model
    bool allKnown = true;
    function.walk([&](RegionOp region) {
      std::optional<KernelFacts> facts;
      if (!region.getSchedule())
        facts = analysis.get(region);
      // How often a loop runs, or a branch, is not known.
      allKnown &= facts && region->getParentOp() == function;
      if (!allKnown)
        return;
      Sums &layer = sums[layers.of(region.getLoc())];
      ++layer.launches;
      layer.readBytes = layer.readBytes + facts->readBytes;
      layer.writtenBytes = layer.writtenBytes + facts->writtenBytes;
    });
    if (!allKnown)
      return;
    Builder builder(&getContext());
    auto text = [&](const SymbolicExpr &expr) {
      return builder.getStringAttr(expr.str());
    };
    SmallVector<Attribute> entries;
    for (const auto &[layer, sum] : sums)
      entries.push_back(builder.getDictionaryAttr(
          {builder.getNamedAttr("layer", builder.getStringAttr(layer)),
           builder.getNamedAttr("launches",
                                builder.getI64IntegerAttr(sum.launches)),
           builder.getNamedAttr("read_bytes", text(sum.readBytes)),
           builder.getNamedAttr("written_bytes", text(sum.writtenBytes))}));
    function->setAttr("tenon.unfused", builder.getArrayAttr(entries));
  }
};

} // namespace
} // namespace tenon::kernel
