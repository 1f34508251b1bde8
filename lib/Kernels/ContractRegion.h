// Regions around a kernel.contract: what every family of contractions reads.
#ifndef TENON_LIB_KERNELS_CONTRACTREGION_H
#define TENON_LIB_KERNELS_CONTRACTREGION_H

#include "TileBuilder.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"

namespace tenon {

struct Contraction {
  kernel::ContractOp op;
  mlir::linalg::GenericOp epilogue; // or null
  mlir::BlockArgument lhs, rhs;
};

/// Null where there is none.
kernel::ContractOp findContract(kernel::RegionOp region);

/// Of unsigned bytes with signed ones, into i32.
bool multipliesBytes(kernel::ContractOp op);

/// Elements of a column that lie next to each other in a packed right operand.
int64_t groupOf(kernel::ContractOp op);

/// Reads the body of a region in its first form; says what it cannot take.
mlir::FailureOr<Contraction> analyzeContraction(kernel::RegionOp region);

/// Offset of the matrix of an operand at `coordinates` of the result's leading
/// dimensions, which the operand's broadcast to.
mlir::Value batchOffset(TileBuilder &t,
                        llvm::ArrayRef<mlir::Value> operandSizes,
                        llvm::ArrayRef<mlir::Value> coordinates);

/// The matrix of an operand there; without coordinates its leading dimensions
/// count as rows.
FlatMatrix matrixOf(TileBuilder &t, mlir::Value memref, bool transposed,
                    llvm::ArrayRef<mlir::Value> coordinates);

/// What the epilogue, if there is one, makes of one element of the product at
/// `coordinates` of the result. `buffer` gives the memref of an input.
mlir::Value buildEpilogue(TileBuilder &t, Contraction contraction,
                          llvm::function_ref<mlir::Value(mlir::Value)> buffer,
                          mlir::Value value,
                          llvm::ArrayRef<mlir::Value> coordinates);

} // namespace tenon

#endif // TENON_LIB_KERNELS_CONTRACTREGION_H
