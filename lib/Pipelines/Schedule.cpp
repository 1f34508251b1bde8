// Phase 5: kernel -> kernel. Every region gets loops on memory.
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "tenon/Dialect/Kernel/Transforms/Passes.h"
#include "tenon/Pipelines/Pipelines.h"

using namespace mlir;

void tenon::buildSchedulePipeline(OpPassManager &pm,
                                  const PhaseOptions &options) {
  kernel::ScheduleRegionsPassOptions schedule;
  schedule.target = options.target;
  pm.addPass(kernel::createScheduleRegionsPass(schedule));
  // Layers have equal bodies, so this is the canonicalizer, less often.
  pm.addPass(kernel::createSimplifyBodiesPass());
  pm.addPass(createCSEPass());
}
