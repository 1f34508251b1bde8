// Phase 4: graph -> kernel. Every computation becomes a region.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "tenon/Conversion/Passes.h"
#include "tenon/Dialect/Kernel/Transforms/Passes.h"
#include "tenon/Pipelines/Pipelines.h"

using namespace mlir;

void tenon::buildFusePipeline(OpPassManager &pm, const PhaseOptions &) {
  pm.addPass(createConvertGraphToKernelPass());
  // Equal regions must be one before fusion copies producers into consumers.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(kernel::createCountUnfusedPass());
  pm.addPass(kernel::createFuseRegionsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(kernel::createCountFactsPass());
}
