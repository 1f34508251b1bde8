// Computes small constants when compiling. See Passes.td.
#include "Matching.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_FOLDCONSTANTSPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// The integer that `op` gives, step by step in f32, as its kernels do.
double quantize(QuantizeOp op, ArrayRef<double> in) {
  auto type =
      cast<IntegerType>(cast<RankedTensorType>(op.getType()).getElementType());
  double count = double(int64_t(1) << type.getWidth());
  double low = type.isUnsigned() ? 0 : -count / 2;
  float quotient = static_cast<float>(in[0]) / static_cast<float>(in[1]);
  double value = std::nearbyint(quotient);
  if (in.size() > 2)
    value = static_cast<float>(value + in[2]);
  // What is not above the smallest number, NaN for one, is the smallest.
  return value > low ? std::min(value, low + count - 1) : low;
}

/// What `op` gives for equal operands; none where it is not known. Floats are
/// rounded once more by the caller; the ops below are exact or correctly
/// rounded in double, which is so wide that this gives what rounding at once
/// would.
std::optional<double> evaluate(Operation *op, ArrayRef<double> in,
                               Type elementType) {
  bool isFloat = isa<FloatType>(elementType);
  return TypeSwitch<Operation *, std::optional<double>>(op)
      .Case([&](CastOp) -> std::optional<double> {
        if (elementType.isInteger(1))
          return in[0] != 0;
        return isFloat ? in[0] : std::trunc(in[0]);
      })
      .Case([&](NegOp) { return -in[0]; })
      .Case([&](AbsOp) { return std::abs(in[0]); })
      .Case([&](SqrtOp) { return std::sqrt(in[0]); })
      .Case([&](ReciprocalOp) { return 1 / in[0]; })
      .Case([&](ReshapeOp) { return in[0]; })
      .Case([&](AddOp) { return in[0] + in[1]; })
      .Case([&](SubOp) { return in[0] - in[1]; })
      .Case([&](MulOp) { return in[0] * in[1]; })
      .Case([&](DivOp) -> std::optional<double> {
        if (isFloat)
          return in[0] / in[1];
        if (in[1] == 0)
          return std::nullopt;
        return std::trunc(in[0] / in[1]);
      })
      .Case([&](PowOp) -> std::optional<double> {
        if (in[1] == 0.5)
          return std::sqrt(in[0]);
        return std::nullopt;
      })
      .Case([&](QuantizeOp quantized) { return quantize(quantized, in); })
      .Case([&](DequantizeOp) {
        double difference = in.size() > 2 ? in[0] - in[2] : in[0];
        return double(static_cast<float>(difference) *
                      static_cast<float>(in[1]));
      })
      .Default([](Operation *) { return std::nullopt; });
}

/// op(constants)  ->  constant
struct FoldElementwise : RewritePattern {
  FoldElementwise(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (op->getNumResults() != 1 || op->getNumOperands() == 0)
      return rewriter.notifyMatchFailure(op, "has no operands");
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!type || !type.hasStaticShape())
      return rewriter.notifyMatchFailure(op, "has no small static result");
    SmallVector<double> operands;
    for (Value operand : op->getOperands()) {
      std::optional<double> scalar = getScalar(operand);
      if (!scalar)
        return rewriter.notifyMatchFailure(op, "has an operand that varies");
      operands.push_back(*scalar);
    }
    std::optional<double> value = evaluate(op, operands, type.getElementType());
    if (!value)
      return rewriter.notifyMatchFailure(op, "is not evaluated");
    DenseElementsAttr elements;
    if (auto element = dyn_cast<FloatType>(type.getElementType())) {
      APFloat rounded(*value);
      bool isInexact;
      rounded.convert(element.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                      &isInexact);
      elements = DenseElementsAttr::get(type, rounded);
    } else
      elements = DenseElementsAttr::get(
          type, APInt(type.getElementTypeBitWidth(),
                      static_cast<int64_t>(*value), /*isSigned=*/true,
                      /*implicitTrunc=*/true));
    rewriter.replaceOpWithNewOp<ConstantOp>(op, type, elements);
    return success();
  }
};

/// pow(x, 2)  ->  x · x
struct FoldSquare : OpRewritePattern<PowOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(PowOp op,
                                PatternRewriter &rewriter) const override {
    if (getSplat(op.getRhs()) != 2.0 || op.getLhs().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "is no square of its own shape");
    rewriter.replaceOpWithNewOp<MulOp>(op, op.getType(), op.getLhs(),
                                       op.getLhs());
    return success();
  }
};

/// cast to the type it has  ->  the input
struct FoldSameCast : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CastOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getInput().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "changes the type");
    rewriter.replaceOp(op, op.getInput());
    return success();
  }
};

/// x · 1, x / 1, x and true  ->  x
struct FoldNeutralOperand : RewritePattern {
  FoldNeutralOperand(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa<MulOp, DivOp, AndOp>(op))
      return rewriter.notifyMatchFailure(op, "has no neutral operand");
    for (unsigned kept : {0, 1}) {
      Value value = op->getOperand(kept), neutral = op->getOperand(1 - kept);
      auto type = cast<RankedTensorType>(neutral.getType());
      // Of wider integers, 1 is one bit of many.
      if (isa<AndOp>(op) && !type.getElementType().isInteger(1))
        continue;
      // One element of no higher rank leaves the sizes alone.
      if ((kept == 1 && isa<DivOp>(op)) || getScalar(neutral) != 1.0 ||
          type.getNumElements() != 1 ||
          type.getRank() > cast<RankedTensorType>(value.getType()).getRank() ||
          value.getType() != op->getResult(0).getType())
        continue;
      rewriter.replaceOp(op, value);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "has no neutral operand");
  }
};

/// while (k = false, v = x) { condition (read k), v }  ->  x
struct FoldLoopWithoutTrips : OpRewritePattern<scf::WhileOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(scf::WhileOp loop,
                                PatternRewriter &rewriter) const override {
    scf::ConditionOp condition = loop.getConditionOp();
    auto read = condition.getCondition().getDefiningOp<ReadOp>();
    auto keep = read ? dyn_cast<BlockArgument>(read.getInput()) : nullptr;
    if (!keep || keep.getOwner() != loop.getBeforeBody())
      return rewriter.notifyMatchFailure(loop, "is not decided by its start");
    if (getScalar(loop.getInits()[keep.getArgNumber()]) != 0.0)
      return rewriter.notifyMatchFailure(loop, "may have a first iteration");
    rewriter.inlineBlockBefore(loop.getBeforeBody(), loop, loop.getInits());
    rewriter.replaceOp(loop, condition.getArgs());
    rewriter.eraseOp(condition);
    return success();
  }
};

struct FoldConstantsPass : impl::FoldConstantsPassBase<FoldConstantsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldElementwise, FoldLoopWithoutTrips, FoldNeutralOperand,
                 FoldSameCast, FoldSquare>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon::graph
