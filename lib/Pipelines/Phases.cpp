// The table of phases, and how each ends: with the check of its promise.
#include "mlir/Pass/PassManager.h"
#include "tenon/Pipelines/Pipelines.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace tenon {

static const Phase phases[] = {
    {"simplify", "Phase 2: say the same thing in fewer graph ops",
     buildSimplifyPipeline, "func,graph,arith,scf"},
    {"compress", "Phase 3: do what the recipe says", buildCompressPipeline,
     "func,graph,arith,scf"},
    {"fuse", "Phase 4: give every computation a region and fuse regions",
     buildFusePipeline, "func,scf,kernel,linalg,tensor,arith,math"},
    {"schedule", "Phase 5: give every region loops on memory",
     buildSchedulePipeline,
     "func,scf,kernel,linalg,tensor,arith,math,vector,affine,memref,llvm,gpu,"
     "nvvm"},
    {"plan", "Phase 6: buffers, launches, and places in the arena",
     buildPlanPipeline,
     "func,scf,plan,arith,math,memref,vector,affine,llvm,gpu,nvvm,kernel.dot,"
     "kernel.multiply_tiles"},
    {"emit", "Phase 7: host code and kernels as llvm", buildEmitPipeline,
     "llvm"},
};

ArrayRef<Phase> getPhases() { return phases; }

void buildPhase(OpPassManager &pm, const Phase &phase,
                const PhaseOptions &options) {
  phase.build(pm, options);
  VerifyPhasePassOptions promise;
  promise.phase = phase.name.str();
  SmallVector<StringRef> leaves;
  phase.leaves.split(leaves, ',');
  for (StringRef dialect : leaves)
    promise.leaves.push_back(dialect.str());
  pm.addPass(createVerifyPhasePass(promise));
}

} // namespace tenon
