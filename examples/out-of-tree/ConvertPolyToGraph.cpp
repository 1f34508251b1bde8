// Writes polynomials as products and sums of Tenon's graph dialect.
#include "Poly.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/DialectConversion.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

using namespace mlir;
using namespace tenon;

namespace {

/// eval [a, b, c] x  ->  add (mul (add (mul c, x), b), x), a
struct ConvertEval : OpConversionPattern<poly::EvalOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(poly::EvalOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value x = adaptor.getInput();
    auto scalar = RankedTensorType::get({}, rewriter.getF32Type());
    auto constant = [&](float value) -> Value {
      return graph::ConstantOp::create(rewriter, loc, scalar,
                                       DenseElementsAttr::get(scalar, value));
    };
    ArrayRef<float> coefficients = op.getCoefficients();
    Value sum = graph::MulOp::create(rewriter, loc, x.getType(),
                                     constant(coefficients.back()), x);
    for (size_t i = coefficients.size() - 1; i > 0; --i) {
      sum = graph::AddOp::create(rewriter, loc, x.getType(), sum,
                                 constant(coefficients[i - 1]));
      if (i > 1)
        sum = graph::MulOp::create(rewriter, loc, x.getType(), sum, x);
    }
    // The profile names what the op computed.
    if (Attribute id = op->getAttr("tenon.id"))
      sum.getDefiningOp()->setAttr("tenon.id", id);
    rewriter.replaceOp(op, sum);
    return success();
  }
};

struct ConvertPolyToGraphPass
    : PassWrapper<ConvertPolyToGraphPass, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertPolyToGraphPass)

  StringRef getArgument() const override { return "convert-poly-to-graph"; }
  StringRef getDescription() const override {
    return "Writes polynomials as products and sums";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<graph::GraphDialect>();
  }
  void runOnOperation() override {
    ConversionTarget target(getContext());
    target.addIllegalDialect<poly::PolyDialect>();
    target.addLegalDialect<graph::GraphDialect>();
    RewritePatternSet patterns(&getContext());
    patterns.add<ConvertEval>(&getContext());
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

void poly::registerConvertPolyToGraphPass() {
  PassRegistration<ConvertPolyToGraphPass>();
}
