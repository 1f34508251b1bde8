// Schedules that the user wants for single regions (--schedules).
#ifndef TENON_COMPILER_SCHEDULES_H
#define TENON_COMPILER_SCHEDULES_H

#include "mlir/IR/BuiltinOps.h"

namespace tenon {

/// Reads a JSON object of `"NODE": {"family": "NAME", "tile": [N, …]}`, where
/// family, tile or both are given, and puts each entry on the region that
/// computes the node, as what phase schedule must do. Emits a diagnostic if the
/// file says something else or names a node that no region computes.
llvm::LogicalResult wantSchedules(mlir::ModuleOp module, llvm::StringRef path);

} // namespace tenon

#endif // TENON_COMPILER_SCHEDULES_H
