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

bool isMean(Value value) {
  auto reduce = value.getDefiningOp<ReduceOp>();
  return reduce && reduce.getKind() == ReductionKind::Mean;
}

/// x / sqrt(mean(x²) + epsilon)
struct RootMeanSquare {
  Value input;
  double epsilon;
};

/// `input` / `root`. Nothing is refused where root is no root of a mean.
FailureOr<RootMeanSquare> matchQuotient(Operation *op, Value input, Value root,
                                        Obstacle &obstacle) {
  Value sum;
  if (auto sqrt = root.getDefiningOp<SqrtOp>())
    sum = sqrt.getInput();
  else if (auto pow = root.getDefiningOp<PowOp>();
           pow && getSplat(pow.getRhs()) == 0.5)
    sum = pow.getLhs();
  if (!sum)
    return failure();
  if (isMean(sum))
    return obstacle.refuse("no epsilon is added to the mean");
  auto add = sum.getDefiningOp<AddOp>();
  if (!add || !(isMean(add.getLhs()) || isMean(add.getRhs())))
    return failure();
  Value mean = isMean(add.getLhs()) ? add.getLhs() : add.getRhs();
  std::optional<double> epsilon =
      getSplat(mean == add.getLhs() ? add.getRhs() : add.getLhs());
  if (!epsilon)
    return obstacle.refuse("epsilon is no constant");
  Value square = getMeanOperand(mean);
  if (!square)
    return obstacle.refuse("the mean is not over the last dimension alone");
  Value squared = getSquareRoot(square);
  if (!squared)
    return obstacle.refuse("the mean is not of squares");
  if (squared != input)
    return obstacle.refuse("what is divided is not what the squares are of");
  if (input.getType() != op->getResult(0).getType())
    return obstacle.refuse("what is divided has not the type of the result");
  // Written out, it is computed in f64; a norm is not.
  if (getElementTypeOrSelf(input.getType()).isF64())
    return obstacle.refuse("it is computed in f64");
  return RootMeanSquare{input, *epsilon};
}

/// Where `op` is x / sqrt(mean(x²) + epsilon), as a quotient or as a product
/// with the reciprocal.
FailureOr<RootMeanSquare> matchNormalized(Operation *op, Obstacle &obstacle) {
  if (auto div = dyn_cast<DivOp>(op)) {
    if (getSplat(div.getLhs()) == 1.0) // the reciprocal that a product reads
      return failure();
    return matchQuotient(op, div.getLhs(), div.getRhs(), obstacle);
  }
  for (unsigned i : {0u, 1u}) {
    Value input = op->getOperand(1 - i), root;
    if (auto reciprocal = op->getOperand(i).getDefiningOp<ReciprocalOp>())
      root = reciprocal.getInput();
    else if (auto div = op->getOperand(i).getDefiningOp<DivOp>();
             div && getSplat(div.getLhs()) == 1.0)
      root = div.getRhs();
    if (!root)
      continue;
    FailureOr<RootMeanSquare> found = matchQuotient(op, input, root, obstacle);
    if (succeeded(found))
      return found;
  }
  return failure();
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
    Obstacle obstacle;
    FailureOr<RootMeanSquare> found = matchNormalized(op, obstacle);
    if (failed(found))
      return rewriter.notifyMatchFailure(op, "is no normalised value: " +
                                                 obstacle.reason());
    Value input = found->input;
    bool rms = true;
    if (auto sub = input.getDefiningOp<SubOp>();
        sub && getMeanOperand(sub.getRhs()) == sub.getLhs()) {
      input = sub.getLhs();
      rms = false;
    }
    FloatAttr epsilon = rewriter.getF32FloatAttr(found->epsilon);
    NormOp norm =
        createNorm(rewriter, op, input, nullptr, nullptr, epsilon, rms);
    reportRecognized(norm, rms ? "rms norm" : "norm");
    rewriter.replaceOp(op, norm);
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

/// Quotients by roots of means that are left, and why.
void reportLeft(Operation *root) {
  root->walk([](Operation *op) {
    Obstacle obstacle;
    if (isa<DivOp, MulOp>(op) && failed(matchNormalized(op, obstacle)) &&
        !obstacle.reason().empty())
      reportNotRecognized(op, "norm", obstacle);
  });
}

struct RecognizeNormPass : impl::RecognizeNormPassBase<RecognizeNormPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RecognizeNormalized<DivOp>, RecognizeNormalized<MulOp>,
                 AbsorbVector<MulOp>, AbsorbVector<AddOp>>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    if (hasRemarks(getOperation()))
      reportLeft(getOperation());
  }
};

} // namespace
} // namespace tenon::graph
