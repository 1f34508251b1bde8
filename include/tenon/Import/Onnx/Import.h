// Reads an ONNX model as a module in the graph dialect.
#ifndef TENON_IMPORT_ONNX_IMPORT_H
#define TENON_IMPORT_ONNX_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <string>
#include <vector>

namespace tenon {

/// Weights that lie apart from the model.
struct GivenWeightFiles {
  std::vector<std::string> files; ///< safetensors or GGUF
  std::string names;              ///< what weights are called there; or empty
  std::string derivedPrefix;      ///< of files with what blocks become
};

/// Imports the model at `path`. Its weights stay in their files: the module
/// refers to them by name, relative to the model's folder, or, of `given` ones,
/// absolute. Returns null after an error for each problem that was found, at
/// the node that has it; `unsupported` is then true if the model is valid as
/// far as import can tell and only asks for what Tenon does not have.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(mlir::MLIRContext *context,
                                             llvm::StringRef path,
                                             const GivenWeightFiles &given,
                                             bool &unsupported);

} // namespace tenon

#endif // TENON_IMPORT_ONNX_IMPORT_H
