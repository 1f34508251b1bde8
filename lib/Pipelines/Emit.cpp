// Phase 7: plan -> llvm. Host code and kernels in the llvm dialect.
#include "tenon/Target/CPU/Emit.h"
#include "mlir/Pass/PassManager.h"
#include "tenon/Pipelines/Pipelines.h"

using namespace mlir;

void tenon::buildEmitPipeline(OpPassManager &pm, const PhaseOptions &) {
  buildCpuLoweringPipeline(pm);
}
