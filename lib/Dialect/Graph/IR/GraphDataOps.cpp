// Verifiers and folders of constants, weights and look-ups.
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

using namespace mlir;
using namespace tenon::graph;

#include "tenon/Dialect/Graph/IR/GraphDataEnums.cpp.inc"

#define GET_OP_CLASSES
#include "tenon/Dialect/Graph/IR/GraphDataOps.cpp.inc"

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

LogicalResult GatherOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto indices = cast<RankedTensorType>(getIndices().getType());
  auto output = cast<RankedTensorType>(getOutput().getType());
  int64_t axis = getAxis();
  if (axis < 0 || axis >= input.getRank())
    return emitOpError("gathers along dimension ")
           << axis << " of a tensor of rank " << input.getRank();
  SmallVector<int64_t> sizes(input.getShape().take_front(axis));
  llvm::append_range(sizes, indices.getShape());
  llvm::append_range(sizes, input.getShape().drop_front(axis + 1));
  if (failed(verifyCompatibleShape(sizes, output.getShape())))
    return emitOpError("has result type ")
           << output << ", but gathers " << output.clone(sizes);
  return success();
}

LogicalResult DequantizeBlocksOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto scale = cast<RankedTensorType>(getScale().getType());
  auto output = cast<RankedTensorType>(getOutput().getType());
  int64_t block = getBlock(), bits = getBits();
  if (bits != 8 && bits != 4)
    return emitOpError("has elements of ") << bits << " bits, but needs 4 or 8";
  if (block < 16 || !llvm::isPowerOf2_64(block))
    return emitOpError("has blocks of ")
           << block << ", but needs a power of two of at least 16";
  Type element = input.getElementType();
  if (!element.isInteger(8) || (bits == 4 && !element.isUnsignedInteger()))
    return emitOpError("has an input of ")
           << element << ", but needs " << (bits == 4 ? "ui8" : "i8 or ui8");
  if (!input.hasStaticShape() || input.getRank() != 2)
    return emitOpError("needs a matrix of known sizes, but has ") << input;
  int64_t rows = input.getDimSize(0), elements = input.getDimSize(1) * 8 / bits;
  if (output.getRank() != 2 || !output.hasStaticShape() ||
      output.getDimSize(0) != rows || output.getDimSize(1) > elements ||
      output.getDimSize(1) < 1 || !output.getElementType().isF32())
    return emitOpError("has result type ")
           << output << ", but needs f32, " << rows << " rows and 1 to "
           << elements << " columns";
  SmallVector<int64_t> wanted = {rows, static_cast<int64_t>(llvm::divideCeil(
                                           output.getDimSize(1), block))};
  Type scaleElement = scale.getElementType();
  if (!isa<Float32Type, Float16Type, BFloat16Type>(scaleElement) ||
      scale.getShape() != ArrayRef(wanted))
    return emitOpError("has scales of type ")
           << scale << ", but needs f32, f16 or bf16 and sizes " << wanted[0]
           << " and " << wanted[1];
  if (!getZeroPoint())
    return success();
  auto zero = cast<RankedTensorType>(getZeroPoint().getType());
  bool isFloat =
      isa<Float32Type, Float16Type, BFloat16Type>(zero.getElementType());
  if ((zero.getElementType() != element && !isFloat) ||
      (zero.getRank() != 0 && zero.getShape() != ArrayRef(wanted)))
    return emitOpError("has zero points of type ")
           << zero << ", but needs elements of " << element
           << ", f32, f16 or bf16 and no sizes or " << wanted[0] << " and "
           << wanted[1];
  return success();
}

LogicalResult GatherNDOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto indices = cast<RankedTensorType>(getIndices().getType());
  auto output = cast<RankedTensorType>(getOutput().getType());
  int64_t batch = getBatchDims();
  if (batch < 0 || batch >= std::min(indices.getRank(), input.getRank()))
    return emitOpError("has ")
           << batch << " batch dimensions, but indices " << indices
           << " and input " << input << " must have more";
  int64_t tuple = indices.getShape().back();
  if (tuple < 1 || tuple > input.getRank() - batch)
    return emitOpError("needs index tuples of 1 to ")
           << input.getRank() - batch << " elements, but has indices "
           << indices;
  int64_t rank = indices.getRank() - 1 + input.getRank() - batch - tuple;
  if (output.getRank() != rank)
    return emitOpError("has a result of rank ")
           << output.getRank() << ", but gathers rank " << rank;
  return success();
}

/// Indices address one axis of the input and have their own place along others.
static LogicalResult verifyElementIndices(Operation *op, RankedTensorType input,
                                          RankedTensorType indices,
                                          int64_t axis) {
  if (axis < 0 || axis >= input.getRank())
    return op->emitOpError("has axis ")
           << axis << " for a tensor of rank " << input.getRank();
  if (indices.getRank() != input.getRank())
    return op->emitOpError("has indices of rank ")
           << indices.getRank() << " for an input of rank " << input.getRank();
  for (int64_t dim = 0; dim < input.getRank(); ++dim)
    if (dim != axis && !input.isDynamicDim(dim) && !indices.isDynamicDim(dim) &&
        indices.getDimSize(dim) > input.getDimSize(dim))
      return op->emitOpError("has indices of size ")
             << indices.getDimSize(dim) << " in dimension " << dim
             << ", where the input has " << input.getDimSize(dim);
  return success();
}

LogicalResult GatherElementsOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto indices = cast<RankedTensorType>(getIndices().getType());
  auto output = cast<RankedTensorType>(getOutput().getType());
  if (failed(verifyElementIndices(*this, input, indices, getAxis())))
    return failure();
  if (failed(verifyCompatibleShape(indices.getShape(), output.getShape())))
    return emitOpError("has result type ")
           << output << ", but gathers " << output.clone(indices.getShape());
  return success();
}

/// A scatter's result is like its input, and so are the updates' elements.
static LogicalResult verifyScatter(Operation *op, RankedTensorType input,
                                   RankedTensorType updates,
                                   RankedTensorType output,
                                   ArrayRef<int64_t> sizes) {
  if (updates.getElementType() != input.getElementType() ||
      failed(verifyCompatibleShape(updates.getShape(), sizes)))
    return op->emitOpError("has updates ")
           << updates << ", but needs " << input.clone(sizes);
  if (output.getElementType() != input.getElementType() ||
      failed(verifyCompatibleShape(input.getShape(), output.getShape())))
    return op->emitOpError("has result type ")
           << output << ", but its input is " << input;
  return success();
}

LogicalResult ScatterElementsOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto indices = cast<RankedTensorType>(getIndices().getType());
  if (failed(verifyElementIndices(*this, input, indices, getAxis())))
    return failure();
  return verifyScatter(
      *this, input, cast<RankedTensorType>(getUpdates().getType()),
      cast<RankedTensorType>(getOutput().getType()), indices.getShape());
}

LogicalResult ScatterNDOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto indices = cast<RankedTensorType>(getIndices().getType());
  int64_t tuple = indices.getRank() ? indices.getShape().back() : 0;
  if (ShapedType::isDynamic(tuple) || tuple < 1 || tuple > input.getRank())
    return emitOpError("has index tuples of ")
           << tuple << " for an input of rank " << input.getRank();
  SmallVector<int64_t> sizes(indices.getShape().drop_back());
  llvm::append_range(sizes, input.getShape().drop_front(tuple));
  return verifyScatter(*this, input,
                       cast<RankedTensorType>(getUpdates().getType()),
                       cast<RankedTensorType>(getOutput().getType()), sizes);
}
