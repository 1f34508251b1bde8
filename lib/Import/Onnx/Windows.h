// The attributes that convolutions and pooling share: which windows of the
// input's spatial dimensions, those behind batch and channels, they work on.
#ifndef TENON_LIB_IMPORT_ONNX_WINDOWS_H
#define TENON_LIB_IMPORT_ONNX_WINDOWS_H

#include "ImportContext.h"

namespace tenon {

struct Windows {
  llvm::SmallVector<int64_t> kernel, strides, dilations;
  Sizes lows, highs; ///< what is added before and behind each dimension

  size_t rank() const { return kernel.size(); }
  /// From the first to the last element of a window.
  int64_t span(size_t dim) const {
    return (kernel[dim] - 1) * dilations[dim] + 1;
  }
};

/// The spatial dimensions of an input with batch and channels. Fails, after an
/// error, if it has none.
mlir::FailureOr<Sizes> getSpatialSizes(ImportContext &ctx, mlir::Value input);

/// Attributes strides, dilations, pads and auto_pad for windows of `kernel`
/// over `sizes`, and kernel_shape, which must not say otherwise. Fails after an
/// error.
mlir::FailureOr<Windows> readWindows(ImportContext &ctx,
                                     llvm::ArrayRef<mlir::OpFoldResult> sizes,
                                     llvm::ArrayRef<int64_t> kernel);

/// Pads the last dimensions, and no others.
mlir::Value padSpatial(ImportContext &ctx, mlir::Value input, mlir::Value value,
                       llvm::ArrayRef<mlir::OpFoldResult> lows,
                       llvm::ArrayRef<mlir::OpFoldResult> highs);

/// All windows of what is padded already: N×C×spatial -> N×C×windows×kernel
mlir::Value makeWindows(ImportContext &ctx, mlir::Value input,
                        const Windows &windows);

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_WINDOWS_H
