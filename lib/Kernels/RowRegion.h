// Regions that are one softmax or norm over rows.
#ifndef TENON_LIB_KERNELS_ROWREGION_H
#define TENON_LIB_KERNELS_ROWREGION_H

#include "TileBuilder.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"

namespace tenon {

/// The kernel.softmax or kernel.norm on floats of up to 32 bits that a region
/// is, or null.
mlir::Operation *findRowAnchor(kernel::RegionOp region);

/// What such a region does to each element of its anchor's result, of f32: an
/// elementwise generic whose other operands are scalars; or null.
mlir::linalg::GenericOp findRowEpilogue(kernel::RegionOp region);

/// The operands of the epilogue: null for the anchor's result, else the element
/// of a buffer.
llvm::SmallVector<mlir::Value>
loadScalars(TileBuilder &t, mlir::linalg::GenericOp epilogue,
            llvm::function_ref<mlir::Value(mlir::Value)> buffer);

} // namespace tenon

#endif // TENON_LIB_KERNELS_ROWREGION_H
