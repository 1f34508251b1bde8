// Applies the sizes that the user gave (--dim) to an imported module.
#ifndef TENON_COMPILER_SYMBOLSIZES_H
#define TENON_COMPILER_SYMBOLSIZES_H

#include "tenon/Compiler/Compiler.h"

namespace tenon {

/// Narrows the ranges of symbols and sets their hints; a fixed size replaces
/// its symbol by a constant, in `tenon.dims` and in the types of arguments.
/// An unknown name or an empty range is an error that lists the model's names.
llvm::LogicalResult setSymbolSizes(mlir::ModuleOp module,
                                   llvm::ArrayRef<SymbolSize> sizes);

} // namespace tenon

#endif // TENON_COMPILER_SYMBOLSIZES_H
