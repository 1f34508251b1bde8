// Verifiers of the plan dialect.
#include "tenon/Dialect/Plan/IR/PlanOps.h"

using namespace mlir;
using namespace tenon::plan;

#define GET_OP_CLASSES
#include "tenon/Dialect/Plan/IR/PlanOps.cpp.inc"

LogicalResult AllocOp::verify() {
  auto type = cast<MemRefType>(getBuffer().getType());
  if (static_cast<int64_t>(getSizes().size()) !=
      static_cast<int64_t>(type.getNumDynamicDims()))
    return emitOpError("has ")
           << getSizes().size() << " sizes for the " << type.getNumDynamicDims()
           << " dynamic dimensions of " << type;
  if (getId().has_value() != getBelow().has_value())
    return emitOpError("needs an id exactly when it lists what lies below");
  return success();
}
