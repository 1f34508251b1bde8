// Recognises attention written out. See Passes.td.
#include "Matching.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include <cmath>

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_RECOGNIZEATTENTIONPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

RankedTensorType tensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// where(is_nan(p), 0, p)  ->  p, and whether it was there.
Value stripNaNGuard(Value value, bool &found) {
  auto where = value.getDefiningOp<WhereOp>();
  found = false;
  if (!where || getSplat(where.getOnTrue()) != 0.0)
    return value;
  auto isNaN = where.getCondition().getDefiningOp<IsNaNOp>();
  if (!isNaN || isNaN.getInput() != where.getOnFalse())
    return value;
  found = true;
  return where.getOnFalse();
}

/// where(keep, 0, -inf)  ->  keep; other masks stay as they are.
Value getBooleanMask(Value mask) {
  auto where = mask.getDefiningOp<WhereOp>();
  if (!where || getSplat(where.getOnTrue()) != 0.0)
    return mask;
  std::optional<double> masked = getSplat(where.getOnFalse());
  if (!masked || !std::isinf(*masked) || *masked > 0)
    return mask;
  return where.getCondition();
}

/// Whether the mask does not widen the scores: they already have the sum's
/// type.
bool broadcastsTo(Value mask, RankedTensorType scores) {
  RankedTensorType type = tensorType(mask);
  if (type.getRank() > scores.getRank())
    return false;
  for (auto [size, wanted] : llvm::zip(llvm::reverse(type.getShape()),
                                       llvm::reverse(scores.getShape())))
    if (size != 1 && size != wanted && !ShapedType::isDynamic(size) &&
        !ShapedType::isDynamic(wanted))
      return false;
  return true;
}

/// The key as batch×heads×T×D, from the matmul's operand, which is that or, if
/// not `isTransposed`, a transpose of it. Null if neither.
Value getKey(Value operand, bool isTransposed, PatternRewriter &rewriter) {
  if (isTransposed)
    return operand;
  auto transpose = operand.getDefiningOp<TransposeOp>();
  if (!transpose)
    return nullptr;
  SmallVector<int64_t> permutation(transpose.getPermutation());
  std::swap(permutation[2], permutation[3]);
  if (llvm::equal(permutation, llvm::seq<int64_t>(0, 4)))
    return transpose.getInput();
  SmallVector<int64_t> sizes(tensorType(operand).getShape());
  std::swap(sizes[2], sizes[3]);
  auto type =
      RankedTensorType::get(sizes, tensorType(operand).getElementType());
  return TransposeOp::create(rewriter, transpose.getLoc(), type,
                             transpose.getInput(), permutation);
}

/// matmul(softmax(c · matmul(a·q, b·kᵀ) + mask), v)
///   ->  attention q, k, v mask mask scale a·b·c
struct RecognizeAttention : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &rewriter) const override {
    if (tensorType(op.getOutput()).getRank() != 4 || op.getTransposeLhs() ||
        op.getTransposeRhs())
      return rewriter.notifyMatchFailure(op, "is no plain product of rank 4");
    bool zeroIfMasked;
    auto softmax =
        stripNaNGuard(op.getLhs(), zeroIfMasked).getDefiningOp<SoftmaxOp>();
    if (!softmax || softmax.getAxis() != 3)
      return rewriter.notifyMatchFailure(op, "lhs is no softmax of rows");

    Value scores = softmax.getInput(), mask;
    MatmulOp product = getScores(scores);
    if (!product) {
      auto add = scores.getDefiningOp<AddOp>();
      if (!add)
        return rewriter.notifyMatchFailure(op, "scores are no matmul");
      for (auto [one, other] : {std::pair(add.getLhs(), add.getRhs()),
                                std::pair(add.getRhs(), add.getLhs())})
        if (!product && (product = getScores(one))) {
          scores = one;
          mask = other;
        }
      if (!product || !broadcastsTo(mask, tensorType(scores)))
        return rewriter.notifyMatchFailure(op, "scores are no masked matmul");
    }
    if (product.getTransposeLhs())
      return rewriter.notifyMatchFailure(op, "query is read transposed");

    Product query = getProduct(product.getLhs());
    Product key = getProduct(product.getRhs());
    if (query.factors.size() != 1 || key.factors.size() != 1 ||
        query.factors[0].getType() != product.getLhs().getType() ||
        key.factors[0].getType() != product.getRhs().getType())
      return rewriter.notifyMatchFailure(op, "query or key is a product");
    Value keyTensor =
        getKey(key.factors[0], product.getTransposeRhs(), rewriter);
    if (!keyTensor)
      return rewriter.notifyMatchFailure(op, "key is no transpose");
    double scale =
        getProduct(scores).coefficient * query.coefficient * key.coefficient;

    auto attention = AttentionOp::create(
        rewriter, op.getLoc(), op.getType(), query.factors[0], keyTensor,
        op.getRhs(), mask ? getBooleanMask(mask) : Value(),
        rewriter.getF32FloatAttr(scale), /*causal=*/nullptr,
        zeroIfMasked ? rewriter.getUnitAttr() : nullptr);
    if (Attribute id = op->getAttr("tenon.id"))
      attention->setAttr("tenon.id", id);
    rewriter.replaceOp(op, attention);
    return success();
  }

private:
  /// The matmul that `value` is a constant multiple of, or null.
  static MatmulOp getScores(Value value) {
    Product scaled = getProduct(value);
    if (scaled.factors.size() != 1 ||
        scaled.factors[0].getType() != value.getType())
      return nullptr;
    return scaled.factors[0].getDefiningOp<MatmulOp>();
  }
};

struct RecognizeAttentionPass
    : impl::RecognizeAttentionPassBase<RecognizeAttentionPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RecognizeAttention>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon::graph
