// From a plan to machine code for CPUs: one file that the runtime loads.
#ifndef TENON_TARGET_CPU_EMIT_H
#define TENON_TARGET_CPU_EMIT_H

#include "mlir/IR/BuiltinOps.h"
#include "tenon/Target/Interface/TargetFacts.h"

namespace mlir {
class OpPassManager;
class RewritePatternSet;
} // namespace mlir

namespace tenon {

/// plan -> llvm dialect.
void buildCpuLoweringPipeline(mlir::OpPassManager &pm);

/// Rewrites math ops on f32 into arithmetic. exp, exp2, erf and tanh are meant
/// to stay within 4 ULP, which is checked to 1e-6 relative on part of their
/// range only; the others are upstream's approximations.
void populateVectorMathPatterns(mlir::RewritePatternSet &patterns);

/// What emitArtifact writes: "so", "exe" (the runtime linked in), "header" (C,
/// for callers of the other two), "description" (what an artifact says of
/// itself, as text), "obj" and "asm" with the weights in a file
/// beside, OUTPUT.weights; "llvm", "mlir".
llvm::ArrayRef<llvm::StringLiteral> emitKinds();

struct EmitOptions {
  std::string kind = "so";
  std::string modelFolder = "."; ///< that weights' file names are relative to
  std::string programRuntime;    ///< tenon-program.o, for "exe"
};

/// Lowers a plan and writes it to `outputPath`. The file appears whole or not
/// at all. Emits a diagnostic on failure.
mlir::LogicalResult emitArtifact(mlir::ModuleOp plan, const TargetFacts &facts,
                                 const EmitOptions &options,
                                 llvm::StringRef outputPath);

} // namespace tenon

#endif // TENON_TARGET_CPU_EMIT_H
