// How tenon-reduce may simplify a module of the graph dialect.
#ifndef TENON_TOOLS_TENON_REDUCE_PATTERNS_H
#define TENON_TOOLS_TENON_REDUCE_PATTERNS_H

#include "mlir/IR/DialectRegistry.h"

void registerReductionPatterns(mlir::DialectRegistry &registry);

#endif // TENON_TOOLS_TENON_REDUCE_PATTERNS_H
