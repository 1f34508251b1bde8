// The poly dialect: what TableGen made, and the check of its op.
#include "Poly.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

#include "PolyDialect.cpp.inc"
#define GET_OP_CLASSES
#include "PolyOps.cpp.inc"

void poly::PolyDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "PolyOps.cpp.inc"
      >();
}

llvm::LogicalResult poly::EvalOp::verify() {
  if (getCoefficients().size() < 2)
    return emitOpError("needs two coefficients or more, has ")
           << getCoefficients().size();
  return mlir::success();
}
