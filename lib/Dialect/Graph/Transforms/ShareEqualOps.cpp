// Computes what nodes of different names compute alike once. See Passes.td.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_SHAREEQUALOPSPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

constexpr auto byMeaning = OperationEquivalence::IgnoreLocations |
                           OperationEquivalence::IgnoreDiscardableAttrs;

/// Equal where name, operands, types and properties are.
struct MeaningInfo : llvm::DenseMapInfo<Operation *> {
  static unsigned getHashValue(const Operation *op) {
    return OperationEquivalence::computeHash(
        const_cast<Operation *>(op), OperationEquivalence::directHashValue,
        OperationEquivalence::ignoreHashValue, byMeaning);
  }
  static bool isEqual(const Operation *lhs, const Operation *rhs) {
    if (lhs == rhs)
      return true;
    if (lhs == getEmptyKey() || lhs == getTombstoneKey() ||
        rhs == getEmptyKey() || rhs == getTombstoneKey())
      return false;
    return OperationEquivalence::isEquivalentTo(
        const_cast<Operation *>(lhs), const_cast<Operation *>(rhs),
        OperationEquivalence::exactValueMatch, /*markEquivalent=*/nullptr,
        byMeaning);
  }
};

struct ShareEqualOpsPass : impl::ShareEqualOpsPassBase<ShareEqualOpsPass> {
  void runOnOperation() override {
    llvm::DenseSet<Operation *, MeaningInfo> seen;
    for (Operation &op :
         llvm::make_early_inc_range(getOperation().getBody().front())) {
      if (!isa<GraphDialect>(op.getDialect()) || op.getNumRegions() != 0 ||
          !isMemoryEffectFree(&op))
        continue;
      auto [first, isNew] = seen.insert(&op);
      if (isNew)
        continue;
      op.replaceAllUsesWith(*first);
      op.erase();
    }
  }
};

} // namespace
} // namespace tenon::graph
