// Weights of a plan: read from the model's files, packed, written in order.
#ifndef TENON_WEIGHTS_WEIGHTS_H
#define TENON_WEIGHTS_WEIGHTS_H

#include "mlir/IR/BuiltinOps.h"
#include "tenon/Dialect/Plan/IR/PlanOps.h"

namespace tenon {

/// The bytes of a weight that lies in `file`, a path relative to `modelDir`
/// unless it is absolute. Emits a diagnostic at `op` on failure.
mlir::FailureOr<std::string> readWeight(mlir::Operation *op,
                                        llvm::StringRef modelDir,
                                        llvm::StringRef file, uint64_t offset,
                                        size_t bytes);

/// Hears how many bytes of how many, about, are written.
using WeightProgress = llvm::function_ref<void(uint64_t, uint64_t)>;

/// Writes every plan.weight, and every plan.constant that has one, at its
/// position, gaps filled with zeros, and returns the bytes written. Holds one
/// weight in memory at a time. Files are looked up in `modelDir`. Emits a
/// diagnostic on failure.
mlir::FailureOr<uint64_t> writeWeights(mlir::ModuleOp module,
                                       llvm::StringRef modelDir,
                                       llvm::raw_ostream &os,
                                       WeightProgress progress);

/// The bytes of a constant, one element after the other.
mlir::FailureOr<std::string> readConstant(plan::ConstantOp op);

} // namespace tenon

#endif // TENON_WEIGHTS_WEIGHTS_H
