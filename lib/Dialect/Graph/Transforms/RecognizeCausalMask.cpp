// Recognises the part of a mask that hides later keys. See Passes.td.
#include "Matching.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_RECOGNIZECAUSALMASKPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// first, first + 1, … where all dimensions of `positions` but the one
/// `fromEnd` from the end are 1 and that one is `size`; else none.
std::optional<SymbolicExpr> getFirst(Value positions, int64_t fromEnd,
                                     const SymbolicExpr &size,
                                     const SymbolicShapes &shapes) {
  const SymbolicSizes *sizes = shapes.getSizes(positions);
  if (!sizes || fromEnd > int64_t(sizes->size()))
    return std::nullopt;
  for (auto [dim, found] : llvm::enumerate(*sizes))
    if (found != (dim == sizes->size() - fromEnd ? size : SymbolicExpr(1)))
      return std::nullopt;
  // With one dimension that is not 1, a reshape keeps the order in it.
  SymbolicExpr offset = 0;
  while (true) {
    if (auto reshape = positions.getDefiningOp<ReshapeOp>()) {
      positions = reshape.getInput();
    } else if (auto add = positions.getDefiningOp<AddOp>()) {
      const SymbolicSizes *lhs = shapes.getContents(add.getLhs());
      const SymbolicSizes *rhs = shapes.getContents(add.getRhs());
      const SymbolicSizes *added = rhs ? rhs : lhs;
      if (!added || added->size() != 1)
        return std::nullopt;
      offset = offset + added->front();
      positions = rhs ? add.getLhs() : add.getRhs();
    } else {
      break;
    }
  }
  auto iota = positions.getDefiningOp<IotaOp>();
  if (!iota || iota.getStep() != 1)
    return std::nullopt;
  std::optional<SymbolicExpr> start = shapes.getIndex(iota.getStart());
  if (!start)
    return std::nullopt;
  return *start + offset;
}

/// Whether `keep` is true where key j and query i are j ≤ i + keys - queries.
bool isCausal(Value keep, const SymbolicExpr &queries, const SymbolicExpr &keys,
              const SymbolicShapes &shapes) {
  Value key, query;
  if (auto lessEqual = keep.getDefiningOp<LessEqualOp>()) {
    key = lessEqual.getLhs();
    query = lessEqual.getRhs();
  } else if (auto greaterEqual = keep.getDefiningOp<GreaterEqualOp>()) {
    key = greaterEqual.getRhs();
    query = greaterEqual.getLhs();
  } else {
    return false;
  }
  std::optional<SymbolicExpr> firstKey = getFirst(key, 1, keys, shapes);
  std::optional<SymbolicExpr> firstQuery = getFirst(query, 2, queries, shapes);
  return firstKey && firstQuery && *firstQuery - *firstKey == keys - queries;
}

void recognize(AttentionOp op, const SymbolicShapes &shapes) {
  const SymbolicSizes *query = shapes.getSizes(op.getQuery());
  const SymbolicSizes *key = shapes.getSizes(op.getKey());
  // A float, however low, does not hide a key from a row that sees no other.
  if (!op.getMask() || op.getCausal() || !query || !key ||
      !cast<RankedTensorType>(op.getMask().getType())
           .getElementType()
           .isInteger(1))
    return;
  auto isMine = [&](Value keep) {
    return isCausal(keep, (*query)[2], (*key)[2], shapes);
  };
  if (isMine(op.getMask())) {
    op.getMaskMutable().clear();
  } else {
    auto both = op.getMask().getDefiningOp<AndOp>();
    if (!both || !(isMine(both.getLhs()) || isMine(both.getRhs())))
      return;
    op.getMaskMutable().assign(isMine(both.getLhs()) ? both.getRhs()
                                                     : both.getLhs());
  }
  op.setCausal(true);
  reportRecognized(op, "causal mask");
}

/// Whether `value` is made of positions: an iota, reshaped or with a sum.
bool isOfPositions(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (isa<IotaOp>(op))
      return true;
    if (isa<AddOp, SubOp>(op) && !isOfPositions(op->getOperand(0)))
      value = op->getOperand(1);
    else if (isa<AddOp, CastOp, ReshapeOp, SubOp>(op))
      value = op->getOperand(0);
    else
      return false;
  }
  return false;
}

/// A mask that compares positions and is still one, and why.
void reportLeft(AttentionOp op, const SymbolicShapes &shapes) {
  const SymbolicSizes *query = shapes.getSizes(op.getQuery());
  const SymbolicSizes *key = shapes.getSizes(op.getKey());
  if (!op.getMask() || op.getCausal() || !query || !key)
    return;
  Value keep = op.getMask();
  auto where = keep.getDefiningOp<WhereOp>();
  if (where)
    keep = where.getCondition();
  SmallVector<Value> parts = {keep};
  if (auto both = keep.getDefiningOp<AndOp>())
    parts = {both.getLhs(), both.getRhs()};
  Obstacle obstacle;
  for (Value part : parts) {
    Operation *compare = part.getDefiningOp();
    if (where && isCausal(part, (*query)[2], (*key)[2], shapes))
      (void)obstacle.refuse(
          "it adds a number that is not minus infinity, which "
          "hides no key from a row that sees no other");
    else if (!where && compare &&
             isa<GreaterEqualOp, GreaterOp, LessEqualOp, LessOp>(compare) &&
             llvm::all_of(compare->getOperands(), isOfPositions))
      (void)obstacle.refuse("it compares positions, but does not show query i "
                            "exactly the keys up to i + keys - queries");
  }
  if (!obstacle.reason().empty())
    reportNotRecognized(op, "causal mask", obstacle);
}

struct RecognizeCausalMaskPass
    : impl::RecognizeCausalMaskPassBase<RecognizeCausalMaskPass> {
  void runOnOperation() override {
    SymbolicShapes shapes(getOperation());
    for (auto op : getOperation().getBody().front().getOps<AttentionOp>())
      recognize(op, shapes);
    if (hasRemarks(getOperation()))
      for (auto op : getOperation().getBody().front().getOps<AttentionOp>())
        reportLeft(op, shapes);
  }
};

} // namespace
} // namespace tenon::graph
