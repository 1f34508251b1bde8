// Phase 2: graph -> graph. Says the same thing in fewer, simpler ops.
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "tenon/Pipelines/Pipelines.h"

using namespace mlir;

void tenon::buildSimplifyPipeline(OpPassManager &pm, const PhaseOptions &) {
  // Shape arithmetic first: until sizes are known nothing else can be compared.
  pm.addPass(graph::createFoldShapeArithmeticPass());
  pm.addPass(graph::createFoldConstantsPass());
  pm.addPass(graph::createInferShapesPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}
