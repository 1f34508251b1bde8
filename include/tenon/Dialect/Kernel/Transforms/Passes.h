// Passes that rewrite the kernel dialect into itself.
#ifndef TENON_DIALECT_KERNEL_TRANSFORMS_PASSES_H
#define TENON_DIALECT_KERNEL_TRANSFORMS_PASSES_H

#include "mlir/Pass/Pass.h"

namespace tenon::kernel {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "tenon/Dialect/Kernel/Transforms/Passes.h.inc"
} // namespace tenon::kernel

#endif // TENON_DIALECT_KERNEL_TRANSFORMS_PASSES_H
