// Weights in panels that are quantized in blocks. A group of 32 bits holds four
// elements of a column, one in each byte, or eight: four in the lower halves of
// the bytes, and in the upper ones those 16 further on.
#include "BlockWeights.h"

using namespace mlir;
using namespace tenon;

/// Elements that four groups hold in the same half of their bytes.
constexpr int64_t stretch = 16;

/// Bytes ahead of which weights are brought into the cache.
constexpr int64_t prefetchBytes = 2048;

BlockWeights BlockWeights::read(TileBuilder &t, kernel::ContractOp contract,
                                int64_t lanes,
                                function_ref<Value(Value)> buffer) {
  auto lhs = cast<RankedTensorType>(contract.getLhs().getType());
  BlockWeights result;
  result.weights = t.flatten(buffer(contract.getRhs()));
  result.scale = t.flatten(buffer(contract.getScale()));
  if (Value zero = contract.getZeroPoint())
    result.zeroPoint = t.flatten(buffer(zero));
  result.offset =
      contract.getOffset() ? contract.getOffset()->convertToDouble() : 0;
  result.bits = *contract.getBits();
  result.block = *contract.getBlock();
  result.depth =
      lhs.getDimSize(lhs.getRank() - (contract.getTransposeLhs() ? 2 : 1));
  result.groups =
      cast<RankedTensorType>(contract.getRhs().getType()).getDimSize(1);
  result.lanes = lanes;
  return result;
}

/// `lanes` columns from `column` on, of a group of panel `number`.
Value BlockWeights::loadGroups(TileBuilder &t, Value number, Value group,
                               int64_t column) const {
  Value row = t.add(t.mul(number, t.index(groups)), group);
  Value at = t.add(t.mul(row, t.index(4 * panelColumns)), t.index(4 * column));
  return t.loadGroups(weights, at, lanes, 4);
}

/// Scales or zero points of block `at` in f32; integers are unsigned.
Value BlockWeights::loadParameter(TileBuilder &t, Value parameter, Value number,
                                  Value at, int64_t column) const {
  Value row = t.add(t.mul(number, t.index(blocks())), at);
  Value vector = t.loadVector(
      parameter, t.add(t.mul(row, t.index(panelColumns)), t.index(column)),
      lanes);
  Type single = t.b.getF32Type();
  if (!cast<VectorType>(vector.getType()).getElementType().isInteger(8))
    return t.convert(vector, single);
  Value words = arith::ExtUIOp::create(
      t.b, t.loc, VectorType::get(lanes, t.b.getI32Type()), vector);
  return t.convert(words, single);
}

void BlockWeights::prefetch(TileBuilder &t, Value number, Value group,
                            int64_t count) const {
  Value row = t.add(t.mul(number, t.index(groups)), group);
  Value begin =
      t.add(t.mul(row, t.index(4 * panelColumns)), t.index(prefetchBytes));
  for (int64_t line = 0; line < 4 * panelColumns * count; line += 64)
    memref::PrefetchOp::create(
        t.b, t.loc, weights, ValueRange(t.add(begin, t.index(line))),
        /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
}

/// Where element `byte` of a group lies in its 32 bits.
static int64_t bitOf(int64_t byte, bool isUpper) {
  return 8 * byte + (isUpper ? 4 : 0);
}

void BlockWeights::unpack(TileBuilder &t, Value number, Value k, Value depth,
                          Value to) const {
  bool holdsTwo = bits == 4;
  bool inPairs = cast<MemRefType>(to.getType()).getElementType().isBF16();
  int64_t step = holdsTwo ? 2 * stretch : stretch;
  Value end = t.mul(t.ceilDiv(depth, step), t.index(step));
  t.forEach(t.index(0), end, step, [&](Value local) {
    Value element = t.add(k, local);
    Value group = t.div(element, t.index(holdsTwo ? 8 : 4));
    for (int64_t upper = 0; upper < (holdsTwo ? 2 : 1); ++upper) {
      // The upper half of the last group may belong to no block.
      Value at =
          t.div(t.add(element, t.index(upper * stretch)), t.index(block));
      at = t.min(at, t.index(blocks() - 1));
      for (int64_t column = 0; column < panelColumns; column += lanes) {
        Value scales = loadParameter(t, scale, number, at, column), zeros;
        if (zeroPoint)
          zeros = loadParameter(t, zeroPoint, number, at, column);
        else if (offset != 0)
          zeros = t.splat(t.b.getF32FloatAttr(offset), lanes);
        for (int64_t g = 0; g < 4; ++g) {
          Value both = loadGroups(t, number, t.add(group, t.index(g)), column);
          Value before; // of a pair
          for (int64_t byte = 0; byte < 4; ++byte) {
            auto word = [&](int64_t value) {
              return t.splat(t.b.getI32IntegerAttr(value), lanes);
            };
            Value bitsOf = arith::ShRUIOp::create(t.b, t.loc, both,
                                                  word(bitOf(byte, upper)));
            bitsOf = arith::AndIOp::create(t.b, t.loc, bitsOf,
                                           word((int64_t(1) << bits) - 1));
            Value value = t.convert(bitsOf, t.b.getF32Type());
            if (zeros)
              value = arith::SubFOp::create(t.b, t.loc, value, zeros);
            value = arith::MulFOp::create(t.b, t.loc, value, scales);
            int64_t behind = upper * stretch + 4 * g + byte;
            auto store = [&](Value vector, int64_t row, int64_t place) {
              Value begin =
                  t.mul(t.add(local, t.index(row)), t.index(panelColumns));
              t.store(vector, to, t.add(begin, t.index(place)));
            };
            if (!inPairs) {
              store(value, behind, column);
              continue;
            }
            value = t.roundToBf16(value);
            if (byte % 2 == 1)
              store(t.pairUpperHalves(before, value), behind - 1, 2 * column);
            before = value;
          }
        }
      }
    }
  });
}

BlockRows BlockRows::create(TileBuilder &t, const BlockWeights &weights) {
  auto scratch = [&](int64_t count) -> Value {
    return memref::AllocaOp::create(t.b, t.loc,
                                    MemRefType::get({count}, t.b.getF32Type()),
                                    t.b.getI64IntegerAttr(64));
  };
  BlockRows rows{weights, scratch(weights.mostRows * weights.paddedDepth()),
                 Value()};
  if (weights.zeroPoint || weights.offset != 0)
    rows.sums = scratch(weights.mostRows * weights.blocks());
  return rows;
}

/// Elements are not shifted out of their groups, but masked, converted where
/// they are, and so too large by a power of two, by which x is divided. Those
/// at the top are shifted, since they would be negative.
static float factorOf(int64_t k, int64_t bits) {
  int64_t bit = bitOf(k % 4, bits == 4 && k / stretch % 2);
  return bit + bits == 32 ? 1 : 1 / float(int64_t(1) << bit);
}

void BlockRows::prepare(TileBuilder &t, FlatMatrix from, Value rows) const {
  int64_t lanes = weights.lanes, padded = weights.paddedDepth();
  Type single = t.b.getF32Type();
  t.forEach(t.index(0), rows, 1, [&](Value row) {
    Value source = t.add(from.offset, t.mul(row, from.row));
    Value target = t.mul(row, t.index(padded));
    int64_t whole = weights.depth / lanes * lanes;
    t.forEach(t.index(0), t.index(whole), lanes, [&](Value i) {
      Value x = t.loadVector(from.buffer, t.add(source, i), lanes);
      t.store(t.convert(x, single), elements, t.add(target, i));
    });
    t.forEach(t.index(whole), t.index(weights.depth), 1, [&](Value i) {
      Value x = t.load(from.buffer, t.add(source, i));
      t.store(t.convert(x, single), elements, t.add(target, i));
    });
    Value zero = arith::ConstantOp::create(t.b, t.loc, t.b.getZeroAttr(single));
    t.forEach(t.index(weights.depth), t.index(padded), 1,
              [&](Value i) { t.store(zero, elements, t.add(target, i)); });
    // The sum of a block times its zero point is what is too much.
    if (sums)
      t.forEach(t.index(0), t.index(weights.blocks()), 1, [&](Value block) {
        Value begin = t.add(target, t.mul(block, t.index(weights.block)));
        auto loop =
            scf::ForOp::create(t.b, t.loc, t.index(0), t.index(weights.block),
                               t.index(lanes), t.zeros(single, lanes));
        {
          OpBuilder::InsertionGuard guard(t.b);
          t.b.setInsertionPointToStart(loop.getBody());
          Value x = t.loadVector(elements, t.add(begin, loop.getInductionVar()),
                                 lanes);
          Value sum =
              arith::AddFOp::create(t.b, t.loc, loop.getRegionIterArg(0), x);
          scf::YieldOp::create(t.b, t.loc, sum);
        }
        Value sum = t.sumLanes(loop.getResult(0));
        Value factor = arith::ConstantOp::create(
            t.b, t.loc,
            t.b.getF32FloatAttr(weights.zeroPoint ? -1 : -weights.offset));
        sum = arith::MulFOp::create(t.b, t.loc, sum, factor);
        t.store(sum, sums, t.add(t.mul(row, t.index(weights.blocks())), block));
      });
    t.forEach(t.index(0), t.index(padded), 2 * stretch, [&](Value unit) {
      for (int64_t i = 0; i < 2 * stretch; i += lanes) {
        SmallVector<float> factors;
        for (int64_t lane = 0; lane < lanes; ++lane)
          factors.push_back(factorOf(i + lane, weights.bits));
        Value at = t.add(target, t.add(unit, t.index(i)));
        auto type = VectorType::get(lanes, single);
        Value factor = arith::ConstantOp::create(
            t.b, t.loc, DenseElementsAttr::get(type, ArrayRef(factors)));
        Value x = t.loadVector(elements, at, lanes);
        t.store(arith::MulFOp::create(t.b, t.loc, x, factor), elements, at);
      }
    });
  });
}

namespace {

/// Builds one register tile: `rows` rows by `vectors` vectors.
struct BlockTile {
  TileBuilder &t;
  const BlockWeights &weights;
  const BlockRows &left;
  FlatMatrix acc;
  Value first, number;
  int64_t rows, column, vectors;
  int64_t lanes = weights.lanes;
  /// Independent sums for each element of the tile, so that a multiply-add need
  /// not wait for the one before: as many as registers hold beside masks.
  int64_t chains = std::max<int64_t>(1, 8 / (rows * vectors));

  Value rowOf(int64_t row, int64_t size) {
    return t.mul(t.add(first, t.index(row)), t.index(size));
  }
  SmallVector<Value> begin(Value block);
  SmallVector<Value> addGroups(ArrayRef<Value> sums, Value group, Value k,
                               int64_t count, ArrayRef<bool> halves);
  void finish(ArrayRef<Value> sums, Value block);
  void multiplyBlock(Value block);
  void multiplyHalves();
};

} // namespace

/// The sums of a block before the first product.
SmallVector<Value> BlockTile::begin(Value block) {
  Value zero = t.zeros(t.b.getF32Type(), lanes);
  SmallVector<Value> sums(rows * vectors * chains, zero);
  if (left.sums && !weights.zeroPoint)
    for (int64_t row = 0; row < rows; ++row) {
      Value at = t.add(rowOf(row, weights.blocks()), block);
      Value start = t.broadcast(t.load(left.sums, at), lanes);
      for (int64_t v = 0; v < vectors; ++v)
        sums[(row * vectors + v) * chains] = start;
    }
  return sums;
}

/// The sums with the products of `count` groups from `group` on, of their lower
/// or upper halves, or both. The first group begins with element `k`.
SmallVector<Value> BlockTile::addGroups(ArrayRef<Value> sums, Value group,
                                        Value k, int64_t count,
                                        ArrayRef<bool> halves) {
  // A loop: unrolled, LLVM would keep all groups in registers that it has not.
  auto loop = scf::ForOp::create(t.b, t.loc, t.index(0), t.index(count),
                                 t.index(1), sums);
  OpBuilder::InsertionGuard guard(t.b);
  t.b.setInsertionPointToStart(loop.getBody());
  Value at = t.add(group, loop.getInductionVar());
  k = t.add(k, t.mul(loop.getInductionVar(), t.index(4)));
  if (column == 0)
    weights.prefetch(t, number, at, 1);
  Type single = t.b.getF32Type();
  auto word = [&](int64_t value) {
    return t.splat(t.b.getI32IntegerAttr(value), lanes);
  };
  SmallVector<Value> packed, next(loop.getRegionIterArgs());
  for (int64_t v = 0; v < vectors; ++v)
    packed.push_back(weights.loadGroups(t, number, at, column + v * lanes));
  int64_t turn = 0;
  for (int64_t byte = 0; byte < 4; ++byte)
    for (bool isUpper : halves) {
      int64_t bit = bitOf(byte, isUpper);
      int64_t further = byte + (isUpper && halves.size() > 1 ? stretch : 0);
      SmallVector<Value> x;
      for (int64_t row = 0; row < rows; ++row) {
        Value place = t.add(t.add(rowOf(row, weights.paddedDepth()), k),
                            t.index(further));
        x.push_back(t.broadcast(t.load(left.elements, place), lanes));
      }
      for (int64_t v = 0; v < vectors; ++v) {
        Value w;
        if (bit + weights.bits == 32)
          w = arith::ShRUIOp::create(t.b, t.loc, packed[v], word(bit));
        else
          w = arith::AndIOp::create(
              t.b, t.loc, packed[v],
              word(((int64_t(1) << weights.bits) - 1) << bit));
        w = t.convert(w, single);
        for (int64_t row = 0; row < rows; ++row) {
          Value &sum = next[(row * vectors + v) * chains + turn % chains];
          sum = vector::FMAOp::create(t.b, t.loc, w, x[row], sum);
        }
      }
      ++turn;
    }
  scf::YieldOp::create(t.b, t.loc, next);
  return SmallVector<Value>(loop.getResults());
}

/// acc += scale · (sums - zero point · sum of x)
void BlockTile::finish(ArrayRef<Value> sums, Value block) {
  for (int64_t v = 0; v < vectors; ++v) {
    Value scale = weights.loadParameter(t, weights.scale, number, block,
                                        column + v * lanes);
    Value zero;
    if (weights.zeroPoint)
      zero = weights.loadParameter(t, weights.zeroPoint, number, block,
                                   column + v * lanes);
    for (int64_t row = 0; row < rows; ++row) {
      ArrayRef<Value> parts = sums.slice((row * vectors + v) * chains, chains);
      SmallVector<Value> rest(parts);
      while (rest.size() > 1) {
        Value last = rest.pop_back_val();
        size_t at = rest.size() / 2;
        rest[at] = arith::AddFOp::create(t.b, t.loc, rest[at], last);
      }
      Value sum = rest.front();
      if (zero) {
        Value at = t.add(rowOf(row, weights.blocks()), block);
        Value x = t.broadcast(t.load(left.sums, at), lanes);
        sum = vector::FMAOp::create(t.b, t.loc, zero, x, sum);
      }
      Value at =
          t.add(acc.offset, t.add(t.mul(t.add(first, t.index(row)), acc.row),
                                  t.index(column + v * lanes)));
      Value before = t.loadVector(acc.buffer, at, lanes);
      t.store(vector::FMAOp::create(t.b, t.loc, scale, sum, before), acc.buffer,
              at);
    }
  }
}

/// A block of whole groups.
void BlockTile::multiplyBlock(Value block) {
  SmallVector<Value> sums = begin(block);
  Value k = t.mul(block, t.index(weights.block));
  if (weights.bits == 8) {
    int64_t count = weights.block / 4;
    Value group = t.mul(block, t.index(count));
    return finish(addGroups(sums, group, k, count, {false}), block);
  }
  int64_t units = weights.block / (2 * stretch);
  Value unit = t.mul(block, t.index(units));
  auto addUnit = [&](ArrayRef<Value> before, Value which) {
    return addGroups(before, t.mul(which, t.index(4)),
                     t.mul(which, t.index(2 * stretch)), 4, {false, true});
  };
  if (units == 1)
    return finish(addUnit(sums, unit), block);
  auto loop = scf::ForOp::create(t.b, t.loc, t.index(0), t.index(units),
                                 t.index(1), sums);
  {
    OpBuilder::InsertionGuard guard(t.b);
    t.b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> next =
        addUnit(SmallVector<Value>(loop.getRegionIterArgs()),
                t.add(unit, loop.getInductionVar()));
    scf::YieldOp::create(t.b, t.loc, next);
  }
  finish(SmallVector<Value>(loop.getResults()), block);
}

/// Blocks of 16, of which two share groups.
void BlockTile::multiplyHalves() {
  t.forEach(t.index(0), t.index(weights.blocks()), 2, [&](Value block) {
    Value group = t.mul(block, t.index(2));
    auto multiplyHalf = [&](Value half, bool isUpper) {
      finish(addGroups(begin(half), group, t.mul(half, t.index(stretch)), 4,
                       {isUpper}),
             half);
    };
    multiplyHalf(block, false);
    Value second = t.add(block, t.index(1));
    Value exists = arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::slt,
                                         second, t.index(weights.blocks()));
    t.when(exists, [&] { multiplyHalf(second, true); });
  });
}

void BlockRows::multiplyTile(TileBuilder &t, FlatMatrix acc, Value first,
                             int64_t rows, Value number) const {
  int64_t lanes = weights.lanes, all = panelColumns / lanes;
  // As many sums as registers hold beside weights.
  int64_t vectors = lanes == 16 || rows <= 2 ? all : all / 2;
  t.fillZero(acc.buffer, t.add(acc.offset, t.mul(first, acc.row)),
             t.mul(t.index(rows), acc.row), lanes);
  for (int64_t column = 0; column < panelColumns; column += vectors * lanes) {
    BlockTile tile{t,      weights, *this,  acc,    first,
                   number, rows,    column, vectors};
    if (weights.bits == 4 && weights.block == stretch)
      tile.multiplyHalves();
    else
      t.forEach(t.index(0), t.index(weights.blocks()), 1,
                [&](Value block) { tile.multiplyBlock(block); });
  }
}

void BlockRows::multiply(TileBuilder &t, FlatMatrix acc, Value rows,
                         Value number) const {
  t.forEachTile(rows, weights.lanes == 16 ? 8 : 4,
                [&](Value first, int64_t count) {
                  multiplyTile(t, acc, first, count, number);
                });
}
