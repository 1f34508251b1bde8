// Rows of a left operand in bytes, and their products with weights that are
// quantized in blocks (docs/block-weights.md).
#ifndef TENON_LIB_KERNELS_QUANTIZEDROWS_H
#define TENON_LIB_KERNELS_QUANTIZEDROWS_H

#include "BlockWeights.h"

namespace tenon {

/// Rows whose every 32 elements are a scale times integers from -127 to 127.
struct QuantizedRows {
  const BlockWeights &weights;
  int64_t most;         ///< rows that there is memory for
  mlir::Value elements; ///< most × paddedDepth bytes
  mlir::Value scales;   ///< most × paddedDepth / 32
  mlir::Value sums;     ///< of integers of i32, most × paddedDepth / sumLength
  /// The sum that is multiplied at once: 32 elements, or a block of 16.
  int64_t sumLength = std::min<int64_t>(weights.block, 32);

  /// With memory on the stack.
  static QuantizedRows create(TileBuilder &t, const BlockWeights &weights,
                              int64_t most);

  /// Bytes of the stack that a row takes.
  static int64_t bytesOfRow(int64_t depth) { return depth * 5 / 4; }

  /// Reads `rows` rows, which lie at `from`, each without gaps.
  void prepare(TileBuilder &t, FlatMatrix from, mlir::Value rows) const;

  /// acc = rows · panel `number`, for `rows` rows.
  void multiply(TileBuilder &t, FlatMatrix acc, mlir::Value rows,
                mlir::Value number) const;

private:
  /// `from` holds the f32 of a unit of 32.
  void quantizeUnit(TileBuilder &t, mlir::Value row, mlir::Value number,
                    mlir::Value from) const;
  void multiplyTile(TileBuilder &t, FlatMatrix acc, mlir::Value first,
                    int64_t rows, mlir::Value number) const;
};

} // namespace tenon

#endif // TENON_LIB_KERNELS_QUANTIZEDROWS_H
