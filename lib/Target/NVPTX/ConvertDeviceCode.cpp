// The kernels of a device in llvm and nvvm, without a call of libdevice.
#include "DeviceCode.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/GPUCommon/GPUCommonPass.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Target/CPU/Emit.h"

using namespace mlir;

namespace {

/// exp(x)  ->  2^(x · log2 e), by the instruction for 2^x. Its error and that
/// of the product are at most 1e-5 of the result.
struct ExpByPowerOfTwo : OpRewritePattern<math::ExpOp> {
  ExpByPowerOfTwo(MLIRContext *context)
      : OpRewritePattern(context, /*benefit=*/20) {}

  LogicalResult matchAndRewrite(math::ExpOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getType().isF32())
      return rewriter.notifyMatchFailure(op, "is not on a scalar f32");
    Location loc = op.getLoc();
    Value factor = arith::ConstantOp::create(
        rewriter, loc, rewriter.getF32FloatAttr(1.4426950408889634f));
    Value product =
        arith::MulFOp::create(rewriter, loc, op.getOperand(), factor);
    rewriter.replaceOpWithNewOp<LLVM::CallIntrinsicOp>(
        op, op.getType(), rewriter.getStringAttr("llvm.nvvm.ex2.approx"),
        product);
    return success();
  }
};

/// copysign(x, y)  ->  the sign bit of y is set ? -|x| : |x|
struct CopySignBySelection : OpRewritePattern<math::CopySignOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::CopySignOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getType().isF32())
      return rewriter.notifyMatchFailure(op, "is not on a scalar f32");
    Location loc = op.getLoc();
    Value bits = arith::BitcastOp::create(rewriter, loc, rewriter.getI32Type(),
                                          op.getRhs());
    Value zero = arith::ConstantIntOp::create(rewriter, loc, 0, 32);
    Value isNegative = arith::CmpIOp::create(
        rewriter, loc, arith::CmpIPredicate::slt, bits, zero);
    Value positive = math::AbsFOp::create(rewriter, loc, op.getLhs());
    Value negative = arith::NegFOp::create(rewriter, loc, positive);
    rewriter.replaceOpWithNewOp<arith::SelectOp>(op, isNegative, negative,
                                                 positive);
    return success();
  }
};

struct ConvertDeviceCode
    : PassWrapper<ConvertDeviceCode, OperationPass<gpu::GPUModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertDeviceCode)
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, LLVM::LLVMDialect, math::MathDialect,
                    NVVM::NVVMDialect, vector::VectorDialect>();
  }

  void runOnOperation() override {
    gpu::GPUModuleOp device = getOperation();
    if (failed(expandMath(device)) || failed(checkMath(device)))
      return signalPassFailure();
    LowerToLLVMOptions options(&getContext(), DataLayout(device));
    options.overrideIndexBitwidth(64);
    LLVMTypeConverter converter(&getContext(), options);
    configureGpuToNVVMTypeConverter(converter);
    if (failed(convertMath(device, converter)) ||
        failed(convertRest(device, converter)))
      return signalPassFailure();
  }

private:
  LogicalResult expandMath(gpu::GPUModuleOp device) {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpByPowerOfTwo, CopySignBySelection>(&getContext());
    tenon::populateVectorMathPatterns(patterns);
    arith::populateArithExpandOpsPatterns(patterns);
    return applyPatternsGreedily(device, std::move(patterns));
  }

  /// What the backend cannot select it does not report: it ends the process.
  LogicalResult checkMath(gpu::GPUModuleOp device) {
    WalkResult result = device.walk([](Operation *op) {
      if (!isa_and_nonnull<math::MathDialect>(op->getDialect()) ||
          isa<math::AbsFOp, math::AbsIOp, math::CeilOp, math::FloorOp,
              math::FmaOp, math::RoundEvenOp, math::SqrtOp, math::TruncOp>(op))
        return WalkResult::advance();
      op->emitOpError("has no instructions on target nvidia for ")
          << op->getResult(0).getType();
      return WalkResult::interrupt();
    });
    return failure(result.wasInterrupted());
  }

  /// On its own: the patterns for gpu bring calls of libdevice for all of math
  /// along, even for fma.
  LogicalResult convertMath(gpu::GPUModuleOp device,
                            const LLVMTypeConverter &converter) {
    LLVMConversionTarget target(getContext());
    target.addIllegalDialect<math::MathDialect>();
    target.addIllegalOp<arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp,
                        arith::MinNumFOp, arith::RemFOp>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    RewritePatternSet patterns(&getContext());
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    populateMathToLLVMConversionPatterns(converter, patterns);
    return applyPartialConversion(device, target, std::move(patterns));
  }

  LogicalResult convertRest(gpu::GPUModuleOp device,
                            const LLVMTypeConverter &converter) {
    LLVMConversionTarget target(getContext());
    target.addLegalDialect<NVVM::NVVMDialect>();
    target.addIllegalDialect<gpu::GPUDialect>();
    target.addLegalOp<gpu::GPUModuleOp>();
    RewritePatternSet patterns(&getContext());
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
    populateVectorToLLVMConversionPatterns(
        converter, patterns, /*reassociateFPReductions=*/false,
        /*force32BitVectorIndices=*/false, /*useVectorAlignment=*/true);
    populateGpuToNVVMConversionPatterns(converter, patterns);
    return applyPartialConversion(device, target, std::move(patterns));
  }
};

} // namespace

std::unique_ptr<Pass> tenon::createConvertDeviceCodePass() {
  return std::make_unique<ConvertDeviceCode>();
}
