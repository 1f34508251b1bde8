// Verifiers of reductions and row operations.
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

using namespace mlir;
using namespace tenon::graph;

#include "tenon/Dialect/Graph/IR/GraphReductionEnums.cpp.inc"

#define GET_OP_CLASSES
#include "tenon/Dialect/Graph/IR/GraphReductionOps.cpp.inc"

static LogicalResult verifyAxis(Operation *op, int64_t axis, int64_t rank) {
  if (axis < 0 || axis >= rank)
    return op->emitOpError("has axis ")
           << axis << " for a tensor of rank " << rank;
  return success();
}

static LogicalResult verifySameShape(Operation *op, Value input, Value output) {
  if (failed(verifyCompatibleShape(input.getType(), output.getType())))
    return op->emitOpError("has input ")
           << input.getType() << " and result " << output.getType()
           << ", whose sizes must agree";
  return success();
}

LogicalResult ReduceOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto output = cast<RankedTensorType>(getOutput().getType());
  SmallVector<int64_t> sizes(input.getShape());
  if (getAxes().empty())
    return emitOpError("needs at least one axis");
  for (int64_t axis : getAxes()) {
    if (failed(verifyAxis(*this, axis, input.getRank())))
      return failure();
    sizes[axis] = 1;
  }
  if (failed(verifyCompatibleShape(sizes, output.getShape())))
    return emitOpError("has result type ")
           << output << ", but reduces to " << output.clone(sizes);
  return success();
}

/// Of an op that keeps the sizes of its input and works along one axis.
template <typename OpTy> static LogicalResult verifyAlongAxis(OpTy op) {
  if (failed(verifySameShape(op, op.getInput(), op.getOutput())))
    return failure();
  return verifyAxis(op, op.getAxis(),
                    cast<RankedTensorType>(op.getInput().getType()).getRank());
}

LogicalResult CumulativeSumOp::verify() { return verifyAlongAxis(*this); }
LogicalResult CumulativeProductOp::verify() { return verifyAlongAxis(*this); }

LogicalResult TopKOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto indices = cast<RankedTensorType>(getIndices().getType());
  if (failed(verifyAxis(*this, getAxis(), input.getRank())))
    return failure();
  SmallVector<int64_t> sizes(input.getShape());
  int64_t &size = sizes[getAxis()];
  int64_t k = getConstantIntValue(getK()).value_or(ShapedType::kDynamic);
  if (!ShapedType::isDynamic(k) &&
      (k < 0 || (!ShapedType::isDynamic(size) && k > size)))
    return emitOpError("asks for ")
           << k << " elements of dimension " << getAxis() << " of " << input;
  size = k;
  if (!indices.getElementType().isInteger(64) ||
      failed(verifyCompatibleShape(sizes, indices.getShape())))
    return emitOpError("has result type ")
           << indices << ", but finds "
           << RankedTensorType::get(sizes, IntegerType::get(getContext(), 64));
  return success();
}

LogicalResult SoftmaxOp::verify() { return verifyAlongAxis(*this); }

LogicalResult NormOp::verify() { return verifyAlongAxis(*this); }

LogicalResult RotaryOp::verify() {
  if (failed(verifySameShape(*this, getInput(), getOutput())))
    return failure();
  auto input = cast<RankedTensorType>(getInput().getType());
  if (input.getRank() != 4)
    return emitOpError("needs an input of rank 4, but found ") << input;
  return success();
}
