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

/// Whether all of `value`, of i1, is computed from one constant and true.
bool isTrue(Value value) {
  Operation *op = value.getDefiningOp();
  if (std::optional<double> scalar = getScalar(value))
    return *scalar != 0;
  if (isa_and_nonnull<AndOp>(op))
    return isTrue(op->getOperand(0)) && isTrue(op->getOperand(1));
  return isa_and_nonnull<BroadcastOp, CastOp, GatherElementsOp, GatherNDOp,
                         GatherOp, ReshapeOp, SliceOp, TransposeOp>(op) &&
         isTrue(op->getOperand(0));
}

/// What a mask shows, as the parts that must all be true.
struct Shown {
  SmallVector<Value> parts;
  bool isWeak; ///< what is hidden counts in a row in which all is hidden
};

Shown getShown(Value mask) {
  Shown shown{{}, false};
  if (!getElementTypeOrSelf(mask.getType()).isInteger(1)) {
    // Beside a score of less than this size, exp of such a number is 0.
    constexpr double hidden = -1e30;
    auto where = mask.getDefiningOp<WhereOp>();
    std::optional<double> low =
        where ? getSplat(where.getOnFalse()) : std::nullopt;
    if (!low || *low > hidden || getSplat(where.getOnTrue()) != 0.0)
      return shown;
    shown.isWeak = true;
    mask = where.getCondition();
  }
  SmallVector<Value> open = {mask};
  while (!open.empty()) {
    Value part = open.pop_back_val();
    if (auto both = part.getDefiningOp<AndOp>())
      open.append({both.getLhs(), both.getRhs()});
    else if (!isTrue(part))
      shown.parts.push_back(part);
  }
  return shown;
}

void recognize(AttentionOp op, const SymbolicShapes &shapes) {
  const SymbolicSizes *query = shapes.getSizes(op.getQuery());
  const SymbolicSizes *key = shapes.getSizes(op.getKey());
  if (!op.getMask() || op.getCausal() || !query || !key)
    return;
  const SymbolicExpr &queries = (*query)[2], &keys = (*key)[2];
  Shown shown = getShown(op.getMask());
  auto causal = llvm::find_if(shown.parts, [&](Value part) {
    return isCausal(part, queries, keys, shapes);
  });
  if (causal == shown.parts.end())
    return;
  shown.parts.erase(causal);
  // A float, however low, does not hide a key from a row that sees no other.
  if (shown.isWeak &&
      !(shown.parts.empty() && shapes.isAtLeast(keys - queries, 0)))
    return;
  if (shown.parts.size() > 1)
    return;
  op.getMaskMutable().clear();
  if (!shown.parts.empty())
    op.getMaskMutable().append(shown.parts.front());
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
  Shown shown = getShown(op.getMask());
  Obstacle obstacle;
  for (Value part : shown.parts) {
    Operation *compare = part.getDefiningOp();
    if (shown.isWeak && isCausal(part, (*query)[2], (*key)[2], shapes))
      (void)obstacle.refuse(
          "it adds a number that is not minus infinity, which "
          "hides no key from a row that sees no other");
    else if (!shown.isWeak && compare &&
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
