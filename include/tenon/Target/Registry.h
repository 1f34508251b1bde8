// The targets that come with Tenon.
#ifndef TENON_TARGET_REGISTRY_H
#define TENON_TARGET_REGISTRY_H

#include "mlir/IR/DialectRegistry.h"
#include "tenon/Target/Interface/Target.h"

namespace tenon {

/// All of them; the first is the default.
llvm::ArrayRef<const Target *> allTargets();

/// Lets the passes of contexts made with `registry` find them.
void registerTargets(mlir::DialectRegistry &registry);

} // namespace tenon

#endif // TENON_TARGET_REGISTRY_H
