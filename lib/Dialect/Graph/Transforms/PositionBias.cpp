// Follows positions through what is computed from them. A bias that depends on
// the key alone, or on its distance from the query, is the one of a single
// query that stands behind context - 1 keys.
#include "PositionBias.h"
#include "DerivedWeights.h"
#include "Matching.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace tenon::graph {

using Dependence = PositionDependence;

PositionBias::PositionBias(const SymbolicShapes &shapes, StepSizes sizes,
                           SymbolOp context)
    : shapes(shapes), past(SymbolicExpr::symbol(sizes.past.getName())),
      sequence(SymbolicExpr::symbol(sizes.sequence.getName())) {
  Operation *last = context;
  for (SymbolOp symbol : {sizes.batch, sizes.sequence, sizes.past})
    if (last->isBeforeInBlock(symbol))
      last = symbol;
  OpBuilder builder(last->getContext());
  builder.setInsertionPointAfter(last);
  Location loc = context.getLoc();
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  computed.map(sizes.batch.getValue(), one);
  computed.map(sizes.sequence.getValue(), one);
  computed.map(
      sizes.past.getValue(),
      arith::SubIOp::create(builder, loc, context.getValue(), one).getResult());
}

/// Is it the same for all steps?
static bool isFixed(const SymbolicExpr &expr) {
  return expr.getConstant().has_value();
}

static bool isUniform(const Dependence &value) {
  return value.kind == Dependence::Uniform ||
         (value.kind == Dependence::Size && isFixed(value.offset));
}

/// Does it depend on the index alone, whatever sizes the step has?
static bool isAlong(const Dependence &value) {
  return value.kind == Dependence::Along ||
         (value.kind == Dependence::Index && isFixed(value.offset));
}

static bool isLinear(const Dependence &value) {
  return value.kind == Dependence::Linear || value.kind == Dependence::Index;
}

static int64_t getRank(Value value) {
  return cast<RankedTensorType>(value.getType()).getRank();
}

PositionDependence PositionBias::find(Value value) {
  auto found = known.find(value);
  if (found != known.end())
    return found->second;
  Dependence result;
  const SymbolicSizes *contents = shapes.getContents(value);
  if (contents && contents->size() == 1)
    result = {Dependence::Size, 0, 0, contents->front()};
  else if (contents && llvm::all_of(*contents, isFixed))
    result.kind = Dependence::Uniform;
  else if (Operation *op = value.getDefiningOp())
    result = make(op);
  known[value] = result;
  return result;
}

PositionDependence PositionBias::make(Operation *op) {
  return TypeSwitch<Operation *, Dependence>(op)
      .Case<ConstantOp, WeightOp>(
          [](Operation *) { return Dependence{Dependence::Uniform}; })
      .Case([&](IotaOp iota) -> Dependence {
        std::optional<SymbolicExpr> start = shapes.getIndex(iota.getStart());
        if (!start || iota.getStep() != 1)
          return {};
        return {Dependence::Index, 1, 0, *start};
      })
      .Case([&](CumulativeSumOp sum) -> Dependence {
        Value input = sum.getInput();
        while (isa_and_nonnull<BroadcastOp, CastOp, ReshapeOp>(
            input.getDefiningOp()))
          input = input.getDefiningOp()->getOperand(0);
        if (getScalar(input) != 1.0 || sum.getExclusive() || sum.getReverse())
          return {};
        return {Dependence::Index, getRank(sum) - sum.getAxis(), 0, 1};
      })
      .Case<AddOp, SubOp>([&](Operation *sum) { return makeSum(sum); })
      .Case<DivOp, MulOp>(
          [&](Operation *product) { return makeProduct(product); })
      .Case([&](CastOp cast) { return makeCast(cast); })
      .Case([&](BroadcastOp repeat) { return find(repeat.getInput()); })
      .Case([&](ReshapeOp reshape) { return makeReshape(reshape); })
      .Case([&](TransposeOp transpose) { return makeTranspose(transpose); })
      .Case([&](GatherOp gather) { return makeGather(gather); })
      .Case([&](SliceOp slice) { return makeSlice(slice); })
      .Case<AbsOp, AndOp, CeilOp, EqualOp, ExpOp, FloorOp, GreaterEqualOp,
            GreaterOp, LessEqualOp, LessOp, LogOp, MaxOp, MinOp, NegOp, NotOp,
            OrOp, PowOp, ReciprocalOp, ReluOp, SqrtOp, TanhOp, WhereOp>(
          [&](Operation *other) { return makeElementwise(other); })
      .Default([](Operation *) { return Dependence(); });
}

PositionDependence PositionBias::makeSum(Operation *op) {
  Dependence lhs = find(op->getOperand(0)), rhs = find(op->getOperand(1));
  bool isSub = isa<SubOp>(op);
  if (!isSub && lhs.kind == Dependence::Size)
    std::swap(lhs, rhs);
  if (lhs.kind == Dependence::Index && rhs.kind == Dependence::Size) {
    lhs.offset = isSub ? lhs.offset - rhs.offset : lhs.offset + rhs.offset;
    return lhs;
  }
  Dependence result = makeElementwise(op);
  if (result.kind != Dependence::Unknown)
    return result;
  Value operands[] = {op->getOperand(0), op->getOperand(1)};
  for (Value operand : operands) {
    Dependence one = find(operand);
    auto fits = [&](Value other) {
      Dependence found = find(other);
      if (found.kind == Dependence::Uniform)
        return isRepeated(other, one.dim);
      return found.kind == Dependence::Size ||
             (isLinear(found) && found.dim == one.dim);
    };
    if (isLinear(one) && llvm::all_of(operands, fits))
      return {Dependence::Linear, one.dim};
  }
  return {};
}

PositionDependence PositionBias::makeProduct(Operation *op) {
  Dependence result = makeElementwise(op);
  if (result.kind != Dependence::Unknown)
    return result;
  Value lhs = op->getOperand(0), rhs = op->getOperand(1);
  if (isa<MulOp>(op) && isUniform(find(lhs)))
    std::swap(lhs, rhs);
  int64_t dim = find(lhs).dim;
  bool isInteger = getElementTypeOrSelf(op->getResult(0).getType()).isInteger();
  if (!isLinear(find(lhs)) || !isUniform(find(rhs)) || !isRepeated(rhs, dim) ||
      (isa<DivOp>(op) && isInteger))
    return {};
  return {Dependence::Linear, dim};
}

/// Has it one element for all places along the dimension? What depends on no
/// position has, where the size is not known.
bool PositionBias::isRepeated(Value value, int64_t dim) const {
  auto type = cast<RankedTensorType>(value.getType());
  if (dim == 0 || dim > type.getRank())
    return true;
  int64_t size = type.getShape().end()[-dim];
  return size == 1 || ShapedType::isDynamic(size);
}

/// What is computed from elements at the same place.
PositionDependence PositionBias::makeElementwise(Operation *op) {
  SmallVector<Dependence> operands;
  for (Value operand : op->getOperands()) {
    operands.push_back(find(operand));
    if (isUniform(operands.back()))
      operands.pop_back();
  }
  if (operands.empty())
    return {Dependence::Uniform};
  Dependence first = operands.front();
  // k + a compared with q + b, or less it: a function of k - q - (b - a).
  if (operands.size() == 2 && operands[1].kind == Dependence::Index &&
      first.kind == Dependence::Index && first.dim != operands[1].dim &&
      isa<EqualOp, GreaterEqualOp, GreaterOp, LessEqualOp, LessOp, SubOp>(op)) {
    Dependence key = first, query = operands[1];
    if (key.dim > query.dim)
      std::swap(key, query);
    return {Dependence::Distance, key.dim, query.dim,
            query.offset - key.offset};
  }
  auto agrees = [&](const Dependence &other) {
    if (isAlong(first))
      return isAlong(other) && other.dim == first.dim;
    return first.kind == Dependence::Distance &&
           other.kind == Dependence::Distance && other.dim == first.dim &&
           other.queryDim == first.queryDim &&
           isFixed(other.offset - first.offset);
  };
  auto isRepeatedAlong = [&](Value operand) {
    return !isUniform(find(operand)) || (isRepeated(operand, first.dim) &&
                                         isRepeated(operand, first.queryDim));
  };
  if (!llvm::all_of(operands, agrees) ||
      !llvm::all_of(op->getOperands(), isRepeatedAlong))
    return {};
  if (first.kind == Dependence::Index)
    return {Dependence::Along, first.dim};
  return first;
}

/// Positions are whole numbers that an f32 has.
PositionDependence PositionBias::makeCast(CastOp op) {
  Dependence input = find(op.getInput());
  Type element = getElementTypeOrSelf(op.getType());
  bool isExact = element.isF32() || element.isF64() ||
                 element.isSignlessInteger(32) || element.isSignlessInteger(64);
  bool isOfIntegers = getElementTypeOrSelf(op.getInput().getType()).isInteger();
  if (input.kind == Dependence::Index || input.kind == Dependence::Size)
    return isExact ? input : makeElementwise(op);
  if (input.kind == Dependence::Linear)
    return isExact && (isOfIntegers || !element.isInteger()) ? input
                                                             : Dependence();
  return makeElementwise(op);
}

PositionDependence PositionBias::makeReshape(ReshapeOp op) {
  Dependence result = find(op.getInput());
  if (result.kind == Dependence::Unknown ||
      result.kind == Dependence::Uniform || result.kind == Dependence::Size)
    return result;
  const SymbolicSizes *input = shapes.getSizes(op.getInput());
  const SymbolicSizes *output = shapes.getSizes(op.getOutput());
  if (!input || !output)
    return {};
  auto countBehind = [](ArrayRef<SymbolicExpr> sizes) {
    SymbolicExpr product = 1;
    for (const SymbolicExpr &size : sizes)
      product = product * size;
    return product;
  };
  // A dimension with as many elements behind it is the same.
  auto follow = [&](int64_t &dim) {
    if (dim == 0)
      return true;
    const SymbolicExpr &size = input->end()[-dim];
    SymbolicExpr behind = countBehind(ArrayRef(*input).take_back(dim - 1));
    for (int64_t other = 1; other <= int64_t(output->size()); ++other)
      if (output->end()[-other] == size && !isFixed(size) &&
          countBehind(ArrayRef(*output).take_back(other - 1)) == behind) {
        dim = other;
        return true;
      }
    return false;
  };
  return follow(result.dim) && follow(result.queryDim) ? result : Dependence();
}

PositionDependence PositionBias::makeTranspose(TransposeOp op) {
  Dependence result = find(op.getInput());
  ArrayRef<int64_t> permutation = op.getPermutation();
  int64_t rank = permutation.size();
  for (int64_t *dim : {&result.dim, &result.queryDim})
    if (*dim != 0)
      *dim =
          rank - (llvm::find(permutation, rank - *dim) - permutation.begin());
  return result;
}

/// Rows of a table, by what the indices depend on.
PositionDependence PositionBias::makeGather(GatherOp op) {
  Dependence result = find(op.getIndices());
  if (!isUniform(find(op.getInput())))
    return {};
  if (isUniform(result))
    return {Dependence::Uniform};
  if (isAlong(result))
    result = {Dependence::Along, result.dim};
  else if (result.kind != Dependence::Distance)
    return {};
  int64_t behind = getRank(op.getInput()) - 1 - op.getAxis();
  result.dim += behind;
  if (result.queryDim != 0)
    result.queryDim += behind;
  return result;
}

/// Whether each line of a table along a dimension has equal steps, but for
/// their rounding.
static bool hasEqualSteps(Value table, int64_t dim) {
  auto type = cast<RankedTensorType>(table.getType());
  int64_t count = type.getDimSize(dim), stride = 1;
  for (int64_t size : type.getShape().drop_front(dim + 1))
    stride *= size;
  std::vector<float> values;
  if (auto weight = table.getDefiningOp<WeightOp>()) {
    FailureOr<std::vector<float>> read = failure();
    if (type.getElementType().isF32())
      read = readValues(weight);
    if (failed(read))
      return false;
    values = std::move(*read);
  } else if (auto constant = table.getDefiningOp<ConstantOp>()) {
    auto elements = dyn_cast<DenseFPElementsAttr>(constant.getValue());
    if (!elements || !type.getElementType().isF32())
      return false;
    auto range = elements.getValues<float>();
    values.assign(range.begin(), range.end());
  }
  if (values.empty() || int64_t(values.size()) != type.getNumElements())
    return false;
  for (int64_t first = 0; first < type.getNumElements(); ++first) {
    if (first / stride % count != 0)
      continue;
    auto at = [&](int64_t i) { return double(values[first + i * stride]); };
    double step = count > 1 ? (at(count - 1) - at(0)) / (count - 1) : 0;
    double most = std::max(std::abs(at(0)), std::abs(at(count - 1)));
    for (int64_t i = 0; i < count; ++i)
      if (!(std::abs(at(0) + i * step - at(i)) <= std::ldexp(most, -22)))
        return false;
  }
  return true;
}

PositionDependence PositionBias::makeSlice(SliceOp op) {
  Dependence result = find(op.getInput());
  const SymbolicSizes *sizes = shapes.getSizes(op.getInput());
  if (result.kind == Dependence::Unknown || !sizes)
    return {};
  for (auto [i, start, end, step, size] : llvm::enumerate(
           op.getMixedStarts(), op.getMixedEnds(), op.getSteps(), *sizes)) {
    int64_t dim = sizes->size() - i;
    std::optional<SymbolicExpr> low = shapes.getIndex(start),
                                high = shapes.getIndex(end);
    if (!low || !high || step != 1)
      return {};
    SymbolicExpr first = shapes.clampBound(*low, size, 1, /*isStart=*/true);
    SymbolicExpr last = shapes.clampBound(*high, size, 1, /*isStart=*/false);
    if (first == SymbolicExpr(0) && last == size)
      continue;
    if (dim == result.queryDim) {
      result.offset = result.offset + first;
    } else if (dim == result.dim) {
      if (result.kind == Dependence::Along && !isFixed(first))
        return {};
      result.offset = result.kind == Dependence::Distance
                          ? result.offset - first
                          : result.offset + first;
    } else if (isFixed(first) && isFixed(last)) {
      continue;
    } else if (isUniform(result) && isFixed(first)) {
      result = {Dependence::Along, dim};
    } else if (isUniform(result) && hasEqualSteps(op.getInput(), i)) {
      result = {Dependence::Linear, dim};
    } else {
      return {};
    }
  }
  return result;
}

/// `value` of a step with one row, whose single query is the last of `context`.
Value PositionBias::compute(Value value) {
  if (Value done = computed.lookupOrNull(value))
    return done;
  Operation *op = value.getDefiningOp();
  bool isChanged = false;
  if (op)
    for (Value operand : op->getOperands())
      isChanged |= compute(operand) != operand;
  if (!isChanged) {
    computed.map(value, value);
    return value;
  }
  OpBuilder builder(op);
  Operation *clone = builder.clone(*op, computed);
  // What it computes is no tensor of the model.
  clone->removeAttr("tenon.id");
  return computed.lookup(value);
}

std::optional<PositionBias::Formed> PositionBias::form(Value bias) {
  Dependence found = find(bias);
  bool isByKey =
      (found.kind == Dependence::Along || found.kind == Dependence::Linear) &&
      found.dim == 1;
  // The query stands at its index behind what came before.
  bool isRelative = found.kind == Dependence::Distance && found.dim == 1 &&
                    found.queryDim == 2 && isFixed(found.offset - past);
  if (!isByKey && !isRelative)
    return std::nullopt;
  return Formed{compute(bias), isRelative};
}

std::optional<int64_t> PositionBias::getPosition(Value value) {
  Dependence found = find(value);
  const SymbolicSizes *sizes = shapes.getSizes(value);
  if (found.kind != Dependence::Index || !sizes ||
      sizes->end()[-found.dim] != sequence)
    return std::nullopt;
  return (found.offset - past).getConstant();
}

} // namespace tenon::graph
