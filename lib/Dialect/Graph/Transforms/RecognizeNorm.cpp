// Recognises layer norm and RMS norm written out. See Passes.td.
#include "Matching.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_RECOGNIZENORMPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

int64_t rank(Value value) {
  return cast<RankedTensorType>(value.getType()).getRank();
}

/// What a mean over the last dimension is taken of, or null.
Value getMeanOperand(Value value) {
  auto reduce = value.getDefiningOp<ReduceOp>();
  if (!reduce || reduce.getKind() != ReductionKind::Mean ||
      reduce.getAxes() != ArrayRef<int64_t>{rank(reduce.getInput()) - 1})
    return nullptr;
  return reduce.getInput();
}

/// Where `value` is sqrt(mean(x²) + epsilon): x and epsilon.
struct RootMeanSquare {
  Value input;
  double epsilon;
};

std::optional<RootMeanSquare> getRootMeanSquare(Value value) {
  Value sum;
  if (auto sqrt = value.getDefiningOp<SqrtOp>())
    sum = sqrt.getInput();
  else if (auto pow = value.getDefiningOp<PowOp>();
           pow && getSplat(pow.getRhs()) == 0.5)
    sum = pow.getLhs();
  auto add = sum ? sum.getDefiningOp<AddOp>() : nullptr;
  if (!add)
    return std::nullopt;
  for (auto [mean, constant] : {std::pair(add.getLhs(), add.getRhs()),
                                std::pair(add.getRhs(), add.getLhs())}) {
    std::optional<double> epsilon = getSplat(constant);
    Value square = getMeanOperand(mean);
    Value input = square ? getSquareRoot(square) : nullptr;
    if (epsilon && input)
      return RootMeanSquare{input, *epsilon};
  }
  return std::nullopt;
}

/// Where `op` is x / sqrt(mean(x²) + epsilon), as a quotient or as a product
/// with the reciprocal: x and epsilon.
std::optional<RootMeanSquare> getNormalized(Operation *op) {
  Value input, root;
  if (auto div = dyn_cast<DivOp>(op)) {
    input = div.getLhs();
    root = div.getRhs();
  } else {
    for (unsigned i : {0u, 1u})
      if (auto reciprocal = op->getOperand(i).getDefiningOp<ReciprocalOp>()) {
        input = op->getOperand(1 - i);
        root = reciprocal.getInput();
      } else if (auto div = op->getOperand(i).getDefiningOp<DivOp>();
                 div && getSplat(div.getLhs()) == 1.0) {
        input = op->getOperand(1 - i);
        root = div.getRhs();
      }
  }
  if (!input)
    return std::nullopt;
  std::optional<RootMeanSquare> found = getRootMeanSquare(root);
  if (!found || found->input != input ||
      input.getType() != op->getResult(0).getType())
    return std::nullopt;
  return found;
}

NormOp createNorm(PatternRewriter &rewriter, Operation *op, Value input,
                  Value scale, Value bias, FloatAttr epsilon, bool rms) {
  auto norm =
      NormOp::create(rewriter, op->getLoc(), op->getResultTypes(), input, scale,
                     bias, rewriter.getI64IntegerAttr(rank(input) - 1), epsilon,
                     rms ? rewriter.getUnitAttr() : nullptr);
  if (Attribute id = op->getAttr("tenon.id"))
    norm->setAttr("tenon.id", id);
  return norm;
}

/// x / sqrt(mean(x²) + e)                       ->  norm rms x
/// d / sqrt(mean(d²) + e) with d = x - mean(x)  ->  norm x
template <typename OpTy> struct RecognizeNormalized : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    std::optional<RootMeanSquare> found = getNormalized(op);
    if (!found)
      return rewriter.notifyMatchFailure(op, "is no normalised value");
    Value input = found->input;
    // Written out, it is computed in f64; a norm is not.
    if (getElementTypeOrSelf(input.getType()).isF64())
      return rewriter.notifyMatchFailure(op, "is of f64");
    bool rms = true;
    if (auto sub = input.getDefiningOp<SubOp>();
        sub && getMeanOperand(sub.getRhs()) == sub.getLhs()) {
      input = sub.getLhs();
      rms = false;
    }
    FloatAttr epsilon = rewriter.getF32FloatAttr(found->epsilon);
    rewriter.replaceOp(
        op, createNorm(rewriter, op, input, nullptr, nullptr, epsilon, rms));
    return success();
  }
};

/// Whether `vector` has one element for each of a row of `norm`.
bool isRowVector(Value vector, NormOp norm) {
  auto type = cast<RankedTensorType>(vector.getType());
  auto output = cast<RankedTensorType>(norm.getOutput().getType());
  return type.getRank() == 1 && type.hasStaticShape() &&
         type.getDimSize(0) == output.getShape().back();
}

/// mul(norm x, w)  ->  norm x scale w
/// add(norm x scale w, b)  ->  norm x scale w bias b
template <typename OpTy> struct AbsorbVector : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    constexpr bool isScale = std::is_same_v<OpTy, MulOp>;
    for (auto [value, vector] : {std::pair(op.getLhs(), op.getRhs()),
                                 std::pair(op.getRhs(), op.getLhs())}) {
      auto norm = value.template getDefiningOp<NormOp>();
      if (!norm || !norm->hasOneUse() || norm.getBias() ||
          norm.getAxis() != rank(norm.getInput()) - 1 ||
          op.getType() != norm.getType() || !isRowVector(vector, norm))
        continue;
      if (isScale ? bool(norm.getScale()) : !norm.getScale())
        continue;
      rewriter.replaceOp(op, createNorm(rewriter, op, norm.getInput(),
                                        isScale ? vector : norm.getScale(),
                                        isScale ? Value() : vector,
                                        norm.getEpsilonAttr(), norm.getRms()));
      return success();
    }
    return rewriter.notifyMatchFailure(op, "has no norm that lacks the vector");
  }
};

struct RecognizeNormPass : impl::RecognizeNormPassBase<RecognizeNormPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RecognizeNormalized<DivOp>, RecognizeNormalized<MulOp>,
                 AbsorbVector<MulOp>, AbsorbVector<AddOp>>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon::graph
