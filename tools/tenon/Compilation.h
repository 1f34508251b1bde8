// What the subcommands that compile share: options as text, diagnostics as the
// user reads them, exit status.
#ifndef TENON_TOOLS_TENON_COMPILATION_H
#define TENON_TOOLS_TENON_COMPILATION_H

#include "tenon/Compiler/Compiler.h"

/// Reads `native`, a name, or a facts file, and says what is wrong with it.
bool parseTarget(llvm::StringRef text, std::string &target);

/// What is wrong with a model, and where.
struct Problem {
  llvm::StringRef severity; ///< error, warning or note
  std::string place;        ///< an ONNX node or FILE:LINE; may be empty
  std::string message;

  bool isError() const { return severity == "error"; }
};

/// Compiles with the dialects of `registry` and hands each diagnostic to
/// `found`. Returns the exit status.
int compileAndCollect(llvm::StringRef inputPath, llvm::StringRef outputPath,
                      const tenon::CompilerOptions &options,
                      const mlir::DialectRegistry &registry,
                      tenon::CompileObserver &observer,
                      llvm::function_ref<void(const Problem &)> found);

#endif // TENON_TOOLS_TENON_COMPILATION_H
