// An elementwise body, cloned on vectors or on scalars.
#ifndef TENON_LIB_KERNELS_VECTORBODY_H
#define TENON_LIB_KERNELS_VECTORBODY_H

#include "TileBuilder.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace tenon {

/// The scalar of an `arith.constant` that is one, or a tensor of equal
/// elements; else null.
mlir::TypedAttr constantScalar(mlir::Value value);

/// What the body of `generic` yields for vectors of `lanes` in place of its
/// inputs' elements. Constants become splats; `outer` gives the scalar of any
/// other value from outside the body and of a `linalg.index` in it.
mlir::Value cloneOnVectors(TileBuilder &t, mlir::linalg::GenericOp generic,
                           mlir::ValueRange inputs,
                           llvm::function_ref<mlir::Value(mlir::Value)> outer,
                           int64_t lanes);

/// The same for scalars.
mlir::Value cloneOnScalars(TileBuilder &t, mlir::linalg::GenericOp generic,
                           mlir::ValueRange inputs,
                           llvm::function_ref<mlir::Value(mlir::Value)> outer);

} // namespace tenon

#endif // TENON_LIB_KERNELS_VECTORBODY_H
