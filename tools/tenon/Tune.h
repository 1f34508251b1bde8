// Schedules that were found by measuring, as a recipe says them.
#ifndef TENON_TOOLS_TENON_TUNE_H
#define TENON_TOOLS_TENON_TUNE_H

#include "tenon/Compiler/Compiler.h"

/// Compiles the model with one tile after the other for each of its kernels
/// that has a choice, runs it on this machine for about `seconds` in all, and
/// adds those schedules to the recipe's nodes that made kernels and model
/// faster. Returns the exit status, when what is wrong has been said; a signal
/// ends this process when what was begun is removed.
int tuneSchedules(llvm::StringRef model, double seconds, bool quiet,
                  const mlir::DialectRegistry &registry,
                  tenon::CompilerOptions &options);

#endif // TENON_TOOLS_TENON_TUNE_H
