// The family that takes whatever is one linalg.generic: loops over its result,
// in vectors where every operand is contiguous or constant along a row.
#include "LoopNest.h"
#include "ScheduledRegion.h"
#include "ThreadBlock.h"
#include "TileBuilder.h"
#include "VectorBody.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/Remarks.h"
#include "tenon/Kernels/Family.h"

using namespace mlir;
using namespace tenon::kernel;

namespace tenon {
namespace {

/// Elements of a one-dimensional result that make a tile of the grid.
constexpr int64_t tileElements = 4096;

bool matchesLoops(RegionOp region) { return getLoopNest(region).has_value(); }

class LoopsBuilder {
public:
  LoopsBuilder(RegionOp first, LoopNest nest, ScheduledRegion region,
               OpBuilder &builder, int64_t lanes)
      : nest(nest), region(region), t{builder, region.op.getLoc()},
        lanes(lanes), output(region.output(0)) {
    // Here they dominate every use, whatever the loops and branches between.
    for (auto op : first.getBody().getOps<arith::ConstantOp>())
      constants.map(op.getResult(), t.b.clone(*op)->getResult(0));
  }

  void build() {
    collectLoops();
    if (parallel.empty()) {
      t.forEach(region.begin, region.end, 1, [&](Value) { buildElement(); });
    } else if (parallel.size() == 1) {
      // One long row is cut into tiles.
      unsigned dim = parallel.front();
      t.forEach(region.begin, region.end, 1, [&](Value tile) {
        Value first = t.mul(tile, t.index(tileElements));
        Value last = t.min(t.add(first, t.index(tileElements)), sizes[dim]);
        buildRow(dim, first, last);
      });
    } else {
      SmallVector<Value> outer;
      for (unsigned dim : ArrayRef(parallel).drop_back())
        outer.push_back(sizes[dim]);
      t.forEach(region.begin, region.end, 1, [&](Value row) {
        for (auto [dim, value] : llvm::zip(ArrayRef(parallel).drop_back(),
                                           t.delinearize(row, outer)))
          coordinates[dim] = value;
        buildRow(parallel.back(), t.index(0), sizes[parallel.back()]);
      });
    }
  }

  /// The same, one element of the result for each thread of a block.
  void buildPerThread() {
    collectLoops();
    SmallVector<Value> space;
    for (unsigned dim : parallel)
      space.push_back(sizes[dim]);
    Value count = t.product(space);
    Value thread = ThreadBlock{t}.thread();
    t.forEach(region.begin, region.end, 1, [&](Value tile) {
      Value element = t.add(t.mul(tile, t.index(blockThreads)), thread);
      Value exists = arith::CmpIOp::create(
          t.b, t.loc, arith::CmpIPredicate::slt, element, count);
      t.when(exists, [&] {
        for (auto [dim, value] :
             llvm::zip(parallel, t.delinearize(element, space)))
          coordinates[dim] = value;
        buildElement();
      });
    });
  }

private:
  void collectLoops() {
    for (auto [dim, kind] : llvm::enumerate(nest.main.getIteratorTypesArray()))
      (kind == utils::IteratorType::parallel ? parallel : reduced)
          .push_back(dim);
    for (unsigned dim = 0; dim < nest.main.getNumLoops(); ++dim)
      sizes.push_back(sizeOf(dim));
    coordinates.assign(sizes.size(), t.index(0));
  }

  Value bufferOf(Value operand) { return region.argument(getInput(operand)); }

  /// The number of iterations of a loop: a size of an operand that it walks.
  Value sizeOf(unsigned dim) {
    for (OpOperand &operand : nest.main->getOpOperands()) {
      AffineMap map = nest.main.getMatchingIndexingMap(&operand);
      for (auto [position, expr] : llvm::enumerate(map.getResults()))
        if (expr == getAffineDimExpr(dim, map.getContext())) {
          int64_t known = cast<RankedTensorType>(operand.get().getType())
                              .getDimSize(position);
          if (!ShapedType::isDynamic(known))
            return t.index(known);
          bool isInput = nest.main.isDpsInput(&operand);
          return t.size(isInput ? bufferOf(operand.get()) : output, position);
        }
    }
    llvm_unreachable("linalg verifies that every loop has an operand");
  }

  /// Where an operand's element lies for the current coordinates.
  SmallVector<Value> access(AffineMap map) {
    SmallVector<Value> position;
    for (AffineExpr expr : map.getResults())
      position.push_back(evaluate(expr));
    return position;
  }

  /// The same in the input that the operand is, or is a part of.
  SmallVector<Value> access(AffineMap map, Value operand) {
    SmallVector<Value> position = access(map);
    for (auto [at, start] : llvm::zip(position, getStarts(operand)))
      at = t.add(at, t.index(start));
    return position;
  }

  Value evaluate(AffineExpr expr) {
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      return coordinates[dim.getPosition()];
    if (auto constant = dyn_cast<AffineConstantExpr>(expr))
      return t.index(constant.getValue());
    auto binary = cast<AffineBinaryOpExpr>(expr);
    Value lhs = evaluate(binary.getLHS()), rhs = evaluate(binary.getRHS());
    return expr.getKind() == AffineExprKind::Add ? t.add(lhs, rhs)
                                                 : t.mul(lhs, rhs);
  }

  void buildRow(unsigned dim, Value first, Value last) {
    if (StringRef obstacle = findObstacle(dim); !obstacle.empty()) {
      auto id = region.op->getAttrOfType<StringAttr>("tenon.id");
      remark::missed(region.op.getLoc(),
                     remark::RemarkOpts::name("NotVectorized")
                         .category("schedule")
                         .function(id ? id.getValue() : ""))
          << remark::metric("Region", region.op.getName()) << obstacle;
    } else {
      Value whole = t.sub(last, t.rem(t.sub(last, first), t.index(lanes)));
      t.forEach(first, whole, lanes, [&](Value at) {
        coordinates[dim] = at;
        buildVector(dim);
      });
      first = whole;
    }
    t.forEach(first, last, 1, [&](Value at) {
      coordinates[dim] = at;
      buildElement();
    });
  }

  /// Why rows along `dim` are not computed in vectors; empty if they are.
  StringRef findObstacle(unsigned dim) {
    StringRef obstacle = findVectorObstacle(nest.main, dim);
    if (!obstacle.empty())
      return obstacle;
    if (!outputMap().getResults().back().isFunctionOfDim(dim))
      return "the result is not contiguous along a row";
    // What follows a reduction has a loop for each dimension of the result.
    return nest.post
               ? findVectorObstacle(nest.post, outputMap().getNumResults() - 1)
               : "";
  }

  AffineMap outputMap() {
    return nest.main.getMatchingIndexingMap(nest.main.getDpsInitOperand(0));
  }

  void buildVector(unsigned dim) {
    Value result;
    if (reduced.empty()) {
      result = buildVectorBody(nest.main, dim, nullptr);
    } else {
      Value initial = t.broadcast(around(nest.initial), lanes);
      result = buildReduction(0, initial, [&](Value accumulator) {
        return buildVectorBody(nest.main, dim, accumulator);
      });
      if (nest.post) {
        // Its loops are the dimensions of the result.
        SmallVector<Value> position = access(outputMap());
        std::swap(coordinates, position);
        result =
            buildVectorBody(nest.post, outputMap().getNumResults() - 1, result);
        std::swap(coordinates, position);
      }
    }
    vector::StoreOp::create(t.b, t.loc, result, output, access(outputMap()));
  }

  /// As buildBody, for elements that follow each other along `dim`.
  Value buildVectorBody(linalg::GenericOp generic, unsigned dim,
                        Value accumulator) {
    SmallVector<Value> inputs;
    for (OpOperand *operand : generic.getDpsInputOperands()) {
      if (isSizes(operand, generic)) {
        inputs.push_back(Value());
        continue;
      }
      if (!getInput(operand->get())) {
        inputs.push_back(accumulator);
        continue;
      }
      AffineMap map = generic.getMatchingIndexingMap(operand);
      Value buffer = bufferOf(operand->get());
      auto type = VectorType::get(
          {lanes}, getElementTypeOrSelf(operand->get().getType()));
      bool walks = map.getNumResults() != 0 &&
                   map.getResults().back().isFunctionOfDim(dim);
      SmallVector<Value> at = access(map, operand->get());
      if (walks)
        inputs.push_back(vector::LoadOp::create(t.b, t.loc, type, buffer, at));
      else
        inputs.push_back(
            t.broadcast(memref::LoadOp::create(t.b, t.loc, buffer, at), lanes));
    }
    if (accumulator && generic == nest.main)
      inputs.push_back(accumulator);
    // findObstacle lets a body see its arguments, constants and coordinates.
    auto coordinate = [&](Value value) -> Value {
      return coordinates[value.getDefiningOp<linalg::IndexOp>().getDim()];
    };
    return cloneOnVectors(t, generic, inputs, coordinate, lanes);
  }

  void buildElement() {
    Value value;
    if (reduced.empty()) {
      value = buildBody(nest.main, nullptr);
    } else {
      value = buildReduction(0, around(nest.initial), [&](Value accumulator) {
        return buildBody(nest.main, accumulator);
      });
      if (nest.post) {
        // Its loops are the dimensions of the result.
        SmallVector<Value> position = access(outputMap());
        std::swap(coordinates, position);
        value = buildBody(nest.post, value);
        std::swap(coordinates, position);
      }
    }
    memref::StoreOp::create(t.b, t.loc, value, output, access(outputMap()));
  }

  /// What stands for a value from around a generic's body.
  Value around(Value value) {
    if (auto argument = dyn_cast<BlockArgument>(value))
      return region.argument(argument);
    return constants.lookup(value);
  }

  /// Loops over the reduced dimensions from `depth` on; returns the result.
  Value buildReduction(size_t depth, Value accumulator,
                       function_ref<Value(Value)> combine) {
    if (depth == reduced.size())
      return combine(accumulator);
    Value first = t.index(0);
    if (depth + 1 == reduced.size() && !isa<VectorType>(accumulator.getType()))
      first = reduceVectors(reduced[depth], accumulator);
    auto loop = scf::ForOp::create(t.b, t.loc, first, sizes[reduced[depth]],
                                   t.index(1), accumulator);
    OpBuilder::InsertionGuard guard(t.b);
    t.b.setInsertionPointToStart(loop.getBody());
    coordinates[reduced[depth]] = loop.getInductionVar();
    Value next = buildReduction(depth + 1, loop.getRegionIterArg(0), combine);
    scf::YieldOp::create(t.b, t.loc, next);
    return loop.getResult(0);
  }

  /// Combines the elements along `dim` in vectors, as far as these are whole,
  /// with the accumulator; returns the first that is left. Only of what may be
  /// combined in another order without rounding otherwise.
  Value reduceVectors(unsigned dim, Value &accumulator) {
    std::optional<vector::CombiningKind> kind = findCombination(nest.main);
    if (lanes == 1 || !kind || !findVectorObstacle(nest.main, dim).empty())
      return t.index(0);
    // Several sums at once, since each waits for the one before.
    constexpr int64_t chains = 4;
    auto multiple = [&](int64_t of) {
      return t.sub(sizes[dim], t.rem(sizes[dim], t.index(of)));
    };
    Value wide = multiple(chains * lanes), whole = multiple(lanes);
    auto walk = [&](Value from, Value to, ValueRange initial) {
      int64_t step = lanes * static_cast<int64_t>(initial.size());
      auto loop =
          scf::ForOp::create(t.b, t.loc, from, to, t.index(step), initial);
      OpBuilder::InsertionGuard guard(t.b);
      t.b.setInsertionPointToStart(loop.getBody());
      SmallVector<Value> next;
      for (auto [i, total] : llvm::enumerate(loop.getRegionIterArgs())) {
        coordinates[dim] =
            t.add(loop.getInductionVar(), t.index(int64_t(i) * lanes));
        next.push_back(buildVectorBody(nest.main, dim, total));
      }
      scf::YieldOp::create(t.b, t.loc, next);
      return loop.getResults();
    };
    SmallVector<Value> none(chains, t.broadcast(around(nest.initial), lanes));
    ValueRange totals = walk(t.index(0), wide, none);
    Value total = totals.front();
    for (Value other : totals.drop_front())
      total = vector::makeArithReduction(t.b, t.loc, *kind, total, other);
    total = walk(wide, whole, total).front();
    accumulator =
        vector::ReductionOp::create(t.b, t.loc, *kind, total, accumulator);
    return whole;
  }

  /// One evaluation of a generic's body. `accumulator` stands for the result so
  /// far in a reduction, and for the reduction's result in what follows it.
  Value buildBody(linalg::GenericOp generic, Value accumulator) {
    IRMapping mapping;
    for (OpOperand *operand : generic.getDpsInputOperands()) {
      BlockArgument argument = generic.getMatchingBlockArgument(operand);
      if (isSizes(operand, generic))
        continue;
      if (!getInput(operand->get())) {
        mapping.map(argument, accumulator);
        continue;
      }
      mapping.map(argument, memref::LoadOp::create(
                                t.b, t.loc, bufferOf(operand->get()),
                                access(generic.getMatchingIndexingMap(operand),
                                       operand->get())));
    }
    if (accumulator && generic == nest.main)
      mapping.map(generic.getRegionOutputArgs()[0], accumulator);
    cloneBlock(*generic.getBody(), mapping);
    auto yield = cast<linalg::YieldOp>(generic.getBody()->getTerminator());
    return lookup(yield.getValues()[0], mapping);
  }

  Value lookup(Value value, IRMapping &mapping) {
    if (Value known = mapping.lookupOrNull(value))
      return known;
    Value made = around(value);
    mapping.map(value, made);
    return made;
  }

  /// Clones a body's ops; what reads tensors reads memrefs instead.
  void cloneBlock(Block &block, IRMapping &mapping) {
    for (Operation &op : block) {
      if (isa<linalg::YieldOp>(op))
        return;
      auto values = [&](ValueRange range) {
        SmallVector<Value> result;
        for (Value value : range)
          result.push_back(lookup(value, mapping));
        return result;
      };
      if (auto index = dyn_cast<linalg::IndexOp>(op)) {
        mapping.map(index.getResult(), coordinates[index.getDim()]);
      } else if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
        mapping.map(extract.getResult(),
                    memref::LoadOp::create(t.b, t.loc,
                                           bufferOf(extract.getTensor()),
                                           values(extract.getIndices())));
      } else if (auto check = dyn_cast<CheckIndexOp>(op)) {
        mapping.map(check.getResult(),
                    t.checkIndex(lookup(check.getPosition(), mapping),
                                 lookup(check.getSize(), mapping),
                                 bufferOf(check.getError())));
      } else if (auto dim = dyn_cast<tensor::DimOp>(op)) {
        mapping.map(dim.getResult(),
                    memref::DimOp::create(t.b, t.loc, bufferOf(dim.getSource()),
                                          lookup(dim.getIndex(), mapping)));
      } else {
        values(op.getOperands());
        Operation *clone = op.cloneWithoutRegions(mapping);
        t.b.insert(clone);
        for (auto [from, to] :
             llvm::zip(op.getRegions(), clone->getRegions())) {
          if (from.empty())
            continue;
          OpBuilder::InsertionGuard guard(t.b);
          SmallVector<Location> locs(from.getNumArguments(), t.loc);
          Block *body =
              t.b.createBlock(&to, to.end(), from.getArgumentTypes(), locs);
          mapping.map(from.getArguments(), body->getArguments());
          cloneBlock(from.front(), mapping);
        }
        mapping.map(op.getResults(), clone->getResults());
      }
    }
  }

  LoopNest nest;
  ScheduledRegion region;
  TileBuilder t;
  int64_t lanes;
  Value output;
  IRMapping constants;                     ///< of the first form's body
  SmallVector<unsigned> parallel, reduced; ///< loops by kind, outermost first
  SmallVector<Value> sizes, coordinates;   ///< of every loop
};

/// Result elements are independent: the grid is all rows but the innermost, or
/// tiles of the only dimension.
Value buildGrid(OpBuilder &builder, RegionOp region, LoopNest nest) {
  TileBuilder t{builder, region.getLoc()};
  SmallVector<Value> resultSizes = getResultSizes(builder, region, 0);
  AffineMap map =
      nest.main.getMatchingIndexingMap(nest.main.getDpsInitOperand(0));
  SmallVector<std::pair<unsigned, Value>> walked;
  for (auto [expr, size] : llvm::zip(map.getResults(), resultSizes))
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      walked.emplace_back(dim.getPosition(), size);
  llvm::sort(walked, llvm::less_first());
  if (walked.empty())
    return t.index(1);
  if (walked.size() == 1)
    return t.ceilDiv(walked.front().second, tileElements);
  SmallVector<Value> outer;
  for (auto &[dim, size] : ArrayRef(walked).drop_back())
    outer.push_back(size);
  return t.product(outer);
}

LogicalResult scheduleLoops(RegionOp region, const TargetFacts &facts,
                            RewriterBase &rewriter) {
  LoopNest nest = *getLoopNest(region);
  rewriter.setInsertionPoint(region);
  int64_t lanes = facts.lanes(4);
  auto schedule = ScheduleAttr::get(region.getContext(), "loops",
                                    ArrayRef<int64_t>{tileElements}, lanes);
  Value grid = buildGrid(rewriter, region, nest);
  ScheduledRegion scheduled =
      createScheduledRegion(rewriter, region, grid, schedule);
  LoopsBuilder(region, nest, scheduled, rewriter, lanes).build();
  YieldOp::create(rewriter, region.getLoc(), ValueRange());
  rewriter.replaceOp(region, scheduled.op);
  return success();
}

LogicalResult scheduleThreadLoops(RegionOp region, const TargetFacts &,
                                  RewriterBase &rewriter) {
  LoopNest nest = *getLoopNest(region);
  rewriter.setInsertionPoint(region);
  TileBuilder t{rewriter, region.getLoc()};
  Value grid =
      t.ceilDiv(t.product(getResultSizes(rewriter, region, 0)), blockThreads);
  auto schedule =
      ScheduleAttr::get(region.getContext(), "thread-loops",
                        ArrayRef<int64_t>{blockThreads}, blockThreads);
  ScheduledRegion scheduled =
      createScheduledRegion(rewriter, region, grid, schedule);
  LoopsBuilder(region, nest, scheduled, rewriter, /*lanes=*/1).buildPerThread();
  YieldOp::create(rewriter, region.getLoc(), ValueRange());
  rewriter.replaceOp(region, scheduled.op);
  return success();
}

} // namespace

KernelFamily loopsFamily() { return {"loops", matchesLoops, scheduleLoops}; }

KernelFamily threadLoopsFamily() {
  return {"thread-loops", matchesLoops, scheduleThreadLoops};
}

} // namespace tenon
