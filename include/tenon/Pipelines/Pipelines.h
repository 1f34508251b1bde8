// The compiler, in order: each phase is one function that appends its passes.
#ifndef TENON_PIPELINES_PIPELINES_H
#define TENON_PIPELINES_PIPELINES_H

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"

namespace tenon {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "tenon/Pipelines/Passes.h.inc"

/// graph -> graph. Afterwards no shape arithmetic runs as tensor code.
void buildSimplifyPipeline(mlir::OpPassManager &pm);

/// Registers every dialect a Tenon module may contain.
void registerAllDialects(mlir::DialectRegistry &registry);

/// Registers every pass and every phase, under the names tenon-opt accepts.
void registerAllPasses();

} // namespace tenon

#endif // TENON_PIPELINES_PIPELINES_H
