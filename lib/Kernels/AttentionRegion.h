// Regions that are one kernel.attention: what every family of it reads.
#ifndef TENON_LIB_KERNELS_ATTENTIONREGION_H
#define TENON_LIB_KERNELS_ATTENTIONREGION_H

#include "TileBuilder.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"

namespace tenon {

/// Null where there is none.
kernel::AttentionOp findAttention(kernel::RegionOp region);

/// Says what there is about a region that no family can take.
mlir::LogicalResult checkAttention(kernel::RegionOp region,
                                   kernel::AttentionOp op);

/// The size of the heads of values: without the scale that rows of a cache of
/// i8 end with.
int64_t getValueSize(kernel::AttentionOp op);

/// A rank-4 operand read in logical order (batch, heads, sequence, size).
struct AttentionHeads {
  mlir::Value flat, offset;
  llvm::SmallVector<mlir::Value> sizes, strides;

  /// The rows of one head from `row` on.
  FlatMatrix at(TileBuilder &t, mlir::Value batch, mlir::Value head,
                mlir::Value row) const;
};

AttentionHeads readHeads(TileBuilder &t, mlir::Value memref,
                         llvm::ArrayRef<int64_t> layout);

/// The same of an operand of the first form that `memref` is the input of.
AttentionHeads readHeads(TileBuilder &t, mlir::Value memref,
                         llvm::ArrayRef<int64_t> layout, mlir::Value operand);

} // namespace tenon

#endif // TENON_LIB_KERNELS_ATTENTIONREGION_H
