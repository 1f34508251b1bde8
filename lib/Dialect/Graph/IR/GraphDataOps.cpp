// Verifiers and folders of constants, weights and look-ups.
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "llvm/Support/InterleavedRange.h"

using namespace mlir;
using namespace tenon::graph;

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
           << output << ", but gathers [" << llvm::interleaved(sizes) << "]";
  return success();
}

LogicalResult GatherNDOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto indices = cast<RankedTensorType>(getIndices().getType());
  auto output = cast<RankedTensorType>(getOutput().getType());
  int64_t batch = getBatchDims();
  int64_t tuple = indices.getRank() ? indices.getShape().back() : 0;
  if (ShapedType::isDynamic(tuple) || tuple < 1 ||
      tuple + batch > input.getRank())
    return emitOpError("has index tuples of ")
           << tuple << " for an input of rank " << input.getRank() << " with "
           << batch << " batch dimensions";
  int64_t rank = indices.getRank() - 1 + input.getRank() - batch - tuple;
  if (output.getRank() != rank)
    return emitOpError("has a result of rank ")
           << output.getRank() << ", but gathers rank " << rank;
  return success();
}
