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

/// x/2 · (1 + erf(x/√2))                            ->  gelu x
/// x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))       ->  gelu tanh_approximation
/// x
struct RecognizeGelu : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MulOp op,
                                PatternRewriter &rewriter) const override {
    Product product = getProduct(op.getOutput());
    if (product.factors.size() != 2 || !isClose(product.coefficient, 0.5))
      return rewriter.notifyMatchFailure(op, "is not half of two factors");
    for (unsigned i : {0u, 1u}) {
      Value input = product.factors[i];
      Value gate = getAddend(product.factors[1 - i], 1);
      if (!gate || input.getType() != op.getType())
        continue;
      bool isApproximate = isTanh(gate, input);
      if (!isApproximate && !isErf(gate, input))
        continue;
      auto gelu = GeluOp::create(rewriter, op.getLoc(), op.getType(), input,
                                 isApproximate);
      if (Attribute id = op->getAttr("tenon.id"))
        gelu->setAttr("tenon.id", id);
      rewriter.replaceOp(op, gelu);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "neither factor is a GELU's gate");
  }
};

struct RecognizeGeluPass : impl::RecognizeGeluPassBase<RecognizeGeluPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RecognizeGelu>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon::graph
