// Phase 3: graph -> graph. Does what the recipe says.
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "tenon/Pipelines/Pipelines.h"

using namespace mlir;

void tenon::buildCompressPipeline(OpPassManager &pm, const PhaseOptions &) {
  // Width first: what is left out need not be quantized.
  pm.addPass(graph::createNarrowFeedForwardPass());
  pm.addPass(graph::createQuantizeWeightsPass());
  pm.addPass(createCanonicalizerPass());
}
