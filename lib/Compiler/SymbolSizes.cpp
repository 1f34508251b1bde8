#include "tenon/Compiler/SymbolSizes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/InterleavedRange.h"

using namespace mlir;

namespace tenon {
namespace {

/// tensor<?x?> with dims ["batch", "sequence"], batch = 2  ->  tensor<2x?>
void fixArguments(func::FuncOp function, StringRef name, int64_t size) {
  SmallVector<Type> inputs;
  Builder builder(function.getContext());
  for (BlockArgument argument : function.getArguments()) {
    unsigned number = argument.getArgNumber();
    auto type = cast<RankedTensorType>(argument.getType());
    auto dims = function.getArgAttrOfType<ArrayAttr>(number, "tenon.dims");
    if (dims) {
      SmallVector<int64_t> shape(type.getShape());
      SmallVector<Attribute> fixed(dims.begin(), dims.end());
      for (auto [i, dim] : llvm::enumerate(fixed))
        if (auto symbol = dyn_cast<StringAttr>(dim); symbol && symbol == name) {
          dim = builder.getI64IntegerAttr(size);
          shape[i] = size;
        }
      type = RankedTensorType::get(shape, type.getElementType());
      argument.setType(type);
      function.setArgAttr(number, "tenon.dims", builder.getArrayAttr(fixed));
    }
    inputs.push_back(type);
  }
  function.setType(builder.getFunctionType(inputs, function.getResultTypes()));
}

/// floordiv(8*b*s, 128) == b  ->  8*s == 128: a dimension of b that a reshape
/// to
/// [-1, 128] left must be as large as before.
void cancel(SymbolicExpr &lhs, SymbolicExpr &rhs) {
  auto isQuotient = [](const SymbolicExpr &expr) {
    if (expr.getTerms().size() != 1)
      return false;
    const auto &[monomial, coefficient] = *expr.getTerms().begin();
    return coefficient == 1 && monomial.size() == 1 &&
           monomial.front()->kind == AtomKind::FloorDiv;
  };
  if (isQuotient(rhs))
    std::swap(lhs, rhs);
  if (!isQuotient(lhs))
    return;
  auto quotient = lhs.getTerms().begin()->first.front();
  if (auto exact = quotient->lhs->divideExactly(rhs)) {
    lhs = *exact;
    rhs = *quotient->rhs;
  }
}

/// The symbols of c*a*b, unless the expression is of another form.
std::optional<SmallVector<std::string>> factors(const SymbolicExpr &expr) {
  if (expr.getTerms().size() != 1)
    return std::nullopt;
  SmallVector<std::string> names;
  for (const SymbolicExpr::AtomRef &atom : expr.getTerms().begin()->first) {
    if (atom->kind != AtomKind::Symbol)
      return std::nullopt;
    names.push_back(atom->text);
  }
  return names;
}

} // namespace

std::optional<SymbolSize> SymbolSize::parse(StringRef text) {
  auto number = [](StringRef digits, std::optional<int64_t> &value) {
    int64_t parsed;
    if (digits.getAsInteger(10, parsed) || parsed < 0)
      return false;
    value = parsed;
    return true;
  };
  size_t mark = text.find_first_of("=~");
  if (mark == StringRef::npos || mark == 0)
    return std::nullopt;
  SymbolSize size;
  size.name = text.take_front(mark).str();
  StringRef value = text.drop_front(mark + 1);
  bool valid;
  if (text[mark] == '~') {
    valid = number(value, size.hint);
  } else {
    auto [first, last] = value.split("..");
    valid = number(first, size.min) &&
            number(value.contains("..") ? last : first, size.max);
  }
  if (!valid)
    return std::nullopt;
  return size;
}

std::string SymbolSize::str() const {
  if (hint)
    return name + "~" + std::to_string(*hint);
  std::string text = name + "=" + std::to_string(min.value_or(0));
  return min == max ? text : text + ".." + std::to_string(max.value_or(0));
}

LogicalResult setSymbolSizes(ModuleOp module, ArrayRef<SymbolSize> sizes) {
  auto function = module.lookupSymbol<func::FuncOp>("main");
  llvm::MapVector<StringRef, graph::SymbolOp> symbols;
  for (auto symbol : function.getOps<graph::SymbolOp>())
    symbols[symbol.getName()] = symbol;
  llvm::StringSet<> fixed;
  for (const SymbolSize &size : sizes) {
    auto found = symbols.find(size.name);
    if (found == symbols.end()) {
      if (fixed.contains(size.name))
        return module.emitError("--dim fixes '")
               << size.name << "' and says more of it";
      auto error = module.emitError("--dim names '")
                   << size.name << "', but the model has ";
      if (symbols.empty())
        return error << "no sizes that are not fixed";
      return error << "the sizes "
                   << llvm::interleaved(llvm::make_first_range(symbols));
    }
    graph::SymbolOp symbol = found->second;
    int64_t min = std::max(size.min.value_or(0), symbol.getMin());
    int64_t max = std::min(size.max.value_or(INT64_MAX), symbol.getMax());
    if (min > max)
      return module.emitError("--dim leaves '")
             << size.name << "' the empty range " << min << ".." << max;
    symbol.setMin(min);
    symbol.setMax(max);
    if (size.hint)
      symbol.setHint(*size.hint);
    if (min != max)
      continue;
    fixArguments(function, size.name, min);
    OpBuilder builder(symbol);
    symbol.replaceAllUsesWith(
        arith::ConstantIndexOp::create(builder, symbol.getLoc(), min)
            .getResult());
    symbol.erase();
    symbols.erase(found);
    fixed.insert(size.name);
  }
  for (auto [name, symbol] : symbols)
    if (std::optional<int64_t> hint = symbol.getHint();
        hint && (*hint < symbol.getMin() || *hint > symbol.getMax()))
      return module.emitError("--dim wants '")
             << name << "' to be fast at " << *hint << ", outside of its range "
             << symbol.getMin() << ".." << symbol.getMax();
  return success();
}

LogicalResult checkFixedSizes(ModuleOp module) {
  auto function = module.lookupSymbol<func::FuncOp>("main");
  SymbolicShapes shapes(function);
  llvm::StringSet<> declared, said;
  for (auto symbol : function.getOps<graph::SymbolOp>())
    declared.insert(symbol.getName());
  LogicalResult result = success();
  function.walk([&](graph::AssumeEqualOp assumed) {
    std::optional<SymbolicExpr> lhs = shapes.getIndex(assumed.getLhs()),
                                rhs = shapes.getIndex(assumed.getRhs());
    if (!lhs || !rhs)
      return;
    cancel(*lhs, *rhs);
    if (lhs->getConstant())
      std::swap(lhs, rhs);
    std::optional<int64_t> constant = rhs->getConstant();
    if (!constant)
      return;
    if (lhs->getConstant() && *lhs->getConstant() != *constant) {
      assumed.emitError("needs ")
          << lhs->str() << " to be equal to " << rhs->str();
      result = failure();
      return;
    }
    auto names = factors(*lhs);
    if (!names || names->empty() ||
        !llvm::all_of(*names, [&](const std::string &name) {
          return declared.contains(name);
        }))
      return;
    int64_t coefficient = lhs->getTerms().begin()->second;
    bool isOne = names->size() == 1 && *constant % coefficient == 0;
    std::string needed =
        isOne ? names->front() + "=" + std::to_string(*constant / coefficient)
              : lhs->str() + " == " + rhs->str();
    if (!said.insert(needed).second)
      return;
    InFlightDiagnostic warning =
        assumed.emitWarning("works for ")
        << needed << " alone, though the inputs declare "
        << llvm::interleaved(*names)
        << " as free: a size of the export is fixed in "
           "the model, and a run of another is refused";
    if (isOne)
      warning << "; compile with --dim " << needed;
  });
  return result;
}

} // namespace tenon
