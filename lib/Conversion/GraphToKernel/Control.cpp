// Control flow stays what it is; the ops in its bodies become regions.
#include "GraphToKernel.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace tenon {

LogicalResult GraphToKernel::convertControl(Operation *op) {
  auto loop = dyn_cast<scf::WhileOp>(op);
  if (loop) {
    // What is carried keeps its sizes from one iteration to the next.
    for (auto [init, argument] :
         llvm::zip(loop.getInits(), loop.getBeforeArguments()))
      replace(argument, argument, sizesOf(init));
    if (failed(convertBlock(*loop.getBeforeBody())))
      return failure();
    for (auto [value, argument] :
         llvm::zip(loop.getConditionOp().getArgs(), loop.getAfterArguments()))
      replace(argument, argument, sizesOf(value));
    if (failed(convertBlock(*loop.getAfterBody())))
      return failure();
  } else {
    for (Region &region : op->getRegions())
      if (!region.empty() && failed(convertBlock(region.front())))
        return failure();
  }
  if (op->getNumResults() == 0)
    return success();
  ValueRange ends = loop ? ValueRange(loop.getConditionOp().getArgs())
                         : ValueRange(cast<scf::IfOp>(op)
                                          .thenBlock()
                                          ->getTerminator()
                                          ->getOperands());
  for (auto [result, end] : llvm::zip(op->getResults(), ends)) {
    // Computed at the level of the function, so known behind the op as well.
    replace(result, result, sizesOf(end));
  }
  return success();
}

} // namespace tenon
