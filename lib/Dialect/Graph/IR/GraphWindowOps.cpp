// Verifiers of windows over spatial dimensions.
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

using namespace mlir;
using namespace tenon::graph;

#define GET_OP_CLASSES
#include "tenon/Dialect/Graph/IR/GraphWindowOps.cpp.inc"

int64_t tenon::graph::countWindows(int64_t size, int64_t kernel, int64_t stride,
                                   int64_t dilation) {
  if (ShapedType::isDynamic(size))
    return size;
  int64_t spare = size - ((kernel - 1) * dilation + 1);
  return spare < 0 ? 0 : spare / stride + 1;
}

/// The sizes of the windows of a tensor with sizes `shape`.
static SmallVector<int64_t> windowSizes(ArrayRef<int64_t> shape,
                                        ArrayRef<int64_t> kernel,
                                        ArrayRef<int64_t> strides,
                                        ArrayRef<int64_t> dilations) {
  SmallVector<int64_t> sizes(shape.drop_back(kernel.size()));
  for (auto [size, taps, stride, dilation] :
       llvm::zip(shape.take_back(kernel.size()), kernel, strides, dilations))
    sizes.push_back(countWindows(size, taps, stride, dilation));
  llvm::append_range(sizes, kernel);
  return sizes;
}

/// `spatial` and `windows` are the types of the tensor and of its windows.
static LogicalResult verifyWindows(Operation *op, RankedTensorType spatial,
                                   ArrayRef<int64_t> kernel,
                                   ArrayRef<int64_t> strides,
                                   ArrayRef<int64_t> dilations,
                                   RankedTensorType windows) {
  for (ArrayRef<int64_t> list : {kernel, strides, dilations})
    if (llvm::any_of(list, [](int64_t value) { return value < 1; }))
      return op->emitOpError(
          "needs a kernel, strides and dilations that are positive and known");
  SmallVector<int64_t> expected =
      windowSizes(spatial.getShape(), kernel, strides, dilations);
  if (failed(verifyCompatibleShape(expected, windows.getShape())) ||
      spatial.getElementType() != windows.getElementType())
    return op->emitOpError("has windows of type ")
           << windows << ", but those of " << spatial << " are "
           << spatial.clone(expected);
  return success();
}

LogicalResult WindowOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  size_t count = getKernel().size();
  if (count == 0 || count > static_cast<size_t>(input.getRank()) ||
      getStrides().size() != count || getDilations().size() != count)
    return emitOpError("needs a kernel, strides and dilations for one or more "
                       "dimensions of ")
           << input << ", but has " << count << ", " << getStrides().size()
           << " and " << getDilations().size();
  return verifyWindows(*this, input, getKernel(), getStrides(), getDilations(),
                       cast<RankedTensorType>(getOutput().getType()));
}

LogicalResult OverlapAddOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto output = cast<RankedTensorType>(getOutput().getType());
  size_t count = getStaticSizes().size();
  if (count == 0 || getStrides().size() != count ||
      getDilations().size() != count ||
      static_cast<size_t>(input.getRank()) < 2 * count ||
      output.getRank() != input.getRank() - static_cast<int64_t>(count))
    return emitOpError("needs sizes, strides and dilations for each spatial "
                       "dimension of its windows ")
           << input << ", but has " << count << ", " << getStrides().size()
           << " and " << getDilations().size() << " and result " << output;
  if (failed(verifyCompatibleShape(output.getShape().take_back(count),
                                   getStaticSizes())))
    return emitOpError("has result ")
           << output << ", which has other sizes than it asks for";
  return verifyWindows(*this, output, getKernel(), getStrides(), getDilations(),
                       input);
}
