// Ops that compute what Analysis/SymbolicShapes knows as an expression.
#ifndef TENON_ANALYSIS_SYMBOLICMATERIALIZER_H
#define TENON_ANALYSIS_SYMBOLICMATERIALIZER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"
#include "tenon/Analysis/SymbolicExpr.h"
#include "llvm/ADT/DenseMap.h"
#include <map>

namespace tenon {

/// Builds expressions as arith ops on index, each once: behind the symbols at a
/// function's start, or behind the last graph.count that is part of them.
class SymbolicMaterializer {
public:
  /// Finds the function's graph.symbol ops and moves them to its start.
  SymbolicMaterializer(mlir::func::FuncOp function);

  mlir::Value getValue(const SymbolicExpr &expr);
  /// A constant where the expression is one.
  mlir::OpFoldResult getFoldResult(const SymbolicExpr &expr);

  /// Builds the expressions and, where a count is part of one, sets `other`
  /// behind them.
  void setInsertionPointBehind(llvm::ArrayRef<SymbolicExpr> exprs,
                               mlir::OpBuilder &other);

private:
  mlir::Value build(const SymbolicExpr &expr);
  /// What `make` builds, behind a count or, for null, at the function's start.
  mlir::Value buildBehind(mlir::Operation *count,
                          llvm::function_ref<mlir::Value()> make);
  mlir::Value getAtom(const SymbolicAtom &atom);
  /// The count in it that is known last; null if there is none.
  mlir::Operation *findLastCount(const SymbolicExpr &expr);

  mlir::OpBuilder builder;
  mlir::Location loc;
  std::map<std::string, mlir::Value> known;
  mlir::OpBuilder::InsertPoint start;
  mlir::Operation *behind = nullptr; ///< the count that `builder` stands behind
  /// For each graph.count, itself or the last op that was built behind it.
  llvm::DenseMap<mlir::Operation *, mlir::Operation *> lastBehind;
};

} // namespace tenon

#endif // TENON_ANALYSIS_SYMBOLICMATERIALIZER_H
