// Files of weights that a compilation makes.
#ifndef TENON_WEIGHTS_DERIVEDFILE_H
#define TENON_WEIGHTS_DERIVEDFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace tenon {

/// Writes `bytes` to a file whose name starts with `prefix`, and returns its
/// path. A hash of what it holds follows, so that the same choice writes the
/// same file. A signal removes it.
llvm::Expected<std::string> writeDerivedFile(llvm::StringRef prefix,
                                             llvm::ArrayRef<char> bytes);

} // namespace tenon

#endif // TENON_WEIGHTS_DERIVEDFILE_H
