// What arithmetic on sizes computes, as expressions over the model's symbols.
#ifndef TENON_ANALYSIS_SYMBOLICINDEX_H
#define TENON_ANALYSIS_SYMBOLICINDEX_H

#include "mlir/IR/OpDefinition.h"
#include "tenon/Analysis/SymbolicExpr.h"
#include "llvm/ADT/DenseMap.h"

namespace tenon {

/// The result of an arith op on index values; none if it is no such op or an
/// operand is unknown. A select is known where it compares such values.
std::optional<SymbolicExpr> evaluateIndexOp(
    mlir::Operation &op,
    llvm::function_ref<std::optional<SymbolicExpr>(mlir::Value)> lookup);

/// Index values of one function, evaluated on demand: arith ops over
/// graph.symbol, kernel.symbol or plan.symbol.
class SymbolicIndices {
public:
  std::optional<SymbolicExpr> get(mlir::Value index);
  /// What a block argument stands for.
  void set(mlir::Value index, const SymbolicExpr &expr) { known[index] = expr; }

private:
  llvm::DenseMap<mlir::Value, std::optional<SymbolicExpr>> known;
};

} // namespace tenon

#endif // TENON_ANALYSIS_SYMBOLICINDEX_H
