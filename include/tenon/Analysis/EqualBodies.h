// Which scheduled regions compute the same: the layers of a model have equal
// bodies, for which work is done and code is written once.
#ifndef TENON_ANALYSIS_EQUALBODIES_H
#define TENON_ANALYSIS_EQUALBODIES_H

#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "llvm/ADT/SmallVector.h"

namespace tenon {

/// Regions whose bodies are equal but for locations, in the order of the text.
using EqualBodies = llvm::SmallVector<kernel::RegionOp, 1>;

/// All scheduled regions in `root`, each in one group; groups in the order of
/// their first regions.
llvm::SmallVector<EqualBodies> groupEqualBodies(mlir::Operation *root);

} // namespace tenon

#endif // TENON_ANALYSIS_EQUALBODIES_H
