// Lowers kernel.dot: to one instruction where the processor has it, else to a
// few that give the same sums.
#include "Processor.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Pass/Pass.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "tenon/Target/CPU/Emit.h"

using namespace mlir;
using namespace tenon;

namespace {

/// Builds what takes the place of one kernel.dot.
struct DotBuilder {
  ImplicitLocOpBuilder b;
  kernel::DotOp op;
  VectorType type = cast<VectorType>(op.getType());
  bool isWide = type.getNumElements() == 16;

  /// The same bits in lanes of another type.
  Value as(Type element, Value value) {
    int64_t bits = 32 * type.getNumElements();
    auto lanes =
        VectorType::get(bits / element.getIntOrFloatBitWidth(), element);
    return vector::BitCastOp::create(b, lanes, value);
  }

  Value call(StringRef wide, StringRef narrow, ValueRange arguments) {
    auto name = b.getStringAttr(isWide ? wide : narrow);
    return LLVM::CallIntrinsicOp::create(b, Type(type), name, arguments)
        ->getResult(0);
  }

  Value constant(Value like, int64_t value) {
    auto lanes = cast<VectorType>(like.getType());
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(
               lanes, b.getIntegerAttr(lanes.getElementType(), value)));
  }

  Value dotBytes() {
    return call("llvm.x86.avx512.vpdpbusd.512", "llvm.x86.avx512.vpdpbusd.256",
                {op.getAcc(), as(b.getI8Type(), op.getLhs()),
                 as(b.getI8Type(), op.getRhs())});
  }

  Value dotBf16() {
    return call("llvm.x86.avx512bf16.dpbf16ps.512",
                "llvm.x86.avx512bf16.dpbf16ps.256",
                {op.getAcc(), as(b.getBF16Type(), op.getLhs()),
                 as(b.getBF16Type(), op.getRhs())});
  }

  /// Even and odd bytes apart, as 16 bits: their sums of two products are
  /// exact. Those of vpmaddubsw, which takes bytes, saturate.
  Value dotBytesInPairs() {
    Value lhs = as(b.getI16Type(), op.getLhs());
    Value rhs = as(b.getI16Type(), op.getRhs());
    Value eight = constant(lhs, 8);
    auto multiply = [&](Value x, Value y) {
      return call("llvm.x86.avx512.pmaddw.d.512", "llvm.x86.avx2.pmadd.wd",
                  {x, y});
    };
    Value even = multiply(
        arith::AndIOp::create(b, lhs, constant(lhs, 0xff)),
        arith::ShRSIOp::create(b, arith::ShLIOp::create(b, rhs, eight), eight));
    Value odd = multiply(arith::ShRUIOp::create(b, lhs, eight),
                         arith::ShRSIOp::create(b, rhs, eight));
    return arith::AddIOp::create(b, op.getAcc(),
                                 arith::AddIOp::create(b, even, odd));
  }

  /// A sum of two products fits 16 bits where one factor is below 16.
  Value dotSmallBytes() {
    auto pairs = VectorType::get(2 * type.getNumElements(), b.getI16Type());
    auto name = b.getStringAttr(isWide ? "llvm.x86.avx512.pmaddubs.w.512"
                                       : "llvm.x86.avx2.pmadd.ub.sw");
    Value products = LLVM::CallIntrinsicOp::create(
                         b, Type(pairs), name,
                         ValueRange{as(b.getI8Type(), op.getLhs()),
                                    as(b.getI8Type(), op.getRhs())})
                         ->getResult(0);
    Value sums = call("llvm.x86.avx512.pmaddw.d.512", "llvm.x86.avx2.pmadd.wd",
                      {products, constant(products, 1)});
    return arith::AddIOp::create(b, op.getAcc(), sums);
  }

  /// The upper half of an f32 is a bf16.
  Value dotFloats() {
    auto lower = [&](Value x) {
      return as(b.getF32Type(), arith::ShLIOp::create(b, x, constant(x, 16)));
    };
    auto upper = [&](Value x) {
      return as(b.getF32Type(),
                arith::AndIOp::create(b, x, constant(x, 0xffff0000)));
    };
    Value sum = vector::FMAOp::create(b, lower(op.getLhs()), lower(op.getRhs()),
                                      op.getAcc());
    return vector::FMAOp::create(b, upper(op.getLhs()), upper(op.getRhs()),
                                 sum);
  }
};

struct LowerDots : PassWrapper<LowerDots, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerDots)
  explicit LowerDots(StringRef cpu) : cpu(cpu) {}

  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, LLVM::LLVMDialect,
                    vector::VectorDialect>();
  }

  void runOnOperation() override {
    auto processor = describeProcessor(cpu);
    bool hasVnni = processor->checkFeatures("+avx512vnni");
    // The intrinsic of 32 bytes stands for both forms of the instruction.
    bool hasNarrowVnni = hasVnni || processor->checkFeatures("+avxvnni");
    bool hasBf16 = processor->checkFeatures("+avx512bf16");
    getOperation()->walk([&](kernel::DotOp op) {
      DotBuilder build{ImplicitLocOpBuilder(op.getLoc(), op), op};
      Value sum;
      if (op.getKind() == kernel::DotKind::BF16)
        sum = hasBf16 ? build.dotBf16() : build.dotFloats();
      else if (build.isWide ? hasVnni : hasNarrowVnni)
        sum = build.dotBytes();
      else if (op.getKind() == kernel::DotKind::U4S8)
        sum = build.dotSmallBytes();
      else
        sum = build.dotBytesInPairs();
      op.replaceAllUsesWith(sum);
      op.erase();
    });
  }

private:
  std::string cpu;
};

} // namespace

std::unique_ptr<Pass> tenon::createLowerDotsPass(StringRef cpu) {
  return std::make_unique<LowerDots>(cpu);
}
