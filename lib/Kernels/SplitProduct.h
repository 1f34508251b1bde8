// Products of f32 and f16 in matrix registers of bf16: every element is split
// into three or two parts, which together have all of its bits
// (docs/decisions/0017-floats-in-matrix-registers.md).
#ifndef TENON_LIB_KERNELS_SPLITPRODUCT_H
#define TENON_LIB_KERNELS_SPLITPRODUCT_H

#include "TileBuilder.h"

namespace tenon {

/// Multiplies rows by panels, at once so many elements of the contracted
/// dimension as it was created for. Its memory is on the stack.
struct SplitProduct {
  int64_t parts;       ///< of an element
  int64_t lanes;       ///< of vectors of f32
  mlir::Value rows;    ///< parts of rows of the left operand
  mlir::Value panel;   ///< parts of a panel
  mlir::Value rest;    ///< 32 rows of 32 elements, where they are filled up
  int64_t rowElements; ///< from row to row of `rows`

  /// Parts of an f32 or f16; 0 for others.
  static int64_t partsOf(mlir::Type element);

  /// For `mostRows` rows and `depth` elements, multiples of 32, of a type that
  /// has parts.
  static SplitProduct create(TileBuilder &t, mlir::Type element, int64_t depth,
                             int64_t mostRows, int64_t lanes);

  /// Bytes of the stack that a row of so many elements takes.
  static int64_t bytesOfRow(int64_t depth, int64_t parts);

  /// Splits `count` rows of `elements` elements each, which lie at `from`
  /// without gaps.
  void splitRows(TileBuilder &t, FlatMatrix from, mlir::Value count,
                 mlir::Value elements) const;

  /// Splits a panel of `elements` rows of 32 without gaps.
  void splitPanel(TileBuilder &t, mlir::Value from, mlir::Value offset,
                  mlir::Value elements) const;

  /// acc = rows · panel, for `count` rows, or as many as matrix registers have.
  /// On the way, as much of a panel as this is brought into the second cache,
  /// from `ahead` in `from` on.
  void multiply(TileBuilder &t, FlatMatrix acc, mlir::Value count,
                mlir::Value elements, mlir::Value from,
                mlir::Value ahead) const;

  /// Are all sums of `count` rows of 32 finite? Parts of infinities are NaN.
  static mlir::Value areFinite(TileBuilder &t, FlatMatrix acc,
                               mlir::Value count, int64_t lanes);

private:
  /// The parts of as many elements as a vector of f32 has, in f32.
  llvm::SmallVector<mlir::Value> splitVector(TileBuilder &t, mlir::Value from,
                                             mlir::Value offset) const;
  /// The parts of 32 elements, one after the other.
  void splitStretch(TileBuilder &t, mlir::Value from, mlir::Value offset,
                    mlir::Value target) const;
  /// Those of 32 rows of a panel.
  void splitStep(TileBuilder &t, mlir::Value from, mlir::Value offset,
                 mlir::Value target) const;
};

} // namespace tenon

#endif // TENON_LIB_KERNELS_SPLITPRODUCT_H
