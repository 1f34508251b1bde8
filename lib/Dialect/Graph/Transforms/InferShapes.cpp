// Writes constant sizes into the types of tensors. See Passes.td.
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
    for (Operation &op : function.getBody().front())
      for (Value result : op.getResults())
        refine(result, shapes);
    Operation *terminator = function.getBody().front().getTerminator();
    function.setType(FunctionType::get(
        &getContext(), function.getBody().front().getArgumentTypes(),
        terminator->getOperandTypes()));
  }

private:
  static void refine(Value value, const SymbolicShapes &shapes) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    const SymbolicSizes *sizes = type ? shapes.getSizes(value) : nullptr;
    if (!sizes)
      return;
    SmallVector<int64_t> refined;
    for (const SymbolicExpr &size : *sizes)
      refined.push_back(size.getConstant().value_or(ShapedType::kDynamic));
    value.setType(RankedTensorType::get(refined, type.getElementType()));
  }
};

} // namespace
} // namespace tenon::graph
