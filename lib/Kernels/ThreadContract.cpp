// Schedules kernel.contract of any element type for GPUs: a thread makes one
// element of the result. Plain, for what tensor cores do not multiply.
#include "ContractRegion.h"
#include "ScheduledRegion.h"
#include "ThreadBlock.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::kernel;

/// The product's element at `coordinates` of the result.
static Value buildProduct(TileBuilder &t, ContractOp op, Value lhs, Value rhs,
                          Type element, ArrayRef<Value> coordinates) {
  ArrayRef<Value> batch = coordinates.drop_back(2);
  Value row = coordinates[coordinates.size() - 2], column = coordinates.back();
  int64_t rank = cast<MemRefType>(lhs.getType()).getRank();
  Value depth = t.size(lhs, rank - (op.getTransposeLhs() ? 2 : 1));
  FlatMatrix left = matrixOf(t, lhs, op.getTransposeLhs(), batch);
  Value leftRow = t.add(left.offset, t.mul(row, left.row));
  FlatMatrix right{t.flatten(rhs), Value(), Value(), Value()};
  if (!op.getPacked())
    right = matrixOf(t, rhs, op.getTransposeRhs(), batch);
  auto rightOffset = [&](Value k) {
    if (!op.getPacked())
      return t.add(right.offset,
                   t.add(t.mul(k, right.row), t.mul(column, right.column)));
    Value width = t.index(panelColumns), group = t.index(groupOf(op));
    Value line =
        t.add(t.mul(t.div(column, width), t.size(rhs, 1)), t.div(k, group));
    Value place = t.add(t.mul(line, width), t.rem(column, width));
    return t.add(t.mul(place, group), t.rem(k, group));
  };
  auto widen = [&](Value value, bool isUnsigned) -> Value {
    if (!multipliesBytes(op))
      return t.convert(value, element);
    if (isUnsigned)
      return arith::ExtUIOp::create(t.b, t.loc, element, value);
    return arith::ExtSIOp::create(t.b, t.loc, element, value);
  };
  Value zero = arith::ConstantOp::create(t.b, t.loc, t.b.getZeroAttr(element));
  auto loop =
      scf::ForOp::create(t.b, t.loc, t.index(0), depth, t.index(1), zero);
  OpBuilder::InsertionGuard guard(t.b);
  t.b.setInsertionPointToStart(loop.getBody());
  Value k = loop.getInductionVar(), sum = loop.getRegionIterArg(0);
  Value x =
      widen(t.load(left.buffer, t.add(leftRow, t.mul(k, left.column))), true);
  Value y = widen(t.load(right.buffer, rightOffset(k)), false);
  if (isa<FloatType>(element))
    sum = arith::AddFOp::create(t.b, t.loc, sum,
                                arith::MulFOp::create(t.b, t.loc, x, y));
  else
    sum = arith::AddIOp::create(t.b, t.loc, sum,
                                arith::MulIOp::create(t.b, t.loc, x, y));
  scf::YieldOp::create(t.b, t.loc, sum);
  return loop.getResult(0);
}

static LogicalResult scheduleThreadContract(RegionOp region,
                                            const TargetFacts &,
                                            RewriterBase &rewriter) {
  FailureOr<Contraction> contraction = analyzeContraction(region);
  if (failed(contraction))
    return failure();
  ContractOp op = contraction->op;
  if (op.getScale())
    return op.emitOpError("multiplies by weights that are quantized in blocks, "
                          "which no kernel for GPUs does");
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(region);
  TileBuilder t{rewriter, region.getLoc()};
  Value grid =
      t.ceilDiv(t.product(getResultSizes(rewriter, region, 0)), blockThreads);
  auto schedule = ScheduleAttr::get(region.getContext(), "thread-contract",
                                    {blockThreads}, blockThreads);
  ScheduledRegion scheduled =
      createScheduledRegion(rewriter, region, grid, schedule);
  auto buffer = [&](Value argument) {
    return scheduled.argument(cast<BlockArgument>(argument));
  };
  Value output = scheduled.output(0);
  SmallVector<Value> sizes = t.sizes(output);
  Value count = t.product(sizes), thread = ThreadBlock{t}.thread();
  Type element =
      cast<RankedTensorType>(op.getOutput().getType()).getElementType();
  t.forEach(scheduled.begin, scheduled.end, 1, [&](Value tile) {
    Value number = t.add(t.mul(tile, t.index(blockThreads)), thread);
    Value exists = arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::slt,
                                         number, count);
    t.when(exists, [&] {
      SmallVector<Value> coordinates = t.delinearize(number, sizes);
      Value value = buildProduct(t, op, buffer(op.getLhs()),
                                 buffer(op.getRhs()), element, coordinates);
      value = buildEpilogue(t, *contraction, buffer, value, coordinates);
      memref::StoreOp::create(t.b, t.loc, value, output, coordinates);
    });
  });
  YieldOp::create(rewriter, region.getLoc(), ValueRange());
  rewriter.replaceOp(region, scheduled.op);
  return success();
}

KernelFamily tenon::threadContractFamily() {
  return {"thread-contract",
          [](RegionOp region) { return findContract(region) != nullptr; },
          scheduleThreadContract};
}
