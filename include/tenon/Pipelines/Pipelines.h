// The compiler, in order: each phase is one function that appends its passes.
#ifndef TENON_PIPELINES_PIPELINES_H
#define TENON_PIPELINES_PIPELINES_H

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"

namespace tenon {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "tenon/Pipelines/Passes.h.inc"

/// Whoever builds a phase has made sure that there is such a target.
struct PhaseOptions : mlir::PassPipelineOptions<PhaseOptions> {
  Option<std::string> target{
      *this, "target", llvm::cl::init("x86-64-v4"),
      llvm::cl::desc("What code is made for: a target, a machine, or a facts "
                     "file")};
};

/// graph -> graph. Says the same thing in fewer, simpler ops; afterwards every
/// size is an expression of arith ops over symbols.
void buildSimplifyPipeline(mlir::OpPassManager &pm,
                           const PhaseOptions &options);

/// graph -> graph. Does what the recipe says; without one, nothing.
void buildCompressPipeline(mlir::OpPassManager &pm,
                           const PhaseOptions &options);

/// graph -> kernel. Gives every computation a region and fuses regions.
void buildFusePipeline(mlir::OpPassManager &pm, const PhaseOptions &options);

/// kernel -> kernel. Every region gets a schedule and loops on memory.
void buildSchedulePipeline(mlir::OpPassManager &pm,
                           const PhaseOptions &options);

/// kernel -> plan. Buffers, launches, and a place in the arena for each buffer.
void buildPlanPipeline(mlir::OpPassManager &pm, const PhaseOptions &options);

/// plan -> llvm. Host code and kernels in the llvm dialect.
void buildEmitPipeline(mlir::OpPassManager &pm, const PhaseOptions &options);

struct Phase {
  llvm::StringLiteral name;
  llvm::StringLiteral summary;
  void (*build)(mlir::OpPassManager &pm, const PhaseOptions &options);
  /// Dialects and single ops that may be left, separated by commas.
  llvm::StringLiteral leaves;
};

/// The phases after import, in order.
llvm::ArrayRef<Phase> getPhases();

/// Appends the phase's passes and the check of its promise.
void buildPhase(mlir::OpPassManager &pm, const Phase &phase,
                const PhaseOptions &options);

/// Registers every dialect a Tenon module may contain.
void registerAllDialects(mlir::DialectRegistry &registry);

/// Registers every pass and every phase, under the names tenon-opt accepts.
void registerAllPasses();

} // namespace tenon

#endif // TENON_PIPELINES_PIPELINES_H
