// What other families make of reductions.
#ifndef TENON_LIB_IMPORT_ONNX_REDUCTION_H
#define TENON_LIB_IMPORT_ONNX_REDUCTION_H

#include "ImportContext.h"

namespace tenon {

/// x - log(sum(exp(x))) along `axis`.
mlir::Value makeLogSoftmax(ImportContext &ctx, mlir::Value input, int64_t axis);

/// The norm over the dimensions from `axis` on, without scale and bias.
mlir::Value makeNorm(ImportContext &ctx, mlir::Value input, int64_t axis,
                     float epsilon, bool rms = false);

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_REDUCTION_H
