// Arithmetic on sizes, which folds where they are known.
#include "ImportContext.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace tenon {

OpFoldResult ImportContext::multiply(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> left = getConstantIntValue(lhs),
                         right = getConstantIntValue(rhs);
  if (left && right)
    return makeSize(*left * *right);
  if (left == 1)
    return rhs;
  if (right == 1)
    return lhs;
  return arith::MulIOp::create(builder, loc, materialize(lhs), materialize(rhs))
      .getResult();
}

OpFoldResult ImportContext::add(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> left = getConstantIntValue(lhs),
                         right = getConstantIntValue(rhs);
  if (left && right)
    return makeSize(*left + *right);
  if (left == 0)
    return rhs;
  if (right == 0)
    return lhs;
  return arith::AddIOp::create(builder, loc, materialize(lhs), materialize(rhs))
      .getResult();
}

OpFoldResult ImportContext::subtract(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> left = getConstantIntValue(lhs),
                         right = getConstantIntValue(rhs);
  if (left && right)
    return makeSize(*left - *right);
  if (right == 0)
    return lhs;
  return arith::SubIOp::create(builder, loc, materialize(lhs), materialize(rhs))
      .getResult();
}

OpFoldResult ImportContext::ceilDivide(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> left = getConstantIntValue(lhs),
                         right = getConstantIntValue(rhs);
  if (left && right && *right != 0) {
    int64_t quotient = *left / *right, rest = *left % *right;
    return makeSize(quotient + (rest != 0 && (rest < 0) == (*right < 0)));
  }
  if (right == 1)
    return lhs;
  return arith::CeilDivSIOp::create(builder, loc, materialize(lhs),
                                    materialize(rhs))
      .getResult();
}

OpFoldResult ImportContext::floorDivide(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> left = getConstantIntValue(lhs),
                         right = getConstantIntValue(rhs);
  if (left && right && *right != 0) {
    int64_t quotient = *left / *right, rest = *left % *right;
    return makeSize(quotient - (rest != 0 && (rest < 0) != (*right < 0)));
  }
  if (right == 1)
    return lhs;
  return arith::FloorDivSIOp::create(builder, loc, materialize(lhs),
                                     materialize(rhs))
      .getResult();
}

OpFoldResult ImportContext::minimum(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> left = getConstantIntValue(lhs),
                         right = getConstantIntValue(rhs);
  if (left && right)
    return makeSize(std::min(*left, *right));
  return arith::MinSIOp::create(builder, loc, materialize(lhs),
                                materialize(rhs))
      .getResult();
}

OpFoldResult ImportContext::maximum(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> left = getConstantIntValue(lhs),
                         right = getConstantIntValue(rhs);
  if (left && right)
    return makeSize(std::max(*left, *right));
  return arith::MaxSIOp::create(builder, loc, materialize(lhs),
                                materialize(rhs))
      .getResult();
}

OpFoldResult ImportContext::product(ArrayRef<OpFoldResult> sizes) {
  OpFoldResult all = makeSize(1);
  for (OpFoldResult size : sizes)
    all = multiply(all, size);
  return all;
}

OpFoldResult ImportContext::selectEqual(OpFoldResult size, int64_t number,
                                        OpFoldResult then,
                                        OpFoldResult otherwise) {
  Value isEqual = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::eq, materialize(size),
      arith::ConstantIndexOp::create(builder, loc, number));
  return arith::SelectOp::create(builder, loc, isEqual, materialize(then),
                                 materialize(otherwise))
      .getResult();
}

} // namespace tenon
