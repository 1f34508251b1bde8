// Weights in panels that are quantized in blocks: products of few rows with
// them, and panels of floats made of them (docs/block-weights.md).
#ifndef TENON_LIB_KERNELS_BLOCKWEIGHTS_H
#define TENON_LIB_KERNELS_BLOCKWEIGHTS_H

#include "TileBuilder.h"

namespace tenon {

/// What a product with such weights reads, as memrefs of rank one.
struct BlockWeights {
  mlir::Value weights, scale;
  mlir::Value zeroPoint; ///< null where all zero points are `offset`
  float offset;
  int64_t bits, block;
  int64_t depth;  ///< contracted elements
  int64_t groups; ///< of 32 bits, of a column of a panel
  int64_t lanes;  ///< of vectors of f32

  /// `contract` has scales; `buffer` gives the memref of an input.
  static BlockWeights read(TileBuilder &t, kernel::ContractOp contract,
                           int64_t lanes,
                           llvm::function_ref<mlir::Value(mlir::Value)> buffer);

  int64_t blocks() const { return llvm::divideCeil(depth, block); }
  /// Whole blocks, and whole groups.
  int64_t paddedDepth() const {
    return llvm::alignTo(depth, std::max<int64_t>(block, 32));
  }

  /// Rows that are multiplied without unpacking weights: more are faster with.
  static constexpr int64_t mostRows = 8;

  /// `depth` rows, from row `k` on, of panel `number`, 32 to a row of `to`, as
  /// f32 or, if that is the type of `to`, as bf16 in pairs of rows. `k` is a
  /// multiple of 32 and of the block; a multiple of 32 rows is written.
  void unpack(TileBuilder &t, mlir::Value number, mlir::Value k,
              mlir::Value depth, mlir::Value to) const;

  /// `lanes` columns from `column` on, of a group of panel `number`, each in an
  /// i32.
  mlir::Value loadGroups(TileBuilder &t, mlir::Value number, mlir::Value group,
                         int64_t column) const;
  /// Scales or zero points of block `at` in f32.
  mlir::Value loadParameter(TileBuilder &t, mlir::Value parameter,
                            mlir::Value number, mlir::Value at,
                            int64_t column) const;
  /// Brings weights into the cache that will be read after these groups: panels
  /// lie behind each other.
  void prefetch(TileBuilder &t, mlir::Value number, mlir::Value group,
                int64_t count) const;
};

/// A few rows of the left operand, as products with such weights want them.
struct BlockRows {
  const BlockWeights &weights;
  mlir::Value elements; ///< mostRows × paddedDepth
  mlir::Value sums;     ///< mostRows × blocks; null if nothing needs them

  /// With memory on the stack.
  static BlockRows create(TileBuilder &t, const BlockWeights &weights);

  /// Reads `rows` rows, which lie at `from` without gaps.
  void prepare(TileBuilder &t, FlatMatrix from, mlir::Value rows) const;

  /// acc = rows · panel `number`, for `rows` rows.
  void multiply(TileBuilder &t, FlatMatrix acc, mlir::Value rows,
                mlir::Value number) const;

private:
  void multiplyTile(TileBuilder &t, FlatMatrix acc, mlir::Value first,
                    int64_t rows, mlir::Value number) const;
};

} // namespace tenon

#endif // TENON_LIB_KERNELS_BLOCKWEIGHTS_H
