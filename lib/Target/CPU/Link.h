// Links the objects of an artifact, an archive: to a shared object, or to a
// program.
#ifndef TENON_LIB_TARGET_CPU_LINK_H
#define TENON_LIB_TARGET_CPU_LINK_H

#include "mlir/IR/Diagnostics.h"

namespace tenon {

/// Each emits its diagnostics at `loc`.
mlir::LogicalResult linkSharedObject(mlir::Location loc,
                                     llvm::StringRef objects,
                                     llvm::StringRef output);

/// `runtime` is tenon-program.o: the runtime and the commands, linked when
/// Tenon was built. The program needs the C library of the machine and nothing
/// else.
mlir::LogicalResult linkProgram(mlir::Location loc, llvm::StringRef objects,
                                llvm::StringRef runtime,
                                llvm::StringRef output);

} // namespace tenon

#endif // TENON_LIB_TARGET_CPU_LINK_H
