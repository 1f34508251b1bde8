// Arithmetic on sizes, op by op.
#include "tenon/Analysis/SymbolicIndex.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tenon {

/// Whether lhs < rhs, if that is the same for all symbols.
static std::optional<bool> isLess(const SymbolicExpr &lhs,
                                  const SymbolicExpr &rhs) {
  auto zero = [](StringRef) -> int64_t { return 0; };
  std::optional<int64_t> gap = (lhs - rhs).getLowerBound(zero);
  if (gap && *gap >= 0)
    return false;
  gap = (rhs - lhs).getLowerBound(zero);
  if (gap && *gap > 0)
    return true;
  return std::nullopt;
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
        if (!compare || compare.getPredicate() != arith::CmpIPredicate::slt)
          return std::nullopt;
        Result lhs = lookup(compare.getLhs()), rhs = lookup(compare.getRhs());
        std::optional<bool> less;
        if (lhs && rhs)
          less = isLess(*lhs, *rhs);
        if (!less)
          return std::nullopt;
        return lookup(*less ? select.getTrueValue() : select.getFalseValue());
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
  if (name && op->getName().stripDialect() == "symbol")
    result = SymbolicExpr::symbol(name.getValue());
  else
    result = evaluateIndexOp(*op, [&](Value value) { return get(value); });
  known[index] = result;
  return result;
}

} // namespace tenon
