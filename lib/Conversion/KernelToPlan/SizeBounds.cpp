// Interval arithmetic on sizes, as ops that run before the model does.
#include "SizeBounds.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace tenon {

void SizeBounds::addCount(Value count, Value most) {
  OpBuilder builder(most.getContext());
  builder.setInsertionPointAfterValue(most);
  Value none = arith::ConstantIndexOp::create(builder, most.getLoc(), 0);
  known[count] = {none, most};
}

Value SizeBounds::getMost(OpBuilder &builder, Value size) {
  return get(builder, size).most;
}

SizeBounds::Interval SizeBounds::get(OpBuilder &builder, Value value) {
  if (auto found = known.find(value); found != known.end())
    return found->second;
  Operation *op = value.getDefiningOp();
  if (!op || !isa<arith::ArithDialect>(op->getDialect()) ||
      llvm::all_of(op->getOperands(), [&](Value operand) {
        return get(builder, operand).isExact() && get(builder, operand).least;
      }))
    return known[value] = {value, value};
  Interval result = compute(builder, *op);
  return known[value] = result;
}

SizeBounds::Interval SizeBounds::compute(OpBuilder &b, Operation &op) {
  Location loc = op.getLoc();
  SmallVector<Interval> in;
  for (Value operand : op.getOperands()) {
    in.push_back(get(b, operand));
    // A comparison of counts has no bounds, and needs none.
    if (!in.back().least && !isa<arith::SelectOp>(op))
      return {};
  }
  auto make = [&](auto example, Value lhs, Value rhs) -> Value {
    return decltype(example)::create(b, loc, lhs, rhs);
  };
  auto least = [&](Value lhs, Value rhs) {
    return make(arith::MinSIOp(), lhs, rhs);
  };
  auto most = [&](Value lhs, Value rhs) {
    return make(arith::MaxSIOp(), lhs, rhs);
  };
  // What is monotonic in each operand has its extremes at the corners.
  auto corners = [&](auto example) -> Interval {
    Value values[4];
    for (int i = 0; i < 4; ++i)
      values[i] = make(example, i & 1 ? in[0].most : in[0].least,
                       i & 2 ? in[1].most : in[1].least);
    return {least(least(values[0], values[1]), least(values[2], values[3])),
            most(most(values[0], values[1]), most(values[2], values[3]))};
  };
  auto endToEnd = [&](auto example) -> Interval {
    return {make(example, in[0].least, in[1].least),
            make(example, in[0].most, in[1].most)};
  };
  if (isa<arith::AddIOp>(op))
    return endToEnd(arith::AddIOp());
  if (isa<arith::SubIOp>(op))
    return {make(arith::SubIOp(), in[0].least, in[1].most),
            make(arith::SubIOp(), in[0].most, in[1].least)};
  if (isa<arith::MaxSIOp>(op))
    return endToEnd(arith::MaxSIOp());
  if (isa<arith::MinSIOp>(op))
    return endToEnd(arith::MinSIOp());
  if (isa<arith::MulIOp>(op))
    return corners(arith::MulIOp());
  // Divisors are constants or made at least 1.
  if (isa<arith::FloorDivSIOp>(op))
    return corners(arith::FloorDivSIOp());
  if (isa<arith::CeilDivSIOp>(op))
    return corners(arith::CeilDivSIOp());
  if (isa<arith::DivSIOp>(op))
    return corners(arith::DivSIOp());
  if (isa<arith::RemSIOp>(op)) {
    // It has the sign of what is divided and is no larger.
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    return {least(in[0].least, zero), most(in[0].most, zero)};
  }
  if (auto select = dyn_cast<arith::SelectOp>(op)) {
    if (!in[1].least || !in[2].least)
      return {};
    Value condition = select.getCondition();
    if (!in[0].isExact() || !in[0].least)
      return {least(in[1].least, in[2].least), most(in[1].most, in[2].most)};
    return {
        arith::SelectOp::create(b, loc, condition, in[1].least, in[2].least),
        arith::SelectOp::create(b, loc, condition, in[1].most, in[2].most)};
  }
  return {};
}

} // namespace tenon
