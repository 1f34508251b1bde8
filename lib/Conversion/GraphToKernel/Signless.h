// Unsigned integers as kernels see them: without a sign, which the ops that
// depend on it remember.
#ifndef TENON_CONVERSION_GRAPHTOKERNEL_SIGNLESS_H
#define TENON_CONVERSION_GRAPHTOKERNEL_SIGNLESS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tenon {

/// Gives each value of an unsigned type the signless type of the same width.
/// An op that read one, and an argument or result of the function that was one,
/// gets the attribute `tenon.unsigned`; a cast to one `tenon.to_unsigned`.
void makeSignless(mlir::func::FuncOp function);

/// Whether the operands of an op were unsigned; booleans are.
bool hasUnsignedOperands(mlir::Operation *op);
/// Whether a cast makes an unsigned type.
bool makesUnsigned(mlir::Operation *op);

} // namespace tenon

#endif // TENON_CONVERSION_GRAPHTOKERNEL_SIGNLESS_H
