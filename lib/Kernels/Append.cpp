// Schedules kernel.append: rows of what is new are copied to their places in a
// cache, whose memory the region has as its result's, and become bytes with a
// scale on the way where the cache is of i8.
#include "AttentionRegion.h"
#include "ScheduledRegion.h"
#include "TileBuilder.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Kernels/Family.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::kernel;

static AppendOp findAppend(RegionOp region) {
  auto found = region.getBody().front().getOps<AppendOp>();
  return found.empty() ? nullptr : *found.begin();
}

static LogicalResult checkAppend(RegionOp region, AppendOp op) {
  if (std::next(op->getIterator()) !=
          region.getBody().front().getTerminator()->getIterator() ||
      region.getBody().front().getTerminator()->getOperand(0) !=
          op.getOutput() ||
      !getInput(op.getInput()) ||
      !llvm::all_of(op->getOperands().drop_front(),
                    llvm::IsaPred<BlockArgument>))
    return region.emitOpError("must hold a kernel.append of its inputs alone");
  unsigned cache = cast<BlockArgument>(op.getCache()).getArgNumber();
  if (region.getUpdates() != ArrayRef<int64_t>{int64_t(cache)})
    return region.emitOpError("must update its input ")
           << cache << ", the cache of its kernel.append";
  int64_t size = cast<RankedTensorType>(op.getCache().getType()).getDimSize(3);
  if (ShapedType::isDynamic(size))
    return op.emitOpError("needs a static size of heads, but found ")
           << op.getCache().getType();
  return success();
}

/// Runs `write` where the place is in the cache; else notes it in `error`.
static void checkPlace(TileBuilder &t, Value slot, Value slots, Value position,
                       Value capacity, Value error,
                       function_ref<void()> write) {
  auto isInside = [&](Value place, Value size) -> Value {
    return arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::ult, place,
                                 size);
  };
  auto note = [&](Value place, Value size) {
    Value found[] = {place, t.add(size, t.index(1))};
    for (auto [number, value] : llvm::enumerate(found))
      memref::StoreOp::create(
          t.b, t.loc,
          arith::IndexCastOp::create(t.b, t.loc, t.b.getI64Type(), value),
          error, t.index(int64_t(number)));
  };
  t.choose(
      isInside(slot, slots),
      [&] {
        t.choose(isInside(position, capacity), write,
                 [&] { note(position, capacity); });
      },
      [&] { note(slot, slots); });
}

/// `size` elements as bytes, and behind them what these are multiples of. A row
/// with a NaN has that as its scale. `step` elements are loaded at once.
static void quantizeRow(TileBuilder &t, FlatMatrix from, FlatMatrix to,
                        int64_t size, int64_t step) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  Type f32 = b.getF32Type();
  auto constant = [&](double value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
  };
  auto load = [&](Value column) {
    Value source = t.add(from.offset, t.mul(column, from.column));
    return t.convert(step > 1 ? t.loadVector(from.buffer, source, step)
                              : t.load(from.buffer, source),
                     f32);
  };
  auto largest = scf::ForOp::create(
      b, loc, t.index(0), t.index(size), t.index(step),
      ValueRange(step > 1 ? t.zeros(f32, step) : constant(0)),
      [&](OpBuilder &, Location, Value column, ValueRange sofar) {
        Value magnitude = math::AbsFOp::create(b, loc, load(column));
        Value next =
            arith::MaximumFOp::create(b, loc, sofar.front(), magnitude);
        scf::YieldOp::create(b, loc, next);
      });
  Value amax = largest.getResult(0);
  if (step > 1)
    amax = vector::ReductionOp::create(b, loc, vector::CombiningKind::MAXIMUMF,
                                       amax);
  Value isLarge = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, amax,
                                        constant(0x1p-100));
  Value factor = arith::SelectOp::create(
      b, loc, isLarge, arith::DivFOp::create(b, loc, constant(127), amax),
      constant(0));
  t.forEach(t.index(0), t.index(size), step, [&](Value column) {
    Value value = load(column);
    auto typed = [&](Type element) -> Type {
      return step > 1 ? VectorType::get(step, element) : element;
    };
    value = arith::MulFOp::create(
        b, loc, value, step > 1 ? t.broadcast(factor, step) : factor);
    value = math::RoundEvenOp::create(b, loc, value);
    value = arith::FPToSIOp::create(b, loc, typed(b.getI32Type()), value);
    value = arith::TruncIOp::create(b, loc, typed(b.getI8Type()), value);
    t.store(value, to.buffer, t.add(to.offset, column));
  });
  Value scale = arith::DivFOp::create(b, loc, amax, constant(127));
  t.store(vector::BitCastOp::create(b, loc, VectorType::get(4, b.getI8Type()),
                                    t.broadcast(scale, 1)),
          to.buffer, t.add(to.offset, t.index(size)));
}

static LogicalResult scheduleAppend(RegionOp region, const TargetFacts &facts,
                                    RewriterBase &rewriter) {
  AppendOp op = findAppend(region);
  if (failed(checkAppend(region, op)))
    return failure();
  Location loc = region.getLoc();
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(region);
  TileBuilder t{rewriter, loc};
  // A tile is a position of a row of the batch: all of its heads.
  auto sizeOf = [&](Value index) {
    unsigned number = cast<BlockArgument>(index).getArgNumber();
    return region.getIndices()[number - region.getInputs().size()];
  };
  Value grid = t.mul(sizeOf(op.getBatch()), sizeOf(op.getSequence()));
  int64_t lanes = facts.vectorBytes / 4;
  auto schedule = ScheduleAttr::get(region.getContext(), "append", {1}, lanes);
  ScheduledRegion scheduled =
      createScheduledRegion(rewriter, region, grid, schedule);
  auto argument = [&](Value value) {
    return scheduled.argument(cast<BlockArgument>(value));
  };
  AttentionHeads input = readHeads(t, argument(getInput(op.getInput())),
                                   op.getLayout(), op.getInput());
  AttentionHeads cache = readHeads(t, scheduled.output(0), {0, 1, 2, 3});
  Type given = getElementTypeOrSelf(op.getInput().getType());
  auto cacheType = cast<RankedTensorType>(op.getCache().getType());
  Type stored = cacheType.getElementType();
  int64_t size = graph::AppendOp::getHeadSize(cacheType);
  bool hasVectors = op.getLayout()[3] == 3 && size % lanes == 0;
  int64_t step = hasVectors ? lanes : 1;
  auto toIndex = [&](Value places, Value row) -> Value {
    Value place = memref::LoadOp::create(rewriter, loc, places, row);
    return arith::IndexCastOp::create(rewriter, loc, rewriter.getIndexType(),
                                      place);
  };
  t.forEach(scheduled.begin, scheduled.end, 1, [&](Value tile) {
    SmallVector<Value> at =
        t.delinearize(tile, {input.sizes[0], input.sizes[2]});
    Value slot =
        op.getSlots() ? toIndex(argument(op.getSlots()), at[0]) : at[0];
    Value position = t.add(toIndex(argument(op.getStarts()), at[0]), at[1]);
    checkPlace(
        t, slot, cache.sizes[0], position, cache.sizes[2],
        argument(op.getError()), [&] {
          t.forEach(t.index(0), input.sizes[1], 1, [&](Value head) {
            FlatMatrix from = input.at(t, at[0], head, at[1]);
            FlatMatrix to = cache.at(t, slot, head, position);
            if (stored.isInteger(8))
              return quantizeRow(t, from, to, size, step);
            t.forEach(t.index(0), t.index(size), step, [&](Value column) {
              Value source = t.add(from.offset, t.mul(column, from.column));
              Value value = hasVectors
                                ? t.loadVector(from.buffer, source, lanes)
                                : t.load(from.buffer, source);
              if (given != stored)
                value =
                    t.convert(t.convert(value, rewriter.getF32Type()), stored);
              t.store(value, to.buffer, t.add(to.offset, column));
            });
          });
        });
  });
  YieldOp::create(rewriter, loc, ValueRange());
  rewriter.replaceOp(region, scheduled.op);
  return success();
}

KernelFamily tenon::appendFamily() {
  return {"append",
          [](RegionOp region) { return findAppend(region) != nullptr; },
          scheduleAppend};
}
