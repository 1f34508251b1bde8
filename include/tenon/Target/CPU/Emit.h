// From a plan to machine code for CPUs: one file that the runtime loads.
#ifndef TENON_TARGET_CPU_EMIT_H
#define TENON_TARGET_CPU_EMIT_H

#include "mlir/Pass/Pass.h"
#include "tenon/Target/Interface/Target.h"

namespace mlir {
class OpPassManager;
class RewritePatternSet;
} // namespace mlir

namespace tenon {

/// x86 processors: threads and vectors.
const Target &cpuTarget();

/// Can this machine run code that is made for that of `facts`?
bool runsHere(const TargetFacts &facts);

/// The known machine that is most like this one: the last whose code it can
/// run.
const TargetFacts &nativeFacts();

/// plan -> llvm dialect, for the machine of `facts`.
void buildCpuLoweringPipeline(mlir::OpPassManager &pm,
                              const TargetFacts &facts);

/// kernel.dot -> the instructions that the processor LLVM calls `cpu` has.
std::unique_ptr<mlir::Pass> createLowerDotsPass(llvm::StringRef cpu);

/// kernel.multiply_tiles -> loops over instructions of AMX, which `cpu` must
/// have. Before loops become branches.
std::unique_ptr<mlir::Pass> createLowerTilesPass(llvm::StringRef cpu);

/// Rewrites math ops on f32 into arithmetic. Errors stay below these bounds, in
/// units of the last place, for every f32 (VectorMathTest): exp, exp2 and erf
/// 1, tanh, rsqrt and log 2, sqrt ½; sin and cos 2, or 1e-7 absolute, up to |x|
/// = 1e5. A denormal result counts in units of the smallest normal number's.
void populateVectorMathPatterns(mlir::RewritePatternSet &patterns);

/// What emitArtifact writes: "so", "exe" (the runtime linked in), "header" (C,
/// for callers of the other two), "description" (what an artifact says of
/// itself, as text), "obj" and "asm" with the weights in a file
/// beside, OUTPUT.weights; "llvm", "mlir".
llvm::ArrayRef<llvm::StringLiteral> emitKinds();

/// Lowers a plan and writes it to `outputPath`. The file appears whole or not
/// at all. Emits a diagnostic on failure.
mlir::LogicalResult emitArtifact(mlir::ModuleOp plan, const TargetFacts &facts,
                                 const EmitOptions &options,
                                 llvm::StringRef outputPath);

/// The same for a target whose kernels run elsewhere: `lower` takes the place
/// of buildCpuLoweringPipeline, and `host` is the machine that runs the rest.
mlir::LogicalResult
emitHostArtifact(mlir::ModuleOp plan, const TargetFacts &facts,
                 const TargetFacts &host,
                 llvm::function_ref<void(mlir::OpPassManager &)> lower,
                 const EmitOptions &options, llvm::StringRef outputPath);

} // namespace tenon

#endif // TENON_TARGET_CPU_EMIT_H
