// What the family of loops takes: regions of one linalg.generic, and where
// vectors can run it.
#ifndef TENON_LIB_KERNELS_LOOPNEST_H
#define TENON_LIB_KERNELS_LOOPNEST_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include <optional>

namespace tenon {

/// The parts of a body that this family takes.
struct LoopNest {
  mlir::linalg::GenericOp main;           ///< parallel, or with reductions
  mlir::linalg::GenericOp post = nullptr; ///< elementwise, on main's result
  mlir::Value initial = nullptr;          ///< what a reduction starts from
};

/// The parts of a region's body, if the family takes it.
std::optional<LoopNest> getLoopNest(kernel::RegionOp region);

/// An operand that nothing reads: it says the sizes of loops.
bool isSizes(mlir::OpOperand *operand, mlir::linalg::GenericOp generic);

/// How a generic that reduces combines elements, if in any order they give the
/// same: not sums of floats.
std::optional<mlir::vector::CombiningKind>
findCombination(mlir::linalg::GenericOp reduction);

/// Why elements that follow each other along `dim` are not computed as a
/// vector: all operands must be f32, a float of 16 bits or integers of up to
/// 32, contiguous or constant along it, and all of the body elementwise and the
/// same for all of a row's coordinates. Empty if they are.
llvm::StringRef findVectorObstacle(mlir::linalg::GenericOp generic,
                                   unsigned dim);

} // namespace tenon

#endif // TENON_LIB_KERNELS_LOOPNEST_H
