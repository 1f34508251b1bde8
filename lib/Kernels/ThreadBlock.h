// What families for GPUs share: who a thread is, and what a warp knows
// together.
#ifndef TENON_LIB_KERNELS_THREADBLOCK_H
#define TENON_LIB_KERNELS_THREADBLOCK_H

#include "TileBuilder.h"
#include "tenon/Kernels/Family.h"

namespace tenon {

/// Threads of a warp, which run in step and can read each other's registers.
constexpr int64_t warpThreads = 32;
constexpr int64_t blockWarps = blockThreads / warpThreads;

/// Code that every thread of a block runs.
struct ThreadBlock {
  TileBuilder &t;

  mlir::Value thread(); ///< 0 to blockThreads - 1
  mlir::Value warp();   ///< 0 to blockWarps - 1
  mlir::Value lane();   ///< 0 to warpThreads - 1
  /// Waits until all threads of the block are here, and sees what they wrote.
  void wait();
  /// Memory that a block's threads share while it runs.
  mlir::Value shared(mlir::Type element, int64_t count);

  /// What lane `lane` of the warp holds. All lanes must ask.
  mlir::Value fromLane(mlir::Value value, mlir::Value lane);
  /// The sum or the largest over the warp's lanes, the same bits in each.
  mlir::Value sum(mlir::Value value);
  mlir::Value largest(mlir::Value value);

  /// The element at `offset` if `exists`, else zero. Reads no other element
  /// than that at `offset` or the first.
  mlir::Value loadIf(mlir::Value exists, mlir::Value flat, mlir::Value offset);

private:
  mlir::Value
  combine(mlir::Value value,
          llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> join);
};

} // namespace tenon

#endif // TENON_LIB_KERNELS_THREADBLOCK_H
