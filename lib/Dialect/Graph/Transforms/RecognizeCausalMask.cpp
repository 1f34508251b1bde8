// Recognises the part of a mask that hides later keys. See Passes.td.
#include "Matching.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

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
    } else if (auto sub = positions.getDefiningOp<SubOp>()) {
      const SymbolicSizes *removed = shapes.getContents(sub.getRhs());
      if (!removed || removed->size() != 1)
        return std::nullopt;
      offset = offset - removed->front();
      positions = sub.getLhs();
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

/// Which keys a comparison of positions shows: key j of query i is
/// j ≤ i + by, or j ≥ i + by.
struct Bound {
  bool isUpper;
  SymbolicExpr by;
};

std::optional<Bound> getBound(Value keep, const SymbolicExpr &queries,
                              const SymbolicExpr &keys,
                              const SymbolicShapes &shapes) {
  Operation *op = keep.getDefiningOp();
  if (!isa_and_nonnull<LessOp, LessEqualOp, GreaterOp, GreaterEqualOp>(op))
    return std::nullopt;
  Value low = op->getOperand(0), high = op->getOperand(1);
  if (isa<GreaterOp, GreaterEqualOp>(op))
    std::swap(low, high);
  int64_t strict = isa<LessOp, GreaterOp>(op) ? 1 : 0;
  std::optional<SymbolicExpr> key = getFirst(low, 1, keys, shapes);
  std::optional<SymbolicExpr> query = getFirst(high, 2, queries, shapes);
  if (key && query)
    return Bound{/*isUpper=*/true, *query - *key - SymbolicExpr(strict)};
  query = getFirst(low, 2, queries, shapes);
  key = getFirst(high, 1, keys, shapes);
  if (key && query)
    return Bound{/*isUpper=*/false, *query - *key + SymbolicExpr(strict)};
  return std::nullopt;
}

/// Whether `keep` is true where key j and query i are j ≤ i + keys - queries.
bool isCausal(Value keep, const SymbolicExpr &queries, const SymbolicExpr &keys,
              const SymbolicShapes &shapes) {
  std::optional<Bound> bound = getBound(keep, queries, keys, shapes);
  return bound && bound->isUpper && bound->by == keys - queries;
}

/// w where `keep` is true of the last w keys that a causal mask shows a query,
/// and of those behind them: j > i + keys - queries - w. Else none.
std::optional<int64_t> getWindow(Value keep, const SymbolicExpr &queries,
                                 const SymbolicExpr &keys,
                                 const SymbolicShapes &shapes) {
  std::optional<Bound> bound = getBound(keep, queries, keys, shapes);
  if (!bound || bound->isUpper)
    return std::nullopt;
  std::optional<int64_t> window =
      (keys - queries - bound->by + SymbolicExpr(1)).getConstant();
  return window && *window >= 1 ? window : std::nullopt;
}

/// Whether `value` counts up from 0 or more.
bool isNotNegative(Value value) {
  while (isa_and_nonnull<BroadcastOp, ReshapeOp>(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  auto iota = value.getDefiningOp<IotaOp>();
  return iota && iota.getStep() >= 0 &&
         getConstantIntValue(iota.getStart()).value_or(-1) >= 0;
}

/// What all elements of `value` are, where it is computed from constants of one
/// element; else none.
std::optional<double> getUniform(Value value) {
  if (std::optional<double> scalar = getScalar(value))
    return scalar;
  Operation *op = value.getDefiningOp();
  if (auto cast = dyn_cast_if_present<CastOp>(op)) {
    std::optional<double> from = getUniform(cast.getInput());
    if (from && getElementTypeOrSelf(value.getType()).isInteger(1))
      return *from != 0;
    // All types have these.
    return from == 0.0 || from == 1.0 ? from : std::nullopt;
  }
  if (isa_and_nonnull<BroadcastOp, GatherElementsOp, GatherNDOp, GatherOp,
                      ReshapeOp, SliceOp, TransposeOp>(op))
    return getUniform(op->getOperand(0));
  // Where a place exists is written as such, too.
  if (auto atLeast = dyn_cast_if_present<GreaterEqualOp>(op))
    if (isNotNegative(atLeast.getLhs()) &&
        getUniform(atLeast.getRhs()).value_or(1) <= 0)
      return true;
  if (auto where = value.getDefiningOp<WhereOp>()) {
    std::optional<double> keep = getUniform(where.getCondition());
    return keep ? getUniform(*keep ? where.getOnTrue() : where.getOnFalse())
                : std::nullopt;
  }
  if (!isa_and_nonnull<AndOp, EqualOp, GreaterEqualOp, GreaterOp, LessEqualOp,
                       LessOp>(op))
    return std::nullopt;
  std::optional<double> lhs = getUniform(op->getOperand(0)),
                        rhs = getUniform(op->getOperand(1));
  if (!lhs || !rhs)
    return std::nullopt;
  return TypeSwitch<Operation *, bool>(op)
      .Case([&](AndOp) { return *lhs && *rhs; })
      .Case([&](EqualOp) { return *lhs == *rhs; })
      .Case([&](GreaterEqualOp) { return *lhs >= *rhs; })
      .Case([&](GreaterOp) { return *lhs > *rhs; })
      .Case([&](LessEqualOp) { return *lhs <= *rhs; })
      .Default([&](Operation *) { return *lhs < *rhs; });
}

/// Whether all of `value`, of i1, is computed from constants and true.
bool isTrue(Value value) { return getUniform(value).value_or(0) != 0; }

/// What a mask shows, as the parts that must all be true.
struct Shown {
  SmallVector<Value> parts;
  bool isWeak; ///< what is hidden counts in a row in which all is hidden
  Value bias;  ///< what is added to scores that are shown, or null
};

Shown getShown(Value mask) {
  Shown shown{{}, false, nullptr};
  if (!getElementTypeOrSelf(mask.getType()).isInteger(1)) {
    // bias + where(keep, 0, low)
    if (auto sum = mask.getDefiningOp<AddOp>())
      for (auto [one, other] : {std::pair(sum.getLhs(), sum.getRhs()),
                                std::pair(sum.getRhs(), sum.getLhs())})
        if (!shown.bias && getHiding(one)) {
          mask = one;
          shown.bias = other;
        }
    std::optional<Hiding> hiding = getHiding(mask);
    if (!hiding)
      return shown;
    if (getSplat(hiding->shown) != 0.0) {
      if (shown.bias)
        return shown;
      shown.bias = hiding->shown;
    }
    shown.isWeak = true;
    mask = hiding->keep;
  }
  SmallVector<Value> open = {mask};
  while (!open.empty()) {
    Value part = open.pop_back_val();
    if (auto both = part.getDefiningOp<AndOp>())
      open.append({both.getLhs(), both.getRhs()});
    else if (auto repeat = part.getDefiningOp<BroadcastOp>())
      open.push_back(repeat.getInput()); // scores do so anyway
    else if (!isTrue(part))
      shown.parts.push_back(part);
  }
  return shown;
}

/// Drops a mask that is computed from constants and hides nothing.
void dropEmpty(AttentionOp op) {
  if (!op.getMask())
    return;
  bool isOfBits = getElementTypeOrSelf(op.getMask().getType()).isInteger(1);
  if (getUniform(op.getMask()) == (isOfBits ? 1.0 : 0.0))
    op.getMaskMutable().clear();
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
  std::optional<int64_t> window;
  llvm::erase_if(shown.parts, [&](Value part) {
    std::optional<int64_t> own = getWindow(part, queries, keys, shapes);
    if (own)
      window = std::min(*own, window.value_or(*own));
    return own.has_value();
  });
  // A float, however low, does not hide a key from a row that sees no other.
  if (shown.isWeak &&
      !(shown.parts.empty() && shapes.isAtLeast(keys - queries, 0)))
    return;
  if (shown.parts.size() > 1)
    return;
  op.getMaskMutable().clear();
  if (shown.bias)
    op.getMaskMutable().append(shown.bias);
  else if (!shown.parts.empty())
    op.getMaskMutable().append(shown.parts.front());
  op.setCausal(true);
  op.setWindow(window);
  reportRecognized(op, window ? "causal mask with a window" : "causal mask");
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
    for (auto op : getOperation().getBody().front().getOps<AttentionOp>()) {
      dropEmpty(op);
      recognize(op, shapes);
    }
    if (hasRemarks(getOperation()))
      for (auto op : getOperation().getBody().front().getOps<AttentionOp>())
        reportLeft(op, shapes);
  }
};

} // namespace
} // namespace tenon::graph
