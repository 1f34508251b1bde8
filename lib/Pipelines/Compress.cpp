// Phase 3: graph -> graph. Does what the recipe says.
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "tenon/Pipelines/Pipelines.h"
#include "tenon/Target/Registry.h"

using namespace mlir;

void tenon::buildCompressPipeline(OpPassManager &pm,
                                  const PhaseOptions &options) {
  TargetChoice choice =
      llvm::cantFail(chooseTarget(allTargets(), options.target));
  // Width first: what is left out need not be quantized.
  pm.addPass(graph::createNarrowFeedForwardPass());
  pm.addPass(graph::createQuantizeWeightsPass());
  pm.addPass(graph::createQuantizeActivationsPass());
  graph::LowerPrecisionPassOptions precision;
  precision.weightsOnly = choice.facts.bf16Gflops <= choice.facts.f32Gflops;
  pm.addPass(graph::createLowerPrecisionPass(precision));
  pm.addPass(createCanonicalizerPass());
}
