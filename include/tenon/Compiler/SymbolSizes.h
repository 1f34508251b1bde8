// The model's symbols: sizes that the user gave (--dim), and those that only
// one value works for.
#ifndef TENON_COMPILER_SYMBOLSIZES_H
#define TENON_COMPILER_SYMBOLSIZES_H

#include "tenon/Compiler/Compiler.h"

namespace tenon {

/// Narrows the ranges of symbols and sets their hints; a fixed size replaces
/// its symbol by a constant, in `tenon.dims` and in the types of arguments.
/// An unknown name or an empty range is an error that lists the model's names.
llvm::LogicalResult setSymbolSizes(mlir::ModuleOp module,
                                   llvm::ArrayRef<SymbolSize> sizes);

/// Warns of each node of a simplified module that needs a size, or a product of
/// sizes, to be one number, though the inputs declare it as free: exporters
/// trace a model on inputs of one size, and some of its nodes keep that.
/// Reports sizes that are equal for no input as an error.
llvm::LogicalResult checkFixedSizes(mlir::ModuleOp module);

} // namespace tenon

#endif // TENON_COMPILER_SYMBOLSIZES_H
