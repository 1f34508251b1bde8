// Schedules that the user wants for single regions: those of a recipe.
#ifndef TENON_COMPILER_SCHEDULES_H
#define TENON_COMPILER_SCHEDULES_H

#include "tenon/Recipe/Recipe.h"

namespace tenon {

/// Puts the schedules of a recipe on the regions of a fused module, as what
/// phase schedule must do. One that fits no region is an error at the module.
llvm::LogicalResult wantSchedules(mlir::ModuleOp module, const Recipe &recipe);

/// The schedules that are wanted so, or were by hand, region by region.
std::vector<std::pair<std::string, NodeChoice>>
collectSchedules(mlir::ModuleOp module);

} // namespace tenon

#endif // TENON_COMPILER_SCHEDULES_H
