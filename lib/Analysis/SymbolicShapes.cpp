// Forward over a graph function: sizes of tensors, contents of shape tensors.
#include "tenon/Analysis/SymbolicShapes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "tenon/Analysis/SymbolicIndex.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tenon::graph;

namespace tenon {

static RankedTensorType tensorType(Value value) {
  return dyn_cast<RankedTensorType>(value.getType());
}

SymbolicShapes::SymbolicShapes(func::FuncOp function) {
  for (auto symbol : function.getOps<SymbolOp>())
    least[symbol.getName().str()] = symbol.getMin();
  for (BlockArgument argument : function.getArguments()) {
    auto dims = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                     "tenon.dims");
    RankedTensorType type = tensorType(argument);
    if (!type)
      continue;
    SymbolicSizes exprs;
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      if (!type.isDynamicDim(dim))
        exprs.push_back(type.getDimSize(dim));
      else if (!dims || dim >= static_cast<int64_t>(dims.size()))
        break; // It names too few.
      else if (auto name = dyn_cast<StringAttr>(dims[dim]))
        exprs.push_back(SymbolicExpr::symbol(name.getValue()));
      else if (auto size = dyn_cast<IntegerAttr>(dims[dim]))
        exprs.push_back(size.getInt());
    }
    if (static_cast<int64_t>(exprs.size()) == type.getRank())
      sizes[argument] = exprs;
    auto elements = function.getArgAttrOfType<ArrayAttr>(
        argument.getArgNumber(), "tenon.elements");
    if (elements)
      for (auto name : elements.getAsRange<StringAttr>())
        contents[argument].push_back(SymbolicExpr::value(name.getValue()));
  }
  visitBlock(function.getBody().front());
}

void SymbolicShapes::visitBlock(Block &block) {
  for (Operation &op : block)
    visit(op);
}

const SymbolicSizes *SymbolicShapes::getSizes(Value tensor) const {
  auto found = sizes.find(tensor);
  return found == sizes.end() ? nullptr : &found->second;
}

const SymbolicSizes *SymbolicShapes::getContents(Value tensor) const {
  auto found = contents.find(tensor);
  return found == contents.end() ? nullptr : &found->second;
}

std::optional<SymbolicExpr> SymbolicShapes::getIndex(Value index) const {
  auto found = indices.find(index);
  if (found == indices.end())
    return std::nullopt;
  return found->second;
}

std::optional<SymbolicExpr> SymbolicShapes::getIndex(OpFoldResult index) const {
  if (auto value = dyn_cast<Value>(index))
    return getIndex(value);
  return SymbolicExpr(cast<IntegerAttr>(cast<Attribute>(index)).getInt());
}

bool SymbolicShapes::isAtLeast(const SymbolicExpr &expr, int64_t bound) const {
  std::optional<int64_t> lower = expr.getLowerBound([&](StringRef symbol) {
    auto found = least.find(symbol.str());
    return found == least.end() ? 0 : found->second;
  });
  return lower && *lower >= bound;
}

/// No tensor has a negative size, whatever the values are that it comes from.
void SymbolicShapes::assumeSizes(Operation &op, const SymbolicSizes &inferred) {
  for (const SymbolicExpr &size : inferred)
    if (size.hasValues() && !isAtLeast(size, 0))
      assumeEqual(op, size, SymbolicExpr::max(size, 0));
}

void SymbolicShapes::visit(Operation &op) {
  if (auto branch = dyn_cast<scf::IfOp>(op))
    return visitIf(branch);
  if (auto loop = dyn_cast<scf::WhileOp>(op))
    return visitWhile(loop);
  if (op.getNumResults() != 1)
    return;
  // Another op may have had its place in memory.
  forget(op.getResult(0));
  if (op.getResult(0).getType().isIndex())
    return visitIndex(op);
  RankedTensorType type = tensorType(op.getResult(0));
  if (!type)
    return;
  std::optional<SymbolicSizes> inferred = inferSizes(op);
  if (!inferred && type.hasStaticShape())
    inferred = SymbolicSizes(type.getShape().begin(), type.getShape().end());
  if (inferred) {
    // What the type knows is at least as good as what was inferred.
    for (auto [expr, size] : llvm::zip(*inferred, type.getShape()))
      if (!ShapedType::isDynamic(size))
        expr = size;
    assumeSizes(op, *inferred);
    sizes[op.getResult(0)] = *inferred;
  }
  // Sizes are of these types; expressions know no sign and no overflow.
  Type element = type.getElementType();
  if (!element.isSignlessInteger() ||
      !llvm::is_contained({1u, 32u, 64u}, element.getIntOrFloatBitWidth()))
    return;
  if (std::optional<SymbolicSizes> elements = inferContents(op))
    contents[op.getResult(0)] = *elements;
}

//===-- control flow ------------------------------------------------------===//

void SymbolicShapes::visitIf(scf::IfOp branch) {
  for (Region *region : branch.getRegions())
    for (Block &block : *region)
      visitBlock(block);
  if (branch.getNumResults() == 0)
    return;
  for (auto [result, lhs, rhs] :
       llvm::zip(branch.getResults(), branch.thenYield().getOperands(),
                 branch.elseYield().getOperands())) {
    const SymbolicSizes *left = getSizes(lhs), *right = getSizes(rhs);
    if (left && right && *left == *right)
      sizes[result] = SymbolicSizes(*left);
  }
}

/// Takes every carried value to keep the sizes it starts with, and where the
/// body shows otherwise starts anew without that.
void SymbolicShapes::visitWhile(scf::WhileOp loop) {
  auto copySizes = [&](Value from, Value to) {
    if (const SymbolicSizes *known = getSizes(from))
      sizes[to] = SymbolicSizes(*known);
  };
  size_t assumptionsBefore = assumptions.size();
  llvm::SmallBitVector keeps(loop.getInits().size(), true);
  for (bool isConsistent = false; !isConsistent;) {
    forgetBodies(loop);
    assumptions.truncate(assumptionsBefore);
    for (unsigned i : keeps.set_bits())
      copySizes(loop.getInits()[i], loop.getBeforeArguments()[i]);
    visitBlock(*loop.getBeforeBody());
    for (auto [value, argument] :
         llvm::zip(loop.getConditionOp().getArgs(), loop.getAfterArguments()))
      copySizes(value, argument);
    visitBlock(*loop.getAfterBody());
    isConsistent = true;
    for (unsigned i : keeps.set_bits()) {
      const SymbolicSizes *first = getSizes(loop.getBeforeArguments()[i]);
      const SymbolicSizes *next = getSizes(loop.getYieldOp().getOperand(i));
      if (first && next && *first == *next)
        continue;
      isConsistent = false;
      keeps.reset(i);
    }
  }
  for (auto [value, result] :
       llvm::zip(loop.getConditionOp().getArgs(), loop.getResults()))
    copySizes(value, result);
}

void SymbolicShapes::forget(Value value) {
  sizes.erase(value);
  contents.erase(value);
  indices.erase(value);
}

void SymbolicShapes::forgetBodies(Operation *op) {
  for (Region &region : op->getRegions())
    for (Block &block : region) {
      for (BlockArgument argument : block.getArguments())
        forget(argument);
      for (Operation &nested : block) {
        for (Value result : nested.getResults())
          forget(result);
        forgetBodies(&nested);
      }
    }
}

LogicalResult verifyControlSizes(func::FuncOp function) {
  SymbolicShapes shapes(function);
  bool allKnown = true;
  auto require = [&](Operation *op, Value value, StringRef what) {
    if (!isa<RankedTensorType>(value.getType()) || shapes.getSizes(value))
      return;
    allKnown = false;
    op->emitError() << what << " a tensor of type " << value.getType()
                    << " whose sizes depend on data or differ from one "
                    << (isa<scf::WhileOp>(op) ? "iteration" : "branch")
                    << " to the other, which is unsupported";
  };
  function.walk([&](Operation *op) {
    // A branch without ops is a select.
    if (isa<scf::IfOp, arith::SelectOp>(op)) {
      for (Value result : op->getResults())
        require(op, result, "gives");
    } else if (auto loop = dyn_cast<scf::WhileOp>(op)) {
      for (Value argument : loop.getBeforeArguments())
        require(op, argument, "carries");
      for (Value value : loop.getConditionOp().getArgs())
        if (!llvm::is_contained(loop.getBeforeArguments(), value))
          require(op, value, "carries");
    }
  });
  return success(allKnown);
}

//===-- indices -----------------------------------------------------------===//

void SymbolicShapes::visitIndex(Operation &op) {
  std::optional<SymbolicExpr> expr =
      TypeSwitch<Operation *, std::optional<SymbolicExpr>>(&op)
          .Case([&](SymbolOp symbol) {
            return symbol.getMin() < 0 ? SymbolicExpr::value(symbol.getName())
                                       : SymbolicExpr::symbol(symbol.getName());
          })
          .Case([&](DimOp dim) -> std::optional<SymbolicExpr> {
            if (const SymbolicSizes *known = getSizes(dim.getInput()))
              return (*known)[dim.getDim()];
            int64_t size = tensorType(dim.getInput()).getDimSize(dim.getDim());
            if (ShapedType::isDynamic(size))
              return std::nullopt;
            return SymbolicExpr(size);
          })
          .Case([&](CountOp count) {
            return SymbolicExpr::symbol(count.getName());
          })
          .Case([&](ExtractOp extract) -> std::optional<SymbolicExpr> {
            const SymbolicSizes *known = getContents(extract.getInput());
            if (!known || extract.getPosition() >= int64_t(known->size()))
              return std::nullopt;
            return (*known)[extract.getPosition()];
          })
          .Default([&](Operation *other) {
            return evaluateIndexOp(
                *other, [&](Value value) { return getIndex(value); });
          });
  if (expr)
    indices[op.getResult(0)] = *expr;
}

} // namespace tenon
