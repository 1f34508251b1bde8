// Rotary embedding, for the operators that have it inside.
#ifndef TENON_LIB_IMPORT_ONNX_ROTARY_H
#define TENON_LIB_IMPORT_ONNX_ROTARY_H

#include "ImportContext.h"

namespace tenon {

/// The first `rotated` elements of each head of batch×heads×S×D rotated, or all
/// where that is 0, and what is left of the head as it is.
mlir::Value rotateHeads(ImportContext &ctx, mlir::Value heads,
                        mlir::Value cosine, mlir::Value sine, int64_t rotated,
                        bool interleaved);

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_ROTARY_H
