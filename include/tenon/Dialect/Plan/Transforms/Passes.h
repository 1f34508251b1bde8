// Passes that rewrite the plan dialect into itself.
#ifndef TENON_DIALECT_PLAN_TRANSFORMS_PASSES_H
#define TENON_DIALECT_PLAN_TRANSFORMS_PASSES_H

#include "mlir/Pass/Pass.h"

namespace tenon::plan {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "tenon/Dialect/Plan/Transforms/Passes.h.inc"
} // namespace tenon::plan

#endif // TENON_DIALECT_PLAN_TRANSFORMS_PASSES_H
