// Recognises attention written out. See Passes.td.
#include "Matching.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_RECOGNIZEATTENTIONPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

RankedTensorType tensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// The matmul that `value` is a constant multiple of, or null.
MatmulOp getScores(Value value) {
  Product scaled = getProduct(value);
  if (scaled.factors.size() != 1 ||
      scaled.factors[0].getType() != value.getType())
    return nullptr;
  return scaled.factors[0].getDefiningOp<MatmulOp>();
}

/// What is done to scores before their softmax.
struct MaskedScores {
  Value scores; ///< a multiple of a product
  MatmulOp product;
  SmallVector<Value> added;
  SmallVector<Hiding> hidden; ///< the last first; what is shown is not used
};

/// Takes apart c · product + a, where(keep, c · product + a, low) and so on.
bool matchMasked(Value value, MaskedScores &found, unsigned depth = 4) {
  found.product = getScores(value);
  if (found.product) {
    found.scores = value;
    return true;
  }
  if (depth == 0)
    return false;
  if (auto add = value.getDefiningOp<AddOp>())
    for (auto [one, other] : {std::pair(add.getLhs(), add.getRhs()),
                              std::pair(add.getRhs(), add.getLhs())})
      if (matchMasked(one, found, depth - 1)) {
        found.added.push_back(other);
        return true;
      }
  std::optional<Hiding> hiding = getHiding(value);
  if (!hiding || !matchMasked(hiding->shown, found, depth - 1))
    return false;
  found.hidden.push_back(*hiding);
  return true;
}

/// All that is added to scores, and numbers that hide, as one mask:
/// s + a + where(keep, 0, low)  ->  s + where(keep, a, low)
Value createMask(MaskedScores masked, Location loc, PatternRewriter &rewriter) {
  if (masked.hidden.empty() && masked.added.size() == 1)
    return masked.added.front();
  auto isHiding = [](Value added) {
    std::optional<Hiding> hiding = getHiding(added);
    return hiding && getSplat(hiding->shown) == 0.0;
  };
  Value mask;
  for (Value added : masked.added) {
    if (isHiding(added))
      masked.hidden.push_back(*getHiding(added));
    else
      mask = mask ? AddOp::create(
                        rewriter, loc,
                        getBroadcastType(mask, added,
                                         getElementTypeOrSelf(mask.getType())),
                        mask, added)
                  : added;
  }
  for (const Hiding &hiding : masked.hidden) {
    if (!mask) {
      auto type =
          RankedTensorType::get({}, getElementTypeOrSelf(hiding.low.getType()));
      mask = ConstantOp::create(
          rewriter, loc, type,
          DenseElementsAttr::get(type,
                                 rewriter.getZeroAttr(type.getElementType())));
    }
    RankedTensorType type = getBroadcastType(
        hiding.keep, mask, getElementTypeOrSelf(mask.getType()));
    mask = WhereOp::create(rewriter, loc, type, hiding.keep, mask, hiding.low);
  }
  return mask;
}

/// What matmul(softmax(c · matmul(a·q, b·kᵀ) + mask), v) is made of.
struct Written {
  Value query, key; ///< the key as the matmul reads it
  bool isKeyTransposed;
  MaskedScores masked;
  double scale;
  bool zeroIfMasked;
};

FailureOr<Written> matchAttention(MatmulOp op, Obstacle &obstacle) {
  Written found;
  auto softmax =
      stripNaNGuard(op.getLhs(), found.zeroIfMasked).getDefiningOp<SoftmaxOp>();
  if (!softmax)
    return failure();
  if (tensorType(op.getOutput()).getRank() != 4)
    return obstacle.refuse("its product is not of rank 4");
  if (op.getTransposeLhs() || op.getTransposeRhs())
    return obstacle.refuse("the softmax or the values are read transposed");
  if (softmax.getAxis() != 3)
    return obstacle.refuse("the softmax is not along the last dimension");

  if (!matchMasked(softmax.getInput(), found.masked))
    return obstacle.refuse("scores are more than a multiple of a product of "
                           "query and key and a mask");
  Value scores = found.masked.scores;
  MatmulOp product = found.masked.product;
  auto fits = [&](Value mask) {
    return broadcastsTo(mask, tensorType(scores));
  };
  if (!llvm::all_of(found.masked.added, fits) ||
      !llvm::all_of(found.masked.hidden,
                    [&](const Hiding &hiding) { return fits(hiding.keep); }))
    return obstacle.refuse("the mask does not broadcast to the scores");
  if (product.getTransposeLhs())
    return obstacle.refuse("the query is read transposed");

  Product query = getProduct(product.getLhs());
  Product key = getProduct(product.getRhs());
  if (query.factors.size() != 1 || key.factors.size() != 1)
    return obstacle.refuse("the query or the key is a product of tensors");
  if (query.factors[0].getType() != product.getLhs().getType() ||
      key.factors[0].getType() != product.getRhs().getType())
    return obstacle.refuse("a scale changes the type of the query or the key");
  found.query = query.factors[0];
  found.key = key.factors[0];
  found.isKeyTransposed = product.getTransposeRhs();
  if (!found.isKeyTransposed && !found.key.getDefiningOp<TransposeOp>())
    return obstacle.refuse("the key is not transposed");
  RankedTensorType types[] = {tensorType(found.query), tensorType(found.key),
                              tensorType(op.getRhs())};
  for (RankedTensorType type : types)
    if (type.getRank() != 4)
      return obstacle.refuse("the query, the key or the values are repeated "
                             "for all heads");
  for (RankedTensorType type : types)
    if ((type.getDimSize(0) == 1) != (types[0].getDimSize(0) == 1))
      return obstacle.refuse("one of several is repeated for the whole batch");
  if (!AttentionOp::takes(tensorType(found.query)) ||
      !AttentionOp::takes(tensorType(op.getRhs())))
    return obstacle.refuse("there are no kernels for heads of its type");
  found.scale =
      getProduct(scores).coefficient * query.coefficient * key.coefficient;
  return found;
}

/// matmul(softmax(c · matmul(a·q, b·kᵀ) + mask), v)
///   ->  attention q, k, v mask mask scale a·b·c
struct RecognizeAttention : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &rewriter) const override {
    Obstacle obstacle;
    FailureOr<Written> found = matchAttention(op, obstacle);
    if (failed(found))
      return rewriter.notifyMatchFailure(op, "is no attention: " +
                                                 obstacle.reason());
    Value mask = createMask(found->masked, op.getLoc(), rewriter);
    auto attention = AttentionOp::create(
        rewriter, op.getLoc(), op.getType(), found->query,
        getKey(found->key, found->isKeyTransposed, rewriter), op.getRhs(),
        mask ? getBooleanMask(mask) : Value(),
        /*starts=*/nullptr, /*slots=*/nullptr, /*length=*/nullptr,
        /*parameters=*/nullptr, rewriter.getF32FloatAttr(found->scale),
        /*causal=*/nullptr,
        /*relative=*/nullptr,
        found->zeroIfMasked ? rewriter.getUnitAttr() : nullptr,
        /*round_weights=*/nullptr, /*window=*/nullptr, /*softcap=*/nullptr);
    if (Attribute id = op->getAttr("tenon.id"))
      attention->setAttr("tenon.id", id);
    reportRecognized(attention, "attention");
    rewriter.replaceOp(op, attention);
    return success();
  }
};

/// Whether `value` is computed from a matmul element by element.
bool comesFromMatmul(Value value, unsigned depth = 8) {
  Operation *op = value.getDefiningOp();
  if (!op || depth == 0)
    return false;
  if (isa<MatmulOp>(op))
    return true;
  return isa<AddOp, CastOp, DivOp, MaxOp, MinOp, MulOp, SubOp, TanhOp, WhereOp>(
             op) &&
         llvm::any_of(op->getOperands(), [&](Value operand) {
           return comesFromMatmul(operand, depth - 1);
         });
}

/// Products of a softmax of products that are left, and why.
void reportLeft(Operation *root) {
  root->walk([](MatmulOp op) {
    Obstacle obstacle;
    bool isGuarded;
    auto softmax =
        stripNaNGuard(op.getLhs(), isGuarded).getDefiningOp<SoftmaxOp>();
    if (softmax && comesFromMatmul(softmax.getInput()) &&
        failed(matchAttention(op, obstacle)))
      reportNotRecognized(op, "attention", obstacle);
  });
}

struct RecognizeAttentionPass
    : impl::RecognizeAttentionPassBase<RecognizeAttentionPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RecognizeAttention>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    if (hasRemarks(getOperation()))
      reportLeft(getOperation());
  }
};

} // namespace
} // namespace tenon::graph
