// Activations that other operators have fused.
#ifndef TENON_LIB_IMPORT_ONNX_ACTIVATION_H
#define TENON_LIB_IMPORT_ONNX_ACTIVATION_H

#include "ImportContext.h"

namespace tenon {

/// What the operator that attribute `activation` names makes of a value; the
/// value if there is none. `parameters` are the operator's attributes in order.
/// Null after an error.
mlir::Value activate(ImportContext &ctx, mlir::Value input,
                     llvm::ArrayRef<float> parameters);

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_ACTIVATION_H
