// How large sizes may become that a run computes.
#ifndef TENON_LIB_CONVERSION_KERNELTOPLAN_SIZEBOUNDS_H
#define TENON_LIB_CONVERSION_KERNELTOPLAN_SIZEBOUNDS_H

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace tenon {

/// Intervals of index values that are arithmetic on symbols and on counts. What
/// no count is part of is its own interval, so nothing is built for it.
class SizeBounds {
public:
  /// Declares that `count` lies between 0 and `most`.
  void addCount(mlir::Value count, mlir::Value most);

  /// The most that `size` may be, without counts: `size` itself where it has
  /// none, else built where `builder` stands. Null where nothing is known.
  mlir::Value getMost(mlir::OpBuilder &builder, mlir::Value size);

private:
  struct Interval {
    mlir::Value least, most;
    bool isExact() const { return least == most; }
  };
  Interval get(mlir::OpBuilder &builder, mlir::Value value);
  Interval compute(mlir::OpBuilder &builder, mlir::Operation &op);

  llvm::DenseMap<mlir::Value, Interval> known;
};

} // namespace tenon

#endif // TENON_LIB_CONVERSION_KERNELTOPLAN_SIZEBOUNDS_H
