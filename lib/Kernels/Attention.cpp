// Schedules kernel.attention: blocks of queries against blocks of keys with an
// online softmax (arXiv:1805.02867, arXiv:2205.14135), on register tiles.
// Floats of 16 bits are widened as they are read, but for bf16 where the
// machine multiplies pairs faster: weights are then rounded to it, too. Scores
// and sums are of f32.
#include "AttentionRegion.h"
#include "ScheduledRegion.h"
#include "TileBuilder.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Kernels/Family.h"
#include <limits>

using namespace mlir;
using namespace tenon;
using namespace tenon::kernel;

/// Keys whose scores are in a block: with 64 queries 16 KiB of f32.
static constexpr int64_t keyBlock = 64;

/// Up to this many queries cost less than transposing the keys.
static constexpr int64_t fewQueries = 3;

/// By how much an exponent may be larger than its row's base.
static constexpr float farFromBase = 8;

/// Is the size dimension the last one stored?
static bool isContiguous(ArrayRef<int64_t> layout) { return layout[3] == 3; }

namespace {

/// Builds the body; holds what its parts share.
struct AttentionBody {
  TileBuilder &t;
  AttentionOp op;
  int64_t lanes, queryBlock;
  Multiplication scoring;  ///< of queries with keys
  Multiplication weighing; ///< of weights with values
  AttentionHeads query, key, value, output;
  Value mask; // or null
  Value scores, packedQueries, keys, values, sums;
  Value weights; ///< what is multiplied by values: in bf16, or the scores
  Value bases;   ///< of each row, what its weights are relative to
  Value totals;  ///< of each row, the sum of its weights, a part in each lane
  int64_t head, paddedHead; // E, and E rounded up to groups
  int64_t valueSize;        // that of values
  int64_t paddedValue;      // that, rounded up to panels
  /// Scores times this are exponents of 2; none where a mask is added to them,
  /// whose lowest number times anything would be infinite.
  std::optional<float> unit;

  void build(Value begin, Value end);

private:
  void multiply(FlatMatrix lhs, FlatMatrix rhs, FlatMatrix acc, Value rows,
                Value depth, int64_t columns, TileBuilder::Sum sum,
                Multiplication how = {});
  void scorePairs(FlatMatrix q, FlatMatrix k, Value rows, Value count);
  void weighPairs(FlatMatrix v, Value rows, Value count);
  Value roundWeight(Value weight);
  void scoreFewQueries(FlatMatrix q, FlatMatrix k, Value rows, Value count);
  Value maskLanes(Value batch, Value headIndex, Value row, Value first);
  Value maskRow(Value batch, Value headIndex, Value row, Value queryRow,
                Value firstKey, Value visible);
  Value largestOfRow(Value row);
  void chooseBase(Value row, Value rowLargest);
  void weighRow(Value row);
  void softmax(Value batch, Value headIndex, Value firstRow, Value rows,
               Value firstKey, Value endKey);
  Value scoreAt(Value row, int64_t key) {
    return t.add(t.mul(row, t.index(keyBlock)), t.index(key));
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

/// Sums of values by weight, from panels in which those of pairs of keys lie
/// together.
void AttentionBody::weighPairs(FlatMatrix v, Value rows, Value count) {
  Value zero = t.index(0), one = t.index(1);
  FlatMatrix lhs{weights, zero, t.index(keyBlock), one};
  Value pairs = t.ceilDiv(count, weighing.group);
  for (int64_t first = 0; first < valueSize; first += panelColumns) {
    FlatMatrix from{v.buffer, t.add(v.offset, t.index(first)), v.row, one};
    FlatMatrix panel{values, t.index(first * keyBlock),
                     t.index(panelColumns * weighing.group), one};
    int64_t columns = std::min(valueSize - first, panelColumns);
    t.packGroups(from, panel, count, t.index(columns), weighing.group, lanes);
    multiply(lhs, panel, {sums, t.index(first), t.index(paddedValue), one},
             rows, pairs, panelColumns, TileBuilder::Sum::Add, weighing);
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

/// The mask of `lanes` keys from `first` on; a size of one is read for all.
Value AttentionBody::maskLanes(Value batch, Value headIndex, Value row,
                               Value first) {
  auto type = cast<MemRefType>(mask.getType());
  Value flat = t.flatten(mask);
  if (type.getRank() == 0)
    return t.broadcast(t.load(flat, Value()), lanes);
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
  auto perKey = [&] {
    return t.loadLanes(flat, offset, first, sizes.back(), t.index(1),
                       /*contiguous=*/true, lanes);
  };
  auto forAll = [&] { return t.broadcast(t.load(flat, offset), lanes); };
  int64_t last = type.getShape().back();
  if (last == 1)
    return forAll();
  if (!ShapedType::isDynamic(last))
    return perKey();
  Value single = t.equal(sizes.back(), t.index(1));
  auto choice = scf::IfOp::create(
      t.b, t.loc, single,
      [&](OpBuilder &, Location) {
        scf::YieldOp::create(t.b, t.loc, forAll());
      },
      [&](OpBuilder &, Location) {
        scf::YieldOp::create(t.b, t.loc, perKey());
      });
  return choice.getResult(0);
}

/// Masks the scores of one row and one block of keys. Returns the largest, lane
/// by lane.
Value AttentionBody::maskRow(Value batch, Value headIndex, Value row,
                             Value queryRow, Value firstKey, Value visible) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  float infinity = std::numeric_limits<float>::infinity();
  Value lowest = t.splat(b.getF32FloatAttr(-infinity), lanes);
  auto maskType = VectorType::get(lanes, b.getI1Type());
  Value rowLargest;
  for (int64_t j = 0; j < keyBlock; j += lanes) {
    Value first = t.add(firstKey, t.index(j));
    Value at = scoreAt(row, j);
    Value score = t.loadVector(scores, at, lanes);
    if (!unit)
      score = arith::MulFOp::create(b, loc, score,
                                    t.splat(op.getScaleAttr(), lanes));
    Value keep = vector::CreateMaskOp::create(
        b, loc, maskType, ValueRange(t.max(t.sub(visible, first), t.index(0))));
    if (mask) {
      Value bias = maskLanes(batch, headIndex, queryRow, first);
      if (cast<MemRefType>(mask.getType()).getElementType().isInteger(1))
        keep = arith::AndIOp::create(b, loc, keep, bias);
      else
        score = arith::AddFOp::create(b, loc, score,
                                      t.convert(bias, b.getF32Type()));
    }
    score = arith::SelectOp::create(b, loc, keep, score, lowest);
    t.store(score, scores, at);
    rowLargest = rowLargest ? t.larger(rowLargest, score) : score;
  }
  return rowLargest;
}

/// The largest scores of a row of which all are visible, lane by lane.
Value AttentionBody::largestOfRow(Value row) {
  Value rowLargest;
  for (int64_t j = 0; j < keyBlock; j += lanes) {
    Value score = t.loadVector(scores, scoreAt(row, j), lanes);
    rowLargest = rowLargest ? t.larger(rowLargest, score) : score;
  }
  return rowLargest;
}

/// Chooses what a row's weights are relative to, and rescales what was summed
/// relative to another.
void AttentionBody::chooseBase(Value row, Value rowLargest) {
  using Predicate = arith::CmpFPredicate;
  OpBuilder &b = t.b;
  Location loc = t.loc;
  // A NaN is lost here but not where the base is subtracted from it.
  Value candidate = t.largestLane(rowLargest);
  if (unit)
    candidate = arith::MulFOp::create(b, loc, candidate, scalar(*unit));
  // The base need not be the largest score, only so near that no weight
  // overflows: sums are rescaled far less often, and branches foreseen.
  Value before = t.load(bases, row);
  Value grows = arith::CmpFOp::create(
      b, loc, Predicate::OGT, candidate,
      arith::AddFOp::create(b, loc, before, scalar(farFromBase)));
  Value now = arith::SelectOp::create(b, loc, grows, candidate, before);
  t.store(now, bases, row);
  // Nothing was summed relative to the first base, which is minus infinity.
  Value isOld =
      arith::CmpFOp::create(b, loc, Predicate::UNE, before,
                            scalar(-std::numeric_limits<float>::infinity()));
  t.when(arith::AndIOp::create(b, loc, grows, isOld), [&] {
    Value shift =
        t.broadcast(arith::SubFOp::create(b, loc, before, now), lanes);
    Value rescale = unit ? Value(math::Exp2Op::create(b, loc, shift))
                         : Value(math::ExpOp::create(b, loc, shift));
    auto shrink = [&](Value buffer, Value at) {
      Value old = t.loadVector(buffer, at, lanes);
      t.store(arith::MulFOp::create(b, loc, old, rescale), buffer, at);
    };
    t.forEach(t.index(0), t.index(paddedValue), lanes, [&](Value column) {
      shrink(sums, t.add(t.mul(row, t.index(paddedValue)), column));
    });
    shrink(totals, t.mul(row, t.index(lanes)));
  });
}

/// To bf16, what lies in the middle upwards. Weights are not negative.
Value AttentionBody::roundWeight(Value weight) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  auto typed = [&](Type element) { return VectorType::get(lanes, element); };
  Value bits = vector::BitCastOp::create(b, loc, typed(b.getI32Type()), weight);
  bits = arith::AddIOp::create(b, loc, bits,
                               t.splat(b.getI32IntegerAttr(0x8000), lanes));
  bits = arith::ShRUIOp::create(b, loc, bits,
                                t.splat(b.getI32IntegerAttr(16), lanes));
  bits = arith::TruncIOp::create(b, loc, typed(b.getI16Type()), bits);
  return vector::BitCastOp::create(b, loc, typed(b.getBF16Type()), bits);
}

/// Turns the scores of a row into weights relative to its base, and adds them
/// to its total.
void AttentionBody::weighRow(Value row) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  Value base = t.load(bases, row);
  // Nothing visible yet: exp(-inf - 0) is 0 where exp(-inf + inf) is NaN.
  Value none =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, base,
                            scalar(-std::numeric_limits<float>::infinity()));
  base =
      t.broadcast(arith::SelectOp::create(b, loc, none, scalar(0),
                                          arith::NegFOp::create(b, loc, base)),
                  lanes);
  Value totalRow = t.mul(row, t.index(lanes));
  Value total = t.loadVector(totals, totalRow, lanes);
  for (int64_t j = 0; j < keyBlock; j += lanes) {
    Value at = scoreAt(row, j);
    Value score = t.loadVector(scores, at, lanes), weight;
    if (unit)
      weight = math::Exp2Op::create(
          b, loc,
          vector::FMAOp::create(
              b, loc, score, t.splat(b.getF32FloatAttr(*unit), lanes), base));
    else
      weight = math::ExpOp::create(b, loc,
                                   arith::AddFOp::create(b, loc, score, base));
    t.store(weighing.dot ? roundWeight(weight) : weight, weights, at);
    total = arith::AddFOp::create(b, loc, total, weight);
  }
  t.store(total, totals, totalRow);
}

/// Turns the scores of a block of keys into weights. Two loops, since what is
/// largest in a row is known late: weights of many rows are computed at once.
void AttentionBody::softmax(Value batch, Value headIndex, Value firstRow,
                            Value rows, Value firstKey, Value endKey) {
  Value past = t.add(t.sub(key.sizes[2], query.sizes[2]), t.index(1));
  t.forEach(t.index(0), rows, 1, [&](Value row) {
    Value queryRow = t.add(firstRow, row);
    Value visible = endKey;
    if (op.getCausal())
      visible = t.min(endKey, t.add(queryRow, past));
    auto masked = [&] {
      return maskRow(batch, headIndex, row, queryRow, firstKey, visible);
    };
    if (mask || !unit)
      return chooseBase(row, masked());
    Value isWhole =
        arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::sle,
                              t.add(firstKey, t.index(keyBlock)), visible);
    auto largest = scf::IfOp::create(
        t.b, t.loc, isWhole,
        [&](OpBuilder &, Location) {
          scf::YieldOp::create(t.b, t.loc, largestOfRow(row));
        },
        [&](OpBuilder &, Location) {
          scf::YieldOp::create(t.b, t.loc, masked());
        });
    chooseBase(row, largest.getResult(0));
  });
  t.forEach(t.index(0), rows, 1, [&](Value row) { weighRow(row); });
}

void AttentionBody::build(Value begin, Value end) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  Value zero = t.index(0), one = t.index(1);
  Value queries = query.sizes[2], keyCount = key.sizes[2];
  Value group = t.div(query.sizes[1], key.sizes[1]);
  Value blocks = t.ceilDiv(queries, queryBlock);
  Value lowest = scalar(-std::numeric_limits<float>::infinity());
  Value none = scalar(0);
  Value scoreStride = t.index(keyBlock), sumStride = t.index(paddedValue);
  Type stored = getElementTypeOrSelf(op.getOutput().getType());
  // Row i sees the keys below i + past.
  Value past = t.add(t.sub(keyCount, queries), one);

  t.forEach(begin, end, 1, [&](Value tile) {
    SmallVector<Value> at =
        t.delinearize(tile, {query.sizes[0], query.sizes[1], blocks});
    Value batch = at[0], headIndex = at[1];
    Value firstRow = t.mul(at[2], t.index(queryBlock));
    Value rows = t.min(t.sub(queries, firstRow), t.index(queryBlock));
    Value kvHead = t.div(headIndex, group);
    FlatMatrix q = query.at(t, batch, headIndex, firstRow);
    if (packedQueries) {
      FlatMatrix from = q;
      q = {packedQueries, zero, t.index(paddedHead), one};
      t.pack(from, q, rows, t.index(head), t.index(paddedHead),
             isContiguous(op.getQueryLayout()), lanes);
    }
    t.forEach(zero, rows, 1, [&](Value row) { t.store(lowest, bases, row); });
    t.fillZero(totals, zero, t.mul(rows, t.index(lanes)), lanes);
    t.fillZero(sums, zero, t.mul(rows, sumStride), lanes);
    Value endKey = keyCount;
    if (op.getCausal())
      endKey =
          t.max(zero, t.min(keyCount,
                            t.add(t.add(firstRow, t.sub(rows, one)), past)));
    t.forEach(zero, endKey, keyBlock, [&](Value firstKey) {
      Value count = t.min(t.sub(endKey, firstKey), t.index(keyBlock));
      FlatMatrix k = key.at(t, batch, kvHead, firstKey);
      FlatMatrix scoreMatrix{scores, zero, scoreStride, one};
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
      if (head % (lanes * scoring.group) == 0 &&
          (packedQueries || isContiguous(op.getQueryLayout())) &&
          isContiguous(op.getKeyLayout())) {
        Value few = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle,
                                          rows, t.index(fewQueries));
        scf::IfOp::create(
            b, loc, few,
            [&](OpBuilder &, Location) {
              scoreFewQueries(q, k, rows, count);
              scf::YieldOp::create(b, loc);
            },
            [&](OpBuilder &, Location) {
              fromPacked();
              scf::YieldOp::create(b, loc);
            });
      } else {
        fromPacked();
      }
      softmax(batch, headIndex, firstRow, rows, firstKey, endKey);
      FlatMatrix v = value.at(t, batch, kvHead, firstKey);
      if (weighing.dot) {
        weighPairs(v, rows, count);
      } else if (!values) {
        multiply(scoreMatrix, v, {sums, zero, sumStride, one}, rows, count,
                 paddedValue, TileBuilder::Sum::Add);
      } else {
        FlatMatrix packedValues{values, zero, sumStride, one};
        t.pack(v, packedValues, count, t.index(valueSize), sumStride,
               isContiguous(op.getValueLayout()), lanes);
        multiply(scoreMatrix, packedValues, {sums, zero, sumStride, one}, rows,
                 count, paddedValue, TileBuilder::Sum::Add);
      }
    });
    FlatMatrix out = output.at(t, batch, headIndex, firstRow);
    t.forEach(zero, rows, 1, [&](Value row) {
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
      Value target = t.add(out.offset, t.mul(row, out.row));
      Value source = t.mul(row, sumStride);
      if (valueSize % lanes == 0 && isContiguous(op.getOutputLayout())) {
        t.forEach(zero, t.index(valueSize), lanes, [&](Value column) {
          Value sum = t.loadVector(sums, t.add(source, column), lanes);
          Value mean =
              arith::MulFOp::create(b, loc, sum, t.broadcast(inverse, lanes));
          t.store(t.convert(mean, stored), out.buffer, t.add(target, column));
        });
        return;
      }
      t.forEach(zero, t.index(valueSize), 1, [&](Value column) {
        Value sum = t.load(sums, t.add(source, column));
        Value mean = arith::MulFOp::create(b, loc, sum, inverse);
        t.store(t.convert(mean, stored), out.buffer,
                t.add(target, t.mul(column, out.column)));
      });
    });
  });
}

/// Pairs of bf16 where that is faster, and where those of keys lie next to each
/// other.
static Multiplication chooseScoring(AttentionOp op, const TargetFacts &facts) {
  auto isBf16 = [](Value value) {
    return getElementTypeOrSelf(value.getType()).isBF16();
  };
  if (facts.bf16Gflops > facts.f32Gflops && isBf16(op.getQuery()) &&
      isBf16(op.getKey()) && isContiguous(op.getKeyLayout()))
    return {2, DotKind::BF16};
  return {};
}

/// The same where weights may be rounded.
static Multiplication chooseWeighing(AttentionOp op, Multiplication scoring) {
  bool isBf16 = getElementTypeOrSelf(op.getValue().getType()).isBF16();
  return op.getRoundWeights() && isBf16 && isContiguous(op.getValueLayout())
             ? scoring
             : Multiplication();
}

/// See AttentionBody::unit. Its sign must not change which score is largest.
static std::optional<float> chooseUnit(AttentionOp op) {
  double scale = op.getScale().convertToDouble();
  bool isAdded = op.getMask() &&
                 !getElementTypeOrSelf(op.getMask().getType()).isInteger(1);
  if (isAdded || scale <= 0)
    return std::nullopt;
  return scale * 1.4426950408889634; // log2(e)
}

static LogicalResult scheduleAttention(RegionOp region,
                                       const TargetFacts &facts,
                                       RewriterBase &rewriter) {
  AttentionOp op = findAttention(region);
  if (failed(checkAttention(region, op)))
    return failure();
  int64_t lanes = facts.vectorBytes / 4;
  int64_t queryBlock = 8 * TileBuilder::tileRows(lanes);
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
  Value gridSize = outside.mul(
      outside.mul(resultSizes[outputLayout[0]], resultSizes[outputLayout[1]]),
      outside.ceilDiv(resultSizes[outputLayout[2]], queryBlock));
  auto schedule = ScheduleAttr::get(region.getContext(), "attention",
                                    {queryBlock, keyBlock}, lanes);
  ScheduledRegion scheduled =
      createScheduledRegion(rewriter, region, gridSize, schedule);
  Value output = scheduled.output(0);
  auto buffer = [&](Value argument) {
    return scheduled.argument(cast<BlockArgument>(argument));
  };

  TileBuilder t{rewriter, loc};
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
  int64_t valueSize = cast<RankedTensorType>(op.getValue().getType())
                          .getDimSize(op.getValueLayout()[3]);
  int64_t padded = llvm::alignTo(valueSize, panelColumns);
  Multiplication scoring = chooseScoring(op, facts);
  Multiplication weighing = chooseWeighing(op, scoring);
  int64_t paddedHead = llvm::alignTo(head, scoring.group);
  Type queryType = getElementTypeOrSelf(op.getQuery().getType());
  Type scoredType = scoring.dot ? queryType : rewriter.getF32Type();
  Type weighedType =
      weighing.dot ? Type(rewriter.getBF16Type()) : rewriter.getF32Type();
  // Rows of queries are read for each block of keys.
  bool packs = scoring.dot
                   ? paddedHead != head || !isContiguous(op.getQueryLayout())
                   : !queryType.isF32();
  bool direct =
      !weighing.dot && padded == valueSize && isContiguous(op.getValueLayout());
  Value scores = scratch(queryBlock * keyBlock);
  AttentionBody body{
      t,
      op,
      lanes,
      queryBlock,
      scoring,
      weighing,
      readHeads(t, buffer(op.getQuery()), op.getQueryLayout()),
      readHeads(t, buffer(op.getKey()), op.getKeyLayout()),
      readHeads(t, buffer(op.getValue()), op.getValueLayout()),
      readHeads(t, output, outputLayout),
      op.getMask() ? buffer(op.getMask()) : Value(),
      scores,
      packs ? scratchOf(scoredType, queryBlock * paddedHead) : Value(),
      scratchOf(scoredType, paddedHead * keyBlock),
      direct ? Value() : scratchOf(weighedType, keyBlock * padded),
      scratch(queryBlock * padded),
      weighing.dot ? scratchOf(weighedType, queryBlock * keyBlock) : scores,
      scratch(queryBlock),
      scratch(queryBlock * lanes),
      head,
      paddedHead,
      valueSize,
      padded,
      chooseUnit(op)};
  body.build(scheduled.begin, scheduled.end);
  YieldOp::create(rewriter, loc, ValueRange());
  rewriter.replaceOp(region, scheduled.op);
  return success();
}

KernelFamily tenon::attentionFamily() {
  return {"attention",
          [](RegionOp region) { return findAttention(region) != nullptr; },
          scheduleAttention};
}
