// Types as kernels see them: unsigned integers without a sign, and narrow types
// as bytes. The ops that depend on it remember the type.
#ifndef TENON_CONVERSION_GRAPHTOKERNEL_SIGNLESS_H
#define TENON_CONVERSION_GRAPHTOKERNEL_SIGNLESS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tenon {

/// Gives each value of an unsigned type the signless type of the same width,
/// and what is stored as bytes (NarrowTypes.h) the type i8.
/// An op that read unsigned integers, and an argument or result of the function
/// that was of them, gets the attribute `tenon.unsigned`; a cast to one
/// `tenon.to_unsigned`. A cast from or to what is stored as bytes gets the type
/// as `tenon.from` or `tenon.to`, an argument or result `tenon.element`.
void makeSignless(mlir::func::FuncOp function);

/// Whether the operands of an op were unsigned; booleans are.
bool hasUnsignedOperands(mlir::Operation *op);
/// Whether a cast makes an unsigned type.
bool makesUnsigned(mlir::Operation *op);
/// What is stored as bytes that a cast reads or writes; null if it is not.
mlir::Type getReadAsBytes(mlir::Operation *cast);
mlir::Type getWrittenAsBytes(mlir::Operation *cast);

} // namespace tenon

#endif // TENON_CONVERSION_GRAPHTOKERNEL_SIGNLESS_H
