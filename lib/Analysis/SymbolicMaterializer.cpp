// Ops for expressions over sizes.
#include "tenon/Analysis/SymbolicMaterializer.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "tenon/Analysis/SymbolicIndex.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace tenon::graph;

namespace tenon {

/// Values that are sizes lie within this, so that sums of them are exact.
static constexpr int64_t largestValue = int64_t(1) << 47;

SymbolicMaterializer::SymbolicMaterializer(func::FuncOp function)
    : builder(function.getContext()), loc(function.getLoc()) {
  Block &body = function.getBody().front();
  Operation *last = nullptr;
  for (auto symbol : llvm::make_early_inc_range(body.getOps<SymbolOp>())) {
    if (last)
      symbol->moveAfter(last);
    else
      symbol->moveBefore(&body, body.begin());
    last = symbol;
    known[symbol.getName().str()] = symbol.getValue();
  }
  if (last)
    builder.setInsertionPointAfter(last);
  else
    builder.setInsertionPointToStart(&body);
  start = builder.saveInsertionPoint();
  function.walk([&](CountOp count) {
    known[count.getName().str()] = count.getSize();
    lastBehind[count] = count;
  });
}

/// Whether `lhs` is computed before `rhs` wherever both are.
static bool isBefore(Operation *lhs, Operation *rhs) {
  Operation *around = lhs->getBlock()->findAncestorOpInBlock(*rhs);
  return around && around != lhs && lhs->isBeforeInBlock(around);
}

Operation *SymbolicMaterializer::findLastCount(const SymbolicExpr &expr) {
  Operation *last = nullptr;
  auto take = [&](Operation *count) {
    if (count && (!last || isBefore(last, count)))
      last = count;
  };
  for (const auto &[monomial, coefficient] : expr.getTerms())
    for (const SymbolicExpr::AtomRef &atom : monomial) {
      if (atom->kind == AtomKind::Symbol) {
        auto found = known.find(atom->text);
        if (found != known.end())
          take(found->second.getDefiningOp<CountOp>());
      }
      for (const auto &part : {atom->lhs, atom->rhs, atom->other})
        if (part)
          take(findLastCount(*part));
    }
  return last;
}

void SymbolicMaterializer::setInsertionPointBehind(ArrayRef<SymbolicExpr> exprs,
                                                   OpBuilder &other) {
  Operation *last = nullptr;
  for (const SymbolicExpr &expr : exprs) {
    (void)getValue(expr);
    Operation *count = findLastCount(expr);
    if (count && (!last || isBefore(last, count)))
      last = count;
  }
  if (last)
    other.setInsertionPointAfter(lastBehind[last]);
}

OpFoldResult SymbolicMaterializer::getFoldResult(const SymbolicExpr &expr) {
  if (std::optional<int64_t> constant = expr.getConstant())
    return builder.getIndexAttr(*constant);
  return getValue(expr);
}

Value SymbolicMaterializer::getAtom(const SymbolicAtom &atom) {
  auto found = known.find(atom.text);
  if (found != known.end())
    return found->second;
  if (!atom.lhs) {
    // Named in tenon.dims or tenon.elements, but declared by no op.
    bool isSize = atom.kind == AtomKind::Symbol;
    return known[atom.text] = buildBehind(nullptr, [&] {
             auto symbol = graph::SymbolOp::create(
                 builder, loc, builder.getIndexType(),
                 builder.getStringAttr(atom.text),
                 builder.getI64IntegerAttr(isSize ? 0 : -largestValue),
                 builder.getI64IntegerAttr(isSize ? INT64_MAX : largestValue),
                 IntegerAttr());
             return symbol.getValue();
           });
  }
  Value lhs = getValue(*atom.lhs), rhs = getValue(*atom.rhs), value;
  auto choose = [&](arith::CmpIPredicate predicate, Value left, Value right,
                    Value then, Value otherwise) {
    Value condition =
        arith::CmpIOp::create(builder, loc, predicate, left, right);
    return arith::SelectOp::create(builder, loc, condition, then, otherwise);
  };
  bool divides = atom.kind == AtomKind::FloorDiv ||
                 atom.kind == AtomKind::CeilDiv || atom.kind == AtomKind::Mod;
  if (divides && !atom.rhs->getConstant()) {
    // The rest of no elements in dimensions of size 0 is any number of them.
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    rhs = arith::MaxSIOp::create(builder, loc, rhs, one);
  }
  switch (atom.kind) {
  case AtomKind::FloorDiv:
    value = arith::FloorDivSIOp::create(builder, loc, lhs, rhs);
    break;
  case AtomKind::CeilDiv:
    value = arith::CeilDivSIOp::create(builder, loc, lhs, rhs);
    break;
  case AtomKind::Mod:
    value = arith::RemSIOp::create(builder, loc, lhs, rhs);
    break;
  case AtomKind::Min:
    value = arith::MinSIOp::create(builder, loc, lhs, rhs);
    break;
  case AtomKind::Max:
    value = arith::MaxSIOp::create(builder, loc, lhs, rhs);
    break;
  case AtomKind::Equal:
    value =
        choose(arith::CmpIPredicate::eq, lhs, rhs, getValue(1), getValue(0));
    break;
  case AtomKind::Less:
    value =
        choose(arith::CmpIPredicate::slt, lhs, rhs, getValue(1), getValue(0));
    break;
  case AtomKind::Select:
    value = choose(arith::CmpIPredicate::ne, lhs, getValue(0), rhs,
                   getValue(*atom.other));
    break;
  case AtomKind::Symbol:
  case AtomKind::Value:
    llvm_unreachable("found above");
  }
  known[atom.text] = value;
  return value;
}

Value SymbolicMaterializer::getValue(const SymbolicExpr &expr) {
  std::string key = expr.str();
  auto found = known.find(key);
  if (found != known.end())
    return found->second;
  Value value = buildBehind(findLastCount(expr), [&] { return build(expr); });
  return known[key] = value;
}

Value SymbolicMaterializer::buildBehind(Operation *count,
                                        function_ref<Value()> make) {
  if (count == behind)
    return make();
  OpBuilder::InsertionGuard guard(builder);
  llvm::SaveAndRestore now(behind, count);
  if (count)
    builder.setInsertionPointAfter(lastBehind[count]);
  else
    builder.restoreInsertionPoint(start);
  Value value = make();
  if (count)
    lastBehind[count] = &*std::prev(builder.getInsertionPoint());
  return value;
}

Value SymbolicMaterializer::build(const SymbolicExpr &expr) {
  Value sum;
  for (const auto &[monomial, coefficient] : expr.getTerms()) {
    Value term;
    for (const SymbolicExpr::AtomRef &atom : monomial) {
      Value factor = getAtom(*atom);
      term = term
                 ? arith::MulIOp::create(builder, loc, term, factor).getResult()
                 : factor;
    }
    if (!term || coefficient != 1) {
      Value constant =
          arith::ConstantIndexOp::create(builder, loc, coefficient);
      term =
          term ? arith::MulIOp::create(builder, loc, term, constant).getResult()
               : constant;
    }
    sum =
        sum ? arith::AddIOp::create(builder, loc, sum, term).getResult() : term;
  }
  return sum ? sum : arith::ConstantIndexOp::create(builder, loc, 0);
}

} // namespace tenon
