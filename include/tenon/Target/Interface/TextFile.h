// Writing what a phase or a target has as text.
#ifndef TENON_TARGET_INTERFACE_TEXTFILE_H
#define TENON_TARGET_INTERFACE_TEXTFILE_H

#include "mlir/IR/Location.h"

namespace tenon {

/// Writes what `write` does to the file at `path`; "-" is standard output. The
/// file is whole, or there is none. Fails after an error at `loc`.
mlir::LogicalResult
writeTextFile(mlir::Location loc, llvm::StringRef path,
              llvm::function_ref<void(llvm::raw_ostream &)> write);

} // namespace tenon

#endif // TENON_TARGET_INTERFACE_TEXTFILE_H
