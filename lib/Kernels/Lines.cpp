// The family of kernel.lines: what computes a line of the result writes it in
// place, and lines are shared out, on the CPU many side by side where they can.
#include "ScheduledRegion.h"
#include "ThreadBlock.h"
#include "TileBuilder.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "tenon/Kernels/Family.h"

using namespace mlir;
using namespace tenon::kernel;

namespace tenon {
namespace {

/// The anchor of a region that is one kernel.lines; else null.
LinesOp getLines(RegionOp region) {
  if (region->getNumResults() != 1)
    return nullptr;
  LinesOp lines;
  Block &body = region.getBody().front();
  for (Operation &op : body.without_terminator()) {
    if (auto found = dyn_cast<LinesOp>(op)) {
      if (lines)
        return nullptr;
      lines = found;
    } else if (!isa<tensor::EmptyOp, arith::ConstantOp>(op)) {
      return nullptr;
    }
  }
  if (!lines || body.getTerminator()->getOperand(0) != lines.getOutput())
    return nullptr;
  WalkResult walk = lines.getBody().walk([](Operation *op) {
    bool isLoop = isa<scf::ForOp>(op);
    return op->getNumRegions() != 0 && !isLoop ? WalkResult::interrupt()
                                               : WalkResult::advance();
  });
  return walk.wasInterrupted() ? nullptr : lines;
}

/// Lines side by side that go forward together.
constexpr int64_t linesAbreast = 512;

/// Can lines that lie side by side, along the last dimension, go through each
/// loop together? Each keeps its order where loops carry nothing but the line
/// and nothing around them depends on which of the lines it is.
bool areAbreast(LinesOp lines) {
  Block &body = lines.getBody().front();
  int64_t others = body.getNumArguments() - 1;
  if (lines.getAxis() == others)
    return false;
  BlockArgument which = body.getArgument(others - 1);
  return llvm::all_of(body.without_terminator(), [&](Operation &op) {
    if (llvm::is_contained(op.getOperands(), which))
      return false;
    auto loop = dyn_cast<scf::ForOp>(op);
    return loop ? llvm::equal(loop.getResultTypes(),
                              body.back().getOperandTypes())
                : !isa<tensor::ExtractOp, tensor::InsertOp>(op);
  });
}

bool matchesLines(RegionOp region) { return getLines(region) != nullptr; }

class LinesBuilder {
public:
  LinesBuilder(RegionOp first, ScheduledRegion region, OpBuilder &builder)
      : lines(getLines(first)), region(region), t{builder, region.op.getLoc()},
        output(region.output(0)) {
    for (BlockArgument argument : first.getBody().getArguments())
      mapping.map(argument, region.argument(argument));
    for (auto op : first.getBody().getOps<arith::ConstantOp>())
      t.b.clone(*op, mapping);
    outer = t.sizes(output);
    outer.erase(outer.begin() + lines.getAxis());
  }

  void build() {
    t.forEach(region.begin, region.end, 1, [&](Value tile) {
      areAbreast(lines) ? buildAbreast(tile) : buildLine(tile);
    });
  }

  /// The same, one line for each thread of a block.
  void buildPerThread() {
    Value count = t.product(outer), thread = ThreadBlock{t}.thread();
    t.forEach(region.begin, region.end, 1, [&](Value tile) {
      Value line = t.add(t.mul(tile, t.index(blockThreads)), thread);
      Value exists = arith::CmpIOp::create(
          t.b, t.loc, arith::CmpIPredicate::slt, line, count);
      t.when(exists, [&] { buildLine(line); });
    });
  }

private:
  void buildLine(Value line) {
    startAt(t.delinearize(line, outer));
    cloneBlock(lines.getBody().front());
  }

  void buildAbreast(Value tile) {
    SmallVector<Value> tiles = outer;
    tiles.back() = t.ceilDiv(outer.back(), linesAbreast);
    SmallVector<Value> coordinates = t.delinearize(tile, tiles);
    startAt(coordinates); // the last one is read in loops only
    Value first = t.mul(coordinates.back(), t.index(linesAbreast));
    Value end = t.min(t.add(first, t.index(linesAbreast)), outer.back());
    for (Operation &op : lines.getBody().front().without_terminator()) {
      auto loop = dyn_cast<scf::ForOp>(op);
      if (!loop) {
        t.b.clone(op, mapping);
        continue;
      }
      auto made = scf::ForOp::create(
          t.b, t.loc, mapping.lookup(loop.getLowerBound()),
          mapping.lookup(loop.getUpperBound()), mapping.lookup(loop.getStep()));
      mapping.map(loop.getInductionVar(), made.getInductionVar());
      OpBuilder::InsertionGuard guard(t.b);
      t.b.setInsertionPointToStart(made.getBody());
      t.forEach(first, end, 1, [&](Value line) {
        coordinates.back() = line;
        startAt(coordinates);
        cloneBlock(*loop.getBody());
      });
    }
  }

  /// Goes on with the line that has these coordinates.
  void startAt(SmallVector<Value> coordinates) {
    mapping.map(lines.getBody().getArguments().drop_back(), coordinates);
    place = coordinates;
    place.insert(place.begin() + lines.getAxis(), Value());
  }

  /// Where an element of the line lies in the result.
  SmallVector<Value> at(Value position) {
    place[lines.getAxis()] = position;
    return place;
  }

  /// Clones a body's ops; what reads and writes tensors does so in memory, and
  /// loops do not carry the line.
  void cloneBlock(Block &block) {
    for (Operation &op : block.without_terminator()) {
      if (auto insert = dyn_cast<tensor::InsertOp>(op)) {
        memref::StoreOp::create(
            t.b, t.loc, mapping.lookup(insert.getScalar()), output,
            at(mapping.lookup(insert.getIndices().front())));
      } else if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
        SmallVector<Value> position;
        for (Value index : extract.getIndices())
          position.push_back(mapping.lookup(index));
        Value source = mapping.lookupOrNull(extract.getTensor());
        if (!source) {
          source = output;
          position = at(position.front());
        }
        mapping.map(extract.getResult(),
                    memref::LoadOp::create(t.b, t.loc, source, position));
      } else if (auto check = dyn_cast<CheckIndexOp>(op)) {
        mapping.map(check.getIndex(),
                    t.checkIndex(mapping.lookup(check.getPosition()),
                                 mapping.lookup(check.getSize()),
                                 mapping.lookup(check.getError())));
      } else if (auto loop = dyn_cast<scf::ForOp>(op)) {
        cloneLoop(loop);
      } else {
        t.b.clone(op, mapping);
      }
    }
  }

  void cloneLoop(scf::ForOp loop) {
    auto isCarried = [](Value value) {
      return !isa<RankedTensorType>(value.getType());
    };
    auto carried = [&](ValueRange range) {
      return llvm::filter_to_vector(range, isCarried);
    };
    auto mapped = [&](ArrayRef<Value> values) {
      return llvm::map_to_vector(
          values, [&](Value value) { return mapping.lookup(value); });
    };
    auto made = scf::ForOp::create(
        t.b, t.loc, mapping.lookup(loop.getLowerBound()),
        mapping.lookup(loop.getUpperBound()), mapping.lookup(loop.getStep()),
        mapped(carried(loop.getInits())));
    mapping.map(loop.getInductionVar(), made.getInductionVar());
    mapping.map(carried(ValueRange(loop.getRegionIterArgs())),
                made.getRegionIterArgs());
    mapping.map(carried(loop.getResults()), made.getResults());
    OpBuilder::InsertionGuard guard(t.b);
    t.b.setInsertionPointToStart(made.getBody());
    cloneBlock(*loop.getBody());
    // Without carried values the loop was made with its terminator.
    if (!made.getResults().empty())
      scf::YieldOp::create(t.b, t.loc,
                           mapped(carried(loop.getYieldedValues())));
  }

  LinesOp lines;
  ScheduledRegion region;
  TileBuilder t;
  Value output;
  IRMapping mapping;        ///< of all but the line
  SmallVector<Value> outer; ///< sizes of all dimensions but the axis
  SmallVector<Value> place; ///< coordinates of the line; at the axis, anything
};

/// The sizes of all dimensions but the axis, as values before the region.
SmallVector<Value> getOuterSizes(OpBuilder &builder, RegionOp region) {
  SmallVector<Value> outer = getResultSizes(builder, region, 0);
  outer.erase(outer.begin() + getLines(region).getAxis());
  return outer;
}

LogicalResult scheduleLines(RegionOp region, const TargetFacts &,
                            RewriterBase &rewriter) {
  rewriter.setInsertionPoint(region);
  TileBuilder t{rewriter, region.getLoc()};
  SmallVector<Value> outer = getOuterSizes(rewriter, region);
  bool abreast = areAbreast(getLines(region));
  if (abreast)
    outer.back() = t.ceilDiv(outer.back(), linesAbreast);
  Value grid = t.product(outer);
  auto schedule = ScheduleAttr::get(
      region.getContext(), "lines",
      ArrayRef<int64_t>{abreast ? linesAbreast : 1}, /*vector=*/1);
  ScheduledRegion scheduled =
      createScheduledRegion(rewriter, region, grid, schedule);
  LinesBuilder(region, scheduled, rewriter).build();
  YieldOp::create(rewriter, region.getLoc(), ValueRange());
  rewriter.replaceOp(region, scheduled.op);
  return success();
}

LogicalResult scheduleThreadLines(RegionOp region, const TargetFacts &,
                                  RewriterBase &rewriter) {
  rewriter.setInsertionPoint(region);
  TileBuilder t{rewriter, region.getLoc()};
  Value grid =
      t.ceilDiv(t.product(getOuterSizes(rewriter, region)), blockThreads);
  auto schedule =
      ScheduleAttr::get(region.getContext(), "thread-lines",
                        ArrayRef<int64_t>{blockThreads}, blockThreads);
  ScheduledRegion scheduled =
      createScheduledRegion(rewriter, region, grid, schedule);
  LinesBuilder(region, scheduled, rewriter).buildPerThread();
  YieldOp::create(rewriter, region.getLoc(), ValueRange());
  rewriter.replaceOp(region, scheduled.op);
  return success();
}

} // namespace

KernelFamily linesFamily() { return {"lines", matchesLines, scheduleLines}; }

KernelFamily threadLinesFamily() {
  return {"thread-lines", matchesLines, scheduleThreadLines};
}

} // namespace tenon
