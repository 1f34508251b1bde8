// Schedules kernel.contract with an elementwise epilogue: panels of 32 columns,
// register tiles over them, and the epilogue on rows that are still in L1.
// Bytes are multiplied as they are, into sums of i32. Floats of 16 bits are
// widened on their way into registers, but for bf16 where the machine
// multiplies pairs of it faster; sums are of f32. Many rows of f32 and f16 are
// split into parts of bf16 where matrix registers make up for it.
#include "BlockWeights.h"
#include "ContractRegion.h"
#include "QuantizedRows.h"
#include "ScheduledRegion.h"
#include "SplitProduct.h"
#include "TileBuilder.h"
#include "VectorBody.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Kernels/Family.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::kernel;

namespace {

/// Contracted elements whose sum is made at once, at most, or pairs or groups
/// that are multiplied at once: the rounding error of one long chain is two to
/// four times that of blocks, which shows in the logits of a model of 30
/// layers. With 256 it is what onnxruntime's is, whose blocks are as long.
/// Blocks of 128 would halve its square and cost two to four percent, since
/// each block fills the pipelines anew.
constexpr int64_t longestBlock = 256;

/// Groups in a block of matrix registers: a panel's fill half of the L1. They
/// are of 8 and 16 bits, whose own rounding is what shows.
constexpr int64_t matrixBlock = 192;

/// Rows that vectors multiply as fast as weights come from memory, which they
/// bring into the cache ahead.
constexpr int64_t fewRows = 4;

/// A sum this short is one block: its error is below that of 768 in blocks.
constexpr int64_t shortSum = 384;

/// A grid of fewer tiles leaves threads idle: groups are smaller then.
constexpr int64_t enoughTiles = 32;

/// Of a tile's rows in bytes: what the second cache holds beside weights.
constexpr int64_t mostRowBytes = 256 << 10;

/// Panels in a group, at most.
constexpr int64_t mostPanels = 16;

/// The same of products in parts, whose rows are split for each group: not for
/// fewer panels than this, which would cost more than a third of the product.
constexpr int64_t enoughSplitTiles = 16, leastSplitPanels = 3;

/// Rows of a tile of products in parts: as many products are made of what is
/// split of a panel.
constexpr int64_t splitRowBlock = 128;

/// Bytes of the parts of a tile's rows, at most, which lie on the stack.
constexpr int64_t mostSplitBytes = 600 << 10;

/// The longest sum of parts: its rounding errors are those of a block of
/// multiply-adds (docs/decisions/0017-floats-in-matrix-registers.md). Longer
/// ones are cut shorter, since the sums of a group's panels are kept, too.
constexpr int64_t longestSplit = 768, longestSplitOfMany = 512;

/// Rows that are multiplied as they are: by the instructions of either way, not
/// measured, splitting a panel for no more of them takes as long.
constexpr int64_t mostUnsplitRows = 24;

/// How much faster matrix registers are, at the least, than what they replace:
/// half of it is lost to splitting, and to the caches.
constexpr double leastSplitGain = 2;

/// What a schedule has chosen.
struct ContractPlan {
  Multiplication how;
  int64_t lanes, rowBlock;
  int64_t panelGroup;      ///< at most
  bool fixedGroup = false; ///< and at least
  int64_t blockDepth;      ///< elements of the contracted dimension in a block
  bool collapsed;          ///< leading dimensions count as rows
  /// Contracted elements that are split at once, if many rows are.
  std::optional<int64_t> splitDepth;
};

/// The last rows of a tile are copied to where a whole matrix register of them
/// can be read, if that is no more than this.
constexpr int64_t mostLastBytes = 512 << 10;

/// Blocks of rows that follow one another for each group of panels. Threads
/// begin with parts of the grid that lie far apart: these are other rows where
/// there are many, so that what a core wrote is what it reads next.
constexpr int64_t chunkBlocks = 8;

/// The grid: batches × chunks of rows × groups of panels × blocks of rows in a
/// chunk, so that the panels of a group stay in a core's cache.
struct Grid {
  SmallVector<Value> leading;
  Value rows, columns, panels, panelGroup, groups, blocks, total;
  Value blocksInChunk; ///< but in the last one
};

/// A tile of the grid: where in the leading dimensions, and its first panel
/// and row by groups and blocks.
struct Tile {
  SmallVector<Value> batch;
  Value group, block;
};

} // namespace

static Grid buildGrid(TileBuilder &t, ArrayRef<Value> sizes,
                      const ContractPlan &plan) {
  Grid grid;
  ArrayRef<Value> leading = sizes.drop_back(2);
  grid.rows = sizes[sizes.size() - 2];
  grid.columns = sizes.back();
  if (plan.collapsed)
    grid.rows = t.mul(t.product(leading), grid.rows);
  else
    grid.leading.assign(leading.begin(), leading.end());
  grid.panels = t.ceilDiv(grid.columns, panelColumns);
  grid.blocks = t.ceilDiv(grid.rows, plan.rowBlock);
  Value batches = t.product(grid.leading);
  grid.panelGroup = t.index(plan.panelGroup);
  if (!plan.fixedGroup && plan.panelGroup > 1) {
    Value tiles = t.mul(batches, t.mul(grid.panels, grid.blocks));
    Value wanted = t.div(tiles, t.index(enoughTiles));
    if (plan.splitDepth) {
      Value isSplit =
          arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::sgt,
                                grid.rows, t.index(mostUnsplitRows));
      Value split =
          t.max(t.ceilDiv(tiles, enoughSplitTiles), t.index(leastSplitPanels));
      wanted = arith::SelectOp::create(t.b, t.loc, isSplit, split, wanted);
    }
    grid.panelGroup = t.min(t.max(wanted, t.index(1)), grid.panelGroup);
  }
  Value last = t.sub(grid.panelGroup, t.index(1));
  grid.groups = t.div(t.add(grid.panels, last), grid.panelGroup);
  grid.total = t.mul(batches, t.mul(grid.groups, grid.blocks));
  // The next tile needs the same parts of rows.
  int64_t chunk = plan.splitDepth ? 1 : chunkBlocks;
  Value chunks = t.max(t.ceilDiv(grid.blocks, chunk), t.index(1));
  grid.blocksInChunk =
      t.div(t.add(grid.blocks, t.sub(chunks, t.index(1))), chunks);
  return grid;
}

static Tile findTile(TileBuilder &t, const Grid &grid, Value number) {
  SmallVector<Value> space(grid.leading);
  space.push_back(t.mul(grid.groups, grid.blocks));
  SmallVector<Value> at = t.delinearize(number, space);
  Value inMatrix = at.pop_back_val();
  Value chunk = t.div(inMatrix, t.mul(grid.groups, grid.blocksInChunk));
  Value before = t.mul(chunk, grid.blocksInChunk);
  Value blocks = t.min(grid.blocksInChunk, t.sub(grid.blocks, before));
  Value inChunk = t.sub(inMatrix, t.mul(before, grid.groups));
  return {at, t.div(inChunk, blocks), t.add(before, t.rem(inChunk, blocks))};
}

namespace {

/// Builds the body; holds what its parts share.
struct ContractBody {
  TileBuilder &t;
  Contraction contraction;
  ContractPlan plan;
  function_ref<Value(Value)> buffer; ///< the memref of an input
  Value output;                      ///< of rank one
  SmallVector<Value> sizes;          ///< of the result
  int64_t lanes = plan.lanes;
  ContractOp op = contraction.op;
  Grid grid = buildGrid(t, sizes, plan);
  SmallVector<Value> lhsSizes = t.sizes(buffer(op.getLhs()));
  SmallVector<Value> rhsSizes = t.sizes(buffer(op.getRhs()));
  Value lhs = t.flatten(buffer(op.getLhs()));
  Value rhs = t.flatten(buffer(op.getRhs()));
  Value contracted = lhsSizes[lhsSizes.size() - (op.getTransposeLhs() ? 2 : 1)];
  Value zero = t.index(0), one = t.index(1), width = t.index(panelColumns);
  FlatMatrix acc = {};
  /// Null where an operand is read as it lies.
  Value leftBlock, leftRest, panel;
  /// The last rows of a tile, as many as a matrix register has.
  std::optional<FlatMatrix> lastRows;
  /// Of weights that are quantized in blocks.
  std::optional<BlockWeights> blockWeights;
  /// The left operand of a launch with so few rows that weights are not
  /// unpacked, if there may be such.
  std::optional<BlockRows> blockRows;
  Value hasFewRows;
  /// The left operand of a tile in bytes, if it is to be.
  std::optional<QuantizedRows> quantizedRows;
  /// The same in bf16, for matrix registers, where there are more rows.
  std::optional<FlatMatrix> roundedRows;
  /// Of f32 and f16, where there are many rows: acc is that of the first of the
  /// panels whose sums are kept.
  std::optional<SplitProduct> split;
  FlatMatrix splitSums = {}; ///< of what is split at once

  void build(Value begin, Value end);

private:
  void createScratch();
  void prepareBlockRows();
  Value hasNewRows(Value begin, Value number, const Tile &tile);
  bool fillsGroups();
  bool isWhole();
  bool isOneBlock();
  void multiplyPanel(FlatMatrix left, FlatMatrix right, Value rows,
                     Value number);
  FlatMatrix readPanel(FlatMatrix right, Value number, Value k, Value depth);
  void multiplyBlock(FlatMatrix left, std::optional<FlatMatrix> last,
                     FlatMatrix right, Value rows, Value depth);
  void multiplyRows(FlatMatrix left, std::optional<FlatMatrix> last,
                    FlatMatrix right, Value rows, Value groups,
                    TileBuilder::Sum sum, Value ahead);
  void multiplyHalves(FlatMatrix left, FlatMatrix right, Value rows,
                      Value groups, TileBuilder::Sum sum, Value ahead);
  void copyLastRows(FlatMatrix left, Value rows);
  bool isSplitOnce() { return contractedElements() <= *plan.splitDepth; }
  int64_t contractedElements();
  void multiplySplit(FlatMatrix left, FlatMatrix right, Value rows,
                     Value firstPanel, Value endPanel, Value hasNewRows,
                     function_ref<void(Value)> finish);
  void finishRow(Value accRow, Value row, Value column);
};

} // namespace

/// Is the contracted dimension known to be one of whole groups?
bool ContractBody::fillsGroups() {
  APInt known;
  return plan.how.group == 1 ||
         (matchPattern(contracted, m_ConstantInt(&known)) &&
          known.getSExtValue() % plan.how.group == 0);
}

/// Is there no block but all of the contracted dimension? Sums of integers are
/// not rounded, so they stay in registers where both operands are read as they
/// lie.
bool ContractBody::isWhole() {
  return plan.how.dot == DotKind::U8S8 && !plan.how.tiles && !leftBlock &&
         !panel;
}

bool ContractBody::isOneBlock() {
  APInt known;
  return isWhole() ||
         (matchPattern(contracted, m_ConstantInt(&known)) &&
          known.getSExtValue() > 0 && known.getSExtValue() <= plan.blockDepth);
}

void ContractBody::createScratch() {
  auto scratch = [&](Type element, int64_t count) -> Value {
    return memref::AllocaOp::create(t.b, t.loc,
                                    MemRefType::get({count}, element),
                                    t.b.getI64IntegerAttr(64));
  };
  auto element = [](Value value) {
    return cast<ShapedType>(value.getType()).getElementType();
  };
  Type left = element(lhs), sum = element(op.getOutput());
  int64_t rowBlock =
      plan.how.tiles ? llvm::alignTo(plan.rowBlock, matrixRows) : plan.rowBlock;
  int64_t sumRows = rowBlock;
  if (plan.splitDepth) {
    int64_t tileRows = llvm::alignTo(plan.rowBlock, 2 * matrixRows);
    split = SplitProduct::create(t, left, *plan.splitDepth, tileRows, lanes);
    sumRows = tileRows;
    if (!isSplitOnce()) {
      splitSums = {scratch(sum, tileRows * panelColumns), zero, width, one};
      sumRows *= std::min(plan.panelGroup, mostPanels);
    }
  }
  acc = {scratch(sum, sumRows * panelColumns), zero, width, one};
  bool hasDot = plan.how.dot.has_value();
  if (!op.getPacked())
    panel =
        scratch(hasDot ? element(rhs) : sum, plan.blockDepth * panelColumns);
  if (blockWeights && (hasDot || !quantizedRows))
    panel = scratch(hasDot ? t.b.getBF16Type() : sum,
                    plan.blockDepth * panelColumns);
  // A left operand of 16 bits is widened once for each panel, not once for each
  // column. One that is multiplied as it lies must have its groups in rows.
  if (quantizedRows) {
    if (hasDot)
      roundedRows = {
          scratch(t.b.getBF16Type(), rowBlock * blockWeights->paddedDepth()),
          zero, t.index(blockWeights->paddedDepth()), one};
    return;
  }
  if (hasDot ? op.getTransposeLhs() : left != sum)
    leftBlock = scratch(hasDot ? left : sum, rowBlock * plan.blockDepth);
  else if (!fillsGroups())
    leftRest = scratch(left, rowBlock * plan.how.group);
  APInt known;
  if (plan.how.tiles && !leftBlock &&
      matchPattern(contracted, m_ConstantInt(&known)) &&
      matrixRows * known.getSExtValue() * left.getIntOrFloatBitWidth() / 8 <=
          mostLastBytes)
    lastRows = {scratch(left, matrixRows * known.getSExtValue()), zero,
                contracted, one};
}

/// Fills lastRows with those of a tile that do not fill a matrix register.
void ContractBody::copyLastRows(FlatMatrix left, Value rows) {
  Value count = t.rem(rows, t.index(matrixRows));
  left.offset = t.add(left.offset, t.mul(t.sub(rows, count), left.row));
  t.pack(left, *lastRows, count, contracted, contracted, /*contiguous=*/true,
         lanes * plan.how.group);
}

/// Few rows are read once, for all panels; those of bytes for each tile.
void ContractBody::prepareBlockRows() {
  if (!op.getScale())
    return;
  blockWeights = BlockWeights::read(t, op, lanes, buffer);
  if (op.getQuantizeLhs()) {
    quantizedRows.emplace(
        QuantizedRows::create(t, *blockWeights, plan.rowBlock));
    return;
  }
  if (!plan.collapsed)
    return;
  blockRows.emplace(BlockRows::create(t, *blockWeights));
  hasFewRows =
      arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::sle, grid.rows,
                            t.index(BlockWeights::mostRows));
  t.when(hasFewRows, [&] {
    blockRows->prepare(t, {lhs, zero, contracted, one}, grid.rows);
  });
}

/// The epilogue on one row of a tile, and the store of its result.
void ContractBody::finishRow(Value accRow, Value row, Value column) {
  Value columns = sizes.back();
  Value rowOffset = t.mul(row, columns);
  APInt known;
  bool exact = matchPattern(columns, m_ConstantInt(&known)) &&
               known.getSExtValue() % panelColumns == 0;
  SmallVector<Value> coordinates =
      t.delinearize(row, ArrayRef(sizes).drop_back());
  for (int64_t v = 0; v < panelColumns; v += lanes) {
    Value first = t.add(column, t.index(v));
    Value value = t.loadVector(
        acc.buffer,
        t.add(t.add(acc.offset, t.mul(accRow, acc.row)), t.index(v)), lanes);
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

/// acc = left · right, or acc += it, for `groups` groups of the contracted
/// dimension. `last`: the rows that do not fill a matrix register, where a
/// whole one can be read.
void ContractBody::multiplyRows(FlatMatrix left, std::optional<FlatMatrix> last,
                                FlatMatrix right, Value rows, Value groups,
                                TileBuilder::Sum sum, Value ahead) {
  if (plan.how.tiles)
    return t.choose(
        arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::sle, rows,
                              t.index(fewRows)),
        [&] { multiplyHalves(left, right, rows, groups, sum, ahead); },
        [&] {
          // Bytes gain nothing by it, and lose up to four percent.
          bool bringsAhead = plan.how.dot == DotKind::BF16;
          t.multiplyTiles(left, last, right, acc, rows, groups, lanes, sum,
                          plan.how, bringsAhead ? ahead : Value());
        });
  // Where a panel is wider than a register tile, one or two rows would read
  // every other cache line, and then the others.
  if (op.getPacked() && panelColumns > 2 * lanes)
    return t.choose(
        t.equal(rows, one),
        [&] {
          t.multiplyFew(left, right, acc, 1, groups, panelColumns, lanes, sum,
                        plan.how);
        },
        [&] {
          t.choose(
              t.equal(rows, t.index(2)),
              [&] {
                t.multiplyFew(left, right, acc, 2, groups, panelColumns, lanes,
                              sum, plan.how);
              },
              [&] { multiplyHalves(left, right, rows, groups, sum, ahead); });
        });
  multiplyHalves(left, right, rows, groups, sum, ahead);
}

void ContractBody::multiplyHalves(FlatMatrix left, FlatMatrix right, Value rows,
                                  Value groups, TileBuilder::Sum sum,
                                  Value ahead) {
  for (int64_t half = 0; half < panelColumns; half += 2 * lanes) {
    FlatMatrix rightHalf = right, accHalf = acc;
    Value elements = t.index(half * plan.how.group);
    rightHalf.offset = t.add(right.offset, elements);
    accHalf.offset = t.add(acc.offset, t.index(half));
    t.multiply(left, rightHalf, accHalf, rows, groups, lanes, sum, plan.how,
               ahead ? t.add(ahead, t.mul(groups, elements)) : Value());
  }
}

/// Adds left · right to acc for `depth` elements of the contracted dimension,
/// of which the last may not fill a group; where that is all, acc becomes it.
void ContractBody::multiplyBlock(FlatMatrix left,
                                 std::optional<FlatMatrix> last,
                                 FlatMatrix right, Value rows, Value depth) {
  // One block needs no sums to begin with.
  auto sum = isOneBlock() ? TileBuilder::Sum::Replace : TileBuilder::Sum::Add;
  Value group = t.index(plan.how.group);
  Value allGroups = t.ceilDiv(depth, plan.how.group);
  // Weights come from memory: those of the next block while this one is
  // multiplied, or the first tile of each would wait for them.
  Value ahead =
      panel ? Value() : t.add(right.offset, t.mul(allGroups, right.row));
  if (leftBlock) {
    FlatMatrix block{leftBlock, zero, t.index(plan.blockDepth), one};
    t.pack(left, block, rows, depth, t.mul(allGroups, group),
           /*contiguous=*/!op.getTransposeLhs(), lanes);
    if (plan.how.tiles) {
      Value few = t.rem(rows, t.index(matrixRows));
      last = t.fromRow(block, t.sub(rows, few));
    }
    return multiplyRows(block, last, right, rows, allGroups, sum, ahead);
  }
  // Rounded rows end with zeros.
  Value groups = roundedRows ? allGroups : t.div(depth, group);
  multiplyRows(left, last, right, rows, groups, sum, ahead);
  if (!leftRest)
    return;
  Value rest = t.rem(depth, group);
  Value isLeft =
      arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::ne, rest, zero);
  t.when(isLeft, [&] {
    FlatMatrix from = left, behind = right;
    from.offset = t.add(left.offset, t.mul(t.mul(groups, group), left.column));
    behind.offset = t.add(right.offset, t.mul(groups, right.row));
    FlatMatrix filled{leftRest, zero, group, one};
    t.pack(from, filled, rows, rest, group, /*contiguous=*/true, lanes);
    multiplyHalves(filled, behind, rows, one, TileBuilder::Sum::Add, Value());
  });
}

/// The part of panel `number` from `k` on: a weight's, or one that is packed
/// here.
FlatMatrix ContractBody::readPanel(FlatMatrix right, Value number, Value k,
                                   Value depth) {
  int64_t group = plan.how.group;
  Value row = t.index(panelColumns * group);
  if (blockWeights) {
    blockWeights->unpack(t, number, k, depth, panel);
    return {panel, zero, row, one};
  }
  if (op.getPacked()) {
    Value offset = t.mul(number, t.mul(rhsSizes[1], row));
    return {rhs, t.add(offset, t.mul(k, width)), row, one};
  }
  Value column = t.mul(number, width);
  Value columns = t.min(t.sub(grid.columns, column), width);
  right.offset = t.add(right.offset,
                       t.add(t.mul(k, right.row), t.mul(column, right.column)));
  FlatMatrix packed{panel, zero, row, one};
  if (plan.how.dot)
    t.packGroups(right, packed, depth, columns, group, lanes);
  else
    t.pack(right, packed, depth, columns, width,
           /*contiguous=*/!op.getTransposeRhs(), lanes);
  return packed;
}

/// acc = left · right for the columns of a panel.
void ContractBody::multiplyPanel(FlatMatrix left, FlatMatrix right, Value rows,
                                 Value number) {
  if (!isOneBlock())
    t.fillZero(acc.buffer, acc.offset, t.mul(rows, width), lanes);
  auto multiply = [&](Value k, Value depth) {
    auto from = [&](FlatMatrix matrix) {
      matrix.offset = t.add(matrix.offset, t.mul(k, matrix.column));
      return matrix;
    };
    std::optional<FlatMatrix> last;
    if (lastRows)
      last = from(*lastRows);
    if (roundedRows)
      last =
          t.fromRow(from(left), t.sub(rows, t.rem(rows, t.index(matrixRows))));
    multiplyBlock(from(left), last, readPanel(right, number, k, depth), rows,
                  depth);
  };
  if (isWhole())
    return multiply(zero, contracted);
  t.forEach(zero, contracted, plan.blockDepth, [&](Value k) {
    multiply(k, t.min(t.sub(contracted, k), t.index(plan.blockDepth)));
  });
}

int64_t ContractBody::contractedElements() {
  return cast<RankedTensorType>(op.getLhs().getType()).getShape().back();
}

/// The products of a tile's panels in parts, each followed by what `finish`
/// does with acc. Where one does not end finite, operands may not have been,
/// which have no parts, and it is multiplied again as it is.
void ContractBody::multiplySplit(FlatMatrix left, FlatMatrix right, Value rows,
                                 Value firstPanel, Value endPanel,
                                 Value hasNewRows,
                                 function_ref<void(Value)> finish) {
  auto multiply = [&](FlatMatrix sums, Value number, Value k, Value depth) {
    FlatMatrix from = readPanel(right, number, k, depth);
    split->splitPanel(t, from.buffer, from.offset, depth);
    Value ahead = t.add(from.offset, t.mul(rhsSizes[1], width));
    split->multiply(t, sums, rows, depth, from.buffer, ahead);
  };
  auto finishPanel = [&](Value number) {
    t.choose(
        SplitProduct::areFinite(t, acc, rows, lanes), [] {},
        [&] { multiplyPanel(left, right, rows, number); });
    finish(number);
  };
  if (isSplitOnce()) {
    t.when(hasNewRows, [&] { split->splitRows(t, left, rows, contracted); });
    t.forEach(firstPanel, endPanel, 1, [&](Value number) {
      multiply(acc, number, zero, contracted);
      finishPanel(number);
    });
    return;
  }
  FlatMatrix all = acc;
  int64_t tileRows = llvm::alignTo(plan.rowBlock, 2 * matrixRows);
  t.forEach(firstPanel, endPanel, mostPanels, [&](Value first) {
    Value end = t.min(endPanel, t.add(first, t.index(mostPanels)));
    auto sumsOf = [&](Value number) {
      return t.fromRow(all, t.mul(t.sub(number, first), t.index(tileRows)));
    };
    t.forEach(zero, contracted, *plan.splitDepth, [&](Value k) {
      Value depth = t.min(t.sub(contracted, k), t.index(*plan.splitDepth));
      FlatMatrix from = left;
      from.offset = t.add(left.offset, k);
      split->splitRows(t, from, rows, depth);
      t.forEach(first, end, 1, [&](Value number) {
        FlatMatrix sums = sumsOf(number);
        t.choose(
            t.equal(k, zero), [&] { multiply(sums, number, k, depth); },
            [&] {
              multiply(splitSums, number, k, depth);
              t.forEach(zero, t.mul(rows, width), lanes, [&](Value i) {
                Value at = t.add(sums.offset, i);
                Value sum = t.loadVector(sums.buffer, at, lanes);
                Value part = t.loadVector(splitSums.buffer, i, lanes);
                t.store(arith::AddFOp::create(t.b, t.loc, sum, part),
                        sums.buffer, at);
              });
            });
      });
    });
    t.forEach(first, end, 1, [&](Value number) {
      acc = sumsOf(number);
      finishPanel(number);
    });
  });
  acc = all;
}

/// Are the rows of tile `number` others than those of the tile before it? With
/// few rows all tiles have the same.
Value ContractBody::hasNewRows(Value begin, Value number, const Tile &tile) {
  Tile before = findTile(t, grid, t.sub(number, one));
  Value isSame = t.equal(before.block, tile.block);
  for (auto [lhs, rhs] : llvm::zip(before.batch, tile.batch))
    isSame = arith::AndIOp::create(t.b, t.loc, isSame, t.equal(lhs, rhs));
  Value isNew = arith::XOrIOp::create(
      t.b, t.loc, isSame,
      arith::ConstantOp::create(t.b, t.loc, t.b.getBoolAttr(true)));
  return arith::OrIOp::create(t.b, t.loc, t.equal(number, begin), isNew);
}

void ContractBody::build(Value begin, Value end) {
  prepareBlockRows();
  createScratch();
  t.forEach(begin, end, 1, [&](Value number) {
    Tile tile = findTile(t, grid, number);
    ArrayRef<Value> batch = tile.batch;
    Value firstRow = t.mul(tile.block, t.index(plan.rowBlock));
    Value rows = t.min(t.sub(grid.rows, firstRow), t.index(plan.rowBlock));
    Value firstPanel = t.mul(tile.group, grid.panelGroup);
    Value endPanel = t.min(t.add(firstPanel, grid.panelGroup), grid.panels);
    Value batchRow = firstRow; // in the output, all leading dims as rows
    if (!plan.collapsed) {
      Value linear = zero;
      for (auto [coordinate, size] : llvm::zip(batch, grid.leading))
        linear = t.add(t.mul(linear, size), coordinate);
      batchRow = t.add(t.mul(linear, grid.rows), firstRow);
    }
    FlatMatrix left{lhs, zero, contracted, one};
    if (op.getTransposeLhs())
      left = {lhs, zero, one, lhsSizes.back()};
    if (!plan.collapsed)
      left.offset = batchOffset(t, lhsSizes, batch);
    left.offset = t.add(left.offset, t.mul(firstRow, left.row));
    FlatMatrix right{rhs, zero, grid.columns, one};
    if (op.getTransposeRhs())
      right = {rhs, zero, one, contracted};
    if (!plan.collapsed && !op.getPacked())
      right.offset = batchOffset(t, rhsSizes, batch);
    Value areFew;
    if (roundedRows)
      areFew = arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::sle,
                                     rows, t.index(BlockWeights::mostRows));
    auto choose = [&](function_ref<void()> inBytes,
                      function_ref<void()> rounded) {
      roundedRows ? t.choose(areFew, inBytes, rounded) : inBytes();
    };
    if (quantizedRows)
      t.when(hasNewRows(begin, number, tile), [&] {
        choose([&] { quantizedRows->prepare(t, left, rows); },
               [&] {
                 t.pack(left, *roundedRows, rows, contracted, roundedRows->row,
                        /*contiguous=*/true, 2 * lanes);
               });
      });
    if (lastRows)
      copyLastRows(left, rows);
    auto finish = [&](Value panel) {
      t.forEach(zero, rows, 1, [&](Value row) {
        finishRow(row, t.add(batchRow, row), t.mul(panel, width));
      });
    };
    auto multiplyPanels = [&] {
      t.forEach(firstPanel, endPanel, 1, [&](Value panel) {
        if (quantizedRows)
          choose([&] { quantizedRows->multiply(t, acc, rows, panel); },
                 [&] { multiplyPanel(*roundedRows, right, rows, panel); });
        else if (blockRows)
          t.choose(
              hasFewRows, [&] { blockRows->multiply(t, acc, rows, panel); },
              [&] { multiplyPanel(left, right, rows, panel); });
        else
          multiplyPanel(left, right, rows, panel);
        finish(panel);
      });
    };
    if (!split)
      return multiplyPanels();
    t.choose(
        arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::sgt, rows,
                              t.index(mostUnsplitRows)),
        [&] {
          multiplySplit(left, right, rows, firstPanel, endPanel,
                        hasNewRows(begin, number, tile), finish);
        },
        multiplyPanels);
  });
}

/// Bytes are always multiplied in groups, bf16 where that is faster. Rows that
/// may be rounded, and weights in blocks, become bf16 for matrix registers.
static Multiplication chooseMultiplication(ContractOp op,
                                           const TargetFacts &facts) {
  auto isBf16 = [](Value value) {
    return cast<RankedTensorType>(value.getType()).getElementType().isBF16();
  };
  if (multipliesBytes(op))
    return {4, DotKind::U8S8, facts.tileRows > 0};
  if (isBf16(op.getLhs()) && isBf16(op.getRhs()) &&
      facts.bf16Gflops > facts.f32Gflops)
    return {2, DotKind::BF16, facts.tileRows > 0};
  if (op.getQuantizeLhs() && facts.tileRows > 0)
    return {2, DotKind::BF16, true};
  return {op.getScale() ? 1 : groupOf(op)};
}

/// Are many rows of f32 or f16 multiplied in parts of bf16? Weights only: a
/// panel is split for each tile of rows.
static bool isSplit(ContractOp op, Multiplication how,
                    const TargetFacts &facts) {
  auto lhs = cast<RankedTensorType>(op.getLhs().getType());
  auto output = cast<RankedTensorType>(op.getOutput().getType());
  Type element = lhs.getElementType();
  auto products = static_cast<double>(
      MultiplyTilesOp::splitProducts(SplitProduct::partsOf(element)).size());
  return facts.tileRows > 0 && products > 0 &&
         facts.bf16Gflops >= leastSplitGain * products * facts.f32Gflops &&
         op.getPacked() && !how.dot && !op.getScale() &&
         !op.getTransposeLhs() &&
         getElementTypeOrSelf(op.getRhs()) == element &&
         output.getElementType().isF32() &&
         lhs.getShape().back() >= 2 * matrixGroups &&
         output.getShape().back() > panelColumns;
}

/// Blocks of equal depth, where it is known.
///
/// A register tile that is narrower than a panel reads every other cache line
/// of a block, and so has half of the L1 for it: of that no more than half.
static int64_t chooseBlockDepth(int64_t depth, int64_t lanes, bool tiles,
                                const TargetFacts &facts) {
  int64_t longest = longestBlock, shortest = shortSum;
  if (tiles) {
    longest = shortest = matrixBlock;
  } else if (panelColumns > 2 * lanes) {
    int64_t rowBytes = panelColumns * 4;
    longest = std::clamp<int64_t>(facts.l1Bytes / 2 / rowBytes, 64, longest);
    shortest = longest;
  }
  if (ShapedType::isDynamic(depth))
    return longest;
  if (depth <= shortest)
    return std::max<int64_t>(depth, 1);
  int64_t block = llvm::divideCeil(depth, llvm::divideCeil(depth, longest));
  return tiles ? llvm::alignTo(block, matrixGroups) : block;
}

/// Tiles: rows that fill register tiles, and as many panels as half of the
/// second cache holds: rows are read from beyond it once for all of them.
static ContractPlan choosePlan(ContractOp op, const TargetFacts &facts) {
  auto lhsType = cast<RankedTensorType>(op.getLhs().getType());
  auto rhsType = cast<RankedTensorType>(op.getRhs().getType());
  auto outputType = cast<RankedTensorType>(op.getOutput().getType());
  int64_t lanes = facts.vectorBytes / 4;
  ContractPlan plan;
  plan.how = chooseMultiplication(op, facts);
  plan.lanes = lanes;
  // Panels that are made of blocks are made for each block of rows.
  plan.rowBlock = (op.getScale() ? 16 : 8) * TileBuilder::tileRows(lanes);
  if (op.getQuantizeLhs()) {
    // A tile's bytes lie on the stack.
    int64_t bytes = QuantizedRows::bytesOfRow(lhsType.getShape().back());
    while (plan.rowBlock > lanes && plan.rowBlock * bytes > mostRowBytes)
      plan.rowBlock /= 2;
  }
  plan.collapsed =
      (op.getPacked() || rhsType.getRank() == 2) && !op.getTransposeLhs();
  int64_t depth =
      lhsType.getDimSize(lhsType.getRank() - (op.getTransposeLhs() ? 2 : 1));
  // What is multiplied at once: elements, or groups of them.
  int64_t group = plan.how.dot ? plan.how.group : 1;
  if (!ShapedType::isDynamic(depth))
    depth = llvm::divideCeil(depth, group);
  plan.blockDepth = llvm::alignTo(
      chooseBlockDepth(depth, lanes, plan.how.tiles, facts) * group,
      plan.how.group);
  if (op.getBlock())
    plan.blockDepth =
        llvm::alignTo(plan.blockDepth, std::max<int64_t>(*op.getBlock(), 32));
  int64_t knownDepth = ShapedType::isDynamic(depth) ? 64 : depth;
  knownDepth = std::max<int64_t>(knownDepth, 1);
  int64_t panelGroup = std::clamp<int64_t>(
      facts.l2Bytes / 2 / (knownDepth * panelColumns * 4), 1, mostPanels);
  // Rows become bytes for each group of panels anew, or parts, which costs
  // nearly as much as to multiply them by one panel.
  bool splits = isSplit(op, plan.how, facts);
  if ((op.getQuantizeLhs() && !plan.how.tiles) || splits)
    panelGroup = mostPanels;
  int64_t columns = outputType.getDimSize(outputType.getRank() - 1);
  if (!ShapedType::isDynamic(columns) && columns > 0) {
    int64_t panels = llvm::divideCeil(columns, panelColumns);
    panelGroup = llvm::divideCeil(panels, llvm::divideCeil(panels, panelGroup));
  }
  plan.panelGroup = panelGroup;
  if (splits) {
    plan.rowBlock = splitRowBlock;
    plan.splitDepth = depth; // until the tile is known
  }
  return plan;
}

/// Parts of rows fill the same memory whatever the tile.
static void chooseSplitDepth(ContractPlan &plan, int64_t parts) {
  int64_t depth = *plan.splitDepth;
  int64_t longest = depth <= longestSplit ? longestSplit : longestSplitOfMany;
  while (plan.rowBlock * SplitProduct::bytesOfRow(longest, parts) >
         mostSplitBytes)
    longest /= 2;
  plan.splitDepth =
      llvm::alignTo(llvm::divideCeil(depth, llvm::divideCeil(depth, longest)),
                    2 * matrixGroups);
}

/// The rows' sums lie on the stack.
constexpr int64_t mostRows = 512;

/// Takes the tile that is wanted, if one is.
static LogicalResult takeWantedTile(RegionOp region, ContractPlan &plan) {
  auto wanted = region->getAttrOfType<ScheduleAttr>(wantedScheduleAttr);
  if (!wanted || wanted.getTile().empty())
    return success();
  ArrayRef<int64_t> tile = wanted.getTile();
  int64_t step = TileBuilder::tileRows(plan.lanes);
  if (tile.size() != 2 || tile[0] < step || tile[0] % step != 0 ||
      tile[0] > mostRows || tile[1] < 1)
    return region.emitOpError("is wanted with tile [")
           << tile
           << "], but kernel family 'contract' needs rows, a multiple of "
           << step << " up to " << mostRows << ", and panels, at least 1";
  plan.rowBlock = tile[0];
  plan.panelGroup = tile[1];
  plan.fixedGroup = true;
  return success();
}

static LogicalResult scheduleContract(RegionOp region, const TargetFacts &facts,
                                      RewriterBase &rewriter) {
  FailureOr<Contraction> contraction = analyzeContraction(region);
  if (failed(contraction))
    return failure();
  ContractOp op = contraction->op;
  auto rankOf = [](Value value) {
    return cast<RankedTensorType>(value.getType()).getRank();
  };
  if (rankOf(op.getLhs()) < 2 ||
      rankOf(op.getRhs()) < (op.getPacked() ? 3 : 2) ||
      rankOf(op.getOutput()) < 2)
    return op.emitOpError("multiplies tensors of rank ")
           << rankOf(op.getLhs()) << " and " << rankOf(op.getRhs())
           << ", but both must be matrices";
  ContractPlan plan = choosePlan(op, facts);
  if (failed(takeWantedTile(region, plan)))
    return failure();
  if (plan.splitDepth)
    chooseSplitDepth(plan, SplitProduct::partsOf(
                               getElementTypeOrSelf(op.getLhs().getType())));

  Location loc = region.getLoc();
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(region);
  TileBuilder outside{rewriter, loc};
  Value gridSize =
      buildGrid(outside, getResultSizes(rewriter, region, 0), plan).total;
  auto schedule =
      ScheduleAttr::get(region.getContext(), "contract",
                        {plan.rowBlock, plan.panelGroup}, plan.lanes);
  ScheduledRegion scheduled =
      createScheduledRegion(rewriter, region, gridSize, schedule);
  auto buffer = [&](Value argument) {
    return scheduled.argument(cast<BlockArgument>(argument));
  };
  TileBuilder t{rewriter, loc};
  Value output = scheduled.output(0);
  ContractBody body{t,      *contraction,      plan,
                    buffer, t.flatten(output), t.sizes(output)};
  body.build(scheduled.begin, scheduled.end);
  YieldOp::create(rewriter, loc, ValueRange());
  rewriter.replaceOp(region, scheduled.op);
  return success();
}

/// Half and double the rows and panels, and again; but of those that make as
/// many parts of rows or columns only one, panels in groups of one size.
static std::vector<SmallVector<int64_t>>
otherTiles(RegionOp region,
           function_ref<std::optional<int64_t>(Value)> sizeAtHint) {
  ScheduleAttr schedule = *region.getSchedule();
  int64_t rows = schedule.getTile()[0], panels = schedule.getTile()[1];
  int64_t step = TileBuilder::tileRows(schedule.getVector());
  // Of the result, whose leading dimensions may be rows; 0: not known.
  int64_t allRows = 1, allPanels = 0;
  auto dynamic = region.getSizes().begin();
  ArrayRef<int64_t> shape =
      cast<RankedTensorType>(region.getResult(0).getType()).getShape();
  for (auto [dim, size] : llvm::enumerate(shape)) {
    int64_t known =
        ShapedType::isDynamic(size) ? sizeAtHint(*dynamic++).value_or(0) : size;
    if (dim + 1 == shape.size())
      allPanels = llvm::divideCeil(known, panelColumns);
    else
      allRows *= known;
  }
  auto parts = [](int64_t all, int64_t each) {
    return all ? int64_t(llvm::divideCeil(all, each)) : each;
  };
  std::vector<SmallVector<int64_t>> tiles;
  auto add = [&](int64_t tileRows, int64_t group) {
    if (allPanels)
      group = llvm::divideCeil(allPanels, parts(allPanels, group));
    auto isAlike = [&](ArrayRef<int64_t> tile) {
      return parts(allRows, tile[0]) == parts(allRows, tileRows) &&
             parts(allPanels, tile[1]) == parts(allPanels, group);
    };
    if (tileRows >= step && tileRows <= mostRows &&
        !isAlike(schedule.getTile()) && llvm::none_of(tiles, isAlike))
      tiles.push_back({tileRows, group});
  };
  auto scaled = [](int64_t size, int64_t doublings) {
    return doublings < 0 ? size >> -doublings : size << doublings;
  };
  // By the number of doublings and halvings.
  constexpr int64_t most = 3;
  for (int64_t steps = 1; steps <= 2 * most; ++steps)
    for (int64_t p = -std::min(steps, most); p <= std::min(steps, most); ++p)
      for (int64_t r : {std::abs(p) - steps, steps - std::abs(p)})
        if (std::abs(r) <= most)
          add(scaled(rows, r) / step * step,
              std::max<int64_t>(scaled(panels, p), 1));
  return tiles;
}

KernelFamily tenon::contractFamily() {
  return {"contract",
          [](RegionOp region) { return findContract(region) != nullptr; },
          scheduleContract, otherTiles};
}
