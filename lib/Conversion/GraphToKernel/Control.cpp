// Control flow stays what it is; the ops in its bodies become regions.
#include "GraphToKernel.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace tenon {

LogicalResult GraphToKernel::convertControl(Operation *op) {
  if (auto loop = dyn_cast<scf::WhileOp>(op)) {
    for (Value argument : loop.getBeforeArguments())
      replace(argument, argument);
    for (Value argument : loop.getAfterArguments())
      replace(argument, argument);
  }
  for (Region &region : op->getRegions())
    if (!region.empty() && failed(convertBlock(region.front())))
      return failure();
  for (Value result : op->getResults())
    replace(result, result);
  return success();
}

} // namespace tenon
