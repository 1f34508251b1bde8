// Rows of a left operand in bytes: quantizing them, and the register tile that
// multiplies them by weights in blocks with kernel.dot.
#include "QuantizedRows.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;
using namespace tenon;

/// Elements that share a scale.
constexpr int64_t unit = 32;

QuantizedRows QuantizedRows::create(TileBuilder &t, const BlockWeights &weights,
                                    int64_t most) {
  QuantizedRows rows{weights, most, {}, {}, {}};
  auto scratch = [&](Type element, int64_t count) -> Value {
    return memref::AllocaOp::create(t.b, t.loc,
                                    MemRefType::get({count}, element),
                                    t.b.getI64IntegerAttr(64));
  };
  int64_t padded = weights.paddedDepth();
  rows.elements = scratch(t.b.getI8Type(), most * padded);
  rows.scales = scratch(t.b.getF32Type(), most * padded / unit);
  if (weights.zeroPoint || weights.offset != 0)
    rows.sums = scratch(t.b.getI32Type(), most * padded / rows.sumLength);
  return rows;
}

/// Quantizes the elements of a unit, which lie on the stack as f32.
void QuantizedRows::quantizeUnit(TileBuilder &t, Value row, Value number,
                                 Value from) const {
  int64_t lanes = weights.lanes, padded = weights.paddedDepth();
  SmallVector<Value> x;
  Value largest;
  for (int64_t i = 0; i < unit; i += lanes) {
    x.push_back(t.loadVector(from, t.index(i), lanes));
    Value size = math::AbsFOp::create(t.b, t.loc, x.back());
    largest = largest ? t.larger(largest, size) : size;
  }
  Value amount = t.largestLane(largest);
  auto constant = [&](float value) -> Value {
    return arith::ConstantOp::create(t.b, t.loc, t.b.getF32FloatAttr(value));
  };
  Value scale = arith::MulFOp::create(t.b, t.loc, amount, constant(1 / 127.f));
  Value isZero = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OEQ,
                                       amount, constant(0));
  Value inverse = arith::DivFOp::create(
      t.b, t.loc, constant(127),
      arith::SelectOp::create(t.b, t.loc, isZero, constant(1), amount));
  t.store(scale, scales, t.add(t.mul(row, t.index(padded / unit)), number));
  Value factor = t.broadcast(inverse, lanes);
  Value first =
      t.add(t.mul(row, t.index(padded)), t.mul(number, t.index(unit)));
  SmallVector<Value> integers;
  auto words = VectorType::get(lanes, t.b.getI32Type());
  for (auto [i, vector] : llvm::enumerate(x)) {
    Value scaled = arith::MulFOp::create(t.b, t.loc, vector, factor);
    scaled = math::RoundEvenOp::create(t.b, t.loc, scaled);
    Value integer = arith::FPToSIOp::create(t.b, t.loc, words, scaled);
    integers.push_back(integer);
    Value bytes = arith::TruncIOp::create(
        t.b, t.loc, VectorType::get(lanes, t.b.getI8Type()), integer);
    t.store(bytes, elements, t.add(first, t.index(int64_t(i) * lanes)));
  }
  if (!sums)
    return;
  int64_t parts = unit / sumLength, vectors = sumLength / lanes;
  for (int64_t part = 0; part < parts; ++part) {
    Value sum = integers[part * vectors];
    for (int64_t v = 1; v < vectors; ++v)
      sum =
          arith::AddIOp::create(t.b, t.loc, sum, integers[part * vectors + v]);
    sum = vector::ReductionOp::create(t.b, t.loc, vector::CombiningKind::ADD,
                                      sum);
    Value at = t.add(t.mul(row, t.index(padded / sumLength)),
                     t.add(t.mul(number, t.index(parts)), t.index(part)));
    t.store(sum, sums, at);
  }
}

void QuantizedRows::prepare(TileBuilder &t, FlatMatrix from, Value rows) const {
  int64_t lanes = weights.lanes, whole = weights.depth / unit;
  int64_t units = weights.paddedDepth() / unit;
  Type single = t.b.getF32Type();
  Value copy = memref::AllocaOp::create(
      t.b, t.loc, MemRefType::get({unit}, single), t.b.getI64IntegerAttr(64));
  t.forEach(t.index(0), rows, 1, [&](Value row) {
    Value source = t.add(from.offset, t.mul(row, from.row));
    t.forEach(t.index(0), t.index(whole), 1, [&](Value number) {
      Value at = t.add(source, t.mul(number, t.index(unit)));
      for (int64_t i = 0; i < unit; i += lanes) {
        Value x = t.loadVector(from.buffer, t.add(at, t.index(i)), lanes);
        t.store(t.convert(x, single), copy, t.index(i));
      }
      quantizeUnit(t, row, number, copy);
    });
    if (whole == units)
      return;
    // What is left, and then nothing.
    t.forEach(t.index(whole), t.index(units), 1, [&](Value number) {
      Value begin = t.mul(number, t.index(unit));
      t.fillZero(copy, t.index(0), t.index(unit), lanes);
      Value rest = t.max(t.sub(t.index(weights.depth), begin), t.index(0));
      t.forEach(t.index(0), rest, 1, [&](Value i) {
        Value x = t.load(from.buffer, t.add(source, t.add(begin, i)));
        t.store(t.convert(x, single), copy, i);
      });
      quantizeUnit(t, row, number, copy);
    });
  });
}

namespace {

/// Builds one register tile: `rows` rows by `vectors` vectors.
struct DotTile {
  TileBuilder &t;
  const BlockWeights &weights;
  const QuantizedRows &left;
  FlatMatrix acc;
  Value first, number;
  int64_t rows, column, vectors;
  int64_t lanes = weights.lanes;

  Value rowOf(int64_t row, int64_t size) {
    return t.mul(t.add(first, t.index(row)), t.index(size));
  }
  /// Element `at` of each row of a parameter of the left operand, in all lanes.
  Value parameter(Value buffer, int64_t row, int64_t rowSize, Value at) {
    Value value = t.load(buffer, t.add(rowOf(row, rowSize), at));
    return t.broadcast(value, lanes);
  }
  void multiplyUnit(Value which);

private:
  SmallVector<Value> begin(Value sum);
  void addStretch(SmallVectorImpl<Value> &sums, ArrayRef<Value> groups, Value k,
                  bool isUpper);
  void finish(ArrayRef<Value> sums, Value which, Value sum, Value block);
  bool startsAtZeroPoint() {
    return left.sums && !weights.zeroPoint &&
           weights.offset == std::floor(weights.offset);
  }
};

} // namespace

/// The sums before the first product: less what a zero point that is an integer
/// makes of them.
SmallVector<Value> DotTile::begin(Value sum) {
  SmallVector<Value> sums(rows * vectors, t.zeros(t.b.getI32Type(), lanes));
  if (!startsAtZeroPoint())
    return sums;
  int64_t rowSize = weights.paddedDepth() / left.sumLength;
  Value factor =
      t.splat(t.b.getI32IntegerAttr(-int64_t(weights.offset)), lanes);
  for (int64_t row = 0; row < rows; ++row) {
    Value start = parameter(left.sums, row, rowSize, sum);
    start = arith::MulIOp::create(t.b, t.loc, start, factor);
    for (int64_t v = 0; v < vectors; ++v)
      sums[row * vectors + v] = start;
  }
  return sums;
}

/// Adds the products of 16 elements from `k` on, in four groups of each vector.
void DotTile::addStretch(SmallVectorImpl<Value> &sums, ArrayRef<Value> groups,
                         Value k, bool isUpper) {
  bool holdsTwo = weights.bits == 4;
  auto kind = holdsTwo ? kernel::DotKind::U4S8 : kernel::DotKind::U8S8;
  auto word = [&](int64_t value) {
    return t.splat(t.b.getI32IntegerAttr(value), lanes);
  };
  for (int64_t g = 0; g < 4; ++g) {
    SmallVector<Value> x;
    for (int64_t row = 0; row < rows; ++row) {
      Value at =
          t.add(t.add(rowOf(row, weights.paddedDepth()), k), t.index(4 * g));
      Value group = vector::ExtractOp::create(
          t.b, t.loc, t.loadGroups(left.elements, at, 1, 4),
          ArrayRef<int64_t>{0});
      x.push_back(t.broadcast(group, lanes));
    }
    for (int64_t v = 0; v < vectors; ++v) {
      Value w = groups[g * vectors + v];
      if (isUpper)
        w = arith::ShRUIOp::create(t.b, t.loc, w, word(4));
      if (holdsTwo)
        w = arith::AndIOp::create(t.b, t.loc, w, word(0x0f0f0f0f));
      for (int64_t row = 0; row < rows; ++row) {
        Value &sum = sums[row * vectors + v];
        sum = kernel::DotOp::create(t.b, t.loc, sum.getType(), kind, sum, w,
                                    x[row]);
      }
    }
  }
}

/// acc += scale of x · scale of w · (sums - zero point · sum of x)
void DotTile::finish(ArrayRef<Value> sums, Value which, Value sum,
                     Value block) {
  Type single = t.b.getF32Type();
  for (int64_t v = 0; v < vectors; ++v) {
    Value scale = weights.loadParameter(t, weights.scale, number, block,
                                        column + v * lanes);
    Value zero;
    if (weights.zeroPoint)
      zero = weights.loadParameter(t, weights.zeroPoint, number, block,
                                   column + v * lanes);
    else if (left.sums && !startsAtZeroPoint())
      zero = t.splat(t.b.getF32FloatAttr(weights.offset), lanes);
    for (int64_t row = 0; row < rows; ++row) {
      Value product = t.convert(sums[row * vectors + v], single);
      if (zero) {
        int64_t rowSize = weights.paddedDepth() / left.sumLength;
        Value x = t.convert(parameter(left.sums, row, rowSize, sum), single);
        product = arith::SubFOp::create(
            t.b, t.loc, product, arith::MulFOp::create(t.b, t.loc, zero, x));
      }
      Value both = arith::MulFOp::create(
          t.b, t.loc, scale,
          parameter(left.scales, row, weights.paddedDepth() / unit, which));
      Value at =
          t.add(acc.offset, t.add(t.mul(t.add(first, t.index(row)), acc.row),
                                  t.index(column + v * lanes)));
      Value before = t.loadVector(acc.buffer, at, lanes);
      t.store(vector::FMAOp::create(t.b, t.loc, both, product, before),
              acc.buffer, at);
    }
  }
}

/// 32 elements, of one block or of two.
void DotTile::multiplyUnit(Value which) {
  bool holdsTwo = weights.bits == 4;
  int64_t groupsOfUnit = holdsTwo ? 4 : 8;
  Value group = t.mul(which, t.index(groupsOfUnit));
  Value k = t.mul(which, t.index(unit)), upperK = t.add(k, t.index(unit / 2));
  if (column == 0)
    weights.prefetch(t, number, group, groupsOfUnit);
  SmallVector<Value> lower, upper;
  auto load = [&](SmallVectorImpl<Value> &to, int64_t from) {
    for (int64_t g = 0; g < 4; ++g)
      for (int64_t v = 0; v < vectors; ++v)
        to.push_back(weights.loadGroups(
            t, number, t.add(group, t.index(from + g)), column + v * lanes));
  };
  load(lower, 0);
  if (weights.block >= unit) {
    SmallVector<Value> sums = begin(which);
    addStretch(sums, lower, k, false);
    if (!holdsTwo)
      load(upper, 4);
    addStretch(sums, holdsTwo ? lower : upper, upperK, holdsTwo);
    int64_t units = weights.block / unit;
    return finish(sums, which, which, t.div(which, t.index(units)));
  }
  Value block = t.mul(which, t.index(2)), second = t.add(block, t.index(1));
  SmallVector<Value> sums = begin(block);
  addStretch(sums, lower, k, false);
  finish(sums, which, block, block);
  Value exists = arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::slt,
                                       second, t.index(weights.blocks()));
  t.when(exists, [&] {
    SmallVector<Value> sums = begin(second);
    if (!holdsTwo)
      load(upper, 4);
    addStretch(sums, holdsTwo ? lower : upper, upperK, holdsTwo);
    finish(sums, which, second, second);
  });
}

void QuantizedRows::multiplyTile(TileBuilder &t, FlatMatrix acc, Value first,
                                 int64_t rows, Value number) const {
  int64_t lanes = weights.lanes, all = panelColumns / lanes;
  // As many sums as registers hold beside weights.
  int64_t vectors = lanes == 16 || rows <= 2 ? all : all / 2;
  t.fillZero(acc.buffer, t.add(acc.offset, t.mul(first, acc.row)),
             t.mul(t.index(rows), acc.row), lanes);
  for (int64_t column = 0; column < panelColumns; column += vectors * lanes) {
    DotTile tile{t, weights, *this, acc, first, number, rows, column, vectors};
    t.forEach(t.index(0), t.index(llvm::divideCeil(weights.depth, unit)), 1,
              [&](Value which) { tile.multiplyUnit(which); });
  }
}

void QuantizedRows::multiply(TileBuilder &t, FlatMatrix acc, Value rows,
                             Value number) const {
  t.forEachTile(rows, weights.lanes == 16 ? 8 : 4,
                [&](Value first, int64_t count) {
                  multiplyTile(t, acc, first, count, number);
                });
}
