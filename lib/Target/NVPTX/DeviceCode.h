// The passes that take a plan's kernels to PTX. No CUDA, no ptxas, no
// libdevice.
#ifndef TENON_LIB_TARGET_NVPTX_DEVICECODE_H
#define TENON_LIB_TARGET_NVPTX_DEVICECODE_H

#include "mlir/Pass/Pass.h"

namespace tenon {

/// Every machine since 2020 runs this, whatever its driver.
inline constexpr llvm::StringLiteral ptxMachine = "sm_80";
inline constexpr llvm::StringLiteral ptxVersion = "+ptx70";

/// The llvm global of the host's module that holds the text.
inline constexpr llvm::StringLiteral deviceCodeName = "tenon_device_code";

/// Gives the constants of a plan a place among the weights, which the runtime
/// brings to the device.
std::unique_ptr<mlir::Pass> createPlaceConstantsPass();

/// Writes copies as launches of a kernel, since the host cannot copy there.
std::unique_ptr<mlir::Pass> createCopyByKernelPass();

/// Moves the kernels' bodies into a gpu.module of the same entries, whose
/// parameters are the pointers of all buffers, then all sizes and indices; the
/// functions stay as declarations.
std::unique_ptr<mlir::Pass> createSplitDeviceCodePass();

/// In a gpu.module: gpu, vector, memref, math, … -> llvm and nvvm.
std::unique_ptr<mlir::Pass> createConvertDeviceCodePass();

/// Replaces the gpu.module by the global `deviceCodeName`.
std::unique_ptr<mlir::Pass> createSerializeDeviceCodePass();

} // namespace tenon

#endif // TENON_LIB_TARGET_NVPTX_DEVICECODE_H
