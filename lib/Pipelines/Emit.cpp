// Phase 7: plan -> llvm. Host code and kernels in the llvm dialect.
#include "mlir/Pass/PassManager.h"
#include "tenon/Pipelines/Pipelines.h"
#include "tenon/Target/Registry.h"

using namespace mlir;

void tenon::buildEmitPipeline(OpPassManager &pm, const PhaseOptions &options) {
  TargetChoice choice =
      llvm::cantFail(chooseTarget(allTargets(), options.target));
  choice.target->buildLoweringPipeline(pm, choice.facts);
}
