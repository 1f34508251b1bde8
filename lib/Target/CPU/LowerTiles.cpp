// Lowers kernel.multiply_tiles to AMX (Intel SDM, volume 1, chapter 18): four
// sums of 16 rows by 16 columns, of which each step along the contracted
// dimension loads two tiles of either operand, or of each of its parts. LLVM
// configures the tiles.
#include "Processor.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Pass/Pass.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "tenon/Target/CPU/Emit.h"

using namespace mlir;
using namespace tenon;

/// Of a tile: rows, and bytes of each.
static constexpr int64_t tileRows = 16, tileBytes = 64;

namespace {

/// Builds what takes the place of one kernel.multiply_tiles.
struct TileLowering {
  ImplicitLocOpBuilder b;
  kernel::MultiplyTilesOp op;
  bool isBytes = op.getKind() == kernel::DotKind::U8S8;
  int64_t rowTiles = op.getRows() / tileRows, columnTiles = 2;
  int64_t parts = op.getSplit().value_or(1);

  /// A matrix in memory: where it is, and bytes from row to row.
  struct Matrix {
    Value address, row;
  };

  Value integer(int64_t value) {
    return LLVM::ConstantOp::create(b, b.getI64Type(),
                                    b.getI64IntegerAttr(value));
  }

  Value size(int64_t value) {
    return LLVM::ConstantOp::create(b, b.getI16Type(),
                                    b.getI16IntegerAttr(value));
  }

  Value bytes(Value elements, Value memref) {
    int64_t width =
        cast<MemRefType>(memref.getType()).getElementTypeBitWidth() / 8;
    Value count = arith::IndexCastOp::create(b, b.getI64Type(), elements);
    return LLVM::MulOp::create(b, count, integer(width));
  }

  Matrix read(Value memref, Value offset, Value row) {
    Value start = arith::IndexCastOp::create(
        b, b.getI64Type(),
        memref::ExtractAlignedPointerAsIndexOp::create(b, memref));
    Value address = LLVM::IntToPtrOp::create(
        b, LLVM::LLVMPointerType::get(b.getContext()), start);
    return {at(address, bytes(offset, memref)), bytes(row, memref)};
  }

  Value at(Value address, Value offset) {
    return LLVM::GEPOp::create(b, address.getType(), b.getI8Type(), address,
                               ArrayRef<LLVM::GEPArg>{offset});
  }

  /// The tile whose first row and column are so many tiles away.
  Value tileOf(Matrix matrix, int64_t row, int64_t column) {
    Value down = LLVM::MulOp::create(b, matrix.row, integer(row * tileRows));
    Value offset = LLVM::AddOp::create(b, down, integer(column * tileBytes));
    return at(matrix.address, offset);
  }

  Value call(StringRef name, ValueRange arguments) {
    return LLVM::CallIntrinsicOp::create(
               b, LLVM::LLVMX86AMXType::get(b.getContext()),
               b.getStringAttr(name), arguments)
        ->getResult(0);
  }

  Value load(Matrix matrix, int64_t row, int64_t column) {
    return call("llvm.x86.tileloadd64.internal",
                {size(tileRows), size(tileBytes), tileOf(matrix, row, column),
                 matrix.row});
  }

  Value multiply(Value sum, Value lhs, Value rhs) {
    return call(
        isBytes ? "llvm.x86.tdpbusd.internal" : "llvm.x86.tdpbf16ps.internal",
        {size(tileRows), size(tileBytes), size(tileBytes), sum, lhs, rhs});
  }

  void store(Value tile, Matrix matrix, int64_t row, int64_t column) {
    LLVM::CallIntrinsicOp::create(
        b, b.getStringAttr("llvm.x86.tilestored64.internal"),
        ValueRange{size(tileRows), size(tileBytes), tileOf(matrix, row, column),
                   matrix.row, tile});
  }

  /// The part of an operand that is so many bytes behind the first.
  Matrix behind(Matrix matrix, Value bytes) {
    return {at(matrix.address, bytes), matrix.row};
  }

  /// Adds the products of one step, in the order in which all eight tiles are
  /// enough.
  void multiplyStep(SmallVectorImpl<Value> &sums, Matrix lhs, Matrix rhs) {
    SmallVector<std::pair<int64_t, int64_t>> order = {{0, 0}};
    if (op.getSplit())
      order = llvm::to_vector(op.splitProducts(parts));
    SmallVector<Value> left(rowTiles), right(columnTiles);
    std::pair<int64_t, int64_t> loaded = {-1, -1};
    for (std::pair<int64_t, int64_t> part : order) {
      Matrix lhsPart = behind(lhs, integer(part.first * tileBytes));
      Matrix rhsPart =
          behind(rhs, LLVM::MulOp::create(b, rhs.row,
                                          integer(part.second * tileRows)));
      for (int64_t row = 0; row < rowTiles; ++row)
        for (int64_t column = 0; column < columnTiles; ++column) {
          if (row == 0 && loaded.second != part.second)
            right[column] = load(rhsPart, 0, column);
          if (column == 0 && loaded.first != part.first)
            left[row] = load(lhsPart, row, 0);
          Value &sum = sums[row * columnTiles + column];
          sum = multiply(sum, left[row], right[column]);
        }
      loaded = part;
    }
  }

  /// Brings what is ahead of a step into the second cache.
  void prefetch(Value step) {
    constexpr int64_t all = kernel::MultiplyTilesOp::aheadBytes;
    Value none = arith::ConstantIndexOp::create(b, 0);
    Matrix ahead = read(op.getAhead(), op.getAheadOffset(), none);
    Value first = at(ahead.address, LLVM::MulOp::create(b, step, integer(all)));
    for (int64_t line = 0; line < all; line += 64)
      LLVM::Prefetch::create(b, at(first, integer(line)), /*rw=*/0, /*hint=*/2,
                             /*cache=*/1);
  }

  void build() {
    Matrix lhs = read(op.getLhs(), op.getLhsOffset(), op.getLhsRow());
    Matrix rhs = read(op.getRhs(), op.getRhsOffset(), op.getRhsRow());
    Matrix acc = read(op.getAcc(), op.getAccOffset(), op.getAccRow());
    SmallVector<Value> sums;
    for (int64_t row = 0; row < rowTiles; ++row)
      for (int64_t column = 0; column < columnTiles; ++column)
        sums.push_back(op.getAccumulate()
                           ? load(acc, row, column)
                           : call("llvm.x86.tilezero.internal",
                                  {size(tileRows), size(tileBytes)}));
    Value zero = arith::ConstantIndexOp::create(b, 0);
    Value one = arith::ConstantIndexOp::create(b, 1);
    auto loop = scf::ForOp::create(b, zero, op.getDepth(), one, sums);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      Value step =
          arith::IndexCastOp::create(b, b.getI64Type(), loop.getInductionVar());
      Value down = LLVM::MulOp::create(b, rhs.row, integer(parts * tileRows));
      if (op.getAhead())
        prefetch(step);
      SmallVector<Value> next(loop.getRegionIterArgs());
      multiplyStep(
          next,
          behind(lhs, LLVM::MulOp::create(b, step, integer(parts * tileBytes))),
          behind(rhs, LLVM::MulOp::create(b, step, down)));
      scf::YieldOp::create(b, next);
    }
    for (int64_t row = 0; row < rowTiles; ++row)
      for (int64_t column = 0; column < columnTiles; ++column)
        store(loop.getResult(row * columnTiles + column), acc, row, column);
  }
};

struct LowerTiles : PassWrapper<LowerTiles, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerTiles)
  explicit LowerTiles(StringRef cpu) : cpu(cpu) {}

  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, LLVM::LLVMDialect,
                    memref::MemRefDialect, scf::SCFDialect>();
  }

  void runOnOperation() override {
    bool hasTiles =
        describeProcessor(cpu)->checkFeatures("+amx-int8,+amx-bf16");
    SmallVector<kernel::MultiplyTilesOp> all;
    getOperation()->walk(
        [&](kernel::MultiplyTilesOp op) { all.push_back(op); });
    for (kernel::MultiplyTilesOp op : all) {
      if (!hasTiles) {
        op.emitOpError("needs AMX, which '") << cpu << "' has not";
        return signalPassFailure();
      }
      TileLowering{ImplicitLocOpBuilder(op.getLoc(), op), op}.build();
      op.erase();
    }
  }

private:
  std::string cpu;
};

} // namespace

std::unique_ptr<Pass> tenon::createLowerTilesPass(StringRef cpu) {
  return std::make_unique<LowerTiles>(cpu);
}
