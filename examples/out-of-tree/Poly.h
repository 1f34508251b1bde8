// The poly dialect and its pass.
#ifndef POLY_H
#define POLY_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "PolyDialect.h.inc"
#define GET_OP_CLASSES
#include "PolyOps.h.inc"

namespace poly {
/// --convert-poly-to-graph
void registerConvertPolyToGraphPass();
} // namespace poly

#endif // POLY_H
