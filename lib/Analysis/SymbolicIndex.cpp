// Arithmetic on sizes, op by op.
#include "tenon/Analysis/SymbolicIndex.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tenon {

/// 1 where the comparison holds, else 0; none of one that sizes do not need.
static std::optional<SymbolicExpr>
evaluateCompare(arith::CmpIPredicate predicate, const SymbolicExpr &lhs,
                const SymbolicExpr &rhs) {
  SymbolicExpr one = 1;
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return SymbolicExpr::isEqual(lhs, rhs);
  case arith::CmpIPredicate::ne:
    // Whether a truth is not 0 is the truth itself.
    if (rhs == SymbolicExpr(0) && lhs.isTruth())
      return lhs;
    return one - SymbolicExpr::isEqual(lhs, rhs);
  case arith::CmpIPredicate::slt:
    return SymbolicExpr::isLess(lhs, rhs);
  case arith::CmpIPredicate::sgt:
    return SymbolicExpr::isLess(rhs, lhs);
  case arith::CmpIPredicate::sle:
    return one - SymbolicExpr::isLess(rhs, lhs);
  case arith::CmpIPredicate::sge:
    return one - SymbolicExpr::isLess(lhs, rhs);
  default:
    return std::nullopt;
  }
}

std::optional<SymbolicExpr>
evaluateIndexOp(Operation &op,
                function_ref<std::optional<SymbolicExpr>(Value)> lookup) {
  using Result = std::optional<SymbolicExpr>;
  auto binary = [&](auto compute) -> Result {
    Result lhs = lookup(op.getOperand(0)), rhs = lookup(op.getOperand(1));
    return lhs && rhs ? Result(compute(*lhs, *rhs)) : std::nullopt;
  };
  return TypeSwitch<Operation *, Result>(&op)
      .Case([&](arith::ConstantOp constant) -> Result {
        auto value = dyn_cast<IntegerAttr>(constant.getValue());
        return value ? Result(value.getInt()) : std::nullopt;
      })
      .Case([&](arith::AddIOp) {
        return binary([](auto &l, auto &r) { return l + r; });
      })
      .Case([&](arith::SubIOp) {
        return binary([](auto &l, auto &r) { return l - r; });
      })
      .Case([&](arith::MulIOp) {
        return binary([](auto &l, auto &r) { return l * r; });
      })
      .Case<arith::FloorDivSIOp, arith::DivSIOp, arith::DivUIOp>(
          [&](auto) { return binary(SymbolicExpr::floorDiv); })
      .Case<arith::CeilDivSIOp, arith::CeilDivUIOp>(
          [&](auto) { return binary(SymbolicExpr::ceilDiv); })
      .Case<arith::RemSIOp, arith::RemUIOp>(
          [&](auto) { return binary(SymbolicExpr::mod); })
      .Case<arith::MaxSIOp, arith::MaxUIOp>(
          [&](auto) { return binary(SymbolicExpr::max); })
      .Case<arith::MinSIOp, arith::MinUIOp>(
          [&](auto) { return binary(SymbolicExpr::min); })
      .Case([&](arith::SelectOp select) -> Result {
        auto compare = select.getCondition().getDefiningOp<arith::CmpIOp>();
        if (!compare)
          return std::nullopt;
        Result lhs = lookup(compare.getLhs()), rhs = lookup(compare.getRhs());
        Result holds = lhs && rhs
                           ? evaluateCompare(compare.getPredicate(), *lhs, *rhs)
                           : std::nullopt;
        if (!holds)
          return std::nullopt;
        if (std::optional<int64_t> decided = holds->getConstant())
          return lookup(*decided ? select.getTrueValue()
                                 : select.getFalseValue());
        Result then = lookup(select.getTrueValue());
        Result otherwise = lookup(select.getFalseValue());
        return then && otherwise
                   ? Result(SymbolicExpr::select(*holds, *then, *otherwise))
                   : std::nullopt;
      })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<SymbolicExpr> SymbolicIndices::get(Value index) {
  if (auto found = known.find(index); found != known.end())
    return found->second;
  Operation *op = index.getDefiningOp();
  if (!op)
    return std::nullopt;
  std::optional<SymbolicExpr> result;
  auto name = op->getAttrOfType<StringAttr>("name");
  if (name && op->getName().stripDialect() == "symbol") {
    auto min = op->getAttrOfType<IntegerAttr>("min");
    result = min && min.getInt() < 0 ? SymbolicExpr::value(name.getValue())
                                     : SymbolicExpr::symbol(name.getValue());
  } else
    result = evaluateIndexOp(*op, [&](Value value) { return get(value); });
  known[index] = result;
  return result;
}

} // namespace tenon
