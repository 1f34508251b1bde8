// Schedules softmax and norms for GPUs: a warp for each row of the last
// dimension, which it reads a few times from the nearest cache.
#include "RowRegion.h"
#include "ScheduledRegion.h"
#include "ThreadBlock.h"
#include "VectorBody.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/PatternMatch.h"
#include <limits>

using namespace mlir;
using namespace tenon;
using namespace tenon::kernel;

namespace {

/// One row, shared by the lanes of a warp.
struct WarpRow {
  TileBuilder &t;
  ThreadBlock threads;
  Value lane, offset, size;
  linalg::GenericOp epilogue; ///< or null
  ArrayRef<Value> scalars;    ///< its operands; null for what it follows

  using Step = function_ref<Value(Value at, Value total)>;

  /// Folds `step` over the elements that are this lane's.
  Value fold(Value initial, Step step) {
    auto loop = scf::ForOp::create(t.b, t.loc, lane, size, t.index(warpThreads),
                                   initial);
    OpBuilder::InsertionGuard guard(t.b);
    t.b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(
        t.b, t.loc, step(loop.getInductionVar(), loop.getRegionIterArg(0)));
    return loop.getResult(0);
  }
  Value load(Value flat, Value at) { return t.load(flat, t.add(offset, at)); }
  /// Stores what the epilogue makes of the anchor's result.
  void finish(Value value, Value flat, Value at) {
    if (epilogue) {
      SmallVector<Value> inputs;
      for (Value scalar : scalars)
        inputs.push_back(scalar ? scalar : value);
      value = cloneOnScalars(t, epilogue, inputs, nullptr);
    }
    t.store(value, flat, t.add(offset, at));
  }
  Value constant(double value) {
    return arith::ConstantOp::create(t.b, t.loc, t.b.getF32FloatAttr(value));
  }
  Value add(Value lhs, Value rhs) {
    return arith::AddFOp::create(t.b, t.loc, lhs, rhs);
  }
  Value sub(Value lhs, Value rhs) {
    return arith::SubFOp::create(t.b, t.loc, lhs, rhs);
  }
  Value mul(Value lhs, Value rhs) {
    return arith::MulFOp::create(t.b, t.loc, lhs, rhs);
  }
  Value div(Value lhs, Value rhs) {
    return arith::DivFOp::create(t.b, t.loc, lhs, rhs);
  }
};

} // namespace

/// exp(x - max(x)) / sum(exp(x - max(x)))
static void buildSoftmax(WarpRow r, Value input, Value output) {
  TileBuilder &t = r.t;
  Value lowest = r.constant(-std::numeric_limits<double>::infinity());
  Value largest = r.threads.largest(r.fold(lowest, [&](Value at, Value so) {
    return t.larger(so, r.load(input, at));
  }));
  auto weight = [&](Value at) -> Value {
    return math::ExpOp::create(t.b, t.loc, r.sub(r.load(input, at), largest));
  };
  Value sum = r.threads.sum(r.fold(r.constant(0), [&](Value at, Value so) {
    return r.add(so, weight(at));
  }));
  t.forEach(r.lane, r.size, warpThreads,
            [&](Value at) { r.finish(r.div(weight(at), sum), output, at); });
}

/// (x - mean) / sqrt(mean((x - mean)²) + epsilon) · scale + bias; with rms the
/// mean counts as 0.
static void buildNorm(WarpRow r, NormOp op, Value input, Value scale,
                      Value bias, Value output) {
  TileBuilder &t = r.t;
  Value count = arith::UIToFPOp::create(
      t.b, t.loc, t.b.getF32Type(),
      arith::IndexCastOp::create(t.b, t.loc, t.b.getI64Type(), r.size));
  Value mean = r.constant(0);
  if (!op.getRms())
    mean = r.div(r.threads.sum(r.fold(mean,
                                      [&](Value at, Value so) {
                                        return r.add(so, r.load(input, at));
                                      })),
                 count);
  auto centred = [&](Value at) {
    Value x = r.load(input, at);
    return op.getRms() ? x : r.sub(x, mean);
  };
  // Two passes, as the definition: one pass over squares would cancel.
  Value squares = r.threads.sum(r.fold(r.constant(0), [&](Value at, Value so) {
    Value d = centred(at);
    return math::FmaOp::create(t.b, t.loc, d, d, so).getResult();
  }));
  Value epsilon = arith::ConstantOp::create(t.b, t.loc, op.getEpsilonAttr());
  Value root =
      math::SqrtOp::create(t.b, t.loc, r.add(r.div(squares, count), epsilon));
  Value factor = r.div(r.constant(1), root);
  t.forEach(r.lane, r.size, warpThreads, [&](Value at) {
    Value y = r.mul(centred(at), factor);
    if (scale)
      y = r.mul(y, t.load(scale, at));
    if (bias)
      y = r.add(y, t.load(bias, at));
    r.finish(y, output, at);
  });
}

static LogicalResult scheduleWarpRow(RegionOp region, const TargetFacts &,
                                     RewriterBase &rewriter) {
  Operation *anchor = findRowAnchor(region);
  Location loc = region.getLoc();
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(region);
  TileBuilder t{rewriter, loc};
  SmallVector<Value> sizes = getResultSizes(rewriter, region, 0);
  Value grid = t.ceilDiv(t.product(ArrayRef(sizes).drop_back()), blockWarps);
  auto schedule = ScheduleAttr::get(region.getContext(), "warp-row",
                                    {blockWarps}, warpThreads);
  ScheduledRegion scheduled =
      createScheduledRegion(rewriter, region, grid, schedule);
  auto flat = [&](Value operand) -> Value {
    if (!operand)
      return nullptr;
    return t.flatten(scheduled.argument(cast<BlockArgument>(operand)));
  };
  Value input = flat(anchor->getOperand(0));
  auto norm = dyn_cast<NormOp>(anchor);
  Value scale = norm ? flat(norm.getScale()) : Value();
  Value bias = norm ? flat(norm.getBias()) : Value();
  SmallVector<Value> outputSizes = t.sizes(scheduled.output(0));
  Value output = t.flatten(scheduled.output(0));
  Value rows = t.product(ArrayRef(outputSizes).drop_back());
  linalg::GenericOp epilogue = findRowEpilogue(region);
  SmallVector<Value> scalars;
  if (epilogue)
    scalars = loadScalars(t, epilogue, [&](Value argument) {
      return scheduled.argument(cast<BlockArgument>(argument));
    });
  ThreadBlock threads{t};
  Value warp = threads.warp(), lane = threads.lane();
  t.forEach(scheduled.begin, scheduled.end, 1, [&](Value tile) {
    Value row = t.add(t.mul(tile, t.index(blockWarps)), warp);
    // The same for all lanes of a warp, so they stay together.
    Value exists = arith::CmpIOp::create(rewriter, loc,
                                         arith::CmpIPredicate::slt, row, rows);
    t.when(exists, [&] {
      Value size = outputSizes.back();
      WarpRow r{t, threads, lane, t.mul(row, size), size, epilogue, scalars};
      if (norm)
        buildNorm(r, norm, input, scale, bias, output);
      else
        buildSoftmax(r, input, output);
    });
  });
  YieldOp::create(rewriter, loc, ValueRange());
  rewriter.replaceOp(region, scheduled.op);
  return success();
}

KernelFamily tenon::warpRowFamily() {
  return {"warp-row",
          [](RegionOp region) { return findRowAnchor(region) != nullptr; },
          scheduleWarpRow};
}
