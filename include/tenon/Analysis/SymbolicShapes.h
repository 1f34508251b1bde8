// Which sizes the tensors of a graph function have, as expressions over the
// model's symbols, and what small integer tensors that hold sizes contain.
#ifndef TENON_ANALYSIS_SYMBOLICSHAPES_H
#define TENON_ANALYSIS_SYMBOLICSHAPES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"
#include "tenon/Analysis/SymbolicExpr.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"

namespace tenon {
namespace graph {
class AttentionOp;
class ReshapeOp;
} // namespace graph

using SymbolicSizes = llvm::SmallVector<SymbolicExpr>;

/// Computed once, by a walk over the function's body; a change of the IR makes
/// it stale. What a branch gives has sizes where both bodies agree on them, and
/// what a loop carries where every iteration keeps them.
class SymbolicShapes {
public:
  explicit SymbolicShapes(mlir::func::FuncOp function);
  /// Looks at an op that was added behind those seen so far.
  void extend(mlir::Operation &op) { visit(op); }

  /// The sizes of a tensor; none if one of them depends on data.
  const SymbolicSizes *getSizes(mlir::Value tensor) const;

  /// What an index computes, unless it depends on data.
  std::optional<SymbolicExpr> getIndex(mlir::Value index) const;
  std::optional<SymbolicExpr> getIndex(mlir::OpFoldResult index) const;

  /// The elements of a small integer tensor in row-major order, if known.
  const SymbolicSizes *getContents(mlir::Value tensor) const;

  /// Is the expression never below `bound`?
  bool isAtLeast(const SymbolicExpr &expr, int64_t bound) const;

  /// Where a bound of a slice with this step lies in a dimension of `size`: a
  /// negative one counts from the end, and what lies outside is clamped.
  SymbolicExpr clampBound(SymbolicExpr bound, const SymbolicExpr &size,
                          int64_t step, bool isStart) const;

  /// Two sizes that must be equal for the op at `loc` to be defined.
  struct Assumption {
    SymbolicExpr lhs, rhs;
    mlir::Location loc;
  };
  llvm::ArrayRef<Assumption> getAssumptions() const { return assumptions; }

private:
  void visitBlock(mlir::Block &block);
  void visit(mlir::Operation &op);
  void visitIf(mlir::scf::IfOp branch);
  void visitWhile(mlir::scf::WhileOp loop);
  void forget(mlir::Value value);
  void forgetBodies(mlir::Operation *op);
  void visitShape(mlir::Operation &op);
  void visitContents(mlir::Operation &op);
  void visitIndex(mlir::Operation &op);
  void assumeSizes(mlir::Operation &op, const SymbolicSizes &inferred);
  std::optional<SymbolicSizes> inferSizes(mlir::Operation &op);
  std::optional<SymbolicSizes> inferReshape(graph::ReshapeOp op);
  std::optional<SymbolicSizes> inferContents(mlir::Operation &op);
  SymbolicSizes broadcast(mlir::Operation &op, const SymbolicSizes &lhs,
                          const SymbolicSizes &rhs);
  /// A padding mask batch×length whose length is no other input's is as long as
  /// the keys, though what looks it up or slices it forgets the length.
  void assumeMaskLength(graph::AttentionOp op);
  /// See graph.window.
  SymbolicExpr countWindows(const SymbolicExpr &size, int64_t kernel,
                            int64_t stride, int64_t dilation) const;
  void assumeEqual(mlir::Operation &op, const SymbolicExpr &lhs,
                   const SymbolicExpr &rhs);
  /// What is looked up by `indices` along an axis has, along all others, places
  /// that the input has too.
  void assumeInside(mlir::Operation &op, mlir::Value indices, mlir::Value input,
                    int64_t axis);

  llvm::DenseMap<mlir::Value, SymbolicSizes> sizes, contents;
  llvm::DenseMap<mlir::Value, SymbolicExpr> indices;
  std::map<std::string, int64_t> least; ///< of each symbol
  llvm::SmallVector<Assumption> assumptions;
};

/// Reports each branch that gives, and each loop that carries, a tensor whose
/// sizes are not the same on all ways and known beforehand.
mlir::LogicalResult verifyControlSizes(mlir::func::FuncOp function);

} // namespace tenon

#endif // TENON_ANALYSIS_SYMBOLICSHAPES_H
