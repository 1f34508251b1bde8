// Phase 6: kernel -> plan. Buffers, launches, and a place for each buffer.
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "tenon/Conversion/Passes.h"
#include "tenon/Dialect/Plan/Transforms/Passes.h"
#include "tenon/Pipelines/Pipelines.h"

using namespace mlir;

void tenon::buildPlanPipeline(OpPassManager &pm, const PhaseOptions &) {
  pm.addPass(createConvertKernelToPlanPass());
  // Dead sizes would otherwise count as uses and lengthen lifetimes.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  // What runs at the same time must lie apart.
  pm.addPass(plan::createGroupLaunchesPass());
  pm.addPass(plan::createAssignOffsetsPass());
  // Last, when all launches of a kernel are known.
  pm.addPass(plan::createNameKernelsPass());
}
