// A family of kernels: which regions it takes, and how it schedules them.
#ifndef TENON_KERNELS_FAMILY_H
#define TENON_KERNELS_FAMILY_H

#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "tenon/Target/Interface/TargetFacts.h"

namespace tenon {

struct KernelFamily {
  llvm::StringRef name;
  /// Is this region, in its first form, one of the family's?
  bool (*matches)(kernel::RegionOp region);
  /// Replaces the region by one in the second form (with schedule and grid; see
  /// kernel.region). Emits a diagnostic on failure.
  llvm::LogicalResult (*schedule)(kernel::RegionOp region,
                                  const TargetFacts &facts,
                                  mlir::RewriterBase &rewriter);
};

/// Each is one file in lib/Kernels. The first that matches wins.
KernelFamily contractFamily();  ///< kernel.contract: lib/Kernels/Contract.cpp
KernelFamily attentionFamily(); ///< kernel.attention: lib/Kernels/Attention.cpp
KernelFamily rowFamily(); ///< kernel.softmax, kernel.norm: lib/Kernels/Row.cpp
KernelFamily loopsFamily(); ///< one linalg.generic: lib/Kernels/Loops.cpp

llvm::ArrayRef<KernelFamily> cpuFamilies();

} // namespace tenon

#endif // TENON_KERNELS_FAMILY_H
