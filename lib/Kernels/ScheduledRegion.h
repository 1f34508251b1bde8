// What every family does alike: the second form of a region, ready for a body.
#ifndef TENON_LIB_KERNELS_SCHEDULEDREGION_H
#define TENON_LIB_KERNELS_SCHEDULEDREGION_H

#include "tenon/Dialect/Kernel/IR/KernelOps.h"

namespace tenon {

struct ScheduledRegion {
  kernel::RegionOp op;
  mlir::Block *block;
  mlir::Value begin, end;

  /// The memref of a result.
  mlir::Value output(unsigned number) const;
  /// What stands for an argument of the first form's body: a memref for an
  /// input, an index for an index.
  mlir::Value argument(mlir::BlockArgument first) const;
};

/// Creates the second form of a region that has no first, with an empty body.
ScheduledRegion createScheduledRegion(
    mlir::RewriterBase &rewriter, mlir::Location loc, llvm::StringRef name,
    mlir::TypeRange results, mlir::ValueRange inputs, mlir::ValueRange indices,
    mlir::ValueRange sizes, mlir::Value grid, kernel::ScheduleAttr schedule,
    mlir::DenseI64ArrayAttr updates);

/// Creates the second form before `region`, with an empty body.
ScheduledRegion createScheduledRegion(mlir::RewriterBase &rewriter,
                                      kernel::RegionOp region, mlir::Value grid,
                                      kernel::ScheduleAttr schedule);

/// The input of its region that an operand of the first form's body is, or of
/// which it is a part: a tensor.extract_slice of fixed parts of dimensions,
/// with steps of one. Else null.
mlir::BlockArgument getInput(mlir::Value operand);

/// Where a part begins in each dimension of its input; empty for the whole.
llvm::ArrayRef<int64_t> getStarts(mlir::Value operand);

/// The sizes of a region's result, as values before the region.
llvm::SmallVector<mlir::Value> getResultSizes(mlir::OpBuilder &builder,
                                              kernel::RegionOp region,
                                              unsigned number);

} // namespace tenon

#endif // TENON_LIB_KERNELS_SCHEDULEDREGION_H
