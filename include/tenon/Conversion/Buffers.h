// How the buffers of a kernel come from what crosses its border.
#ifndef TENON_CONVERSION_BUFFERS_H
#define TENON_CONVERSION_BUFFERS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace tenon {

/// A row-major memref of `type` at `pointer`, an llvm pointer; `dynamicSizes`
/// are i64.
mlir::Value buildBuffer(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::MemRefType type, mlir::Value pointer,
                        mlir::ValueRange dynamicSizes);

} // namespace tenon

#endif // TENON_CONVERSION_BUFFERS_H
