// Loops over the steps of a sequence.
#ifndef TENON_LIB_IMPORT_ONNX_RECURRENT_H
#define TENON_LIB_IMPORT_ONNX_RECURRENT_H

#include "ImportContext.h"

namespace tenon {

/// Runs `makeStep` for iterations 0, 1, … (a scalar of i64) below `steps`. It
/// gives the step's output and what is carried to the next; the outputs, all in
/// the place of their step in `outputs`, and what the last step gave are the
/// result. Carried values keep their types and sizes.
llvm::SmallVector<mlir::Value> forEachStep(
    ImportContext &ctx, mlir::OpFoldResult steps, mlir::Value outputs,
    llvm::ArrayRef<mlir::Value> carried,
    llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value iteration,
                                                      mlir::ValueRange carried)>
        makeStep);

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_RECURRENT_H
