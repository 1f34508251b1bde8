// Schedules kernel.attention: blocks of queries against blocks of keys with an
// online softmax (arXiv:1805.02867, arXiv:2205.14135), on register tiles.
// Floats of 16 bits are widened as they are read, but for queries and keys of
// bf16 where the machine multiplies pairs faster, and there values too if a
// recipe chose that; scores and sums are of f32. Bytes of a cache are widened
// as they are read, and their scales multiply scores and weights. Attention
// between quantizers multiplies bytes, and sums are exact in a block.
#include "AttentionRegion.h"
#include "ScheduledRegion.h"
#include "TileBuilder.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Analysis/SymbolicIndex.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Kernels/Family.h"
#include <limits>

using namespace mlir;
using namespace tenon;
using namespace tenon::kernel;

/// Keys whose scores are in a block: with 64 queries 16 KiB of f32.
static constexpr int64_t keysOfFloats = 64;

/// The same of bytes, where each row needs its base before weights are rounded:
/// in a short sequence that of the only block. Scores are made of few queries
/// at a time, so that they stay in the nearest cache: 8 KiB of them.
static constexpr int64_t keysOfBytes = 128;
static constexpr int64_t queriesOfBytes = 16;

/// A whole weight as a byte.
static constexpr double byteOne = 255;

/// Keys that are scored together for a single query.
static constexpr int64_t keysAtOnce = 4;

/// Up to this many queries cost less than transposing the keys.
static constexpr int64_t fewQueries = 3;

/// A row's base, which scores are taken as differences from, is that of an
/// earlier block unless this much is above it: weights are then at most 2^8,
/// which sums hold as well, and few blocks but the first rescale sums. Weights
/// in bytes are at most 1, so that their base is the largest score so far.
static constexpr double mostAboveBase = 5.5;

/// Keys of a cache that a tile reads for a single query. Sizes alone decide how
/// keys are split, so that results do not depend on the number of threads.
static constexpr int64_t splitKeys = 2 * keysOfFloats;

static constexpr double log2OfE = 1.4426950408889634;

/// Is the size dimension the last one stored?
static bool isContiguous(ArrayRef<int64_t> layout) { return layout[3] == 3; }

namespace {

/// What attention of bytes reads of its parameters; null where there are none.
struct ByteSteps {
  Value queryZero, keyZero; ///< of i32
  Value valueZero, value;   ///< zero point and step of values
  Value scores;             ///< what scores are multiplied by at last
  /// Of the scores' quantizer, or null: what they are multiplied by first, and
  /// then the least and the largest.
  Value rounding, least, largest;
};

/// Builds the body; holds what its parts share.
struct AttentionBody {
  TileBuilder &t;
  AttentionOp op;
  int64_t lanes, queryBlock, keyBlock;
  Multiplication scoring;   ///< of queries with keys
  Multiplication weighting; ///< of weights with values
  AttentionHeads query, key, value, output;
  Value mask;          // or null
  Value starts, slots; // of rows of the batch in caches, or null
  Value grouped;       ///< see groupsQueries; null for false
  Value single;       ///< whether there is one query of a cache; null for false
  int64_t singleRows; ///< heads of it that are rows of a tile, where few are
  Value partials;     ///< what tiles that share a row give; null without caches
  Value scores, packedQueries, keys, values;
  Value weights; // narrow, or null: then they take the place of scores
  Value keyScales, valueScales; // of a block of a cache of bytes, or null
  Value sums, bases, totals;    // of rows; of weights in each lane
  int64_t head, paddedHead;     // E, and E rounded up to groups
  int64_t paddedValue;          // that of values, rounded up to panels
  Value rowTerms, keyTerms; // what zero points add to scores, of bytes or null
  Value products;           // of weights with values, of bytes or null
  ByteSteps steps = {};

  void loadSteps(Value parameters); ///< of bytes, before build
  void build(Value begin, Value end);
  /// Of one row from one tile: its sums, then its base and total.
  static int64_t partialSize(int64_t paddedValue) { return paddedValue + 2; }

private:
  void storePartial(Value row, Value target);
  void multiply(FlatMatrix lhs, FlatMatrix rhs, FlatMatrix acc, Value rows,
                Value depth, int64_t columns, TileBuilder::Sum sum,
                Multiplication how = {});
  void scorePairs(FlatMatrix q, FlatMatrix k, Value rows, Value count);
  void scoreFewQueries(FlatMatrix q, FlatMatrix k, Value rows, Value count);
  void scoreSingle(FlatMatrix q, FlatMatrix k, FlatMatrix v, Value count);
  void scoreSingleRows(FlatMatrix q, FlatMatrix k, int64_t first, int64_t rows,
                       Value count, function_ref<void(Value)> prefetch);
  /// Into the second cache: so many lines at once wait for room beside the
  /// first, whose misses a core has few buffers for.
  void prefetchRows(FlatMatrix matrix, Value first, int64_t count);
  void weighSingle(FlatMatrix v, Value count);
  void loadScales(FlatMatrix rows, int64_t size, Value count, Value scales);
  /// Are the rows of a head multiplied as they lie?
  bool readsRows() {
    return head % (lanes * scoring.group) == 0 &&
           (packedQueries || isContiguous(op.getQueryLayout())) &&
           isContiguous(op.getKeyLayout());
  }
  struct MaskRow {
    Value flat, offset, size;
  };
  /// The keys that a row sees but for its mask: [begin, end); begin null is 0.
  struct Visible {
    Value begin, end;
  };
  MaskRow findMask(Value batch, Value headIndex, Value row, Value position);
  Value maskLanes(const MaskRow &from, Value first, bool isFull);
  Value isFullBlock(const MaskRow &from, Value firstKey, Visible visible);
  void maskRow(const MaskRow &from, Value row, Value place, Value firstKey,
               Value count, Visible visible, bool isFull);
  void exponentiateRow(Value row, Value place, Value count, bool isWhole);
  void pairValues(FlatMatrix v, Value count);
  void findRowTerms(FlatMatrix q, Value rows);
  void packByteKeys(FlatMatrix k, Value count);
  void packByteValues(FlatMatrix v, Value count);
  void scoreBytes(FlatMatrix q, Value rows, Value count);
  void weighBytes(Value first, Value rows, Value count);
  Value scoreOfBytes(Value at, Value key, Value row);
  Value foldBlock(bool isWhole, Value count, Value initial,
                  function_ref<Value(Value, Value)> step);
  /// Is the mask added to scores? Else it is of bits.
  bool hasBias() {
    return mask && !getElementTypeOrSelf(mask.getType()).isInteger(1);
  }
  /// Are scores scaled before what is largest is found? Else in one step with
  /// what follows, which keeps their order.
  bool scalesFirst() {
    return hasBias() || op.getSoftcap() || op.getScale() <= llvm::APFloat(0.0f);
  }
  /// The same bits.
  Value asLanes(Value vector, Type element) {
    return t.b.createOrFold<vector::BitCastOp>(
        t.loc, VectorType::get(lanes, element), vector);
  }
  Value toIndex(Value places, Value row) {
    return arith::IndexCastOp::create(
        t.b, t.loc, t.b.getIndexType(),
        memref::LoadOp::create(t.b, t.loc, places, row));
  }
  Value scalar(double value) {
    return arith::ConstantOp::create(t.b, t.loc, t.b.getF32FloatAttr(value));
  }
};

} // namespace

void AttentionBody::multiply(FlatMatrix lhs, FlatMatrix rhs, FlatMatrix acc,
                             Value rows, Value depth, int64_t columns,
                             TileBuilder::Sum sum, Multiplication how) {
  t.forEach(t.index(0), t.index(columns), 2 * lanes, [&](Value column) {
    FlatMatrix rhsPart = rhs, accPart = acc;
    rhsPart.offset = t.add(rhs.offset, t.mul(column, t.index(how.group)));
    accPart.offset = t.add(acc.offset, column);
    if (how.tiles)
      t.multiplyTiles(lhs, std::nullopt, rhsPart, accPart, rows, depth, lanes,
                      sum, how);
    else
      t.multiply(lhs, rhsPart, accPart, rows, depth, lanes, sum, how);
  });
}

/// Scores from panels of keys in which pairs along the size of a head lie
/// together.
void AttentionBody::scorePairs(FlatMatrix q, FlatMatrix k, Value rows,
                               Value count) {
  Value zero = t.index(0), one = t.index(1), width = t.index(panelColumns);
  for (int64_t first = 0; first < keyBlock; first += panelColumns) {
    FlatMatrix from{k.buffer, t.add(k.offset, t.mul(t.index(first), k.row)),
                    k.column, k.row};
    FlatMatrix panel{keys, t.index(first * paddedHead),
                     t.index(panelColumns * scoring.group), one};
    Value columns = t.max(zero, t.min(t.sub(count, t.index(first)), width));
    t.packGroups(from, panel, t.index(head), columns, scoring.group, lanes);
    multiply(q, panel, {scores, t.index(first), t.index(keyBlock), one}, rows,
             t.index(paddedHead / scoring.group), panelColumns,
             TileBuilder::Sum::Replace, scoring);
  }
}

/// Dot products along the size of a head. A score behind `count` holds
/// anything.
void AttentionBody::scoreFewQueries(FlatMatrix q, FlatMatrix k, Value rows,
                                    Value count) {
  t.forEach(t.index(0), rows, 1, [&](Value row) {
    Value queryOffset = t.add(q.offset, t.mul(row, q.row));
    t.forEach(t.index(0), count, 1, [&](Value column) {
      Value keyOffset = t.add(k.offset, t.mul(column, k.row));
      Value sum = t.zeros(t.b.getF32Type(), lanes);
      for (int64_t d = 0; d < head; d += lanes * scoring.group) {
        Value atQuery = t.add(queryOffset, t.index(d));
        Value atKey = t.add(keyOffset, t.index(d));
        if (scoring.dot)
          sum = DotOp::create(
              t.b, t.loc, sum.getType(), *scoring.dot, sum,
              t.loadGroups(q.buffer, atQuery, lanes, scoring.group),
              t.loadGroups(k.buffer, atKey, lanes, scoring.group));
        else
          sum = vector::FMAOp::create(
              t.b, t.loc, t.loadVector(q.buffer, atQuery, lanes),
              t.convert(t.loadVector(k.buffer, atKey, lanes), t.b.getF32Type()),
              sum);
      }
      Value score =
          vector::ReductionOp::create(t.b, t.loc, vector::CombiningKind::ADD,
                                      sum, arith::FastMathFlags::reassoc);
      t.store(score, scores, t.add(t.mul(row, t.index(keyBlock)), column));
    });
  });
}

/// The same for a single query of `singleRows` heads: four keys at a time, so
/// that each is loaded once for several rows, and four sums of lanes are added
/// up together.
///
/// A block is so few bytes that memory would wait for arithmetic: on the way
/// its values and the next keys are brought into the cache.
void AttentionBody::scoreSingle(FlatMatrix q, FlatMatrix k, FlatMatrix v,
                                Value count) {
  int64_t most = lanes >= 16 ? 6 : 3;
  auto prefetch = [&](Value column) {
    prefetchRows(v, column, keysAtOnce);
    prefetchRows(k, t.add(column, t.index(keyBlock)), keysAtOnce);
  };
  for (int64_t first = 0; first < singleRows; first += most)
    scoreSingleRows(q, k, first, std::min(most, singleRows - first), count,
                    [&](Value column) {
                      if (first == 0)
                        prefetch(column);
                    });
}

/// Brings rows of keys or values into the cache, if they exist.
void AttentionBody::prefetchRows(FlatMatrix matrix, Value first,
                                 int64_t count) {
  constexpr int64_t lineBytes = 64;
  auto type = cast<MemRefType>(matrix.buffer.getType());
  int64_t width = type.getElementTypeBitWidth() / 8;
  for (int64_t row = 0; row < count; ++row)
    for (int64_t i = 0; i < head; i += lineBytes / width) {
      Value begin =
          t.add(matrix.offset, t.mul(t.add(first, t.index(row)), matrix.row));
      memref::PrefetchOp::create(t.b, t.loc, matrix.buffer,
                                 ValueRange(t.add(begin, t.index(i))),
                                 /*isWrite=*/false, /*localityHint=*/2,
                                 /*isDataCache=*/true);
    }
}

void AttentionBody::scoreSingleRows(FlatMatrix q, FlatMatrix k, int64_t first,
                                    int64_t rows, Value count,
                                    function_ref<void(Value)> prefetch) {
  Value last = t.sub(count, t.index(1));
  t.forEach(t.index(0), count, keysAtOnce, [&](Value column) {
    prefetch(column);
    Value keyOffsets[keysAtOnce];
    for (auto [j, offset] : llvm::enumerate(keyOffsets))
      offset =
          t.add(k.offset,
                t.mul(t.min(t.add(column, t.index(int64_t(j))), last), k.row));
    SmallVector<Value> sums(rows * keysAtOnce,
                            t.zeros(t.b.getF32Type(), lanes));
    auto loop = scf::ForOp::create(t.b, t.loc, t.index(0), t.index(head),
                                   t.index(lanes * scoring.group), sums);
    {
      OpBuilder::InsertionGuard guard(t.b);
      t.b.setInsertionPointToStart(loop.getBody());
      Value d = loop.getInductionVar();
      auto load = [&](FlatMatrix from, Value offset) -> Value {
        Value at = t.add(offset, d);
        if (scoring.dot)
          return t.loadGroups(from.buffer, at, lanes, scoring.group);
        return t.convert(t.loadVector(from.buffer, at, lanes),
                         t.b.getF32Type());
      };
      Value loaded[keysAtOnce];
      for (auto [j, offset] : llvm::enumerate(keyOffsets))
        loaded[j] = load(k, offset);
      SmallVector<Value> next(loop.getRegionIterArgs());
      for (int64_t r = 0; r < rows; ++r) {
        Value x = load(q, t.add(q.offset, t.mul(t.index(first + r), q.row)));
        for (int64_t j = 0; j < keysAtOnce; ++j) {
          Value &sum = next[r * keysAtOnce + j];
          sum =
              scoring.dot
                  ? Value(DotOp::create(t.b, t.loc, sum.getType(), *scoring.dot,
                                        sum, x, loaded[j]))
                  : Value(vector::FMAOp::create(t.b, t.loc, x, loaded[j], sum));
        }
      }
      scf::YieldOp::create(t.b, t.loc, next);
    }
    for (int64_t r = 0; r < rows; ++r) {
      ResultRange row = loop.getResults().slice(r * keysAtOnce, keysAtOnce);
      t.store(t.addLanesOfFour(SmallVector<Value>(row)), scores,
              t.add(t.index((first + r) * keyBlock), column));
    }
  });
}

/// Adds weights · values for a single query: rows of values are read once for
/// several heads.
void AttentionBody::weighSingle(FlatMatrix v, Value count) {
  Value zero = t.index(0), one = t.index(1);
  int64_t vectors = paddedValue % (4 * lanes) == 0 ? 4 : 2;
  int64_t most = lanes >= 16 ? 6 : vectors == 4 ? 3 : 6;
  for (int64_t first = 0; first < singleRows; first += most)
    t.forEach(zero, t.index(paddedValue), vectors * lanes, [&](Value column) {
      FlatMatrix part = v;
      part.offset = t.add(v.offset, column);
      t.multiplyFew({scores, t.index(first * keyBlock), t.index(keyBlock), one},
                    part,
                    {sums, t.add(t.index(first * paddedValue), column),
                     t.index(paddedValue), one},
                    std::min(most, singleRows - first), count, vectors * lanes,
                    lanes, TileBuilder::Sum::Add, {});
    });
}

/// What the bytes of `count` rows are multiplied by, which lies behind them.
void AttentionBody::loadScales(FlatMatrix rows, int64_t size, Value count,
                               Value scales) {
  auto single = VectorType::get(1, t.b.getF32Type());
  t.forEach(t.index(0), count, 1, [&](Value row) {
    Value at = t.add(rows.offset, t.mul(row, rows.row));
    Value bytes = t.loadVector(rows.buffer, t.add(at, t.index(size)), 4);
    t.store(vector::BitCastOp::create(t.b, t.loc, single, bytes), scales, row);
  });
}

/// Where the mask has one row of scores, that of a query at `position`, and
/// whether that is one element for all keys.
AttentionBody::MaskRow AttentionBody::findMask(Value batch, Value headIndex,
                                               Value row, Value position) {
  auto type = cast<MemRefType>(mask.getType());
  Value flat = t.flatten(mask);
  if (type.getRank() == 0)
    return {flat, t.index(0), t.index(1)};
  SmallVector<Value> sizes = t.sizes(mask), strides = t.strides(sizes);
  Value coordinates[] = {batch, headIndex, row};
  Value offset = t.index(0);
  for (int64_t dim = 0; dim + 1 < type.getRank(); ++dim) {
    Value coordinate = coordinates[4 - type.getRank() + dim];
    Value single = t.equal(sizes[dim], t.index(1));
    offset = t.add(offset, t.mul(t.b.createOrFold<arith::SelectOp>(
                                     t.loc, single, t.index(0), coordinate),
                                 strides[dim]));
  }
  if (!op.getRelative())
    return {flat, offset, sizes.back()};
  // The last element is the query's own. The length may be given too small.
  Value end = t.min(t.add(position, t.index(1)), sizes.back());
  return {flat, t.add(offset, t.sub(sizes.back(), end)), end};
}

/// The mask of `lanes` keys from `first` on; a size of one is read for all,
/// but in a full block, where there is none.
Value AttentionBody::maskLanes(const MaskRow &from, Value first, bool isFull) {
  Type element = cast<MemRefType>(mask.getType()).getElementType();
  if (isFull && !element.isInteger(1))
    return t.loadVector(from.flat, t.add(from.offset, first), lanes);
  auto perKey = [&] {
    return t.loadLanes(from.flat, from.offset, first, from.size, t.index(1),
                       /*contiguous=*/true, lanes);
  };
  auto forAll = [&] {
    return t.broadcast(t.load(from.flat, from.offset), lanes);
  };
  if (isFull)
    return perKey();
  APInt known;
  if (matchPattern(from.size, m_ConstantInt(&known)))
    return known.isOne() ? forAll() : perKey();
  auto choice = scf::IfOp::create(
      t.b, t.loc, t.equal(from.size, t.index(1)),
      [&](OpBuilder &, Location) {
        scf::YieldOp::create(t.b, t.loc, forAll());
      },
      [&](OpBuilder &, Location) {
        scf::YieldOp::create(t.b, t.loc, perKey());
      });
  return choice.getResult(0);
}

/// Masks one row of scores and finds its base: the largest score of a block,
/// which stays that in later blocks whose largest is little above it; else the
/// row's sums are rescaled. A full block is one of which isFullBlock holds.
void AttentionBody::maskRow(const MaskRow &from, Value row, Value place,
                            Value firstKey, Value count, Visible visible,
                            bool isFull) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  using Predicate = arith::CmpFPredicate;
  Value lowest = scalar(-std::numeric_limits<float>::infinity());
  Value scale =
      steps.scores ? steps.scores : scalar(op.getScale().convertToDouble());
  Value rowOffset = t.mul(place, t.index(keyBlock));
  auto maskType = VectorType::get(lanes, b.getI1Type());
  auto maskVector = [&](Value j, Value rowLargest) -> Value {
    Value first = t.add(firstKey, j);
    Value at = t.add(rowOffset, j);
    Value score =
        products ? scoreOfBytes(at, j, row) : t.loadVector(scores, at, lanes);
    if (keyScales)
      score = arith::MulFOp::create(b, loc, score,
                                    t.loadVector(keyScales, j, lanes));
    Value bias = mask ? maskLanes(from, first, isFull) : Value(), keep;
    if (op.getSoftcap()) {
      Value cap =
          t.broadcast(scalar(op.getSoftcap()->convertToDouble()), lanes);
      score = arith::MulFOp::create(b, loc, score, t.broadcast(scale, lanes));
      score = math::TanhOp::create(b, loc,
                                   arith::DivFOp::create(b, loc, score, cap));
      score = arith::MulFOp::create(b, loc, score, cap);
      if (hasBias())
        score = arith::AddFOp::create(b, loc, score,
                                      t.convert(bias, b.getF32Type()));
    } else if (hasBias())
      score = vector::FMAOp::create(b, loc, score, t.broadcast(scale, lanes),
                                    t.convert(bias, b.getF32Type()));
    else if (scalesFirst())
      score = arith::MulFOp::create(b, loc, score, t.broadcast(scale, lanes));
    if (mask && !hasBias())
      keep = bias;
    if (!isFull) {
      auto below = [&](Value end) -> Value {
        return vector::CreateMaskOp::create(
            b, loc, maskType, ValueRange(t.max(t.sub(end, first), t.index(0))));
      };
      Value seen = below(visible.end);
      if (visible.begin)
        // Keys below the begin are among those below the end.
        seen = arith::XOrIOp::create(b, loc, seen,
                                     below(t.min(visible.begin, visible.end)));
      keep = keep ? Value(arith::AndIOp::create(b, loc, keep, seen)) : seen;
    }
    if (keep)
      score = arith::SelectOp::create(b, loc, keep, score,
                                      t.broadcast(lowest, lanes));
    if (products)
      t.store(asLanes(score, b.getI32Type()), scores, at);
    else if (keep || scalesFirst() || keyScales)
      t.store(score, scores, at);
    return rowLargest ? t.larger(rowLargest, score) : score;
  };
  bool isWhole = isFull || !products;
  Value rowLargest =
      foldBlock(isWhole, count, isWhole ? Value() : t.broadcast(lowest, lanes),
                maskVector);
  // A NaN is lost here but not where the base is subtracted from it.
  Value largest = t.largestLane(rowLargest);
  if (!scalesFirst())
    largest = arith::MulFOp::create(b, loc, largest, scale);
  Value before = t.load(bases, row);
  Value isLarger = arith::CmpFOp::create(
      b, loc, Predicate::OGT, largest,
      products ? before
               : arith::AddFOp::create(b, loc, before, scalar(mostAboveBase))
                     .getResult());
  t.when(isLarger, [&] {
    t.store(largest, bases, row);
    // What was summed before is in units of exp(before): nothing at first.
    Value hasSums =
        arith::CmpFOp::create(b, loc, Predicate::UNE, before, lowest);
    t.when(hasSums, [&] {
      Value shift = arith::MulFOp::create(
          b, loc, arith::SubFOp::create(b, loc, before, largest),
          scalar(log2OfE));
      Value factor = math::Exp2Op::create(b, loc, t.broadcast(shift, lanes));
      auto rescale = [&](Value buffer, Value at) {
        Value old = t.loadVector(buffer, at, lanes);
        t.store(arith::MulFOp::create(b, loc, old, factor), buffer, at);
      };
      t.forEach(t.index(0), t.index(paddedValue), lanes, [&](Value column) {
        rescale(sums, t.add(t.mul(row, t.index(paddedValue)), column));
      });
      rescale(totals, t.mul(row, t.index(lanes)));
    });
  });
}

/// Values as weights lie in pairs: of the two vectors that follow one another
/// in a row of weights, keys of one lane are a pair. Those behind `count` hold
/// the last, and have no weight.
void AttentionBody::pairValues(FlatMatrix v, Value count) {
  OpBuilder &b = t.b;
  auto words = VectorType::get(lanes, b.getI32Type());
  Value last = t.sub(count, t.index(1));
  t.forEach(t.index(0), count, 2 * lanes, [&](Value first) {
    t.forEach(t.index(0), t.index(lanes), 1, [&](Value lane) {
      Value key = t.add(first, lane);
      // As the upper half of 32 bits.
      auto load = [&](Value at, int64_t column) -> Value {
        Value from = t.add(v.offset, t.mul(t.min(at, last), v.row));
        Value row = t.loadVector(v.buffer, t.add(from, t.index(column)), lanes);
        row = vector::BitCastOp::create(
            b, t.loc, VectorType::get(lanes, b.getI16Type()), row);
        return arith::ShLIOp::create(
            b, t.loc, arith::ExtUIOp::create(b, t.loc, words, row),
            t.splat(b.getI32IntegerAttr(16), lanes));
      };
      Value pair = t.add(t.div(first, t.index(2)), lane);
      Value target = t.mul(pair, t.index(2 * paddedValue));
      for (int64_t column = 0; column < paddedValue; column += lanes)
        t.store(t.pairUpperHalves(load(key, column),
                                  load(t.add(key, t.index(lanes)), column)),
                values, t.add(target, t.index(2 * column)));
    });
  });
}

/// Replaces one row of scores by weights, 2^(log2(e) · (score - base)), times
/// the scale of each value where there are scales.
void AttentionBody::exponentiateRow(Value row, Value place, Value count,
                                    bool isWhole) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  Value base = t.load(bases, row);
  // Nothing visible yet: exp(-inf - 0) is 0 where exp(-inf + inf) is NaN.
  Value none =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, base,
                            scalar(-std::numeric_limits<float>::infinity()));
  base = arith::SelectOp::create(b, loc, none, scalar(0), base);
  Value shift = arith::MulFOp::create(b, loc, base, scalar(-log2OfE));
  Value scale = scalar(op.getScale().convertToDouble() * log2OfE);
  if (steps.scores)
    scale = arith::MulFOp::create(b, loc, steps.scores, scalar(log2OfE));
  Value totalOffset = t.mul(row, t.index(lanes));
  Value total = t.loadVector(totals, totalOffset, lanes);
  Value before; // of a pair
  auto exponentiate = [&](Value j, Value total) -> Value {
    Value at = t.add(t.mul(place, t.index(keyBlock)), j);
    Value power = asLanes(t.loadVector(scores, at, lanes), b.getF32Type());
    // The lowest float, which masks hold, is a number yet if 0 is what is left.
    if (scalesFirst())
      power = arith::MulFOp::create(
          b, loc,
          arith::SubFOp::create(b, loc, power, t.broadcast(base, lanes)),
          t.broadcast(scalar(log2OfE), lanes));
    else
      power = vector::FMAOp::create(b, loc, power, t.broadcast(scale, lanes),
                                    t.broadcast(shift, lanes));
    // A byte holds no weight that rounding makes larger than one.
    if (products && !scalesFirst())
      power = t.smaller(t.zeros(b.getF32Type(), lanes), power);
    Value weight = math::Exp2Op::create(b, loc, power);
    if (products) {
      // Beside this number floats are integers, whose last byte is that of the
      // float.
      Value unit = t.broadcast(scalar(0x1.8p23), lanes);
      Value raised = vector::FMAOp::create(
          b, loc, weight, t.broadcast(scalar(byteOne), lanes), unit);
      weight = arith::SubFOp::create(b, loc, raised, unit);
      t.store(arith::TruncIOp::create(b, loc,
                                      VectorType::get(lanes, b.getI8Type()),
                                      asLanes(raised, b.getI32Type())),
              weights, at);
    } else if (!weights) {
      Value scaled = weight;
      if (valueScales)
        scaled = arith::MulFOp::create(b, loc, weight,
                                       t.loadVector(valueScales, j, lanes));
      t.store(scaled, scores, at);
    } else {
      weight = t.roundToBf16(weight);
      if (before)
        t.store(t.pairUpperHalves(before, weight), weights,
                t.sub(at, t.index(lanes)));
      before = before ? Value() : weight;
    }
    return arith::AddFOp::create(b, loc, total, weight);
  };
  t.store(foldBlock(isWhole, count, total, exponentiate), totals, totalOffset);
}

/// Calls `step` for the vectors of a block, or of `count` keys, with what it
/// gave for the one before.
Value AttentionBody::foldBlock(bool isWhole, Value count, Value initial,
                               function_ref<Value(Value, Value)> step) {
  if (isWhole) {
    for (int64_t j = 0; j < keyBlock; j += lanes)
      initial = step(t.index(j), initial);
    return initial;
  }
  auto loop = scf::ForOp::create(t.b, t.loc, t.index(0), count, t.index(lanes),
                                 initial);
  OpBuilder::InsertionGuard guard(t.b);
  t.b.setInsertionPointToStart(loop.getBody());
  scf::YieldOp::create(t.b, t.loc,
                       step(loop.getInductionVar(), loop.getRegionIterArg(0)));
  return loop.getResult(0);
}

void AttentionBody::loadSteps(Value parameters) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  auto load = [&](int64_t place) { return t.load(parameters, t.index(place)); };
  auto multiply = [&](Value lhs, Value rhs) -> Value {
    return arith::MulFOp::create(b, loc, lhs, rhs);
  };
  auto toInteger = [&](Value value) -> Value {
    return arith::FPToSIOp::create(b, loc, b.getI32Type(), value);
  };
  steps.queryZero = toInteger(load(0));
  steps.keyZero = toInteger(load(1));
  steps.valueZero = load(2);
  steps.value = load(4);
  Value step = load(3);
  auto type = cast<MemRefType>(parameters.getType());
  if (type.getDimSize(0) == graph::AttentionOp::allParameters) {
    steps.rounding = arith::DivFOp::create(b, loc, step, load(5));
    step = load(5);
    steps.least = load(6);
    steps.largest = load(7);
  }
  steps.scores = multiply(step, scalar(op.getScale().convertToDouble()));
}

/// Σ (q - zq)(k - zk) = Σ qk - zq · Σ k + (E · zq · zk - zk · Σ q), of which
/// this is the last part.
void AttentionBody::findRowTerms(FlatMatrix q, Value rows) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  auto multiply = [&](Value lhs, Value rhs) -> Value {
    return arith::MulIOp::create(b, loc, lhs, rhs);
  };
  auto integer = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(value));
  };
  Value ofZeros = multiply(integer(head), steps.queryZero);
  constexpr int64_t most = 64;
  t.forEach(t.index(0), rows, 1, [&](Value row) {
    Value offset = t.add(q.offset, t.mul(row, q.row));
    Value sum = integer(0);
    for (int64_t d = 0; d < head; d += most) {
      int64_t size = std::min(most, head - d);
      Value bytes = t.loadVector(q.buffer, t.add(offset, t.index(d)), size);
      Value wide = arith::ExtUIOp::create(
          b, loc, VectorType::get(size, b.getI32Type()), bytes);
      sum = vector::ReductionOp::create(b, loc, vector::CombiningKind::ADD,
                                        wide, sum);
    }
    Value term =
        multiply(steps.keyZero, arith::SubIOp::create(b, loc, ofZeros, sum));
    Value single = arith::SIToFPOp::create(b, loc, b.getF32Type(), term);
    if (steps.rounding)
      single = arith::MulFOp::create(b, loc, single, steps.rounding);
    t.store(single, rowTerms, row);
  });
}

/// Panels of keys in which groups along the size of a head lie together, and
/// zq · Σ k of each.
void AttentionBody::packByteKeys(FlatMatrix k, Value count) {
  OpBuilder &b = t.b;
  Value zero = t.index(0), one = t.index(1), width = t.index(panelColumns);
  Value ones = t.splat(b.getI32IntegerAttr(0x01010101), lanes);
  t.forEach(zero, count, panelColumns, [&](Value first) {
    FlatMatrix from{k.buffer, t.add(k.offset, t.mul(first, k.row)), k.column,
                    k.row};
    Value offset = t.mul(first, t.index(paddedHead));
    t.packGroups(
        from, {keys, offset, t.index(panelColumns * scoring.group), one},
        t.index(head), t.min(t.sub(count, first), width), scoring.group, lanes);
    for (int64_t column = 0; column < panelColumns; column += lanes) {
      auto sum = scf::ForOp::create(
          b, t.loc, zero, t.index(paddedHead / scoring.group), one,
          t.zeros(b.getI32Type(), lanes),
          [&](OpBuilder &, Location, Value group, ValueRange sofar) {
            Value at = t.add(t.mul(group, width), t.index(column));
            Value bytes = t.loadGroups(
                keys, t.add(offset, t.mul(at, t.index(scoring.group))), lanes,
                scoring.group);
            Value next = DotOp::create(b, t.loc, bytes.getType(), *scoring.dot,
                                       sofar[0], ones, bytes);
            scf::YieldOp::create(b, t.loc, next);
          });
      t.store(arith::MulIOp::create(b, t.loc, sum.getResult(0),
                                    t.broadcast(steps.queryZero, lanes)),
              keyTerms, t.add(first, t.index(column)));
    }
  });
}

/// Panels of values in which those of groups of keys lie together.
void AttentionBody::packByteValues(FlatMatrix v, Value count) {
  int64_t valueSize = getValueSize(op);
  for (int64_t column = 0; column < paddedValue; column += panelColumns) {
    FlatMatrix from = v;
    from.offset = t.add(v.offset, t.mul(t.index(column), v.column));
    t.packGroups(from,
                 {values, t.index(column * keyBlock),
                  t.index(panelColumns * weighting.group), t.index(1)},
                 count, t.index(std::min(panelColumns, valueSize - column)),
                 weighting.group, lanes);
  }
}

/// Products of queries with keys, of bytes, in the panels that hold keys.
void AttentionBody::scoreBytes(FlatMatrix q, Value rows, Value count) {
  Value one = t.index(1);
  t.forEach(t.index(0), count, panelColumns, [&](Value first) {
    multiply(q,
             {keys, t.mul(first, t.index(paddedHead)),
              t.index(panelColumns * scoring.group), one},
             {scores, first, t.index(keyBlock), one}, rows,
             t.index(paddedHead / scoring.group), panelColumns,
             TileBuilder::Sum::Replace, scoring);
  });
}

/// What products of bytes stand for, in units of the scores' quantizer or of
/// the scales.
Value AttentionBody::scoreOfBytes(Value at, Value key, Value row) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  Value integers =
      arith::SubIOp::create(b, loc, t.loadVector(scores, at, lanes),
                            t.loadVector(keyTerms, key, lanes));
  Value score = arith::SIToFPOp::create(
      b, loc, VectorType::get(lanes, b.getF32Type()), integers);
  Value term = t.broadcast(t.load(rowTerms, row), lanes);
  if (!steps.rounding)
    return arith::AddFOp::create(b, loc, score, term);
  score = vector::FMAOp::create(b, loc, score,
                                t.broadcast(steps.rounding, lanes), term);
  score = math::RoundEvenOp::create(b, loc, score);
  score = t.larger(score, t.broadcast(steps.least, lanes));
  return t.smaller(score, t.broadcast(steps.largest, lanes));
}

/// Adds weights · values of bytes to the sums of rows from `first` on, exact in
/// a block.
void AttentionBody::weighBytes(Value first, Value rows, Value count) {
  OpBuilder &b = t.b;
  Value zero = t.index(0), one = t.index(1);
  for (int64_t column = 0; column < paddedValue; column += panelColumns)
    multiply({weights, zero, t.index(keyBlock), one},
             {values, t.index(column * keyBlock),
              t.index(panelColumns * weighting.group), one},
             {products, t.index(column), t.index(paddedValue), one}, rows,
             t.ceilDiv(count, weighting.group), panelColumns,
             TileBuilder::Sum::Replace, weighting);
  Value offset = t.mul(first, t.index(paddedValue));
  t.forEach(zero, t.mul(rows, t.index(paddedValue)), lanes, [&](Value at) {
    Value target = t.add(offset, at);
    Value sum = t.convert(t.loadVector(products, at, lanes), b.getF32Type());
    t.store(
        arith::AddFOp::create(b, t.loc, t.loadVector(sums, target, lanes), sum),
        sums, target);
  });
}

/// Has the block from `firstKey` on no key that the row does not see but by
/// its mask, and has the mask an element for each?
Value AttentionBody::isFullBlock(const MaskRow &from, Value firstKey,
                                 Visible visible) {
  Value isFull =
      arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::sge,
                            t.sub(visible.end, firstKey), t.index(keyBlock));
  if (visible.begin)
    isFull = arith::AndIOp::create(
        t.b, t.loc, isFull,
        arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::sge, firstKey,
                              visible.begin));
  if (!mask)
    return isFull;
  Value hasEach = arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::ne,
                                        from.size, t.index(1));
  // Of a cache, the length may be given too small.
  if (starts)
    hasEach =
        arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::sge,
                              t.sub(from.size, firstKey), t.index(keyBlock));
  return arith::AndIOp::create(t.b, t.loc, isFull, hasEach);
}

/// One row of sums, weighted as exp(score - base), for mergePartials.
void AttentionBody::storePartial(Value row, Value target) {
  Value flat = t.flatten(partials);
  t.forEach(t.index(0), t.index(paddedValue), lanes, [&](Value column) {
    Value at = t.add(t.mul(row, t.index(paddedValue)), column);
    t.store(t.loadVector(sums, at, lanes), flat, t.add(target, column));
  });
  t.store(t.load(bases, row), flat, t.add(target, t.index(paddedValue)));
  Value total = t.loadVector(totals, t.mul(row, t.index(lanes)), lanes);
  t.store(vector::ReductionOp::create(t.b, t.loc, vector::CombiningKind::ADD,
                                      total, arith::FastMathFlags::reassoc),
          flat, t.add(target, t.index(paddedValue + 1)));
}

void AttentionBody::build(Value begin, Value end) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  Value zero = t.index(0), one = t.index(1);
  Value queries = query.sizes[2], heads = query.sizes[1];
  Value group = t.div(heads, key.sizes[1]);
  auto choose = [&](Value ifGrouped, Value otherwise) -> Value {
    return grouped
               ? arith::SelectOp::create(b, loc, grouped, ifGrouped, otherwise)
                     .getResult()
               : otherwise;
  };
  // Rows of a tile are queries of a head, or heads of a single query.
  Value rowCount = choose(group, queries);
  Value blocks = t.ceilDiv(rowCount, queryBlock);
  Value lowest = scalar(-std::numeric_limits<float>::infinity());
  Value none = scalar(0);
  Value scoreStride = t.index(keyBlock), sumStride = t.index(paddedValue);
  int64_t valueSize = getValueSize(op);
  Type stored = getElementTypeOrSelf(op.getOutput().getType());

  auto ifSingle = [&](Value value, Value otherwise) -> Value {
    return single ? arith::SelectOp::create(b, loc, single, value, otherwise)
                        .getResult()
                  : otherwise;
  };
  Value splits = single ? t.size(partials, 1) : one;
  t.forEach(begin, end, 1, [&](Value tile) {
    SmallVector<Value> at =
        t.delinearize(tile, {query.sizes[0], choose(key.sizes[1], heads),
                             ifSingle(splits, blocks)});
    Value batch = at[0], kvBatch = at[0];
    // Of a single query a tile has all rows, and some of the keys.
    Value firstRow = ifSingle(zero, t.mul(at[2], t.index(queryBlock)));
    Value rows = t.min(t.sub(rowCount, firstRow), t.index(queryBlock));
    Value headIndex = choose(t.mul(at[1], group), at[1]);
    Value kvHead = t.div(headIndex, group);
    auto rowsOf = [&](const AttentionHeads &heads) {
      FlatMatrix matrix = heads.at(t, batch, headIndex, zero);
      matrix.row = choose(heads.strides[1], heads.strides[2]);
      matrix.offset = t.add(matrix.offset, t.mul(firstRow, matrix.row));
      return matrix;
    };
    auto queryOf = [&](Value row) {
      return choose(zero, t.add(firstRow, row));
    };
    Value keyCount = key.sizes[2];
    if (starts) {
      // Wrong places are noted where something is appended to them.
      Value end = toIndex(starts, batch);
      if (op.getCausal())
        end = t.add(end, queries);
      keyCount = t.max(zero, t.min(end, keyCount));
      if (slots)
        kvBatch = toIndex(slots, batch);
      kvBatch = t.max(zero, t.min(kvBatch, t.sub(key.sizes[0], one)));
    }
    // Query i sees the keys below i + past.
    Value past = t.add(t.sub(keyCount, queries), one);
    FlatMatrix q = rowsOf(query);
    if (packedQueries) {
      FlatMatrix from = q;
      q = {packedQueries, zero, t.index(paddedHead), one};
      t.pack(from, q, rows, t.index(head), t.index(paddedHead),
             isContiguous(op.getQueryLayout()), lanes);
    }
    t.forEach(zero, rows, 1, [&](Value row) { t.store(lowest, bases, row); });
    t.fillZero(totals, zero, t.mul(rows, t.index(lanes)), lanes);
    t.fillZero(sums, zero, t.mul(rows, sumStride), lanes);
    if (products)
      findRowTerms(q, rows);
    Value endKey = keyCount, beginKey = zero;
    if (op.getCausal())
      endKey =
          t.max(zero, t.min(keyCount, t.add(queryOf(t.sub(rows, one)), past)));
    auto windowOf = [&](Value row) {
      return t.max(zero, t.sub(t.add(queryOf(row), past),
                               t.index(int64_t(*op.getWindow()))));
    };
    if (op.getWindow())
      beginKey = windowOf(zero);
    if (single) {
      Value first = t.mul(at[2], t.index(splitKeys));
      beginKey = ifSingle(t.max(beginKey, first), beginKey);
      // The last has all that is left, should the length be given too small.
      Value isLast = t.equal(t.add(at[2], one), splits);
      Value end = arith::SelectOp::create(
          b, loc, isLast, endKey,
          t.min(endKey, t.add(first, t.index(splitKeys))));
      endKey = ifSingle(end, endKey);
    }
    t.forEach(beginKey, endKey, keyBlock, [&](Value firstKey) {
      Value count = t.min(t.sub(endKey, firstKey), t.index(keyBlock));
      FlatMatrix k = key.at(t, kvBatch, kvHead, firstKey);
      FlatMatrix v = value.at(t, kvBatch, kvHead, firstKey);
      FlatMatrix scoreMatrix{scores, zero, scoreStride, one};
      if (keyScales)
        loadScales(k, head, count, keyScales);
      if (valueScales)
        loadScales(v, valueSize, count, valueScales);
      // Keys lie transposed in scratch, so that lanes run along keys.
      auto fromPacked = [&] {
        if (scoring.dot)
          return scorePairs(q, k, rows, count);
        FlatMatrix packedKeys{keys, zero, t.index(keyBlock), one};
        t.pack({k.buffer, k.offset, k.column, k.row}, packedKeys, t.index(head),
               count, t.index(keyBlock), /*contiguous=*/false, lanes);
        multiply(q, packedKeys, scoreMatrix, rows, t.index(head), keyBlock,
                 TileBuilder::Sum::Replace);
      };
      auto score = [&] {
        if (!readsRows())
          return fromPacked();
        Value few = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle,
                                          rows, t.index(fewQueries));
        t.choose(few, [&] { scoreFewQueries(q, k, rows, count); }, fromPacked);
      };
      auto maskOne = [&](Value row, Value place) {
        Value queryRow = queryOf(row);
        Visible visible{nullptr, endKey};
        if (op.getCausal())
          visible.end = t.min(endKey, t.add(queryRow, past));
        if (op.getWindow())
          visible.begin = windowOf(row);
        MaskRow maskHere;
        if (mask)
          maskHere = findMask(batch, headIndex, queryRow,
                              t.sub(t.add(queryRow, past), one));
        auto maskScores = [&](bool isFull) {
          maskRow(maskHere, row, place, firstKey, count, visible, isFull);
        };
        t.choose(
            isFullBlock(maskHere, firstKey, visible), [&] { maskScores(true); },
            [&] { maskScores(false); });
      };
      if (products) {
        packByteKeys(k, count);
        packByteValues(v, count);
        t.forEach(zero, rows, queriesOfBytes, [&](Value first) {
          Value some = t.min(t.sub(rows, first), t.index(queriesOfBytes));
          scoreBytes(t.fromRow(q, first), some, count);
          t.forEach(zero, some, 1,
                    [&](Value place) { maskOne(t.add(first, place), place); });
          auto exponentiate = [&](bool isWhole) {
            t.forEach(zero, some, 1, [&](Value place) {
              exponentiateRow(t.add(first, place), place, count, isWhole);
            });
          };
          t.choose(
              t.equal(count, t.index(keyBlock)), [&] { exponentiate(true); },
              [&] { exponentiate(false); });
          weighBytes(first, some, count);
        });
        return;
      }
      if (singleRows > 0 && readsRows())
        t.choose(single, [&] { scoreSingle(q, k, v, count); }, score);
      else
        score();
      t.forEach(zero, rows, 1, [&](Value row) { maskOne(row, row); });
      // In a loop of its own, which waits for no largest score.
      t.forEach(zero, rows, 1, [&](Value row) {
        exponentiateRow(row, row, count, /*isWhole=*/true);
      });
      if (weights) {
        pairValues(v, count);
        FlatMatrix pairs{values, zero, t.index(2 * paddedValue), one};
        Value depth = t.mul(t.ceilDiv(count, 2 * lanes), t.index(lanes));
        multiply({weights, zero, scoreStride, one}, pairs,
                 {sums, zero, sumStride, one}, rows, depth, paddedValue,
                 TileBuilder::Sum::Add, weighting);
      } else if (!values) {
        auto weigh = [&] {
          multiply(scoreMatrix, v, {sums, zero, sumStride, one}, rows, count,
                   paddedValue, TileBuilder::Sum::Add);
        };
        if (singleRows > 0)
          t.choose(single, [&] { weighSingle(v, count); }, weigh);
        else
          weigh();
      } else {
        FlatMatrix packedValues{values, zero, sumStride, one};
        t.pack(v, packedValues, count, t.index(valueSize), sumStride,
               isContiguous(op.getValueLayout()), lanes);
        multiply(scoreMatrix, packedValues, {sums, zero, sumStride, one}, rows,
                 count, paddedValue, TileBuilder::Sum::Add);
      }
    });
    FlatMatrix out = rowsOf(output);
    auto finish = [&](Value row) {
      Value total = vector::ReductionOp::create(
          b, loc, vector::CombiningKind::ADD,
          t.loadVector(totals, t.mul(row, t.index(lanes)), lanes),
          arith::FastMathFlags::reassoc);
      Value inverse = arith::DivFOp::create(b, loc, scalar(1), total);
      Value empty = t.equal(keyCount, zero);
      if (op.getZeroIfMasked())
        empty = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, total,
                                      none);
      inverse = arith::SelectOp::create(b, loc, empty, none, inverse);
      // Of bytes, less the zero point: a row's weights add up to one.
      Value zeroTerm;
      if (products) {
        inverse = arith::MulFOp::create(b, loc, inverse, steps.value);
        zeroTerm = arith::MulFOp::create(
            b, loc, arith::NegFOp::create(b, loc, steps.valueZero),
            steps.value);
        zeroTerm = arith::SelectOp::create(b, loc, empty, none, zeroTerm);
      }
      auto meanOf = [&](Value sum, int64_t size) -> Value {
        auto spread = [&](Value value) {
          return size == 1 ? value : t.broadcast(value, size);
        };
        if (!zeroTerm)
          return arith::MulFOp::create(b, loc, sum, spread(inverse));
        return math::FmaOp::create(b, loc, sum, spread(inverse),
                                   spread(zeroTerm));
      };
      Value target = t.add(out.offset, t.mul(row, out.row));
      Value source = t.mul(row, sumStride);
      if (valueSize % lanes == 0 && isContiguous(op.getOutputLayout())) {
        t.forEach(zero, t.index(valueSize), lanes, [&](Value column) {
          Value sum = t.loadVector(sums, t.add(source, column), lanes);
          t.store(t.convert(meanOf(sum, lanes), stored), out.buffer,
                  t.add(target, column));
        });
        return;
      }
      t.forEach(zero, t.index(valueSize), 1, [&](Value column) {
        Value sum = t.load(sums, t.add(source, column));
        t.store(t.convert(meanOf(sum, 1), stored), out.buffer,
                t.add(target, t.mul(column, out.column)));
      });
    };
    t.forEach(zero, rows, 1, [&](Value row) {
      if (!single)
        return finish(row);
      Value isSplit = arith::AndIOp::create(
          b, loc, single,
          arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ugt, splits,
                                one));
      auto store = [&] {
        Value line = t.add(t.mul(batch, heads), t.add(headIndex, row));
        Value number = t.add(t.mul(line, splits), at[2]);
        storePartial(row, t.mul(number, t.index(partialSize(paddedValue))));
      };
      t.choose(isSplit, store, [&] { finish(row); });
    });
  });
}

/// Adds up what the tiles that share a row gave: a tile of this is a head.
/// `partials` is rows×splits×(sums, base, total).
static void mergePartials(TileBuilder &t, AttentionOp op, Value partials,
                          const AttentionHeads &output, int64_t paddedValue,
                          int64_t lanes, Value begin, Value end) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  auto scalar = [&](double value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
  };
  Value zero = t.index(0), one = t.index(1);
  Value splits = t.size(partials, 1), flat = t.flatten(partials);
  Value lowest = scalar(-std::numeric_limits<float>::infinity());
  Value size = t.index(AttentionBody::partialSize(paddedValue));
  int64_t valueSize = getValueSize(op);
  Type stored = getElementTypeOrSelf(op.getOutput().getType());
  Value sums = memref::AllocaOp::create(
      b, loc, MemRefType::get({paddedValue}, b.getF32Type()),
      b.getI64IntegerAttr(64));
  t.forEach(begin, end, 1, [&](Value row) {
    Value first = t.mul(row, t.mul(splits, size));
    auto partOf = [&](Value split) { return t.add(first, t.mul(split, size)); };
    auto load = [&](Value split, int64_t place) {
      return t.load(flat, t.add(partOf(split), t.index(place)));
    };
    auto reduce = [&](Value start, function_ref<Value(Value, Value)> next) {
      auto loop = scf::ForOp::create(
          b, loc, zero, splits, one, start,
          [&](OpBuilder &, Location, Value split, ValueRange sofar) {
            scf::YieldOp::create(b, loc, next(split, sofar.front()));
          });
      return loop.getResult(0);
    };
    Value base = reduce(lowest, [&](Value split, Value largest) {
      return t.larger(load(split, paddedValue), largest);
    });
    // Of a tile that saw no key the base is -inf, and its weight 0.
    auto weightOf = [&](Value split) -> Value {
      Value shift = arith::MulFOp::create(
          b, loc, arith::SubFOp::create(b, loc, load(split, paddedValue), base),
          scalar(log2OfE));
      return math::Exp2Op::create(b, loc, shift);
    };
    t.fillZero(sums, zero, t.index(paddedValue), lanes);
    Value total = reduce(scalar(0), [&](Value split, Value sofar) -> Value {
      Value weight = weightOf(split), part = partOf(split);
      Value factor = t.broadcast(weight, lanes);
      t.forEach(zero, t.index(paddedValue), lanes, [&](Value column) {
        Value sum = t.loadVector(flat, t.add(part, column), lanes);
        t.store(vector::FMAOp::create(b, loc, sum, factor,
                                      t.loadVector(sums, column, lanes)),
                sums, column);
      });
      return math::FmaOp::create(b, loc, load(split, paddedValue + 1), weight,
                                 sofar);
    });
    Value inverse = arith::DivFOp::create(b, loc, scalar(1), total);
    SmallVector<Value> at =
        t.delinearize(row, {output.sizes[0], output.sizes[1]});
    FlatMatrix out = output.at(t, at[0], at[1], zero);
    bool hasVectors =
        valueSize % lanes == 0 && isContiguous(op.getOutputLayout());
    t.forEach(
        zero, t.index(valueSize), hasVectors ? lanes : 1, [&](Value column) {
          Value sum = hasVectors ? t.loadVector(sums, column, lanes)
                                 : t.load(sums, column);
          Value mean = arith::MulFOp::create(
              b, loc, sum, hasVectors ? t.broadcast(inverse, lanes) : inverse);
          t.store(t.convert(mean, stored), out.buffer,
                  t.add(out.offset, t.mul(column, out.column)));
        });
  });
}

/// Bytes where they are bytes; pairs of bf16 where that is faster, and where
/// they lie next to each other.
static Multiplication chooseScoring(AttentionOp op, const TargetFacts &facts) {
  if (op.getParameters())
    return {4, DotKind::U8S8, facts.tileRows > 0};
  auto isBf16 = [](Value value) {
    return getElementTypeOrSelf(value.getType()).isBF16();
  };
  if (facts.bf16Gflops > facts.f32Gflops && isBf16(op.getQuery()) &&
      isBf16(op.getKey()) && isContiguous(op.getKeyLayout()))
    return {2, DotKind::BF16, facts.tileRows > 0};
  return {};
}

/// Pairs where a recipe chose bf16, scores are made of pairs, and values lie in
/// whole panels.
static Multiplication chooseWeighting(AttentionOp op,
                                      const Multiplication &scoring) {
  if (op.getParameters())
    return scoring;
  auto type = cast<RankedTensorType>(op.getValue().getType());
  int64_t size = type.getDimSize(op.getValueLayout()[3]);
  if (op.getRoundWeights() && scoring.dot && type.getElementType().isBF16() &&
      isContiguous(op.getValueLayout()) && size % panelColumns == 0)
    return scoring;
  return {};
}

/// Whether a tile may hold all heads that read the same keys, where there is a
/// single query: then each key is read once.
static bool groupsQueries(AttentionOp op) {
  int64_t heads = cast<RankedTensorType>(op.getQuery().getType())
                      .getDimSize(op.getQueryLayout()[1]);
  int64_t kvHeads = cast<RankedTensorType>(op.getKey().getType())
                        .getDimSize(op.getKeyLayout()[1]);
  return !op.getMask() && !ShapedType::isDynamic(heads) &&
         !ShapedType::isDynamic(kvHeads) && heads > kvHeads;
}

/// Heads that read the same keys of a cache, where they are few; else 0.
static int64_t countSingleRows(AttentionOp op) {
  constexpr int64_t most = 8;
  int64_t heads = cast<RankedTensorType>(op.getQuery().getType())
                      .getDimSize(op.getQueryLayout()[1]);
  int64_t kvHeads = cast<RankedTensorType>(op.getKey().getType())
                        .getDimSize(op.getKeyLayout()[1]);
  if (!op.getStarts() || ShapedType::isDynamic(heads) ||
      ShapedType::isDynamic(kvHeads) || heads / kvHeads > most)
    return 0;
  return heads / kvHeads;
}

namespace {

/// How the keys of caches are split where there is a single query.
struct SplitKeys {
  Value isSingle, count;          ///< whether they are, and into how many parts
  Value rows;                     ///< of the output, over batch and heads
  RankedTensorType type;          ///< of what the parts give: AttentionBody's
  SmallVector<Value> resultSizes; ///< of the output and this
};

} // namespace

/// By the longest row of the batch: shorter ones have parts without keys.
static SplitKeys splitKeysOf(TileBuilder &t, RegionOp region, AttentionOp op,
                             ArrayRef<Value> outputSizes, int64_t padded) {
  ArrayRef<int64_t> layout = op.getOutputLayout();
  unsigned number = cast<BlockArgument>(op.getLength()).getArgNumber();
  Value length = region.getIndices()[number - region.getInputs().size()];
  SplitKeys split;
  split.isSingle = t.equal(outputSizes[layout[2]], t.index(1));
  split.count = t.ceilDiv(t.max(length, t.index(1)), splitKeys);
  split.rows = t.mul(outputSizes[layout[0]], outputSizes[layout[1]]);
  split.type =
      RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic,
                             AttentionBody::partialSize(padded)},
                            t.b.getF32Type());
  llvm::append_range(split.resultSizes, region.getSizes());
  split.resultSizes.append({split.rows, split.count});
  return split;
}

/// The region behind `parts` that makes one output of what these give where
/// there are several; else parts have written it. Gets what is said of the
/// node.
static RegionOp createMerge(RewriterBase &rewriter, RegionOp region,
                            AttentionOp op, RegionOp parts,
                            const SplitKeys &split, int64_t padded,
                            int64_t lanes) {
  Location loc = region.getLoc();
  rewriter.setInsertionPoint(region);
  TileBuilder t{rewriter, loc};
  Value isSplit = arith::CmpIOp::create(
      rewriter, loc, arith::CmpIPredicate::sgt, split.count, t.index(1));
  Value none = t.index(0);
  Value grid = rewriter.createOrFold<arith::SelectOp>(
      loc, split.isSingle,
      rewriter.createOrFold<arith::SelectOp>(loc, isSplit, split.rows, none),
      none);
  auto schedule =
      ScheduleAttr::get(region.getContext(), "attention-merge", {1}, lanes);
  ScheduledRegion merge = createScheduledRegion(
      rewriter, loc, (region.getName() + "_merge").str(),
      region.getResultTypes(), parts.getResults(), ValueRange(),
      region.getSizes(), grid, schedule, rewriter.getDenseI64ArrayAttr({0}));
  TileBuilder inside{rewriter, loc};
  mergePartials(inside, op, merge.block->getArgument(1),
                readHeads(inside, merge.output(0), op.getOutputLayout()),
                padded, lanes, merge.begin, merge.end);
  YieldOp::create(rewriter, loc, ValueRange());

  // The node's tensor is complete behind the merge.
  parts->setDiscardableAttrs(region->getDiscardableAttrDictionary());
  for (StringRef name : {"tenon.id", "tenon.layer", "tenon.kind"})
    if (Attribute attr = region->getAttr(name))
      merge.op->setAttr(name, attr);
  parts->removeAttr("tenon.id");
  SymbolicIndices indices;
  std::optional<SymbolicExpr> rows = indices.get(split.rows),
                              count = indices.get(split.count);
  if (rows && count) {
    SymbolicExpr read =
        *rows * *count * SymbolicExpr(AttentionBody::partialSize(padded));
    Type stored = getElementTypeOrSelf(op.getOutput().getType());
    int64_t rowBytes = getValueSize(op) * stored.getIntOrFloatBitWidth() / 8;
    auto set = [&](StringRef name, const SymbolicExpr &expr) {
      merge.op->setAttr(name, rewriter.getStringAttr(expr.str()));
    };
    set("tenon.flops", SymbolicExpr(2) * read);
    set("tenon.read_bytes", SymbolicExpr(4) * read);
    set("tenon.written_bytes", *rows * SymbolicExpr(rowBytes));
  }
  return merge.op;
}

static LogicalResult scheduleAttention(RegionOp region,
                                       const TargetFacts &facts,
                                       RewriterBase &rewriter) {
  AttentionOp op = findAttention(region);
  if (failed(checkAttention(region, op)))
    return failure();
  int64_t lanes = facts.vectorBytes / 4;
  int64_t queryBlock = 8 * TileBuilder::tileRows(lanes);
  bool isOfBytes = bool(op.getParameters());
  int64_t keyBlock = isOfBytes ? keysOfBytes : keysOfFloats;
  Location loc = region.getLoc();
  OpBuilder::InsertionGuard guard(rewriter);

  rewriter.setInsertionPoint(region);
  TileBuilder outside{rewriter, loc};
  SmallVector<Value> resultSizes;
  auto dynamic = region.getSizes().begin();
  for (int64_t size :
       cast<RankedTensorType>(op.getOutput().getType()).getShape())
    resultSizes.push_back(ShapedType::isDynamic(size) ? Value(*dynamic++)
                                                      : outside.index(size));
  ArrayRef<int64_t> outputLayout = op.getOutputLayout();
  Value heads = resultSizes[outputLayout[1]],
        queries = resultSizes[outputLayout[2]];
  auto isSingle = [](TileBuilder &builder, Value queries) {
    return builder.equal(queries, builder.index(1));
  };
  if (groupsQueries(op)) {
    int64_t kvHeads = cast<RankedTensorType>(op.getKey().getType())
                          .getDimSize(op.getKeyLayout()[1]);
    Value single = isSingle(outside, queries);
    Value group = outside.div(heads, outside.index(kvHeads));
    queries =
        rewriter.createOrFold<arith::SelectOp>(loc, single, group, queries);
    heads = rewriter.createOrFold<arith::SelectOp>(
        loc, single, outside.index(kvHeads), heads);
  }
  int64_t valueSize = getValueSize(op);
  int64_t padded = llvm::alignTo(valueSize, panelColumns);
  Value blocks = outside.ceilDiv(queries, queryBlock);
  std::optional<SplitKeys> split;
  if (op.getStarts()) {
    split = splitKeysOf(outside, region, op, resultSizes, padded);
    blocks = rewriter.createOrFold<arith::SelectOp>(loc, split->isSingle,
                                                    split->count, blocks);
  }
  Value gridSize =
      outside.mul(outside.mul(resultSizes[outputLayout[0]], heads), blocks);
  auto schedule = ScheduleAttr::get(region.getContext(), "attention",
                                    {queryBlock, keyBlock}, lanes);
  ScheduledRegion scheduled =
      split ? createScheduledRegion(rewriter, loc, region.getName(),
                                    {region.getResultTypes()[0], split->type},
                                    region.getInputs(), region.getIndices(),
                                    split->resultSizes, gridSize, schedule,
                                    /*updates=*/nullptr)
            : createScheduledRegion(rewriter, region, gridSize, schedule);
  Value output = scheduled.output(0);
  TileBuilder t{rewriter, loc};
  auto buffer = [&](Value argument) {
    return scheduled.argument(cast<BlockArgument>(argument));
  };
  auto headsOf = [&](Value operand, ArrayRef<int64_t> layout) {
    return readHeads(t, buffer(getInput(operand)), layout, operand);
  };
  auto scratchOf = [&](Type element, int64_t count) -> Value {
    return memref::AllocaOp::create(rewriter, loc,
                                    MemRefType::get({count}, element),
                                    rewriter.getI64IntegerAttr(64));
  };
  auto scratch = [&](int64_t count) {
    return scratchOf(rewriter.getF32Type(), count);
  };
  int64_t head = cast<RankedTensorType>(op.getQuery().getType())
                     .getDimSize(op.getQueryLayout()[3]);
  auto hasScales = [&](Value cache) {
    return op.getStarts() && getElementTypeOrSelf(cache.getType()).isInteger(8);
  };
  Multiplication scoring = chooseScoring(op, facts);
  Multiplication weighting = chooseWeighting(op, scoring);
  int64_t paddedHead = llvm::alignTo(head, scoring.group);
  Type queryType = getElementTypeOrSelf(op.getQuery().getType());
  Type scoredType = scoring.dot ? queryType : rewriter.getF32Type();
  // Rows of queries are read for each block of keys.
  bool packs = scoring.dot
                   ? paddedHead != head || !isContiguous(op.getQueryLayout())
                   : !queryType.isF32();
  Type weightType = isOfBytes       ? rewriter.getI8Type()
                    : weighting.dot ? Type(rewriter.getBF16Type())
                                    : rewriter.getF32Type();
  int64_t rowsAtOnce = isOfBytes ? queriesOfBytes : queryBlock;
  bool direct = !weighting.dot && padded == valueSize &&
                isContiguous(op.getValueLayout());
  int64_t singleRows = countSingleRows(op);
  AttentionHeads query = headsOf(op.getQuery(), op.getQueryLayout());
  AttentionBody body{
      t,
      op,
      lanes,
      queryBlock,
      keyBlock,
      scoring,
      weighting,
      query,
      headsOf(op.getKey(), op.getKeyLayout()),
      headsOf(op.getValue(), op.getValueLayout()),
      readHeads(t, output, outputLayout),
      op.getMask() ? buffer(op.getMask()) : Value(),
      op.getStarts() ? buffer(op.getStarts()) : Value(),
      op.getSlots() ? buffer(op.getSlots()) : Value(),
      groupsQueries(op) ? isSingle(t, query.sizes[2]) : Value(),
      split ? isSingle(t, query.sizes[2]) : Value(),
      singleRows,
      split ? scheduled.output(1) : Value(),
      scratchOf(isOfBytes ? Type(rewriter.getI32Type()) : rewriter.getF32Type(),
                rowsAtOnce * keyBlock),
      packs ? scratchOf(scoredType, queryBlock * paddedHead) : Value(),
      scratchOf(scoredType, paddedHead * keyBlock),
      direct ? Value() : scratchOf(weightType, keyBlock * padded),
      weighting.dot ? scratchOf(weightType, rowsAtOnce * keyBlock) : Value(),
      hasScales(op.getKey()) ? scratch(keyBlock) : Value(),
      hasScales(op.getValue()) ? scratch(keyBlock) : Value(),
      scratch(queryBlock * padded),
      scratch(queryBlock),
      scratch(queryBlock * lanes),
      head,
      paddedHead,
      padded,
      isOfBytes ? scratch(queryBlock) : Value(),
      isOfBytes ? scratchOf(rewriter.getI32Type(), keyBlock) : Value(),
      isOfBytes ? scratchOf(rewriter.getI32Type(), rowsAtOnce * padded)
                : Value()};
  if (isOfBytes)
    body.loadSteps(buffer(op.getParameters()));
  body.build(scheduled.begin, scheduled.end);
  YieldOp::create(rewriter, loc, ValueRange());
  RegionOp last = scheduled.op;
  if (split)
    last =
        createMerge(rewriter, region, op, scheduled.op, *split, padded, lanes);
  rewriter.replaceOp(region, last);
  return success();
}

KernelFamily tenon::attentionFamily() {
  return {"attention",
          [](RegionOp region) { return findAttention(region) != nullptr; },
          scheduleAttention};
}
