// Schedules kernel.contract on f32 for GPUs with tensor cores: a block makes a
// tile of the result by mma.sync, on operands split into two halves of bf16.
#include "ContractRegion.h"
#include "ScheduledRegion.h"
#include "ThreadBlock.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::kernel;

/// Rows and columns of a block's tile, and how much of the contracted dimension
/// lies in shared memory at a time. Each of four warps makes 16 x 32 of it.
static constexpr int64_t tileRows = 32, tileColumns = 64, tileDepth = 32;
static constexpr int64_t warpRows = 16, warpColumns = 32;
/// The product of one mma.sync is 16 x 8, over 16 of the contracted dimension.
static constexpr int64_t mmaColumns = 8, mmaDepth = 16;

/// A row of shared memory is the contracted dimension, two bf16 in a word, and
/// four words more, so that the 32 words of a fragment lie in 32 banks.
static constexpr int64_t depthWords = tileDepth / 2;
static constexpr int64_t rowWords = depthWords + 4;

/// Where the words of a lane's fragment lie, from that of its group and member:
/// two or one groups of eight rows, then the same eight elements deeper.
static constexpr int64_t lhsWords[] = {0, 8 * rowWords, 4, 8 * rowWords + 4};
static constexpr int64_t rhsWords[] = {0, 4};

namespace {

/// f32 as the sum of two bf16 (the second rounds off about 2^-17 of it), each
/// of which keeps the range of f32. Two neighbours in a word.
struct Halves {
  Value high, low;
};

/// The tiles of both operands in shared memory.
struct Staged {
  Halves lhs, rhs;
};

struct TensorContract {
  TileBuilder &t;
  ThreadBlock threads;
  Value thread, warpRow, warpColumn, group, member;

  Halves share(int64_t rows) {
    Type word = t.b.getI32Type();
    return {threads.shared(word, rows * rowWords),
            threads.shared(word, rows * rowWords)};
  }
  void stage(Halves to, int64_t rows, bool alongRows,
             function_ref<Value(Value row, Value depth)> load);
  SmallVector<Value> multiply(Staged tiles, ValueRange sums);
  void store(ValueRange sums, Value shared);

private:
  Value word(Value even, Value odd);
  Halves split(Value even, Value odd);
  SmallVector<Value> fragment(Value tile, Value row, int64_t step,
                              ArrayRef<int64_t> words);
  SmallVector<Value> mma(ValueRange lhs, ValueRange rhs, ArrayRef<Value> sums);
};

} // namespace

/// Two f32 as bf16 in one word, `even` in its low half.
Value TensorContract::word(Value even, Value odd) {
  auto pair = VectorType::get(2, even.getType());
  Value both =
      vector::FromElementsOp::create(t.b, t.loc, pair, ValueRange{even, odd});
  Value bits = vector::BitCastOp::create(
      t.b, t.loc, VectorType::get(1, t.b.getI32Type()), both);
  return vector::ExtractOp::create(t.b, t.loc, bits, ArrayRef<int64_t>{0});
}

Halves TensorContract::split(Value even, Value odd) {
  auto round = [&](Value x) -> Value {
    return arith::TruncFOp::create(t.b, t.loc, t.b.getBF16Type(), x);
  };
  auto rest = [&](Value x, Value rounded) -> Value {
    Value back = arith::ExtFOp::create(t.b, t.loc, t.b.getF32Type(), rounded);
    return arith::SubFOp::create(t.b, t.loc, x, back);
  };
  Value evenHigh = round(even), oddHigh = round(odd);
  Value evenLow = round(rest(even, evenHigh)),
        oddLow = round(rest(odd, oddHigh));
  return {word(evenHigh, oddHigh), word(evenLow, oddLow)};
}

/// Brings `rows` rows of an operand into shared memory, all threads together.
/// Neighbouring threads load along a row or down a column of it, so that they
/// read neighbouring addresses.
void TensorContract::stage(Halves to, int64_t rows, bool alongRows,
                           function_ref<Value(Value, Value)> load) {
  t.forEach(thread, t.index(rows * depthWords), blockThreads, [&](Value at) {
    Value row, pair;
    if (alongRows) {
      row = t.div(at, t.index(depthWords));
      pair = t.rem(at, t.index(depthWords));
    } else {
      row = t.rem(at, t.index(rows));
      pair = t.div(at, t.index(rows));
    }
    Value depth = t.mul(pair, t.index(2));
    Halves halves =
        split(load(row, depth), load(row, t.add(depth, t.index(1))));
    Value position = t.add(t.mul(row, t.index(rowWords)), pair);
    t.store(halves.high, to.high, position);
    t.store(halves.low, to.low, position);
  });
}

/// The words of an operand that this lane gives to an mma.sync whose first row
/// is `row`.
SmallVector<Value> TensorContract::fragment(Value tile, Value row, int64_t step,
                                            ArrayRef<int64_t> words) {
  Value position = t.add(t.mul(t.add(row, group), t.index(rowWords)),
                         t.add(member, t.index(step * mmaDepth / 2)));
  SmallVector<Value> result;
  for (int64_t distance : words)
    result.push_back(t.load(tile, t.add(position, t.index(distance))));
  return result;
}

SmallVector<Value> TensorContract::mma(ValueRange lhs, ValueRange rhs,
                                       ArrayRef<Value> sums) {
  SmallVector<Type> four(4, t.b.getF32Type());
  auto type = LLVM::LLVMStructType::getLiteral(t.b.getContext(), four);
  auto types = std::array{NVVM::MMATypes::bf16, NVVM::MMATypes::bf16};
  auto layouts = std::array{NVVM::MMALayout::row, NVVM::MMALayout::col};
  Value product = NVVM::MmaOp::create(
      t.b, t.loc, type, lhs, rhs, sums, {warpRows, mmaColumns, mmaDepth},
      std::nullopt, std::nullopt, types, layouts);
  SmallVector<Value> result;
  for (int64_t i = 0; i < 4; ++i)
    result.push_back(LLVM::ExtractValueOp::create(t.b, t.loc, product, i));
  return result;
}

/// sums + lhs · rhs over the depth of the staged tiles. Of the four products of
/// halves that of both low ones is too small to count.
SmallVector<Value> TensorContract::multiply(Staged tiles, ValueRange before) {
  SmallVector<Value> sums(before);
  for (int64_t step = 0; step < tileDepth / mmaDepth; ++step) {
    SmallVector<Value> high = fragment(tiles.lhs.high, warpRow, step, lhsWords);
    SmallVector<Value> low = fragment(tiles.lhs.low, warpRow, step, lhsWords);
    for (int64_t part = 0; part < warpColumns / mmaColumns; ++part) {
      Value column = t.add(warpColumn, t.index(part * mmaColumns));
      SmallVector<Value> rhsHigh =
          fragment(tiles.rhs.high, column, step, rhsWords);
      SmallVector<Value> rhsLow =
          fragment(tiles.rhs.low, column, step, rhsWords);
      SmallVector<Value> sum(ArrayRef<Value>(sums).slice(part * 4, 4));
      sum = mma(low, rhsHigh, sum);
      sum = mma(high, rhsLow, sum);
      sum = mma(high, rhsHigh, sum);
      llvm::copy(sum, sums.begin() + part * 4);
    }
  }
  return sums;
}

/// Lays the warps' sums out as a row-major tile.
void TensorContract::store(ValueRange sums, Value shared) {
  for (auto [number, sum] : llvm::enumerate(sums)) {
    int64_t part = number / 4, row = number % 4 / 2 * 8, column = number % 2;
    Value position =
        t.mul(t.add(t.add(warpRow, group), t.index(row)), t.index(tileColumns));
    position = t.add(position, t.add(warpColumn, t.mul(member, t.index(2))));
    t.store(sum, shared, t.add(position, t.index(part * mmaColumns + column)));
  }
}

namespace {

/// The grid: batches × tiles of columns × tiles of rows, rows innermost, so
/// that blocks that run together read the same columns.
struct TensorGrid {
  TensorGrid(TileBuilder &t, ArrayRef<Value> sizes, bool collapsed) {
    rows = sizes[sizes.size() - 2];
    columns = sizes.back();
    if (collapsed)
      rows = t.mul(t.product(sizes.drop_back(2)), rows);
    else
      append_range(space, sizes.drop_back(2));
    space.push_back(t.ceilDiv(columns, tileColumns));
    space.push_back(t.ceilDiv(rows, tileRows));
  }
  Value rows, columns;
  SmallVector<Value> space;
};

} // namespace

static LogicalResult scheduleTensorContract(RegionOp region,
                                            const TargetFacts &,
                                            RewriterBase &rewriter) {
  FailureOr<Contraction> contraction = analyzeContraction(region);
  if (failed(contraction))
    return failure();
  ContractOp op = contraction->op;
  bool packed = op.getPacked();
  bool collapsed =
      (packed ||
       cast<RankedTensorType>(op.getRhs().getType()).getRank() == 2) &&
      !op.getTransposeLhs();
  Location loc = region.getLoc();
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(region);
  TileBuilder t{rewriter, loc};
  TensorGrid outside(t, getResultSizes(rewriter, region, 0), collapsed);
  auto schedule =
      ScheduleAttr::get(region.getContext(), "tensor-contract",
                        {tileRows, tileColumns, tileDepth}, blockThreads);
  ScheduledRegion scheduled = createScheduledRegion(
      rewriter, region, t.product(outside.space), schedule);
  auto buffer = [&](Value argument) {
    return scheduled.argument(cast<BlockArgument>(argument));
  };
  Value lhs = buffer(op.getLhs()), rhs = buffer(op.getRhs());
  Value output = scheduled.output(0);
  SmallVector<Value> sizes = t.sizes(output);
  int64_t lhsRank = cast<MemRefType>(lhs.getType()).getRank();
  Value depth = t.size(lhs, lhsRank - (op.getTransposeLhs() ? 2 : 1));
  TensorGrid grid(t, sizes, collapsed);

  ThreadBlock threads{t};
  Value thread = threads.thread(), warp = threads.warp(), lane = threads.lane();
  int64_t warpsAcross = tileColumns / warpColumns;
  TensorContract body{
      t,
      threads,
      thread,
      t.mul(t.div(warp, t.index(warpsAcross)), t.index(warpRows)),
      t.mul(t.rem(warp, t.index(warpsAcross)), t.index(warpColumns)),
      t.div(lane, t.index(4)),
      t.rem(lane, t.index(4))};
  Staged tiles{body.share(tileRows), body.share(tileColumns)};
  Value product = threads.shared(rewriter.getF32Type(), tileRows * tileColumns);
  auto inside = [&](Value row, Value rows, Value at) -> Value {
    auto less = [&](Value x, Value y) -> Value {
      return arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::slt, x,
                                   y);
    };
    return arith::AndIOp::create(rewriter, loc, less(row, rows),
                                 less(at, depth));
  };

  t.forEach(scheduled.begin, scheduled.end, 1, [&](Value tile) {
    SmallVector<Value> at = t.delinearize(tile, grid.space);
    Value firstRow = t.mul(at.pop_back_val(), t.index(tileRows));
    Value firstColumn = t.mul(at.pop_back_val(), t.index(tileColumns));
    FlatMatrix left = matrixOf(t, lhs, op.getTransposeLhs(), at);
    FlatMatrix right;
    if (!packed)
      right = matrixOf(t, rhs, op.getTransposeRhs(), at);
    Value rhsFlat = packed ? t.flatten(rhs) : right.buffer;
    auto loadLhs = [&](Value k) {
      return [&, k](Value row, Value step) -> Value {
        Value r = t.add(firstRow, row), d = t.add(k, step);
        Value offset = t.add(left.offset,
                             t.add(t.mul(r, left.row), t.mul(d, left.column)));
        return threads.loadIf(inside(r, grid.rows, d), left.buffer, offset);
      };
    };
    auto loadRhs = [&](Value k) {
      return [&, k](Value row, Value step) -> Value {
        Value c = t.add(firstColumn, row), d = t.add(k, step);
        Value offset;
        if (packed) {
          Value width = t.index(panelColumns);
          Value line = t.add(t.mul(t.div(c, width), depth), d);
          offset = t.add(t.mul(line, width), t.rem(c, width));
        } else {
          offset = t.add(right.offset,
                         t.add(t.mul(d, right.row), t.mul(c, right.column)));
        }
        Value value =
            threads.loadIf(inside(c, grid.columns, d), rhsFlat, offset);
        if (value.getType().isF32())
          return value;
        return arith::SIToFPOp::create(rewriter, loc, rewriter.getF32Type(),
                                       value);
      };
    };
    SmallVector<Value> zeros(
        warpColumns / mmaColumns * 4,
        arith::ConstantOp::create(rewriter, loc, rewriter.getF32FloatAttr(0)));
    auto loop = scf::ForOp::create(rewriter, loc, t.index(0), depth,
                                   t.index(tileDepth), zeros);
    {
      OpBuilder::InsertionGuard guard(rewriter);
      rewriter.setInsertionPointToStart(loop.getBody());
      Value k = loop.getInductionVar();
      body.stage(tiles.lhs, tileRows, !op.getTransposeLhs(), loadLhs(k));
      body.stage(tiles.rhs, tileColumns, op.getTransposeRhs(), loadRhs(k));
      threads.wait();
      SmallVector<Value> sums = body.multiply(tiles, loop.getRegionIterArgs());
      // The next step writes what this one reads.
      threads.wait();
      scf::YieldOp::create(rewriter, loc, sums);
    }
    body.store(loop.getResults(), product);
    threads.wait();
    t.forEach(
        thread, t.index(tileRows * tileColumns), blockThreads,
        [&](Value number) {
          Value row = t.add(firstRow, t.div(number, t.index(tileColumns)));
          Value column =
              t.add(firstColumn, t.rem(number, t.index(tileColumns)));
          Value exists = arith::AndIOp::create(
              rewriter, loc,
              arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::slt,
                                    row, grid.rows),
              arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::slt,
                                    column, grid.columns));
          t.when(exists, [&] {
            SmallVector<Value> coordinates;
            if (collapsed)
              coordinates = t.delinearize(row, ArrayRef(sizes).drop_back());
            else
              (coordinates = at).push_back(row);
            coordinates.push_back(column);
            Value value = buildEpilogue(t, *contraction, buffer,
                                        t.load(product, number), coordinates);
            memref::StoreOp::create(rewriter, loc, value, output, coordinates);
          });
        });
    // Another tile writes what this one reads.
    threads.wait();
  });
  YieldOp::create(rewriter, loc, ValueRange());
  rewriter.replaceOp(region, scheduled.op);
  return success();
}

/// Only f32 is split into halves, and packed bytes that become f32.
static bool matchesTensorContract(RegionOp region) {
  ContractOp op = findContract(region);
  if (!op || op.getScale())
    return false;
  auto element = [](Value value) {
    return cast<RankedTensorType>(value.getType()).getElementType();
  };
  Type rhs = element(op.getRhs());
  return element(op.getLhs()).isF32() &&
         (rhs.isF32() || (op.getPacked() && rhs.isInteger(8)));
}

KernelFamily tenon::tensorContractFamily() {
  return {"tensor-contract", matchesTensorContract, scheduleTensorContract};
}
