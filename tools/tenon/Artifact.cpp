// tenon run, bench, profile: what an artifact can do by itself. A model is
// compiled on the way.
#include "Compilation.h"
#include "Subcommands.h"
#include "tenon-c/CommandLine.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include <vector>

int runArtifactCommand(int argc, char **argv) {
  llvm::StringRef file = argc > 1 ? argv[1] : "";
  if (!file.ends_with(".onnx") && !file.ends_with(".mlir"))
    return tn_command_line(argc, argv, nullptr);

  llvm::SmallString<128> artifact;
  if (std::error_code error =
          llvm::sys::fs::createTemporaryFile("tenon", "so", artifact)) {
    llvm::errs() << "tenon: cannot make a temporary file: " << error.message()
                 << "\n";
    return 1;
  }
  llvm::scope_exit remove([&] { llvm::sys::fs::remove(artifact); });
  tenon::CompilerOptions options;
  parseTarget("native", options.target);
  int status = compileWithDiagnostics(file, artifact, options,
                                      [](const tenon::PhaseReport &) {});
  if (status != 0)
    return status;
  std::vector<char *> arguments(argv, argv + argc);
  arguments.erase(arguments.begin() + 1);
  return tn_command_line(static_cast<int>(arguments.size()), arguments.data(),
                         artifact.c_str());
}
