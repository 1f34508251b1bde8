// Schedules kernel.contract with an elementwise epilogue: panels of 32 columns,
// register tiles over them, and the epilogue on rows that are still in L1.
// Floats of 16 bits are widened on their way into registers; sums are of f32.
#include "ContractRegion.h"
#include "ScheduledRegion.h"
#include "TileBuilder.h"
#include "VectorBody.h"
#include "mlir/IR/Matchers.h"
#include "tenon/Kernels/Family.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::kernel;

namespace {

/// Contracted elements whose sum is made at once, at most: the rounding error
/// of one long chain is two to four times that of blocks, which shows in the
/// logits of a model of 30 layers. With 256 it is what onnxruntime's is, whose
/// blocks are as long. Blocks of 128 would halve its square and cost two to
/// four percent, since each block fills the pipelines anew.
constexpr int64_t longestBlock = 256;

/// A sum this short is one block: its error is below that of 768 in blocks.
constexpr int64_t shortSum = 384;

/// Multiply-adds that make a tile of the grid worth a launch's part: about
/// 50 microseconds of one core.
constexpr int64_t tileWork = 3000000;

} // namespace

/// Blocks of equal depth, where it is known.
static int64_t chooseBlockDepth(int64_t depth) {
  if (ShapedType::isDynamic(depth))
    return longestBlock;
  if (depth <= shortSum)
    return std::max<int64_t>(depth, 1);
  return llvm::divideCeil(depth, llvm::divideCeil(depth, longestBlock));
}

namespace {

/// The grid: batches × groups of panels × blocks of rows, rows innermost, so
/// that the panels of a group stay in a core's cache.
struct Grid {
  SmallVector<Value> leading;
  Value rows, columns, panels, groups, blocks, total;
};

} // namespace

/// `collapsed`: leading dimensions count as rows.
static Grid buildGrid(TileBuilder &t, ArrayRef<Value> sizes, bool collapsed,
                      int64_t rowBlock, int64_t panelGroup) {
  Grid grid;
  ArrayRef<Value> leading = sizes.drop_back(2);
  grid.rows = sizes[sizes.size() - 2];
  grid.columns = sizes.back();
  if (collapsed)
    grid.rows = t.mul(t.product(leading), grid.rows);
  else
    grid.leading.assign(leading.begin(), leading.end());
  grid.panels = t.ceilDiv(grid.columns, panelColumns);
  grid.groups = t.ceilDiv(grid.panels, panelGroup);
  grid.blocks = t.ceilDiv(grid.rows, rowBlock);
  grid.total = t.mul(t.product(grid.leading), t.mul(grid.groups, grid.blocks));
  return grid;
}

/// The epilogue on one row of a tile, and the store of its result.
static void finishRow(TileBuilder &t, Contraction contraction,
                      function_ref<Value(Value)> buffer, ArrayRef<Value> sizes,
                      Value output, FlatMatrix acc, Value accRow, Value row,
                      Value column, int64_t lanes) {
  Value columns = sizes.back();
  Value rowOffset = t.mul(row, columns);
  APInt known;
  bool exact = matchPattern(columns, m_ConstantInt(&known)) &&
               known.getSExtValue() % panelColumns == 0;
  SmallVector<Value> coordinates = t.delinearize(row, sizes.drop_back());
  for (int64_t v = 0; v < panelColumns; v += lanes) {
    Value first = t.add(column, t.index(v));
    Value value = t.loadVector(
        acc.buffer, t.add(t.mul(accRow, acc.row), t.index(v)), lanes);
    if (linalg::GenericOp generic = contraction.epilogue) {
      SmallVector<Value> arguments;
      for (OpOperand *input : generic.getDpsInputOperands()) {
        if (input->get() == contraction.op.getOutput()) {
          arguments.push_back(value);
          continue;
        }
        if (TypedAttr scalar = constantScalar(input->get())) {
          arguments.push_back(t.splat(scalar, lanes));
          continue;
        }
        Value memref = buffer(input->get());
        Value flat = t.flatten(memref);
        AffineMap map = generic.getMatchingIndexingMap(input);
        SmallVector<Value> strides = t.strides(t.sizes(memref));
        Value offset = t.index(0), stride;
        bool contiguous = false;
        if (map.isIdentity()) {
          offset = rowOffset;
          stride = t.index(1);
          contiguous = true;
        } else {
          for (auto [i, expr] : llvm::enumerate(map.getResults())) {
            auto dim = dyn_cast<AffineDimExpr>(expr);
            if (!dim) {
              int64_t at = cast<AffineConstantExpr>(expr).getValue();
              offset = t.add(offset, t.mul(t.index(at), strides[i]));
            } else if (dim.getPosition() + 1 == sizes.size()) {
              stride = stride ? t.add(stride, strides[i]) : strides[i];
              contiguous = i + 1 == map.getNumResults() && strides[i] == stride;
            } else {
              offset = t.add(offset,
                             t.mul(coordinates[dim.getPosition()], strides[i]));
            }
          }
        }
        if (!stride)
          arguments.push_back(t.broadcast(t.load(flat, offset), lanes));
        else if (contiguous && exact &&
                 !cast<MemRefType>(flat.getType())
                      .getElementType()
                      .isInteger(1))
          arguments.push_back(t.loadVector(flat, t.add(offset, first), lanes));
        else
          arguments.push_back(t.loadLanes(flat, offset, first, columns, stride,
                                          contiguous, lanes));
      }
      value = cloneOnVectors(t, generic, arguments, buffer, lanes);
    }
    Value position = t.add(rowOffset, first);
    if (exact) {
      t.store(value, output, position);
      continue;
    }
    Value mask = vector::CreateMaskOp::create(
        t.b, t.loc, VectorType::get(lanes, t.b.getI1Type()),
        ValueRange(t.max(t.sub(columns, first), t.index(0))));
    vector::MaskedStoreOp::create(t.b, t.loc, output, ValueRange(position),
                                  mask, value);
  }
}

static LogicalResult scheduleContract(RegionOp region, const TargetFacts &facts,
                                      RewriterBase &rewriter) {
  FailureOr<Contraction> analyzed = analyzeContraction(region);
  if (failed(analyzed))
    return failure();
  Contraction contraction = *analyzed;
  ContractOp op = contraction.op;
  auto lhsType = cast<RankedTensorType>(op.getLhs().getType());
  auto rhsType = cast<RankedTensorType>(op.getRhs().getType());
  auto outputType = cast<RankedTensorType>(op.getOutput().getType());
  Type element = outputType.getElementType();
  if (lhsType.getRank() < 2 || rhsType.getRank() < (op.getPacked() ? 3 : 2) ||
      outputType.getRank() < 2)
    return op.emitOpError("multiplies tensors of rank ")
           << lhsType.getRank() << " and " << rhsType.getRank()
           << ", but both must be matrices";

  // Tiles: rows that fill register tiles; panels for about tileWork.
  int64_t lanes = facts.vectorBytes / 4;
  int64_t rowBlock = 8 * TileBuilder::tileRows(lanes);
  bool collapsed =
      (op.getPacked() || rhsType.getRank() == 2) && !op.getTransposeLhs();
  int64_t lhsRank = lhsType.getRank();
  int64_t depth = lhsType.getDimSize(lhsRank - (op.getTransposeLhs() ? 2 : 1));
  int64_t blockDepth = chooseBlockDepth(depth);
  // One block needs no sums to begin with.
  auto sum =
      depth == blockDepth ? TileBuilder::Sum::Replace : TileBuilder::Sum::Add;
  int64_t knownDepth = ShapedType::isDynamic(depth) ? 64 : depth;
  knownDepth = std::max<int64_t>(knownDepth, 1);
  int64_t panelGroup = tileWork / (rowBlock * panelColumns * knownDepth);
  panelGroup =
      std::min(panelGroup, facts.l2Bytes / 2 / (knownDepth * panelColumns * 4));
  panelGroup = std::clamp<int64_t>(panelGroup, 1, 16);
  int64_t columns = outputType.getDimSize(outputType.getRank() - 1);
  if (!ShapedType::isDynamic(columns) && columns > 0) {
    int64_t panels = llvm::divideCeil(columns, panelColumns);
    panelGroup = llvm::divideCeil(panels, llvm::divideCeil(panels, panelGroup));
  }
  auto wanted = region->getAttrOfType<ScheduleAttr>(wantedScheduleAttr);
  if (wanted && !wanted.getTile().empty()) {
    ArrayRef<int64_t> tile = wanted.getTile();
    int64_t step = TileBuilder::tileRows(lanes);
    // The rows' sums lie on the stack.
    if (tile.size() != 2 || tile[0] < step || tile[0] % step != 0 ||
        tile[0] > 512 || tile[1] < 1)
      return region.emitOpError("is wanted with tile [")
             << tile
             << "], but kernel family 'contract' needs rows, a multiple of "
             << step << " up to 512, and panels, at least 1";
    rowBlock = tile[0];
    panelGroup = tile[1];
  }

  Location loc = region.getLoc();
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(region);
  TileBuilder outside{rewriter, loc};
  Value gridSize = buildGrid(outside, getResultSizes(rewriter, region, 0),
                             collapsed, rowBlock, panelGroup)
                       .total;
  auto schedule = ScheduleAttr::get(region.getContext(), "contract",
                                    {rowBlock, panelGroup}, lanes);
  ScheduledRegion scheduled =
      createScheduledRegion(rewriter, region, gridSize, schedule);
  Value output = scheduled.output(0);
  Value begin = scheduled.begin, end = scheduled.end;
  auto buffer = [&](Value argument) {
    return scheduled.argument(cast<BlockArgument>(argument));
  };

  TileBuilder t{rewriter, loc};
  Value lhs = buffer(op.getLhs()), rhs = buffer(op.getRhs());
  SmallVector<Value> sizes = t.sizes(output);
  Grid grid = buildGrid(t, sizes, collapsed, rowBlock, panelGroup);
  SmallVector<Value> lhsSizes = t.sizes(lhs), rhsSizes = t.sizes(rhs);
  Value lhsFlat = t.flatten(lhs), rhsFlat = t.flatten(rhs);
  Value outputFlat = t.flatten(output);
  Value contracted = lhsSizes[lhsRank - (op.getTransposeLhs() ? 2 : 1)];
  auto scratch = [&](int64_t count) -> Value {
    return memref::AllocaOp::create(rewriter, loc,
                                    MemRefType::get({count}, element),
                                    rewriter.getI64IntegerAttr(64));
  };
  Value sums = scratch(rowBlock * panelColumns);
  Value panel = op.getPacked() ? Value() : scratch(blockDepth * panelColumns);
  // A left operand of 16 bits is widened once for each panel, not once for each
  // column.
  Value widened = lhsType.getElementType() == element
                      ? Value()
                      : scratch(rowBlock * blockDepth);
  Value one = t.index(1), zero = t.index(0), width = t.index(panelColumns);

  t.forEach(begin, end, 1, [&](Value tile) {
    SmallVector<Value> space(grid.leading);
    space.append({grid.groups, grid.blocks});
    SmallVector<Value> at = t.delinearize(tile, space);
    ArrayRef<Value> batch = ArrayRef(at).drop_back(2);
    Value firstRow = t.mul(at.back(), t.index(rowBlock));
    Value rows = t.min(t.sub(grid.rows, firstRow), t.index(rowBlock));
    Value firstPanel = t.mul(at[at.size() - 2], t.index(panelGroup));
    Value endPanel = t.min(t.add(firstPanel, t.index(panelGroup)), grid.panels);
    Value batchRow = firstRow; // in the output, all leading dims as rows
    if (!collapsed) {
      Value linear = zero;
      for (auto [coordinate, size] : llvm::zip(batch, grid.leading))
        linear = t.add(t.mul(linear, size), coordinate);
      batchRow = t.add(t.mul(linear, grid.rows), firstRow);
    }
    FlatMatrix left{lhsFlat, zero, contracted, one};
    if (op.getTransposeLhs())
      left = {lhsFlat, zero, one, lhsSizes.back()};
    if (!collapsed)
      left.offset = batchOffset(t, lhsSizes, batch);
    left.offset = t.add(left.offset, t.mul(firstRow, left.row));
    FlatMatrix right{rhsFlat, zero, grid.columns, one};
    if (op.getTransposeRhs())
      right = {rhsFlat, zero, one, contracted};
    if (!collapsed && !op.getPacked())
      right.offset = batchOffset(t, rhsSizes, batch);
    FlatMatrix acc{sums, zero, width, one};

    t.forEach(firstPanel, endPanel, 1, [&](Value panelNumber) {
      Value column = t.mul(panelNumber, width);
      if (sum == TileBuilder::Sum::Add)
        t.fillZero(sums, zero, t.mul(rows, width), lanes);
      auto multiply = [&](FlatMatrix lhs, FlatMatrix rhs, Value depth,
                          Value ahead) {
        if (widened) {
          FlatMatrix from = lhs;
          lhs = {widened, zero, t.index(blockDepth), one};
          t.pack(from, lhs, rows, depth, /*width=*/0,
                 /*contiguous=*/!op.getTransposeLhs(), lanes);
        }
        for (int64_t half = 0; half < panelColumns; half += 2 * lanes) {
          FlatMatrix rhsHalf = rhs, accHalf = acc;
          rhsHalf.offset = t.add(rhs.offset, t.index(half));
          accHalf.offset = t.add(acc.offset, t.index(half));
          t.multiply(lhs, rhsHalf, accHalf, rows, depth, lanes, sum,
                     ahead ? t.add(ahead, t.mul(depth, t.index(half)))
                           : Value());
        }
      };
      if (op.getPacked()) {
        Value offset = t.mul(panelNumber, t.mul(contracted, width));
        t.forEach(zero, contracted, blockDepth, [&](Value k) {
          Value depth = t.min(t.sub(contracted, k), t.index(blockDepth));
          FlatMatrix part = left;
          part.offset = t.add(left.offset, t.mul(k, left.column));
          // Weights come from memory: those of the next block while this one
          // is multiplied, or the first tile of each would wait for them.
          Value from = t.add(offset, t.mul(k, width));
          multiply(part, {rhsFlat, from, width, one}, depth,
                   t.add(from, t.mul(depth, width)));
        });
      } else {
        t.forEach(zero, contracted, blockDepth, [&](Value k) {
          Value depth = t.min(t.sub(contracted, k), t.index(blockDepth));
          FlatMatrix from = right;
          from.offset = t.add(right.offset, t.add(t.mul(k, right.row),
                                                  t.mul(column, right.column)));
          FlatMatrix packed{panel, zero, width, one};
          t.pack(from, packed, depth, t.min(t.sub(grid.columns, column), width),
                 panelColumns, /*contiguous=*/!op.getTransposeRhs(), lanes);
          FlatMatrix part = left;
          part.offset = t.add(left.offset, t.mul(k, left.column));
          multiply(part, packed, depth, Value());
        });
      }
      t.forEach(zero, rows, 1, [&](Value row) {
        finishRow(t, contraction, buffer, sizes, outputFlat, acc, row,
                  t.add(batchRow, row), column, lanes);
      });
    });
  });
  YieldOp::create(rewriter, loc, ValueRange());
  rewriter.replaceOp(region, scheduled.op);
  return success();
}

KernelFamily tenon::contractFamily() {
  return {"contract",
          [](RegionOp region) { return findContract(region) != nullptr; },
          scheduleContract};
}
