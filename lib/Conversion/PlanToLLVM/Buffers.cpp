// Builds memref descriptors from pointers and sizes.
#include "tenon/Conversion/Buffers.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

Value tenon::buildBuffer(OpBuilder &b, Location loc, MemRefType type,
                         Value pointer, ValueRange dynamicSizes) {
  LLVMTypeConverter converter(b.getContext());
  auto constant = [&](int64_t value) -> Value {
    return LLVM::ConstantOp::create(b, loc, b.getI64Type(),
                                    b.getI64IntegerAttr(value));
  };
  auto descriptor =
      MemRefDescriptor::poison(b, loc, converter.convertType(type));
  descriptor.setAllocatedPtr(b, loc, pointer);
  descriptor.setAlignedPtr(b, loc, pointer);
  descriptor.setConstantOffset(b, loc, 0);
  SmallVector<Value> sizes;
  for (int64_t size : type.getShape())
    if (!ShapedType::isDynamic(size))
      sizes.push_back(constant(size));
    else {
      sizes.push_back(dynamicSizes.front());
      dynamicSizes = dynamicSizes.drop_front();
    }
  Value stride = constant(1);
  for (int64_t d = type.getRank() - 1; d >= 0; --d) {
    descriptor.setSize(b, loc, d, sizes[d]);
    descriptor.setStride(b, loc, d, stride);
    stride = LLVM::MulOp::create(b, loc, stride, sizes[d]);
  }
  Value value = descriptor;
  return UnrealizedConversionCastOp::create(b, loc, TypeRange(type), value)
      .getResult(0);
}
