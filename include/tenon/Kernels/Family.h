// The families of kernels that come with Tenon.
#ifndef TENON_KERNELS_FAMILY_H
#define TENON_KERNELS_FAMILY_H

#include "tenon/Target/Interface/KernelFamily.h"

namespace tenon {

/// Each is one file in lib/Kernels. The first that matches wins.
KernelFamily contractFamily();  ///< kernel.contract: lib/Kernels/Contract.cpp
KernelFamily attentionFamily(); ///< kernel.attention: lib/Kernels/Attention.cpp
KernelFamily appendFamily();    ///< kernel.append: lib/Kernels/Append.cpp
KernelFamily rowFamily(); ///< kernel.softmax, kernel.norm: lib/Kernels/Row.cpp
KernelFamily linesFamily(); ///< kernel.lines: lib/Kernels/Lines.cpp
KernelFamily loopsFamily(); ///< one linalg.generic: lib/Kernels/Loops.cpp

llvm::ArrayRef<KernelFamily> cpuFamilies();

/// Families for GPUs. One tile of a grid is a block of threads, all of which
/// run the body; the ops of `gpu` say which of them does what.
KernelFamily tensorContractFamily(); ///< lib/Kernels/TensorContract.cpp
KernelFamily threadContractFamily(); ///< lib/Kernels/ThreadContract.cpp
KernelFamily warpAttentionFamily();  ///< lib/Kernels/WarpAttention.cpp
KernelFamily warpRowFamily();        ///< lib/Kernels/WarpRow.cpp
KernelFamily threadLinesFamily();    ///< lib/Kernels/Lines.cpp
KernelFamily threadLoopsFamily();    ///< lib/Kernels/Loops.cpp

llvm::ArrayRef<KernelFamily> gpuFamilies();

/// Threads of a block, in every kernel of these families.
constexpr int64_t blockThreads = 128;

} // namespace tenon

#endif // TENON_KERNELS_FAMILY_H
