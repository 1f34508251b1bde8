// The families of kernels that come with Tenon.
#ifndef TENON_KERNELS_FAMILY_H
#define TENON_KERNELS_FAMILY_H

#include "tenon/Target/Interface/KernelFamily.h"

namespace tenon {

/// Each is one file in lib/Kernels. The first that matches wins.
KernelFamily contractFamily();  ///< kernel.contract: lib/Kernels/Contract.cpp
KernelFamily attentionFamily(); ///< kernel.attention: lib/Kernels/Attention.cpp
KernelFamily rowFamily(); ///< kernel.softmax, kernel.norm: lib/Kernels/Row.cpp
KernelFamily loopsFamily(); ///< one linalg.generic: lib/Kernels/Loops.cpp

llvm::ArrayRef<KernelFamily> cpuFamilies();

} // namespace tenon

#endif // TENON_KERNELS_FAMILY_H
