// Arithmetic on sizes, which folds where they are known.
#include "ImportContext.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"
#include <functional>

using namespace mlir;

namespace tenon {

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
  Value isEqual = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::eq, materialize(size),
      arith::ConstantIndexOp::create(builder, loc, number));
  return arith::SelectOp::create(builder, loc, isEqual, materialize(then),
                                 materialize(otherwise))
      .getResult();
}

} // namespace tenon
