// Weights that are quantized in blocks: how they lie in the artifact, and
// elements of them.
#ifndef TENON_CONVERSION_GRAPHTOKERNEL_BLOCKWEIGHTS_H
#define TENON_CONVERSION_GRAPHTOKERNEL_BLOCKWEIGHTS_H

#include "GraphToKernel.h"

namespace tenon {

/// What products and look-ups read of one: panels of 32 rows, which are the
/// columns of a product (docs/block-weights.md).
struct BlockPanels {
  mlir::Value weights, scale;
  mlir::Value zeroPoint; ///< null where all zero points are `offset`
  float offset = 0;

  /// Whether there are any.
  explicit operator bool() const { return bool(weights); }
  /// The inputs of a region that reads them.
  llvm::SmallVector<mlir::Value> values() const;
};

/// None if `op` is null or reads anything but weights.
BlockPanels getBlockPanels(GraphToKernel &state, graph::DequantizeBlocksOp op);

/// The element in f32; `tensors` begin with what stands for the panels.
mlir::Value extractFromPanels(mlir::OpBuilder &b, mlir::Location loc,
                              graph::DequantizeBlocksOp op,
                              const BlockPanels &panels,
                              llvm::ArrayRef<mlir::Value> tensors,
                              mlir::Value row, mlir::Value column);

/// The same where `tensors` stand for the operands of `op` as they are.
mlir::Value extractFromRows(mlir::OpBuilder &b, mlir::Location loc,
                            graph::DequantizeBlocksOp op, bool isUnsigned,
                            llvm::ArrayRef<mlir::Value> tensors,
                            mlir::Value row, mlir::Value column);

} // namespace tenon

#endif // TENON_CONVERSION_GRAPHTOKERNEL_BLOCKWEIGHTS_H
