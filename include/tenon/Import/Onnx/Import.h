// Reads an ONNX model as a module in the graph dialect.
#ifndef TENON_IMPORT_ONNX_IMPORT_H
#define TENON_IMPORT_ONNX_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace tenon {

/// Imports the model at `path`. Its weights stay in their files: the module
/// refers to them by name, relative to the model's folder. Returns null after
/// an error for each problem that was found, at the node that has it;
/// `unsupported` is then true if the model is valid as far as import can tell
/// and only asks for what Tenon does not have.
mlir::OwningOpRef<mlir::ModuleOp>
importOnnx(mlir::MLIRContext *context, llvm::StringRef path, bool &unsupported);

} // namespace tenon

#endif // TENON_IMPORT_ONNX_IMPORT_H
