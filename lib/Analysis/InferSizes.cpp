// The sizes that each op gives its result, and what it takes for equal.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tenon::graph;

namespace tenon {

static RankedTensorType tensorType(Value value) {
  return dyn_cast<RankedTensorType>(value.getType());
}

SymbolicExpr SymbolicShapes::clampBound(SymbolicExpr bound,
                                        const SymbolicExpr &size, int64_t step,
                                        bool isStart) const {
  SymbolicExpr low = step > 0 || isStart ? 0 : -1;
  SymbolicExpr high = step > 0 ? size : size - 1;
  if (std::optional<int64_t> constant = bound.getConstant()) {
    if (*constant > (INT64_MAX >> 1))
      return high;
    if (*constant < -(INT64_MAX >> 1))
      bound = low;
    else if (*constant < 0)
      bound = bound + size;
  } else if (!isAtLeast(bound, 0)) {
    bound = SymbolicExpr::select(SymbolicExpr::isLess(bound, 0), bound + size,
                                 bound);
  }
  if (!isAtLeast(bound - low, 0))
    bound = SymbolicExpr::max(bound, low);
  if (!isAtLeast(high - bound, 0))
    bound = SymbolicExpr::min(bound, high);
  return bound;
}

SymbolicExpr SymbolicShapes::countWindows(const SymbolicExpr &size,
                                          int64_t kernel, int64_t stride,
                                          int64_t dilation) const {
  int64_t span = (kernel - 1) * dilation + 1;
  SymbolicExpr count =
      SymbolicExpr::floorDiv(size + SymbolicExpr(stride - span), stride);
  return isAtLeast(count, 0) ? count : SymbolicExpr::max(count, 0);
}

void SymbolicShapes::assumeEqual(Operation &op, const SymbolicExpr &lhs,
                                 const SymbolicExpr &rhs) {
  if (lhs != rhs)
    assumptions.push_back({lhs, rhs, op.getLoc()});
}

void SymbolicShapes::assumeInside(Operation &op, Value indices, Value input,
                                  int64_t axis) {
  const SymbolicSizes *part = getSizes(indices), *whole = getSizes(input);
  if (!part || !whole)
    return;
  for (size_t dim = 0; dim < part->size(); ++dim)
    if (int64_t(dim) != axis && !isAtLeast((*whole)[dim] - (*part)[dim], 0))
      assumeEqual(op, (*part)[dim],
                  SymbolicExpr::min((*part)[dim], (*whole)[dim]));
}

SymbolicSizes SymbolicShapes::broadcast(Operation &op, const SymbolicSizes &lhs,
                                        const SymbolicSizes &rhs) {
  SymbolicSizes result;
  size_t rank = std::max(lhs.size(), rhs.size());
  for (size_t i = 0; i < rank; ++i) {
    bool hasLhs = i + lhs.size() >= rank, hasRhs = i + rhs.size() >= rank;
    if (!hasLhs || !hasRhs) {
      result.push_back(hasLhs ? lhs[i + lhs.size() - rank]
                              : rhs[i + rhs.size() - rank]);
      continue;
    }
    const SymbolicExpr &left = lhs[i + lhs.size() - rank];
    const SymbolicExpr &right = rhs[i + rhs.size() - rank];
    if (left == right || right == SymbolicExpr(1)) {
      result.push_back(left);
    } else if (left == SymbolicExpr(1)) {
      result.push_back(right);
    } else if (right.hasValues() && left.getConstant()) {
      // A value that is 1 lets the other size stand.
      result.push_back(left);
      assumeEqual(
          op,
          SymbolicExpr::select(SymbolicExpr::isEqual(right, 1), left, right),
          left);
    } else {
      // Neither is known to be 1: the model is taken to mean equal sizes.
      bool takeRight = right.getConstant().has_value();
      result.push_back(takeRight ? right : left);
      assumeEqual(op, left, right);
    }
  }
  return result;
}

/// The function's arguments that `value` is computed from element by element,
/// where a look-up or a slice takes a part of them, whatever their sizes.
static llvm::SetVector<BlockArgument> getLookedUp(Value value) {
  llvm::SetVector<BlockArgument> found;
  llvm::SetVector<std::pair<Value, int>> reached; // 1: through a look-up
  reached.insert({value, 0});
  for (size_t i = 0; i < reached.size(); ++i) {
    auto [current, isLookedUp] = reached[i];
    if (auto argument = dyn_cast<BlockArgument>(current)) {
      if (isLookedUp && isa<func::FuncOp>(argument.getOwner()->getParentOp()))
        found.insert(argument);
      continue;
    }
    Operation *op = current.getDefiningOp();
    if (isa<GatherOp, GatherNDOp, SliceOp>(op))
      reached.insert({op->getOperand(0), 1});
    else if (isa<CastOp, ReshapeOp, BroadcastOp>(op))
      reached.insert({op->getOperand(0), isLookedUp});
    else if (isa<NotOp, AndOp, OrOp, WhereOp, AddOp, SubOp, MulOp, EqualOp,
                 LessOp, LessEqualOp, GreaterOp, GreaterEqualOp>(op))
      for (Value operand : op->getOperands())
        reached.insert({operand, isLookedUp});
  }
  return found;
}

void SymbolicShapes::assumeMaskLength(AttentionOp op) {
  const SymbolicExpr &batch = (*getSizes(op.getQuery()))[0];
  const SymbolicExpr &keys = (*getSizes(op.getKey()))[2];
  for (BlockArgument mask : getLookedUp(op.getMask())) {
    const SymbolicSizes *known = getSizes(mask);
    if (!known || known->size() != 2 || known->front() != batch)
      continue;
    // What other inputs have too is no length of this one's own.
    const SymbolicExpr &length = known->back();
    bool isOwn =
        llvm::none_of(mask.getOwner()->getArguments(), [&](Value other) {
          const SymbolicSizes *others = getSizes(other);
          return other != mask && others && llvm::is_contained(*others, length);
        });
    if (isOwn && !length.getConstant())
      assumeEqual(*op, length, keys);
  }
}

/// Product of sizes[from..to).
static SymbolicExpr product(ArrayRef<SymbolicExpr> sizes) {
  SymbolicExpr result = 1;
  for (const SymbolicExpr &size : sizes)
    result = result * size;
  return result;
}

std::optional<SymbolicSizes> SymbolicShapes::inferReshape(ReshapeOp op) {
  const SymbolicSizes *input = getSizes(op.getInput());
  SymbolicSizes result;
  std::optional<size_t> rest;
  for (auto [i, mixed] : llvm::enumerate(op.getMixedSizes())) {
    std::optional<SymbolicExpr> size = getIndex(mixed);
    if (!size)
      return std::nullopt;
    std::optional<int64_t> constant = size->getConstant();
    if (constant && *constant == -1) {
      rest = i;
      size = SymbolicExpr(1);
    } else if (constant && *constant == 0 && !op.getAllowZero()) {
      if (!input || i >= input->size())
        return std::nullopt;
      size = (*input)[i];
    }
    result.push_back(*size);
  }
  if (!input)
    return rest ? std::nullopt : std::optional(result);
  SymbolicExpr count = product(*input);
  if (rest)
    result[*rest] = SymbolicExpr::floorDiv(count, product(result));
  // An exporter may have fixed a size, or what remains may be no multiple.
  assumeEqual(*op, count, product(result));
  return result;
}

std::optional<SymbolicSizes> SymbolicShapes::inferSizes(Operation &op) {
  auto of = [&](Value value) { return getSizes(value); };
  auto broadcastOperands = [&]() -> std::optional<SymbolicSizes> {
    SymbolicSizes result;
    for (Value operand : op.getOperands()) {
      const SymbolicSizes *known = of(operand);
      if (!known)
        return std::nullopt;
      result = broadcast(op, result, *known);
    }
    return result;
  };
  auto same = [&](Value value) -> std::optional<SymbolicSizes> {
    const SymbolicSizes *known = of(value);
    if (!known)
      return std::nullopt;
    return *known;
  };
  // Rows of a cache may end with a scale.
  auto headSize = [&](Value heads, bool isCache) {
    Type element = cast<RankedTensorType>(heads.getType()).getElementType();
    int64_t behind = isCache ? AppendOp::getRowSize(0, element) : 0;
    return of(heads)->back() - SymbolicExpr(behind);
  };
  return TypeSwitch<Operation *, std::optional<SymbolicSizes>>(&op)
      .Case<AbsOp, NegOp, ExpOp, LogOp, SqrtOp, ReciprocalOp, SinOp, CosOp,
            TanhOp, ErfOp, SigmoidOp, ReluOp, FloorOp, CeilOp, RoundOp, NotOp,
            IsNaNOp, CastOp, BitcastOp, GeluOp, CumulativeSumOp,
            CumulativeProductOp, SoftmaxOp>(
          [&](auto) { return same(op.getOperand(0)); })
      .Case([&](NormOp norm) -> std::optional<SymbolicSizes> {
        std::optional<SymbolicSizes> result = same(norm.getInput());
        for (Value operand : {norm.getScale(), norm.getBias()}) {
          const SymbolicSizes *known = operand ? of(operand) : nullptr;
          if (result && known)
            for (auto [size, wanted] :
                 llvm::zip(*known, llvm::drop_begin(*result, norm.getAxis())))
              assumeEqual(op, size, wanted);
        }
        return result;
      })
      .Case<AddOp, SubOp, MulOp, DivOp, ModOp, PowOp, MaxOp, MinOp, AndOp, OrOp,
            XorOp, ShiftLeftOp, ShiftRightOp, EqualOp, LessOp, LessEqualOp,
            GreaterOp, GreaterEqualOp, WhereOp, QuantizeOp, DequantizeOp>(
          [&](auto) { return broadcastOperands(); })
      .Case([&](ReshapeOp reshape) { return inferReshape(reshape); })
      .Case([&](BroadcastOp broadcast) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(broadcast.getInput());
        SymbolicSizes wanted;
        for (OpFoldResult size : broadcast.getMixedSizes()) {
          std::optional<SymbolicExpr> expr = getIndex(size);
          if (!expr)
            return std::nullopt;
          wanted.push_back(*expr);
        }
        if (!input)
          return std::nullopt;
        return this->broadcast(*broadcast, *input, wanted);
      })
      .Case([&](IotaOp iota) -> std::optional<SymbolicSizes> {
        std::optional<SymbolicExpr> size = getIndex(iota.getSize());
        if (!size)
          return std::nullopt;
        if (!isAtLeast(*size, 0))
          size = SymbolicExpr::max(*size, 0);
        return SymbolicSizes{*size};
      })
      .Case([&](TransposeOp transpose) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(transpose.getInput());
        if (!input)
          return std::nullopt;
        SymbolicSizes result;
        for (int64_t dim : transpose.getPermutation())
          result.push_back((*input)[dim]);
        return result;
      })
      .Case([&](ConcatOp concat) -> std::optional<SymbolicSizes> {
        std::optional<SymbolicSizes> result;
        for (Value value : concat.getInputs()) {
          const SymbolicSizes *input = of(value);
          if (!input)
            return std::nullopt;
          if (!result) {
            result = *input;
            continue;
          }
          for (auto [dim, size] : llvm::enumerate(*input))
            if (int64_t(dim) == concat.getAxis())
              (*result)[dim] = (*result)[dim] + size;
            else
              assumeEqual(op, (*result)[dim], size);
        }
        return result;
      })
      .Case([&](SliceOp slice) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(slice.getInput());
        if (!input)
          return std::nullopt;
        SymbolicSizes result;
        auto starts = slice.getMixedStarts(), ends = slice.getMixedEnds();
        for (auto [dim, size] : llvm::enumerate(*input)) {
          std::optional<SymbolicExpr> start = getIndex(starts[dim]);
          std::optional<SymbolicExpr> end = getIndex(ends[dim]);
          int64_t step = slice.getSteps()[dim];
          if (!start || !end)
            return std::nullopt;
          SymbolicExpr from = clampBound(*start, size, step, true);
          SymbolicExpr to = clampBound(*end, size, step, false);
          SymbolicExpr length = step > 0 ? to - from : from - to;
          if (!isAtLeast(length, 0))
            length = SymbolicExpr::max(length, 0);
          result.push_back(SymbolicExpr::ceilDiv(length, std::abs(step)));
        }
        return result;
      })
      .Case([&](PadOp pad) -> std::optional<SymbolicSizes> {
        std::optional<SymbolicSizes> result = same(pad.getInput());
        if (!result)
          return std::nullopt;
        auto lows = pad.getMixedLows(), highs = pad.getMixedHighs();
        for (auto [dim, size] : llvm::enumerate(*result)) {
          std::optional<SymbolicExpr> low = getIndex(lows[dim]);
          std::optional<SymbolicExpr> high = getIndex(highs[dim]);
          if (!low || !high)
            return std::nullopt;
          size = size + *low + *high;
          if (!isAtLeast(size, 0))
            size = SymbolicExpr::max(size, 0);
        }
        return result;
      })
      .Case([&](WindowOp window) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(window.getInput());
        if (!input)
          return std::nullopt;
        size_t leading = input->size() - window.getKernel().size();
        SymbolicSizes result(input->begin(), input->begin() + leading);
        for (auto [i, kernel] : llvm::enumerate(window.getKernel()))
          result.push_back(countWindows((*input)[leading + i], kernel,
                                        window.getStrides()[i],
                                        window.getDilations()[i]));
        result.append(window.getKernel().begin(), window.getKernel().end());
        return result;
      })
      .Case([&](OverlapAddOp overlap) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(overlap.getInput());
        if (!input)
          return std::nullopt;
        size_t leading = input->size() - 2 * overlap.getStrides().size();
        SymbolicSizes result(input->begin(), input->begin() + leading);
        for (auto [i, size] : llvm::enumerate(overlap.getMixedSizes())) {
          std::optional<SymbolicExpr> expr = getIndex(size);
          if (!expr)
            return std::nullopt;
          assumeEqual(op, (*input)[leading + i],
                      countWindows(*expr, overlap.getKernel()[i],
                                   overlap.getStrides()[i],
                                   overlap.getDilations()[i]));
          result.push_back(*expr);
        }
        return result;
      })
      .Case([&](GatherOp gather) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(gather.getInput());
        const SymbolicSizes *index = of(gather.getIndices());
        if (!input || !index)
          return std::nullopt;
        SymbolicSizes result(input->begin(), input->begin() + gather.getAxis());
        llvm::append_range(result, *index);
        result.append(input->begin() + gather.getAxis() + 1, input->end());
        return result;
      })
      .Case([&](DequantizeBlocksOp blocks) -> std::optional<SymbolicSizes> {
        ArrayRef<int64_t> shape = tensorType(blocks.getOutput()).getShape();
        return SymbolicSizes(shape.begin(), shape.end());
      })
      .Case([&](GatherNDOp gather) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(gather.getInput());
        const SymbolicSizes *index = of(gather.getIndices());
        if (!input || !index)
          return std::nullopt;
        int64_t tuple = tensorType(gather.getIndices()).getShape().back();
        for (int64_t dim = 0; dim < gather.getBatchDims(); ++dim)
          assumeEqual(op, (*index)[dim], (*input)[dim]);
        SymbolicSizes result(index->begin(), index->end() - 1);
        result.append(input->begin() + gather.getBatchDims() + tuple,
                      input->end());
        return result;
      })
      .Case([&](GatherElementsOp gather) {
        assumeInside(op, gather.getIndices(), gather.getInput(),
                     gather.getAxis());
        return same(gather.getIndices());
      })
      .Case([&](ScatterElementsOp scatter) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *indices = of(scatter.getIndices());
        const SymbolicSizes *updates = of(scatter.getUpdates());
        if (!indices || !updates)
          return std::nullopt;
        for (auto [count, given] : llvm::zip(*indices, *updates))
          assumeEqual(op, count, given);
        assumeInside(op, scatter.getIndices(), scatter.getInput(),
                     scatter.getAxis());
        return same(scatter.getInput());
      })
      .Case([&](ScatterNDOp scatter) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(scatter.getInput());
        const SymbolicSizes *indices = of(scatter.getIndices());
        const SymbolicSizes *updates = of(scatter.getUpdates());
        int64_t length = tensorType(scatter.getIndices()).getShape().back();
        if (!input || !indices || !updates || ShapedType::isDynamic(length))
          return std::nullopt;
        SymbolicSizes expected(indices->begin(), indices->end() - 1);
        expected.append(input->begin() + length, input->end());
        for (auto [size, given] : llvm::zip(expected, *updates))
          assumeEqual(op, size, given);
        return *input;
      })
      .Case([&](TopKOp topK) -> std::optional<SymbolicSizes> {
        std::optional<SymbolicSizes> result = same(topK.getInput());
        std::optional<SymbolicExpr> k = getIndex(topK.getK());
        if (!result || !k)
          return std::nullopt;
        SymbolicExpr &size = (*result)[topK.getAxis()];
        assumeEqual(op, *k, SymbolicExpr::min(*k, size));
        size = *k;
        return result;
      })
      .Case([&](MatmulOp matmul) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *lhs = of(matmul.getLhs());
        const SymbolicSizes *rhs = of(matmul.getRhs());
        if (!lhs || !rhs)
          return std::nullopt;
        SymbolicSizes result =
            broadcast(op, SymbolicSizes(lhs->begin(), lhs->end() - 2),
                      SymbolicSizes(rhs->begin(), rhs->end() - 2));
        bool left = matmul.getTransposeLhs(), right = matmul.getTransposeRhs();
        assumeEqual(op, lhs->end()[left ? -2 : -1],
                    rhs->end()[right ? -1 : -2]);
        result.push_back(lhs->end()[left ? -1 : -2]);
        result.push_back(rhs->end()[right ? -2 : -1]);
        return result;
      })
      .Case([&](RotaryOp rotary) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(rotary.getInput());
        if (!input)
          return std::nullopt;
        for (Value table : {rotary.getCosine(), rotary.getSine()}) {
          const SymbolicSizes *known = of(table);
          if (!known)
            return std::nullopt;
          // Rank 3 stands for batch×S×D/2: the heads have no dimension.
          int64_t rank = known->size();
          for (int64_t dim = 0; dim < rank - 1; ++dim)
            if ((*known)[dim] != SymbolicExpr(1))
              assumeEqual(op, (*known)[dim],
                          rank == 3 && dim == 0 ? input->front()
                                                : input->end()[dim - rank]);
          assumeEqual(op, known->back(),
                      SymbolicExpr::floorDiv(input->back(), 2));
        }
        return *input;
      })
      .Case([&](AttentionOp attention) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *query = of(attention.getQuery());
        const SymbolicSizes *key = of(attention.getKey());
        const SymbolicSizes *value = of(attention.getValue());
        if (!query || !key || !value)
          return std::nullopt;
        bool readsCaches = bool(attention.getStarts());
        // A cache has a slot for each row of the batch only without slots.
        if (!attention.getSlots())
          assumeEqual(op, (*query)[0], (*key)[0]);
        assumeEqual(op, (*key)[0], (*value)[0]);
        assumeEqual(op, (*key)[1], (*value)[1]);
        assumeEqual(op, (*key)[2], (*value)[2]);
        assumeEqual(op, (*query)[3], headSize(attention.getKey(), readsCaches));
        if (Value mask = attention.getMask()) {
          const SymbolicSizes *known = of(mask);
          if (!known)
            return std::nullopt;
          // The scores have these sizes, which no mask widens.
          std::optional<SymbolicExpr> keys =
              attention.getLength() ? getIndex(attention.getLength())
                                    : std::optional((*key)[2]);
          if (!keys)
            return std::nullopt;
          SymbolicSizes scores{(*query)[0], (*query)[1], (*query)[2], *keys};
          for (auto [size, wanted] :
               llvm::zip(llvm::reverse(*known), llvm::reverse(scores)))
            if (size != SymbolicExpr(1))
              assumeEqual(op, size, wanted);
          if (!attention.getStarts())
            assumeMaskLength(attention);
        }
        SymbolicSizes result = *query;
        result.back() = headSize(attention.getValue(), readsCaches);
        return result;
      })
      .Case([&](AppendOp append) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(append.getInput());
        const SymbolicSizes *cache = of(append.getCache());
        if (!input || !cache)
          return std::nullopt;
        assumeEqual(op, (*input)[1], (*cache)[1]);
        assumeEqual(op, (*input)[3],
                    headSize(append.getCache(), /*isCache=*/true));
        for (Value places :
             {Value(append.getStarts()), Value(append.getSlots())})
          if (const SymbolicSizes *count = places ? of(places) : nullptr)
            assumeEqual(op, count->front(), (*input)[0]);
        if (!append.getSlots())
          assumeEqual(op, (*input)[0], (*cache)[0]);
        return *cache;
      })
      .Case([&](arith::SelectOp select) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *lhs = of(select.getTrueValue());
        const SymbolicSizes *rhs = of(select.getFalseValue());
        if (!lhs || !rhs || *lhs != *rhs)
          return std::nullopt;
        return *lhs;
      })
      .Case([&](ReduceOp reduce) -> std::optional<SymbolicSizes> {
        std::optional<SymbolicSizes> result = same(reduce.getInput());
        if (result)
          for (int64_t axis : reduce.getAxes())
            (*result)[axis] = 1;
        return result;
      })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace tenon
