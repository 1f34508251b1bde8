// Groups regions by hash, then by comparison.
#include "tenon/Analysis/EqualBodies.h"
#include "mlir/IR/OperationSupport.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;

namespace tenon {

/// Equal for equal bodies, and cheap: the names of the ops in order.
static size_t hashOf(kernel::RegionOp region) {
  llvm::hash_code hash = 0;
  region.getBody().walk([&](Operation *op) {
    hash = llvm::hash_combine(hash, op->getName().getAsOpaquePointer());
  });
  return hash;
}

static bool haveEqualBodies(kernel::RegionOp lhs, kernel::RegionOp rhs) {
  return OperationEquivalence::isRegionEquivalentTo(
      &lhs.getBody(), &rhs.getBody(), OperationEquivalence::IgnoreLocations);
}

SmallVector<EqualBodies> groupEqualBodies(Operation *root) {
  SmallVector<EqualBodies> groups;
  DenseMap<uint64_t, SmallVector<size_t>> byHash;
  root->walk<WalkOrder::PreOrder>([&](kernel::RegionOp region) {
    if (!region.getSchedule())
      return;
    // Keys that DenseMap has for itself have their highest bit set.
    SmallVector<size_t> &alike = byHash[uint64_t(hashOf(region)) >> 1];
    auto *found = llvm::find_if(alike, [&](size_t group) {
      return haveEqualBodies(groups[group].front(), region);
    });
    if (found != alike.end()) {
      groups[*found].push_back(region);
      return;
    }
    alike.push_back(groups.size());
    groups.push_back({region});
  });
  return groups;
}

} // namespace tenon
