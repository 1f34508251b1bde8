// Floats of up to 8 bits and integers of fewer: bytes, and what they stand for.
#ifndef TENON_CONVERSION_GRAPHTOKERNEL_NARROWTYPES_H
#define TENON_CONVERSION_GRAPHTOKERNEL_NARROWTYPES_H

#include "mlir/IR/Builders.h"

namespace tenon {

/// Whether elements of a type are bytes in kernels that only casts understand:
/// floats of up to 8 bits, and integers of fewer, both in the low bits.
bool isStoredAsByte(mlir::Type element);

/// The number of type `stored` that a byte stands for: an f32, or an i8.
mlir::Value decodeByte(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value byte, mlir::Type stored);

/// The byte for such a number. An f32 is rounded to nearest, halves to even;
/// what is too large becomes infinite or no number, where the type has either,
/// else the largest. Of an i8 the low bits count.
mlir::Value encodeByte(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value number, mlir::Type stored);

} // namespace tenon

#endif // TENON_CONVERSION_GRAPHTOKERNEL_NARROWTYPES_H
