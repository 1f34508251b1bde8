// What a kernel costs, whoever runs it: exact expressions over the model's
// symbols. Report, cost model and profile read these and nothing else.
#ifndef TENON_ANALYSIS_KERNELFACTS_H
#define TENON_ANALYSIS_KERNELFACTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon/Analysis/SymbolicIndex.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "llvm/ADT/SmallVector.h"

namespace tenon {

struct KernelFacts {
  /// Floating point operations. A multiply-add counts two; exp, erf, tanh and
  /// their like count one each, as divisions and comparisons do. Softmax counts
  /// five for an element (maximum, difference, exponential, sum, quotient), a
  /// norm what its definition says, attention both products and the softmax of
  /// every score whether a mask hides it or not.
  SymbolicExpr flops;
  /// How many of these are multiply-adds of products, of those how many of
  /// pairs of bf16 and of groups of bytes. All others are of f32, or of what
  /// else the tensors hold.
  SymbolicExpr productFlops, bf16Flops, int8Ops;
  /// Instructions beside products, on one element each: exp, erf and their like
  /// count what emit makes of them for vectors of f32, divisions and square
  /// roots four. Half as many can be done in a time as flops of products, since
  /// a multiply-add is two.
  SymbolicExpr steps;
  /// Bytes that have to come from memory if nothing is cached and nothing is
  /// read twice: each input once, of a table that is looked up the rows for all
  /// look-ups but no more than the table.
  SymbolicExpr readBytes;
  /// Bytes of the results.
  SymbolicExpr writtenBytes;
};

/// Attributes of these. Absent where there are none.
inline constexpr llvm::StringLiteral productFlopsAttr = "tenon.product_flops";
inline constexpr llvm::StringLiteral bf16FlopsAttr = "tenon.bf16_flops";
inline constexpr llvm::StringLiteral int8OpsAttr = "tenon.int8_ops";
inline constexpr llvm::StringLiteral stepsAttr = "tenon.steps";

/// What a region in its first form is, for people: "product", "attention",
/// "norm" (softmax too), "elementwise" (whatever else computes in floats), or
/// "move".
llvm::StringRef kindOf(kernel::RegionOp region);

/// Facts about the regions of one function, in their first form.
class KernelFactsAnalysis {
public:
  explicit KernelFactsAnalysis(mlir::func::FuncOp function);

  /// None if a size of the region depends on data.
  std::optional<KernelFacts> get(kernel::RegionOp region);

private:
  using Sizes = llvm::SmallVector<SymbolicExpr>;
  std::optional<Sizes> sizesOf(mlir::Value tensor);
  std::optional<Sizes> sizesFrom(mlir::Type type, mlir::ValueRange dynamic);

  mlir::func::FuncOp function;
  SymbolicIndices indices;
};

} // namespace tenon

#endif // TENON_ANALYSIS_KERNELFACTS_H
