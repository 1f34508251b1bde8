// What contract and attention share: index arithmetic, loops, and the register
// tile of a matrix product.
#ifndef TENON_LIB_KERNELS_TILEBUILDER_H
#define TENON_LIB_KERNELS_TILEBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace tenon {

/// Columns of a weight panel, and of a tile, whatever the vector width.
constexpr int64_t panelColumns = 32;

/// A matrix in a memref of rank one: element (i, j) is at offset + i * row +
/// j * column.
struct FlatMatrix {
  mlir::Value buffer, offset, row, column;
};

/// How the register tile of a product multiplies.
struct Multiplication {
  /// Elements of a column of rhs that lie next to each other in its panel.
  int64_t group = 1;
  /// What multiplies a group at once, of lhs and rhs as they lie in memory.
  /// Without it single elements are multiplied in the type of the sums: lhs has
  /// that type, and rhs is converted in registers.
  std::optional<kernel::DotKind> dot;
  /// In matrix registers where rows and groups fill them.
  bool tiles = false;
};

/// Of a tile in matrix registers: rows, and groups along the contracted
/// dimension. Its columns are panelColumns.
constexpr int64_t matrixRows = 16, matrixGroups = 16;

/// Builds a body at one location. Arithmetic on constants folds.
struct TileBuilder {
  mlir::OpBuilder &b;
  mlir::Location loc;

  mlir::Value index(int64_t value);
  mlir::Value add(mlir::Value lhs, mlir::Value rhs);
  mlir::Value sub(mlir::Value lhs, mlir::Value rhs);
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs);
  mlir::Value div(mlir::Value lhs, mlir::Value rhs);
  mlir::Value rem(mlir::Value lhs, mlir::Value rhs);
  mlir::Value ceilDiv(mlir::Value lhs, int64_t rhs);
  mlir::Value min(mlir::Value lhs, mlir::Value rhs);
  mlir::Value max(mlir::Value lhs, mlir::Value rhs);
  /// The larger of two floats, or vectors of them: rhs where one is NaN. One
  /// instruction, which arith.maxnumf and maximumf are not.
  mlir::Value larger(mlir::Value lhs, mlir::Value rhs);
  /// The smaller, in the same manner.
  mlir::Value smaller(mlir::Value lhs, mlir::Value rhs);
  mlir::Value equal(mlir::Value lhs, mlir::Value rhs);

  /// Size of a dimension: a constant where the type knows it.
  mlir::Value size(mlir::Value memref, int64_t dim);
  llvm::SmallVector<mlir::Value> sizes(mlir::Value memref);
  /// Row-major strides of `sizes`.
  llvm::SmallVector<mlir::Value> strides(llvm::ArrayRef<mlir::Value> sizes);
  mlir::Value product(llvm::ArrayRef<mlir::Value> values);
  /// The coordinates of `linear` in a row-major space.
  llvm::SmallVector<mlir::Value> delinearize(mlir::Value linear,
                                             llvm::ArrayRef<mlir::Value> sizes);
  /// The same memory as a memref of rank one.
  mlir::Value flatten(mlir::Value memref);

  /// A value, or a vector of them, as `element`: floats of other widths, or
  /// signed integers as floats; as they are where they have that type.
  mlir::Value convert(mlir::Value value, mlir::Type element);

  /// The nearest float of 8 bits, which are those of a bf16.
  mlir::Value roundToBf16(mlir::Value x);
  /// The upper halves of two vectors of 32 bits, that of `low` below.
  mlir::Value pairUpperHalves(mlir::Value low, mlir::Value high);

  mlir::Value load(mlir::Value flat, mlir::Value offset);
  mlir::Value loadVector(mlir::Value flat, mlir::Value offset, int64_t lanes);
  void store(mlir::Value value, mlir::Value flat, mlir::Value offset);
  mlir::Value broadcast(mlir::Value scalar, int64_t lanes);
  mlir::Value splat(mlir::TypedAttr scalar, int64_t lanes);
  mlir::Value zeros(mlir::Type element, int64_t lanes);
  /// Lanes of `flat` from `first` on, `stride` apart; those from `end` on hold
  /// anything. A load for each lane where the stride is not one.
  mlir::Value loadLanes(mlir::Value flat, mlir::Value offset, mlir::Value first,
                        mlir::Value end, mlir::Value stride, bool contiguous,
                        int64_t lanes);

  void forEach(mlir::Value begin, mlir::Value end, int64_t step,
               llvm::function_ref<void(mlir::Value)> body);
  void when(mlir::Value condition, llvm::function_ref<void()> body);
  void choose(mlir::Value condition, llvm::function_ref<void()> ifTrue,
              llvm::function_ref<void()> ifFalse);

  /// What kernel.check_index becomes: an index that is out of range must not
  /// reach foreign memory.
  mlir::Value checkIndex(mlir::Value position, mlir::Value size,
                         mlir::Value error);

  /// Sets `count` elements of `flat` from `offset` on to zero; `count` is a
  /// multiple of `lanes`.
  void fillZero(mlir::Value flat, mlir::Value offset, mlir::Value count,
                int64_t lanes);

  /// to[i, j] = from[i, j] for i < rows and j < columns, 0 for columns <= j <
  /// width, in the type of `to`, which is that of `from` or f32, or
  /// bf16 where that is f32.
  void pack(FlatMatrix from, FlatMatrix to, mlir::Value rows,
            mlir::Value columns, mlir::Value width, bool contiguous,
            int64_t lanes);

  /// The same to a panel at the offset of `to`, of the same type, in which
  /// `group` rows lie together for each of panelColumns columns; 0 for the rows
  /// and columns that fill groups and the panel.
  void packGroups(FlatMatrix from, FlatMatrix to, mlir::Value rows,
                  mlir::Value columns, int64_t group, int64_t lanes);

  /// The `lanes` groups from `offset` on, each as an i32.
  mlir::Value loadGroups(mlir::Value flat, mlir::Value offset, int64_t lanes,
                         int64_t group);

  enum class Sum { Replace, Add };

  /// acc = lhs · rhs, or acc += it, for `rows` rows and 2 * lanes columns,
  /// contiguous in rhs and acc. `depth` counts the groups of the contracted
  /// dimension, and a row of rhs is one of groups. Rows that do not fill a
  /// register tile run in tiles of 4, 2 and 1. With `ahead`, the offset of what
  /// will be multiplied next, as many elements of rhs.buffer as this product
  /// reads are brought into the cache on the way, evenly over all tiles.
  void multiply(FlatMatrix lhs, FlatMatrix rhs, FlatMatrix acc,
                mlir::Value rows, mlir::Value depth, int64_t lanes, Sum sum,
                Multiplication how = {}, mlir::Value ahead = {});

  /// The same for a known number of rows, so few that their sums of all
  /// `columns`, a multiple of lanes, are in registers at once: then rhs is read
  /// once from front to back.
  void multiplyFew(FlatMatrix lhs, FlatMatrix rhs, FlatMatrix acc, int64_t rows,
                   mlir::Value depth, int64_t columns, int64_t lanes, Sum sum,
                   Multiplication how);

  /// `multiply` in matrix registers, for panelColumns columns. Groups that do
  /// not fill one are added in vectors, and so are the last rows that do not,
  /// unless `last` says where a whole register of them can be read: then as
  /// many rows of acc are written. `ahead` is as in `multiply`; the first 64
  /// rows bring all of it into the second cache.
  void multiplyTiles(FlatMatrix lhs, std::optional<FlatMatrix> last,
                     FlatMatrix rhs, FlatMatrix acc, mlir::Value rows,
                     mlir::Value depth, int64_t lanes, Sum sum,
                     Multiplication how, mlir::Value ahead = {});

  /// The matrix from `row` on.
  FlatMatrix fromRow(FlatMatrix matrix, mlir::Value row);

  /// Calls `body` with the first of so many rows, a power of two up to `most`,
  /// until there are `rows`.
  void forEachTile(mlir::Value rows, int64_t most,
                   llvm::function_ref<void(mlir::Value, int64_t)> body);

  /// Rows of the register tile: 8 with 16 lanes, 6 with 8.
  static int64_t tileRows(int64_t lanes) { return lanes >= 16 ? 8 : 6; }

  /// The sum of the lanes of each of four vectors of floats, as one of four.
  mlir::Value addLanesOfFour(llvm::ArrayRef<mlir::Value> vectors);

  /// The largest lane; any lane if one is NaN.
  mlir::Value largestLane(mlir::Value vector);
  /// The sum of all lanes of floats, in pairs.
  mlir::Value sumLanes(mlir::Value vector);

private:
  /// One lane of pairs that `combine` makes one, and of pairs of these.
  mlir::Value combineLanes(
      mlir::Value vector,
      llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> combine);
  /// i1 lies in memory as one byte each, of which no vector of i1 can be
  /// loaded.
  mlir::Value loadBytesAsBits(mlir::Value flat, mlir::Value position,
                              mlir::Value mask, int64_t lanes);
  /// Swaps blocks of half the size off the diagonal, then within each block.
  void transposeSquare(llvm::MutableArrayRef<mlir::Value> rows);
  /// What is brought into the cache on the way: at each step along the
  /// contracted dimension so many lines of rhs.buffer, `step` elements behind
  /// those of the step before.
  struct Ahead {
    mlir::Value offset, step;
    int64_t lines;
  };
  void multiplyTile(FlatMatrix lhs, FlatMatrix rhs, FlatMatrix acc,
                    mlir::Value first, int64_t rows, mlir::Value depth,
                    int64_t lanes, int64_t vectors, Sum sum, Multiplication how,
                    std::optional<Ahead> ahead = std::nullopt);
  /// The group at `offset` as an i32.
  mlir::Value loadGroup(mlir::Value flat, mlir::Value offset, int64_t group);
  /// The first or second bf16 of each group, as f32.
  mlir::Value widenGroup(mlir::Value groups, int64_t number);
};

} // namespace tenon

#endif // TENON_LIB_KERNELS_TILEBUILDER_H
