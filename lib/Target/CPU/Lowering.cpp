// The passes from a plan to the llvm dialect.
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Affine/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"
#include "tenon/Conversion/Passes.h"
#include "tenon/Target/CPU/Emit.h"

using namespace mlir;

namespace {
/// sitofp x : bf16  ->  truncf (sitofp x : f32), which canonicalization joined
template <typename Op> struct ConvertThroughF32 : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getType(), single = rewriter.getF32Type();
    if (!getElementTypeOrSelf(type).isBF16())
      return rewriter.notifyMatchFailure(op, "does not give bf16");
    auto vector = dyn_cast<VectorType>(type);
    Value wide =
        Op::create(rewriter, op.getLoc(),
                   vector ? Type(vector.clone(single)) : single, op.getIn());
    rewriter.replaceOpWithNewOp<arith::TruncFOp>(op, type, wide);
    return success();
  }
};

struct ExpandVectorMath
    : PassWrapper<ExpandVectorMath, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandVectorMath)
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, math::MathDialect,
                    vector::VectorDialect>();
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    tenon::populateVectorMathPatterns(patterns);
    patterns.add<ConvertThroughF32<arith::SIToFPOp>,
                 ConvertThroughF32<arith::UIToFPOp>>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

/// Moves bf16 as i16. After its arithmetic is expanded nothing else is done
/// with it, and LLVM moves a bf16 as an f32 that it rounds by a call.
struct MoveBf16AsBits : PassWrapper<MoveBf16AsBits, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(MoveBf16AsBits)
  void runOnOperation() override {
    Type bits = IntegerType::get(&getContext(), 16);
    AttrTypeReplacer replacer;
    replacer.addReplacement([=](BFloat16Type) { return bits; });
    replacer.addReplacement(
        [=](FloatAttr value)
            -> std::optional<std::pair<Attribute, WalkResult>> {
          if (!value.getType().isBF16())
            return std::nullopt;
          return std::pair(
              IntegerAttr::get(bits, value.getValue().bitcastToAPInt()),
              WalkResult::skip());
        });
    replacer.addReplacement(
        [=](DenseFPElementsAttr values)
            -> std::optional<std::pair<Attribute, WalkResult>> {
          if (!values.getElementType().isBF16())
            return std::nullopt;
          return std::pair(values.bitcast(bits), WalkResult::skip());
        });
    replacer.recursivelyReplaceElementsIn(getOperation(), /*replaceAttrs=*/true,
                                          /*replaceLocs=*/false,
                                          /*replaceTypes=*/true);
  }
};
} // namespace

void tenon::buildCpuLoweringPipeline(OpPassManager &pm,
                                     const TargetFacts &facts) {
  pm.addPass(createConvertPlanToLLVMPass());
  pm.addPass(std::make_unique<ExpandVectorMath>());
  pm.addPass(createConvertVectorToSCFPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  // Strided metadata is computed with affine.apply.
  pm.addPass(createLowerAffinePass());
  pm.addPass(createLowerTilesPass(facts.cpu));
  pm.addPass(createSCFToControlFlowPass());
  // Rounding to bf16 is an instruction on few machines, and there it takes
  // numbers below the normal ones for zero. Those of f16 come with AVX2.
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = true;
  pm.addPass(arith::createArithExpandOpsPass(expand));
  pm.addPass(std::make_unique<MoveBf16AsBits>());
  pm.addPass(createLowerDotsPass(facts.cpu));
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}
