// Writes text to a file that a failure or a signal removes again.
#include "tenon/Target/Interface/TextFile.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;

LogicalResult
tenon::writeTextFile(Location loc, StringRef path,
                     function_ref<void(llvm::raw_ostream &)> write) {
  std::string message;
  auto file = openOutputFile(path, &message);
  if (!file)
    return emitError(loc) << message;
  write(file->os());
  file->os().flush();
  if (std::error_code error = file->os().error()) {
    file->os().clear_error(); // else it ends the process
    return emitError(loc) << "cannot write '" << path
                          << "': " << error.message();
  }
  file->keep();
  return success();
}
