// Schedules kernel.attention for GPUs: a warp for each query, with an online
// softmax over 32 keys at a time: a lane scores one key, and sums columns of
// the values.
#include "AttentionRegion.h"
#include "ScheduledRegion.h"
#include "ThreadBlock.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/PatternMatch.h"
#include <limits>

using namespace mlir;
using namespace tenon;
using namespace tenon::kernel;

namespace {

/// Where a warp stands: its query, and the heads that belong to it.
struct Place {
  Value batch, head, queryRow;
  FlatMatrix query, keys, values, output;
};

/// Builds the body for one warp; holds what its parts share.
struct WarpAttention {
  TileBuilder &t;
  ThreadBlock threads;
  AttentionOp op;
  Value lane;
  Value mask; // or null
  Value headSize, valueSize;
  int64_t columns; ///< of the values that a lane sums

  /// Of `keyCount` keys the row sees those from `first` to below `visible`.
  void build(Place place, Value keyCount, Value first, Value visible);

private:
  Value dot(Place place, Value key);
  Value maskAt(Place place, Value key);
  SmallVector<Value> step(Place place, Value visible, Value firstKey,
                          ValueRange before);
  Value valueAt(Place place, Value key, int64_t number);
  Value column(int64_t number) {
    return t.add(lane, t.index(number * warpThreads));
  }
  Value scalar(double value) {
    return arith::ConstantOp::create(t.b, t.loc, t.b.getF32FloatAttr(value));
  }
  Value add(Value lhs, Value rhs) {
    return arith::AddFOp::create(t.b, t.loc, lhs, rhs);
  }
  Value mul(Value lhs, Value rhs) {
    return arith::MulFOp::create(t.b, t.loc, lhs, rhs);
  }
  Value expOfDifference(Value lhs, Value rhs) {
    return math::ExpOp::create(t.b, t.loc,
                               arith::SubFOp::create(t.b, t.loc, lhs, rhs));
  }
  Value less(Value lhs, Value rhs) {
    return arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::slt, lhs,
                                 rhs);
  }
};

} // namespace

/// The scalar product of the warp's query and the lane's key.
Value WarpAttention::dot(Place place, Value key) {
  FlatMatrix q = place.query, k = place.keys;
  Value keyOffset = t.add(k.offset, t.mul(key, k.row));
  auto loop = scf::ForOp::create(t.b, t.loc, t.index(0), headSize, t.index(1),
                                 scalar(0));
  OpBuilder::InsertionGuard guard(t.b);
  t.b.setInsertionPointToStart(loop.getBody());
  Value at = loop.getInductionVar();
  Value x = t.load(q.buffer, t.add(q.offset, t.mul(at, q.column)));
  Value y = t.load(k.buffer, t.add(keyOffset, t.mul(at, k.column)));
  scf::YieldOp::create(
      t.b, t.loc,
      math::FmaOp::create(t.b, t.loc, x, y, loop.getRegionIterArg(0))
          .getResult());
  return loop.getResult(0);
}

/// The mask's element for a key; a dimension of size one holds for all.
Value WarpAttention::maskAt(Place place, Value key) {
  SmallVector<Value> position, sizes = t.sizes(mask);
  Value coordinates[] = {place.batch, place.head, place.queryRow, key};
  for (auto [dim, size] : llvm::enumerate(sizes))
    position.push_back(t.b.createOrFold<arith::SelectOp>(
        t.loc, t.equal(size, t.index(1)), t.index(0),
        coordinates[4 - sizes.size() + dim]));
  return memref::LoadOp::create(t.b, t.loc, mask, position);
}

/// The lane's `number`th column of a value, or 0 behind the last.
Value WarpAttention::valueAt(Place place, Value key, int64_t number) {
  FlatMatrix v = place.values;
  Value offset = t.add(
      v.offset, t.add(t.mul(key, v.row), t.mul(column(number), v.column)));
  return threads.loadIf(less(column(number), valueSize), v.buffer, offset);
}

/// Takes in the keys from `firstKey` on: the largest score, the sum of weights,
/// and sums of the lane's columns.
SmallVector<Value> WarpAttention::step(Place place, Value visible,
                                       Value firstKey, ValueRange before) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  Value lowest = scalar(-std::numeric_limits<float>::infinity());
  Value key = t.add(firstKey, lane);
  Value keep = less(key, visible);
  key = arith::SelectOp::create(b, loc, keep, key, firstKey);
  Value scale = arith::ConstantOp::create(b, loc, op.getScaleAttr());
  Value score = mul(dot(place, key), scale);
  if (op.getSoftcap()) {
    Value cap = scalar(op.getSoftcap()->convertToDouble());
    score = arith::DivFOp::create(b, loc, score, cap);
    score = mul(math::TanhOp::create(b, loc, score), cap);
  }
  if (mask) {
    Value bias = maskAt(place, key);
    if (bias.getType().isInteger(1))
      keep = arith::AndIOp::create(b, loc, keep, bias);
    else
      score = add(score, bias);
  }
  score = arith::SelectOp::create(b, loc, keep, score, lowest);
  Value now = t.larger(before[0], threads.largest(score));
  // Nothing visible yet: exp(-inf - 0) is 0 where exp(-inf + inf) is NaN.
  Value none =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, now, lowest);
  Value base = arith::SelectOp::create(b, loc, none, scalar(0), now);
  Value rescale = expOfDifference(before[0], base);
  Value weight = expOfDifference(score, base);
  Value total = add(mul(before[1], rescale), threads.sum(weight));
  SmallVector<Value> sums;
  for (Value sum : before.drop_front(2))
    sums.push_back(mul(sum, rescale));
  Value count = t.min(t.sub(visible, firstKey), t.index(warpThreads));
  auto loop = scf::ForOp::create(b, loc, t.index(0), count, t.index(1), sums);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value at = loop.getInductionVar();
    Value share = threads.fromLane(weight, at);
    SmallVector<Value> next;
    for (auto [number, sum] : llvm::enumerate(loop.getRegionIterArgs()))
      next.push_back(math::FmaOp::create(
          b, loc, share, valueAt(place, t.add(firstKey, at), number), sum));
    scf::YieldOp::create(b, loc, next);
  }
  SmallVector<Value> after{now, total};
  llvm::append_range(after, loop.getResults());
  return after;
}

void WarpAttention::build(Place place, Value keyCount, Value first,
                          Value visible) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  SmallVector<Value> initial(2 + columns, scalar(0));
  initial[0] = scalar(-std::numeric_limits<float>::infinity());
  auto loop =
      scf::ForOp::create(b, loc, first, visible, t.index(warpThreads), initial);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(
        b, loc,
        step(place, visible, loop.getInductionVar(), loop.getRegionIterArgs()));
  }
  Value total = loop.getResult(1);
  Value inverse = arith::DivFOp::create(b, loc, scalar(1), total);
  Value empty = t.equal(keyCount, t.index(0));
  if (op.getZeroIfMasked())
    empty = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, total,
                                  scalar(0));
  inverse = arith::SelectOp::create(b, loc, empty, scalar(0), inverse);
  for (int64_t number = 0; number < columns; ++number) {
    Value value = mul(loop.getResult(2 + number), inverse);
    t.when(less(column(number), valueSize), [&] {
      t.store(value, place.output.buffer,
              t.add(place.output.offset,
                    t.mul(column(number), place.output.column)));
    });
  }
}

static LogicalResult scheduleWarpAttention(RegionOp region, const TargetFacts &,
                                           RewriterBase &rewriter) {
  AttentionOp op = findAttention(region);
  if (failed(checkAttention(region, op)))
    return failure();
  if (op.getStarts())
    return op.emitOpError("of a cache has no kernel for GPUs");
  if (op.getParameters())
    return op.emitOpError("of bytes has no kernel for GPUs");
  Location loc = region.getLoc();
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(region);
  TileBuilder t{rewriter, loc};
  SmallVector<Value> resultSizes = getResultSizes(rewriter, region, 0);
  ArrayRef<int64_t> layout = op.getOutputLayout();
  Value grid =
      t.ceilDiv(t.mul(t.mul(resultSizes[layout[0]], resultSizes[layout[1]]),
                      resultSizes[layout[2]]),
                blockWarps);
  auto schedule = ScheduleAttr::get(region.getContext(), "warp-attention",
                                    {blockWarps, warpThreads}, warpThreads);
  ScheduledRegion scheduled =
      createScheduledRegion(rewriter, region, grid, schedule);
  auto heads = [&](Value operand, ArrayRef<int64_t> layout) {
    return readHeads(t, scheduled.argument(getInput(operand)), layout, operand);
  };
  AttentionHeads query = heads(op.getQuery(), op.getQueryLayout());
  AttentionHeads key = heads(op.getKey(), op.getKeyLayout());
  AttentionHeads value = heads(op.getValue(), op.getValueLayout());
  AttentionHeads output = readHeads(t, scheduled.output(0), layout);
  Value mask = op.getMask()
                   ? scheduled.argument(cast<BlockArgument>(op.getMask()))
                   : Value();
  int64_t valueSize = cast<RankedTensorType>(op.getValue().getType())
                          .getDimSize(op.getValueLayout()[3]);
  ThreadBlock threads{t};
  Value warp = threads.warp();
  WarpAttention body{t,
                     threads,
                     op,
                     threads.lane(),
                     mask,
                     query.sizes[3],
                     value.sizes[3],
                     int64_t(llvm::divideCeil(valueSize, warpThreads))};
  Value queries = query.sizes[2], keys = key.sizes[2];
  Value rows = t.mul(t.mul(query.sizes[0], query.sizes[1]), queries);
  Value group = t.div(query.sizes[1], key.sizes[1]);
  t.forEach(scheduled.begin, scheduled.end, 1, [&](Value tile) {
    Value row = t.add(t.mul(tile, t.index(blockWarps)), warp);
    // The same for all lanes of a warp, so they stay together.
    Value exists = arith::CmpIOp::create(rewriter, loc,
                                         arith::CmpIPredicate::slt, row, rows);
    t.when(exists, [&] {
      SmallVector<Value> at =
          t.delinearize(row, {query.sizes[0], query.sizes[1], queries});
      Value shared = t.div(at[1], group), zero = t.index(0);
      Value first = zero, visible = keys;
      // Row i sees the keys up to i + keys - queries, in a window the last of
      // these.
      Value end = t.add(t.add(at[2], t.index(1)), t.sub(keys, queries));
      if (op.getCausal())
        visible = t.max(zero, t.min(keys, end));
      if (op.getWindow())
        first = t.max(zero, t.sub(end, t.index(int64_t(*op.getWindow()))));
      body.build({at[0], at[1], at[2], query.at(t, at[0], at[1], at[2]),
                  key.at(t, at[0], shared, zero),
                  value.at(t, at[0], shared, zero),
                  output.at(t, at[0], at[1], at[2])},
                 keys, first, visible);
    });
  });
  YieldOp::create(rewriter, loc, ValueRange());
  rewriter.replaceOp(region, scheduled.op);
  return success();
}

KernelFamily tenon::warpAttentionFamily() {
  return {"warp-attention",
          [](RegionOp region) { return findAttention(region) != nullptr; },
          scheduleWarpAttention};
}
