// The C header of one model.
#ifndef TENON_LIB_TARGET_CPU_HEADER_H
#define TENON_LIB_TARGET_CPU_HEADER_H

#include "llvm/Support/raw_ostream.h"

namespace tenon {

/// Writes names, types and sizes of inputs and outputs, and one setter for each
/// input and getter for each output over tenon-c/Runtime.h. `description` is
/// the text of ModuleAbi.h; `model` becomes the prefix of every name.
void writeHeader(llvm::StringRef description, llvm::StringRef model,
                 llvm::raw_ostream &os);

} // namespace tenon

#endif // TENON_LIB_TARGET_CPU_HEADER_H
