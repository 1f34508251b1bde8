// What the subcommands that compile share: options as text, diagnostics as the
// user reads them, exit status.
#ifndef TENON_TOOLS_TENON_COMPILATION_H
#define TENON_TOOLS_TENON_COMPILATION_H

#include "tenon/Compiler/Compiler.h"

/// Reads NAME=N, NAME=A..B or NAME~N.
bool parseSymbolSize(llvm::StringRef text, tenon::SymbolSize &size);

/// Reads x86-64-v3, x86-64-v4 or native, which picks one of them.
bool parseTarget(llvm::StringRef text, std::string &target);

/// What is wrong with a model, and where.
struct Problem {
  bool isError;      ///< else a note or a warning
  std::string place; ///< an ONNX node or FILE:LINE; may be empty
  std::string message;
};

/// Compiles and hands each diagnostic to `found`. Returns the exit status.
int compileAndCollect(
    llvm::StringRef inputPath, llvm::StringRef outputPath,
    const tenon::CompilerOptions &options,
    llvm::function_ref<void(const tenon::PhaseReport &)> report,
    llvm::function_ref<void(const Problem &)> found);

/// The same, with each diagnostic on standard error as `error: node 'N': …`.
int compileWithDiagnostics(
    llvm::StringRef inputPath, llvm::StringRef outputPath,
    const tenon::CompilerOptions &options,
    llvm::function_ref<void(const tenon::PhaseReport &)> report);

#endif // TENON_TOOLS_TENON_COMPILATION_H
