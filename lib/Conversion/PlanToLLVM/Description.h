// What an artifact says of itself.
#ifndef TENON_LIB_CONVERSION_PLANTOLLVM_DESCRIPTION_H
#define TENON_LIB_CONVERSION_PLANTOLLVM_DESCRIPTION_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tenon {

/// The text that ModuleAbi.h defines, for the plan in `main`.
std::string describePlan(mlir::func::FuncOp main);

} // namespace tenon

#endif // TENON_LIB_CONVERSION_PLANTOLLVM_DESCRIPTION_H
