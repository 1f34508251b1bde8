// Writes constant sizes into the types of tensors. See Passes.td.
#include "Matching.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_INFERSHAPESPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

struct InferShapesPass : impl::InferShapesPassBase<InferShapesPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    SymbolicShapes shapes(function);
    DenseSet<Value> fixed = valuesWithFixedType(shapes);
    function.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (op == function)
        return;
      for (Region &region : op->getRegions())
        for (Value argument : region.getArguments())
          refine(argument, shapes, fixed);
      for (Value result : op->getResults())
        refine(result, shapes, fixed);
    });
    updateFunctionType(function);
  }

private:
  using Group = SmallVector<Value, 3>;

  /// Values that go in and out of bodies through one place and so have one
  /// type.
  SmallVector<Group> groupsOfOneType() {
    SmallVector<Group> groups;
    getOperation().walk([&](Operation *op) {
      if (auto branch = dyn_cast<scf::IfOp>(op)) {
        for (OpResult result : branch.getResults()) {
          unsigned i = result.getResultNumber();
          groups.push_back({result, branch.thenYield().getOperand(i),
                            branch.elseYield().getOperand(i)});
        }
      } else if (auto select = dyn_cast<arith::SelectOp>(op)) {
        groups.push_back({select.getResult(), select.getTrueValue(),
                          select.getFalseValue()});
      } else if (auto loop = dyn_cast<scf::WhileOp>(op)) {
        for (auto [argument, init, next] :
             llvm::zip(loop.getBeforeArguments(), loop.getInits(),
                       loop.getYieldOp().getOperands()))
          groups.push_back({argument, init, next});
        for (auto [result, argument, value] :
             llvm::zip(loop.getResults(), loop.getAfterArguments(),
                       loop.getConditionOp().getArgs()))
          groups.push_back({result, argument, value});
      }
    });
    return groups;
  }

  /// The function's arguments, and where the sizes in a group may differ, all
  /// of it.
  DenseSet<Value> valuesWithFixedType(const SymbolicShapes &shapes) {
    SmallVector<Group> groups = groupsOfOneType();
    DenseSet<Value> fixed(llvm::from_range, getOperation().getArguments());
    for (bool changed = true; changed;) {
      size_t before = fixed.size();
      for (const Group &group : groups)
        if (!shapes.getSizes(group.front()) ||
            llvm::any_of(group, [&](Value v) { return fixed.contains(v); }))
          fixed.insert(group.begin(), group.end());
      changed = fixed.size() != before;
    }
    return fixed;
  }

  static void refine(Value value, const SymbolicShapes &shapes,
                     const DenseSet<Value> &fixed) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    const SymbolicSizes *sizes = type ? shapes.getSizes(value) : nullptr;
    if (!sizes || fixed.contains(value))
      return;
    SmallVector<int64_t> refined;
    for (const SymbolicExpr &size : *sizes)
      refined.push_back(size.getConstant().value_or(ShapedType::kDynamic));
    value.setType(RankedTensorType::get(refined, type.getElementType()));
  }
};

} // namespace
} // namespace tenon::graph
