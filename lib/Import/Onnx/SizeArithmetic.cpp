// Sizes that operands have or hold, and arithmetic on them, which folds where
// they are known.
#include "ImportContext.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"
#include <functional>

using namespace mlir;

namespace tenon {

int64_t staticSize(OpFoldResult size) {
  return getConstantIntValue(size).value_or(ShapedType::kDynamic);
}

SmallVector<int64_t> staticSizes(ArrayRef<OpFoldResult> sizes) {
  return llvm::map_to_vector(sizes, staticSize);
}

/// The elements if the tensor is a constant of integers.
static std::optional<SmallVector<int64_t>> constantInts(Value tensor) {
  auto constant = tensor.getDefiningOp<graph::ConstantOp>();
  if (!constant)
    return std::nullopt;
  auto elements = dyn_cast<DenseIntElementsAttr>(constant.getValue());
  if (!elements)
    return std::nullopt;
  bool isUnsigned = elements.getElementType().isUnsignedInteger() ||
                    elements.getElementType().isInteger(1);
  SmallVector<int64_t> values;
  for (const APInt &value : elements.getValues<APInt>())
    values.push_back(isUnsigned ? static_cast<int64_t>(value.getZExtValue())
                                : value.getSExtValue());
  return values;
}

std::optional<SmallVector<int64_t>>
ImportContext::getConstantInts(Value tensor) {
  if (typeOf(tensor).hasStaticShape() && typeOf(tensor).getNumElements() == 0)
    return SmallVector<int64_t>();
  if (std::optional<SmallVector<int64_t>> values = constantInts(tensor))
    return values;
  const SymbolicSizes *contents = shapes.getContents(tensor);
  if (!contents)
    return std::nullopt;
  SmallVector<int64_t> values;
  for (const SymbolicExpr &element : *contents) {
    std::optional<int64_t> value = element.getConstant();
    if (!value)
      return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

OpFoldResult ImportContext::getSize(Value tensor, int64_t dim) {
  int64_t size = typeOf(tensor).getDimSize(dim);
  if (!ShapedType::isDynamic(size))
    return makeSize(size);
  if (const SymbolicSizes *sizes = shapes.getSizes(tensor))
    if (std::optional<int64_t> known = (*sizes)[dim].getConstant())
      return makeSize(*known);
  return graph::DimOp::create(builder, loc, builder.getIndexType(), tensor, dim)
      .getResult();
}

Sizes ImportContext::getSizes(Value tensor) {
  Sizes sizes;
  for (int64_t dim = 0, rank = typeOf(tensor).getRank(); dim < rank; ++dim)
    sizes.push_back(getSize(tensor, dim));
  return sizes;
}

std::optional<SymbolicExpr> ImportContext::getSizeExpr(Value operand,
                                                       int64_t dim) {
  const SymbolicSizes *sizes = shapes.getSizes(operand);
  return sizes ? std::optional((*sizes)[dim]) : std::nullopt;
}

Value ImportContext::materialize(OpFoldResult size) {
  if (auto value = dyn_cast<Value>(size))
    return value;
  return arith::ConstantIndexOp::create(builder, loc,
                                        *getConstantIntValue(size));
}

OpFoldResult ImportContext::extract(Value tensor, int64_t position) {
  // Looks through what models build shapes with, so that the sizes which are
  // written in the model are in the types from the start.
  if (std::optional<SmallVector<int64_t>> values = getConstantInts(tensor))
    return makeSize((*values)[position]);
  if (const SymbolicSizes *contents = shapes.getContents(tensor))
    if (std::optional<int64_t> known = (*contents)[position].getConstant())
      return makeSize(*known);
  Operation *op = tensor.getDefiningOp();
  if (auto sizes = dyn_cast_if_present<graph::FromIndicesOp>(op)) {
    Value size = sizes.getValues()[position];
    if (std::optional<int64_t> value = getConstantIntValue(size))
      return makeSize(*value);
    return size;
  }
  if (auto reshape = dyn_cast_if_present<graph::ReshapeOp>(op))
    return extract(reshape.getInput(), position);
  if (auto concat = dyn_cast_if_present<graph::ConcatOp>(op);
      concat && typeOf(tensor).getRank() == 1) {
    int64_t rest = position;
    for (Value input : concat.getInputs()) {
      int64_t count = typeOf(input).getDimSize(0);
      if (ShapedType::isDynamic(count))
        break;
      if (rest < count)
        return extract(input, rest);
      rest -= count;
    }
  }
  if (auto gather = dyn_cast_if_present<graph::GatherOp>(op);
      gather && typeOf(gather.getInput()).getRank() == 1) {
    int64_t count = typeOf(gather.getInput()).getDimSize(0);
    std::optional<SmallVector<int64_t>> indices =
        getConstantInts(gather.getIndices());
    if (indices && !ShapedType::isDynamic(count)) {
      int64_t index = (*indices)[position];
      index = index < 0 ? index + count : index;
      if (index >= 0 && index < count)
        return extract(gather.getInput(), index);
    }
  }
  return graph::ExtractOp::create(builder, loc, builder.getIndexType(), tensor,
                                  position)
      .getResult();
}

bool ImportContext::isRunTimeValue(Value tensor, int64_t position) {
  const SymbolicSizes *contents = shapes.getContents(tensor);
  return contents && (*contents)[position].hasValues();
}

FailureOr<Sizes> ImportContext::extractAll(Value tensor, int64_t least) {
  RankedTensorType type = typeOf(tensor);
  if (!isa<IntegerType>(type.getElementType())) {
    invalid() << "takes integers from a tensor of type " << type;
    return failure();
  }
  std::optional<int64_t> count = getConstantIntValue(product(getSizes(tensor)));
  if (!count) {
    unsupported() << "the number of elements of the tensor of sizes, of type "
                  << type << ", must be known";
    return failure();
  }
  // No tensor has as many dimensions, and none is split into as many.
  constexpr int64_t mostSizes = 4096;
  if (*count > mostSizes) {
    unsupported() << "has a tensor of " << *count << " sizes, more than "
                  << mostSizes;
    return failure();
  }
  Sizes sizes;
  for (int64_t i = 0; i < *count; ++i)
    sizes.push_back(extract(tensor, i));
  for (OpFoldResult size : sizes)
    if (std::optional<int64_t> known = getConstantIntValue(size);
        known && *known < least) {
      invalid() << "has size " << *known << ", but must have at least "
                << least;
      return failure();
    }
  return sizes;
}

/// What `fold` makes of two known sizes, the other operand of the `neutral`
/// number, else the op.
template <typename OpTy, typename Fold>
static OpFoldResult combine(ImportContext &ctx, OpFoldResult lhs,
                            OpFoldResult rhs, std::optional<int64_t> neutral,
                            Fold fold) {
  std::optional<int64_t> left = getConstantIntValue(lhs),
                         right = getConstantIntValue(rhs);
  if (left && right)
    if (std::optional<int64_t> known = fold(*left, *right))
      return ctx.makeSize(*known);
  if (neutral && right == neutral)
    return lhs;
  if (neutral && left == neutral &&
      OpTy::template hasTrait<OpTrait::IsCommutative>())
    return rhs;
  return OpTy::create(ctx.builder, ctx.loc, ctx.materialize(lhs),
                      ctx.materialize(rhs))
      .getResult();
}

OpFoldResult ImportContext::multiply(OpFoldResult lhs, OpFoldResult rhs) {
  return combine<arith::MulIOp>(*this, lhs, rhs, 1, std::multiplies<int64_t>());
}

OpFoldResult ImportContext::add(OpFoldResult lhs, OpFoldResult rhs) {
  return combine<arith::AddIOp>(*this, lhs, rhs, 0, std::plus<int64_t>());
}

OpFoldResult ImportContext::subtract(OpFoldResult lhs, OpFoldResult rhs) {
  return combine<arith::SubIOp>(*this, lhs, rhs, 0, std::minus<int64_t>());
}

/// Of a division by zero nothing is known.
static auto unlessByZero(int64_t (*divide)(int64_t, int64_t)) {
  return [divide](int64_t lhs, int64_t rhs) {
    return rhs ? std::optional(divide(lhs, rhs)) : std::nullopt;
  };
}

OpFoldResult ImportContext::ceilDivide(OpFoldResult lhs, OpFoldResult rhs) {
  return combine<arith::CeilDivSIOp>(*this, lhs, rhs, 1,
                                     unlessByZero(llvm::divideCeilSigned));
}

OpFoldResult ImportContext::floorDivide(OpFoldResult lhs, OpFoldResult rhs) {
  return combine<arith::FloorDivSIOp>(*this, lhs, rhs, 1,
                                      unlessByZero(llvm::divideFloorSigned));
}

OpFoldResult ImportContext::countSteps(OpFoldResult span, OpFoldResult step) {
  OpFoldResult zero = makeSize(0), one = makeSize(1);
  if (!getConstantIntValue(step)) {
    assumeEqual(selectEqual(step, 0, one, zero), zero);
    step = selectEqual(step, 0, one, step);
  }
  // Quotients are of positive divisors alone.
  span = selectLess(step, zero, subtract(zero, span), span);
  step = selectLess(step, zero, subtract(zero, step), step);
  return ceilDivide(span, step);
}

OpFoldResult ImportContext::minimum(OpFoldResult lhs, OpFoldResult rhs) {
  return combine<arith::MinSIOp>(
      *this, lhs, rhs, std::nullopt,
      [](int64_t left, int64_t right) { return std::min(left, right); });
}

OpFoldResult ImportContext::maximum(OpFoldResult lhs, OpFoldResult rhs) {
  return combine<arith::MaxSIOp>(
      *this, lhs, rhs, std::nullopt,
      [](int64_t left, int64_t right) { return std::max(left, right); });
}

OpFoldResult ImportContext::product(ArrayRef<OpFoldResult> sizes) {
  OpFoldResult all = makeSize(1);
  for (OpFoldResult size : sizes)
    all = multiply(all, size);
  return all;
}

void ImportContext::assumeEqual(OpFoldResult lhs, OpFoldResult rhs) {
  if (lhs != rhs)
    graph::AssumeEqualOp::create(builder, loc, materialize(lhs),
                                 materialize(rhs));
}

OpFoldResult ImportContext::selectEqual(OpFoldResult size, int64_t number,
                                        OpFoldResult then,
                                        OpFoldResult otherwise) {
  if (then == otherwise)
    return then;
  if (std::optional<int64_t> known = getConstantIntValue(size))
    return *known == number ? then : otherwise;
  Value isEqual = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::eq, materialize(size),
      arith::ConstantIndexOp::create(builder, loc, number));
  return arith::SelectOp::create(builder, loc, isEqual, materialize(then),
                                 materialize(otherwise))
      .getResult();
}

OpFoldResult ImportContext::selectLess(OpFoldResult lhs, OpFoldResult rhs,
                                       OpFoldResult then,
                                       OpFoldResult otherwise) {
  std::optional<int64_t> left = getConstantIntValue(lhs),
                         right = getConstantIntValue(rhs);
  if (left && right)
    return *left < *right ? then : otherwise;
  Value isLess = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt,
                                       materialize(lhs), materialize(rhs));
  return arith::SelectOp::create(builder, loc, isLess, materialize(then),
                                 materialize(otherwise))
      .getResult();
}

} // namespace tenon
