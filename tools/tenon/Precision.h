// What a lower precision changes in a model's numbers.
#ifndef TENON_TOOLS_TENON_PRECISION_H
#define TENON_TOOLS_TENON_PRECISION_H

#include "Compilation.h"

/// Whether a recipe computes any product in less than f32.
bool lowersPrecision(const tenon::Recipe &recipe);

/// Compiles the model again without lower precision, runs both on the inputs of
/// `dataSet`, and prints how far the outputs of `artifact` are. Says what it
/// does where that takes more than two seconds, unless `quiet`. Returns the
/// exit status.
int compareWithSingle(llvm::StringRef model, llvm::StringRef artifact,
                      tenon::CompilerOptions options,
                      const mlir::DialectRegistry &registry,
                      llvm::StringRef dataSet, bool quiet);

#endif // TENON_TOOLS_TENON_PRECISION_H
