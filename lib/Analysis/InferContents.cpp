// What the elements of a small integer tensor are, where they are sizes.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tenon::graph;

namespace tenon {

/// Contents are followed up to this many elements: shapes, and products of
/// them.
static constexpr int64_t maxContents = 64;

static RankedTensorType tensorType(Value value) {
  return dyn_cast<RankedTensorType>(value.getType());
}

/// Row-major position of each element of `output` in an input that broadcasts
/// to it.
static SmallVector<int64_t> broadcastPositions(ArrayRef<int64_t> input,
                                               ArrayRef<int64_t> output) {
  int64_t count = 1;
  for (int64_t size : output)
    count *= size;
  SmallVector<int64_t> positions(count, 0);
  for (int64_t element = 0; element < count; ++element) {
    int64_t rest = element, stride = 1, position = 0;
    for (size_t i = 0; i < output.size(); ++i) {
      int64_t dim = output.size() - 1 - i, index = rest % output[dim];
      rest /= output[dim];
      if (i < input.size()) {
        int64_t size = input[input.size() - 1 - i];
        position += (size == 1 ? 0 : index) * stride;
        stride *= size;
      }
    }
    positions[element] = position;
  }
  return positions;
}

std::optional<SymbolicSizes> SymbolicShapes::inferContents(Operation &op) {
  const SymbolicSizes *resultSizes = getSizes(op.getResult(0));
  if (!resultSizes)
    return std::nullopt;
  RankedTensorType type = tensorType(op.getResult(0));
  SmallVector<int64_t> shape;
  int64_t count = 1;
  for (const SymbolicExpr &size : *resultSizes) {
    std::optional<int64_t> constant = size.getConstant();
    if (!constant)
      return std::nullopt;
    shape.push_back(*constant);
    count *= *constant;
  }
  if (count > maxContents)
    return std::nullopt;
  auto shapeOf = [&](Value value) -> std::optional<SmallVector<int64_t>> {
    const SymbolicSizes *known = getSizes(value);
    if (!known)
      return std::nullopt;
    SmallVector<int64_t> result;
    for (const SymbolicExpr &size : *known) {
      if (!size.getConstant())
        return std::nullopt;
      result.push_back(*size.getConstant());
    }
    return result;
  };
  // The contents of all operands, each broadcast to the result.
  auto elementwise = [&](llvm::function_ref<std::optional<SymbolicExpr>(
                             ArrayRef<SymbolicExpr>)>
                             compute) -> std::optional<SymbolicSizes> {
    SmallVector<SymbolicSizes> operands;
    for (Value operand : op.getOperands()) {
      const SymbolicSizes *known = getContents(operand);
      std::optional<SmallVector<int64_t>> operandShape = shapeOf(operand);
      if (!known || !operandShape)
        return std::nullopt;
      SymbolicSizes spread;
      for (int64_t position : broadcastPositions(*operandShape, shape))
        spread.push_back((*known)[position]);
      operands.push_back(spread);
    }
    SymbolicSizes result;
    for (int64_t i = 0; i < count; ++i) {
      SymbolicSizes values;
      for (const SymbolicSizes &operand : operands)
        values.push_back(operand[i]);
      std::optional<SymbolicExpr> value = compute(values);
      if (!value)
        return std::nullopt;
      result.push_back(*value);
    }
    return result;
  };
  auto sameOrder = [&](Value input) -> std::optional<SymbolicSizes> {
    const SymbolicSizes *known = getContents(input);
    if (!known)
      return std::nullopt;
    return *known;
  };
  using Args = ArrayRef<SymbolicExpr>;
  using Result = std::optional<SymbolicExpr>;
  // What is decided by a value of the model is an expression over it.
  auto isEqual = [&](const SymbolicExpr &lhs,
                     const SymbolicExpr &rhs) -> Result {
    SymbolicExpr difference = lhs - rhs;
    if (std::optional<int64_t> constant = difference.getConstant())
      return *constant == 0 ? 1 : 0;
    if (isAtLeast(difference, 1) || isAtLeast(rhs - lhs, 1))
      return 0;
    if (difference.hasValues())
      return SymbolicExpr::isEqual(lhs, rhs);
    return std::nullopt;
  };
  auto isLess = [&](const SymbolicExpr &lhs,
                    const SymbolicExpr &rhs) -> Result {
    if (isAtLeast(rhs - lhs, 1))
      return 1;
    if (isAtLeast(lhs - rhs, 0))
      return 0;
    if ((lhs - rhs).hasValues())
      return SymbolicExpr::isLess(lhs, rhs);
    return std::nullopt;
  };
  auto negate = [](Result truth) -> Result {
    return truth ? Result(SymbolicExpr(1) - *truth) : std::nullopt;
  };
  return TypeSwitch<Operation *, std::optional<SymbolicSizes>>(&op)
      .Case([&](ConstantOp constant) -> std::optional<SymbolicSizes> {
        auto elements = dyn_cast<DenseIntElementsAttr>(constant.getValue());
        if (!elements)
          return std::nullopt;
        Type element = elements.getElementType();
        bool isUnsigned = element.isInteger(1) || element.isUnsignedInteger();
        SymbolicSizes result;
        for (const APInt &value : elements.getValues<APInt>())
          result.push_back(isUnsigned ? int64_t(value.getZExtValue())
                                      : value.getSExtValue());
        return result;
      })
      .Case([&](FromIndicesOp from) -> std::optional<SymbolicSizes> {
        SymbolicSizes result;
        for (Value value : from.getValues()) {
          std::optional<SymbolicExpr> expr = getIndex(value);
          if (!expr)
            return std::nullopt;
          result.push_back(*expr);
        }
        return result;
      })
      .Case<ReshapeOp>([&](auto) { return sameOrder(op.getOperand(0)); })
      .Case([&](CastOp cast) -> std::optional<SymbolicSizes> {
        Type from = tensorType(cast.getInput()).getElementType();
        Type to = tensorType(cast.getOutput()).getElementType();
        if (!from.isInteger() || !to.isInteger() || to.isInteger(1))
          return std::nullopt;
        return sameOrder(cast.getInput());
      })
      .Case([&](BroadcastOp broadcast) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *known = getContents(broadcast.getInput());
        std::optional<SmallVector<int64_t>> input =
            shapeOf(broadcast.getInput());
        if (!known || !input)
          return std::nullopt;
        SymbolicSizes result;
        for (int64_t position : broadcastPositions(*input, shape))
          result.push_back((*known)[position]);
        return result;
      })
      .Case([&](IotaOp iota) -> std::optional<SymbolicSizes> {
        std::optional<SymbolicExpr> start = getIndex(iota.getStart());
        if (!start)
          return std::nullopt;
        SymbolicSizes result;
        for (int64_t i = 0; i < count; ++i)
          result.push_back(*start + SymbolicExpr(i * iota.getStep()));
        return result;
      })
      .Case([&](ConcatOp concat) -> std::optional<SymbolicSizes> {
        if (shape.size() != 1)
          return std::nullopt;
        SymbolicSizes result;
        for (Value input : concat.getInputs()) {
          const SymbolicSizes *known = getContents(input);
          if (!known)
            return std::nullopt;
          llvm::append_range(result, *known);
        }
        return result;
      })
      .Case([&](GatherOp gather) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *known = getContents(gather.getInput());
        const SymbolicSizes *index = getContents(gather.getIndices());
        if (!known || !index || tensorType(gather.getInput()).getRank() != 1)
          return std::nullopt;
        SymbolicSizes result;
        for (const SymbolicExpr &position : *index) {
          std::optional<int64_t> constant = position.getConstant();
          if (!constant)
            return std::nullopt;
          int64_t at =
              *constant < 0 ? *constant + int64_t(known->size()) : *constant;
          if (at < 0 || at >= int64_t(known->size()))
            return std::nullopt;
          result.push_back((*known)[at]);
        }
        return result;
      })
      .Case([&](SliceOp slice) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *known = getContents(slice.getInput());
        if (!known || shape.size() != 1)
          return std::nullopt;
        std::optional<SymbolicExpr> start = getIndex(slice.getMixedStarts()[0]);
        if (!start || !start->getConstant())
          return std::nullopt;
        int64_t size = known->size(), step = slice.getSteps()[0];
        int64_t at = *start->getConstant();
        at = at < 0 ? at + size : at;
        at = std::clamp<int64_t>(at, 0, step > 0 ? size : size - 1);
        SymbolicSizes result;
        for (int64_t i = 0; i < count; ++i)
          result.push_back((*known)[at + i * step]);
        return result;
      })
      .Case([&](AddOp) {
        return elementwise([](Args a) -> Result { return a[0] + a[1]; });
      })
      .Case([&](SubOp) {
        return elementwise([](Args a) -> Result { return a[0] - a[1]; });
      })
      .Case([&](MulOp) {
        return elementwise([](Args a) -> Result { return a[0] * a[1]; });
      })
      .Case([&](NegOp) {
        return elementwise(
            [](Args a) -> Result { return SymbolicExpr(0) - a[0]; });
      })
      .Case([&](DivOp) {
        return elementwise([&](Args a) -> Result {
          // b·s / b is s; for b = 0 the model itself divides by zero.
          if (std::optional<SymbolicExpr> exact = a[0].divideExactly(a[1]))
            return *exact;
          // Truncation is rounding down only where nothing is negative.
          if (!isAtLeast(a[0], 0) || !isAtLeast(a[1], 1))
            return std::nullopt;
          return SymbolicExpr::floorDiv(a[0], a[1]);
        });
      })
      .Case([&](MaxOp) {
        return elementwise([&](Args a) -> Result {
          if (isAtLeast(a[0] - a[1], 0))
            return a[0];
          if (isAtLeast(a[1] - a[0], 0))
            return a[1];
          return SymbolicExpr::max(a[0], a[1]);
        });
      })
      .Case([&](MinOp) {
        return elementwise([&](Args a) -> Result {
          if (isAtLeast(a[0] - a[1], 0))
            return a[1];
          if (isAtLeast(a[1] - a[0], 0))
            return a[0];
          return SymbolicExpr::min(a[0], a[1]);
        });
      })
      .Case([&](ModOp) {
        return elementwise([&](Args a) -> Result {
          // With and without fmod the same only where nothing is negative.
          if (!isAtLeast(a[0], 0) || !isAtLeast(a[1], 1))
            return std::nullopt;
          return SymbolicExpr::mod(a[0], a[1]);
        });
      })
      .Case([&](EqualOp) {
        return elementwise([&](Args a) { return isEqual(a[0], a[1]); });
      })
      .Case([&](LessOp) {
        return elementwise([&](Args a) { return isLess(a[0], a[1]); });
      })
      .Case([&](GreaterOp) {
        return elementwise([&](Args a) { return isLess(a[1], a[0]); });
      })
      .Case([&](LessEqualOp) {
        return elementwise([&](Args a) { return negate(isLess(a[1], a[0])); });
      })
      .Case([&](GreaterEqualOp) {
        return elementwise([&](Args a) { return negate(isLess(a[0], a[1])); });
      })
      .Case([&](NotOp) -> std::optional<SymbolicSizes> {
        // Of numbers it works bit by bit.
        if (type.getElementType().isInteger(1))
          return elementwise([&](Args a) { return negate(a[0]); });
        if (type.getElementType().isUnsignedInteger())
          return std::nullopt;
        return elementwise(
            [](Args a) -> Result { return SymbolicExpr(-1) - a[0]; });
      })
      .Case<AndOp, OrOp>([&](auto) -> std::optional<SymbolicSizes> {
        // Of numbers these work bit by bit.
        if (!type.getElementType().isInteger(1))
          return std::nullopt;
        return elementwise([&](Args a) -> Result {
          SymbolicExpr both = a[0] * a[1];
          return isa<AndOp>(op) ? both : a[0] + a[1] - both;
        });
      })
      .Case([&](ReduceOp reduce) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *known = getContents(reduce.getInput());
        if (!known || known->empty() ||
            tensorType(reduce.getInput()).getRank() != 1 ||
            reduce.getAxes().size() != 1)
          return std::nullopt;
        SymbolicExpr result = known->front();
        for (const SymbolicExpr &element : llvm::drop_begin(*known)) {
          if (reduce.getKind() == ReductionKind::Sum)
            result = result + element;
          else if (reduce.getKind() == ReductionKind::Prod)
            result = result * element;
          else
            return std::nullopt;
        }
        return SymbolicSizes{result};
      })
      .Case([&](WhereOp) {
        return elementwise([&](Args a) -> Result {
          std::optional<int64_t> condition = a[0].getConstant();
          if (condition)
            return *condition ? a[1] : a[2];
          if (a[1] == a[2])
            return a[1];
          if (a[0].hasValues())
            return SymbolicExpr::select(a[0], a[1], a[2]);
          return std::nullopt;
        });
      })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace tenon
