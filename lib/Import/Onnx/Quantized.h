// Integers that stand for floats, as several operators have them.
#ifndef TENON_LIB_IMPORT_ONNX_QUANTIZED_H
#define TENON_LIB_IMPORT_ONNX_QUANTIZED_H

#include "ImportContext.h"

namespace tenon {

/// `values` stand for (values - zeroPoint) * scale.
struct Quantized {
  mlir::Value values, scale, zeroPoint;
};

// Each of these gives a null value after an error. A zero point may be null.

/// One parameter for all as a scalar, which adds no dimensions; null stays
/// null.
mlir::Value asScalar(ImportContext &ctx, mlir::Value parameter);

/// Parameters broadcast to the value. Without a scale it is 1.
mlir::Value quantize(ImportContext &ctx, mlir::Value value, mlir::Value scale,
                     mlir::Value zeroPoint, mlir::Type type);
mlir::Value dequantize(ImportContext &ctx, mlir::Value value, mlir::Value scale,
                       mlir::Value zeroPoint);

/// As u8, with the scale and zero point that the elements and 0 need; the scale
/// is 1 where all are 0, as in ONNX Runtime.
Quantized quantizeDynamically(ImportContext &ctx, mlir::Value input);

/// Of operand `first`, its scale and, if there is one, its zero point, the two
/// operands behind it; one of each for all elements.
mlir::Value dequantizeOperand(ImportContext &ctx, unsigned first);

/// The product of integers of 8 bits without their zero points, in i32. The
/// left zero point may be a vector for the rows, the right one for the columns.
mlir::Value multiplyIntegers(ImportContext &ctx, mlir::Value lhs,
                             mlir::Value lhsZeroPoint, mlir::Value rhs,
                             mlir::Value rhsZeroPoint);

/// As f32, times one scale of the left operand and one of the right or one for
/// each column. Null if `product` is.
mlir::Value scaleProduct(ImportContext &ctx, mlir::Value product,
                         mlir::Value lhsScale, mlir::Value rhsScale);

/// Whether a value is a constant or weight, or such with its elements in other
/// places or integer types.
bool isOfConstants(mlir::Value value);

/// graph.dequantize_blocks with a result of `columns` columns.
mlir::Value dequantizeBlocks(ImportContext &ctx, mlir::Value input,
                             mlir::Value scale, mlir::Value zeroPoint,
                             int64_t columns, int64_t block, int64_t bits);

/// A matrix of integers of up to 8 bits in f32, of which `block` elements along
/// dimension `axis` have a scale and, if there are any, a zero point. Fails
/// after an error.
mlir::FailureOr<mlir::Value>
dequantizeAlong(ImportContext &ctx, mlir::Value input, mlir::Value scale,
                mlir::Value zeroPoint, int64_t axis, int64_t block);

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_QUANTIZED_H
