// Verifiers and folders of constants, weights and look-ups.
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

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
           << output << ", but gathers " << output.clone(sizes);
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
