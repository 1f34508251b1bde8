// Recognises GELU written out. See Passes.td.
#include "Matching.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include <cmath>

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_RECOGNIZEGELUPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// Whether `value` is erf(input / √2).
bool isErf(Value value, Value input) {
  auto erf = value.getDefiningOp<ErfOp>();
  if (!erf)
    return false;
  Product argument = getProduct(erf.getInput());
  return argument.factors.size() == 1 && argument.factors[0] == input &&
         isClose(argument.coefficient, M_SQRT1_2);
}

/// Whether `value` is input³.
bool isCube(ArrayRef<Value> factors, Value input) {
  if (factors.size() == 1)
    if (auto pow = factors[0].getDefiningOp<PowOp>())
      return pow.getLhs() == input && getSplat(pow.getRhs()) == 3.0;
  int64_t power = 0;
  for (Value factor : factors) {
    if (factor == input)
      power += 1;
    else if (getSquareRoot(factor) == input)
      power += 2;
    else
      return false;
  }
  return power == 3;
}

/// Whether `value` is tanh(√(2/π) · (input + 0.044715 · input³)).
bool isTanh(Value value, Value input) {
  auto tanh = value.getDefiningOp<TanhOp>();
  if (!tanh)
    return false;
  Product argument = getProduct(tanh.getInput());
  if (argument.factors.size() != 1 ||
      !isClose(argument.coefficient, std::sqrt(2 / M_PI)))
    return false;
  auto sum = argument.factors[0].getDefiningOp<AddOp>();
  if (!sum)
    return false;
  Value cube = sum.getLhs() == input ? sum.getRhs() : sum.getLhs();
  if (sum.getLhs() != input && sum.getRhs() != input)
    return false;
  Product cubic = getProduct(cube);
  return isClose(cubic.coefficient, 0.044715) && isCube(cubic.factors, input);
}

/// Whether `value` is 1 + erf(…), or 1 + tanh of a multiple of a sum: what may
/// be a GELU's gate.
bool isLikeGate(Value value) {
  Value gate = getAddend(value, 1);
  if (!gate)
    return false;
  if (auto tanh = gate.getDefiningOp<TanhOp>()) {
    Product argument = getProduct(tanh.getInput());
    return argument.factors.size() == 1 &&
           argument.factors[0].getDefiningOp<AddOp>();
  }
  return bool(gate.getDefiningOp<ErfOp>());
}

struct Written {
  Value input;
  bool isApproximate;
};

FailureOr<Written> matchGelu(MulOp op, Obstacle &obstacle) {
  Product product = getProduct(op.getOutput());
  if (product.factors.size() != 2 || !isClose(product.coefficient, 0.5))
    return obstacle.refuse("it is not half of two factors");
  for (unsigned i : {0u, 1u}) {
    Value input = product.factors[i];
    Value gate = getAddend(product.factors[1 - i], 1);
    if (!gate)
      continue;
    bool isApproximate = isTanh(gate, input);
    if (isApproximate || isErf(gate, input)) {
      if (input.getType() == op.getType())
        return Written{input, isApproximate};
      return obstacle.refuse("the type of the input is not that of the result");
    }
    if (gate.getDefiningOp<ErfOp>())
      (void)obstacle.refuse("erf is not taken of the input over the square "
                            "root of 2");
    else
      (void)obstacle.refuse(
          "tanh is not taken of sqrt(2 / pi) * (x + 0.044715 * x * x * x)");
  }
  return failure();
}

/// x/2 · (1 + erf(x/√2))                            ->  gelu x
/// x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))       ->  gelu tanh_approximation
/// x
struct RecognizeGelu : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MulOp op,
                                PatternRewriter &rewriter) const override {
    Obstacle obstacle;
    FailureOr<Written> found = matchGelu(op, obstacle);
    if (failed(found))
      return rewriter.notifyMatchFailure(op,
                                         "is no GELU: " + obstacle.reason());
    auto gelu = GeluOp::create(rewriter, op.getLoc(), op.getType(),
                               found->input, found->isApproximate);
    if (Attribute id = op->getAttr("tenon.id"))
      gelu->setAttr("tenon.id", id);
    reportRecognized(gelu, "gelu");
    rewriter.replaceOp(op, gelu);
    return success();
  }
};

/// Products with what may be a GELU's gate that are left, and why.
void reportLeft(Operation *root) {
  root->walk([](MulOp op) {
    // A factor of a longer product is reported with the whole.
    if (op->hasOneUse() && isa<MulOp>(*op->user_begin()))
      return;
    Obstacle obstacle;
    if (llvm::any_of(getProduct(op.getOutput()).factors, isLikeGate) &&
        failed(matchGelu(op, obstacle)))
      reportNotRecognized(op, "gelu", obstacle);
  });
}

struct RecognizeGeluPass : impl::RecognizeGeluPassBase<RecognizeGeluPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RecognizeGelu>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    if (hasRemarks(getOperation()))
      reportLeft(getOperation());
  }
};

} // namespace
} // namespace tenon::graph
