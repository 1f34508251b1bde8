// Folds transposes into the matmul that reads them. See Passes.td.
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_FOLDTRANSPOSEINTOMATMULPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// What `value` is a transpose of, if that swaps just the last two dimensions.
Value getSwapped(Value value) {
  auto transpose = value.getDefiningOp<TransposeOp>();
  if (!transpose)
    return nullptr;
  SmallVector<int64_t> permutation(transpose.getPermutation());
  int64_t rank = permutation.size();
  if (rank < 2)
    return nullptr;
  std::swap(permutation[rank - 1], permutation[rank - 2]);
  return llvm::equal(permutation, llvm::seq<int64_t>(0, rank))
             ? transpose.getInput()
             : Value();
}

/// matmul(transpose(a), b)  ->  matmul transpose_lhs (a, b), and the same for b
struct FoldTransposedOperand : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &rewriter) const override {
    Value lhs = getSwapped(op.getLhs()), rhs = getSwapped(op.getRhs());
    if (!lhs && !rhs)
      return rewriter.notifyMatchFailure(
          op, "no operand swaps its last two dimensions");
    rewriter.modifyOpInPlace(op, [&] {
      if (lhs) {
        op.getLhsMutable().assign(lhs);
        op.setTransposeLhs(!op.getTransposeLhs());
      }
      if (rhs) {
        op.getRhsMutable().assign(rhs);
        op.setTransposeRhs(!op.getTransposeRhs());
      }
    });
    return success();
  }
};

struct FoldTransposeIntoMatmulPass
    : impl::FoldTransposeIntoMatmulPassBase<FoldTransposeIntoMatmulPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldTransposedOperand>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon::graph
