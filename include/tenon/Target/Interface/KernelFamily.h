// A family of kernels: which regions it takes, and how it schedules them.
#ifndef TENON_TARGET_INTERFACE_KERNELFAMILY_H
#define TENON_TARGET_INTERFACE_KERNELFAMILY_H

#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "tenon/Target/Interface/TargetFacts.h"

namespace tenon {

/// On a region in its first form: a #kernel.schedule that it must get. An empty
/// family or tile leaves the choice; the number of lanes says nothing.
constexpr llvm::StringLiteral wantedScheduleAttr = "tenon.schedule";

struct KernelFamily {
  llvm::StringRef name;
  /// Is this region, in its first form, one of the family's?
  bool (*matches)(kernel::RegionOp region);
  /// Replaces the region by one in the second form (with schedule and grid; see
  /// kernel.region). Emits a diagnostic on failure.
  llvm::LogicalResult (*schedule)(kernel::RegionOp region,
                                  const TargetFacts &facts,
                                  mlir::RewriterBase &rewriter);
  /// The other tiles that could be wanted of a region which it scheduled, those
  /// most like the region's own first; null if there is nothing to choose.
  /// `sizeAtHint` says what a size is at the hinted ones, where that is known.
  std::vector<llvm::SmallVector<int64_t>> (*otherTiles)(
      kernel::RegionOp region,
      llvm::function_ref<std::optional<int64_t>(mlir::Value)> sizeAtHint) =
      nullptr;
};

} // namespace tenon

#endif // TENON_TARGET_INTERFACE_KERNELFAMILY_H
