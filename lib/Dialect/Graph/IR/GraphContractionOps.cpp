// Verifiers of matrix products and attention.
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

using namespace mlir;
using namespace tenon::graph;

#define GET_OP_CLASSES
#include "tenon/Dialect/Graph/IR/GraphContractionOps.cpp.inc"

LogicalResult MatmulOp::verify() {
  auto lhs = cast<RankedTensorType>(getLhs().getType());
  auto rhs = cast<RankedTensorType>(getRhs().getType());
  auto output = cast<RankedTensorType>(getOutput().getType());
  if (lhs.getRank() < 2 || rhs.getRank() < 2)
    return emitOpError("multiplies tensors of rank ")
           << lhs.getRank() << " and " << rhs.getRank()
           << ", but both must have at least 2";
  auto isByte = [](Type type) { return type.isInteger(8); };
  Type left = lhs.getElementType(), right = rhs.getElementType();
  if (output.getElementType().isSignlessInteger(32) &&
      (isByte(left) || isByte(right)) &&
      !(left.isUnsignedInteger(8) && right.isSignlessInteger(8)))
    return emitOpError("multiplies ")
           << left << " by " << right
           << " into i32, which only ui8 by i8 become";
  int64_t lhsDim = lhs.getRank() - (getTransposeLhs() ? 2 : 1);
  int64_t rhsDim = rhs.getRank() - (getTransposeRhs() ? 1 : 2);
  int64_t lhsSize = lhs.getDimSize(lhsDim), rhsSize = rhs.getDimSize(rhsDim);
  if (failed(verifyCompatibleShape({lhsSize}, {rhsSize})))
    return emitOpError("contracts dimension ")
           << lhsDim << " of lhs, of size " << lhsSize << ", with dimension "
           << rhsDim << " of rhs, of size " << rhsSize;
  FailureOr<SmallVector<int64_t>> sizes =
      broadcastSizes(lhs.getShape().drop_back(2), rhs.getShape().drop_back(2));
  if (failed(sizes))
    return emitOpError("cannot broadcast the leading dimensions of ")
           << lhs << " and " << rhs;
  sizes->push_back(lhs.getDimSize(lhs.getRank() - (getTransposeLhs() ? 1 : 2)));
  sizes->push_back(rhs.getDimSize(rhs.getRank() - (getTransposeRhs() ? 2 : 1)));
  if (failed(verifyCompatibleShape(*sizes, output.getShape())))
    return emitOpError("has result type ")
           << output << ", but computes " << output.clone(*sizes);
  return success();
}

bool AttentionOp::takes(RankedTensorType heads) {
  int64_t size = heads.getShape().back();
  return isa<Float32Type, Float16Type, BFloat16Type>(heads.getElementType()) &&
         !ShapedType::isDynamic(size) && size <= largestHead;
}

LogicalResult AttentionOp::verify() {
  for (Value operand : {getQuery(), getKey(), getValue(), getOutput()})
    if (cast<RankedTensorType>(operand.getType()).getRank() != 4)
      return emitOpError("needs tensors of rank 4 (batch, heads, sequence, "
                         "size), but found ")
             << operand.getType();
  if (getMask() && cast<RankedTensorType>(getMask().getType()).getRank() > 4)
    return emitOpError("needs a mask of rank at most 4, but found ")
           << getMask().getType();
  if (bool(getStarts()) != bool(getLength()) || (getSlots() && !getStarts()))
    return emitOpError("reads caches, for which it needs starts and a length, "
                       "or none, for which it has no starts, slots or length");
  if (getRelative() && !(getStarts() && getCausal() && getMask()))
    return emitOpError("has a mask by distance, for which it needs starts, "
                       "causal and a mask");
  for (Value places : {getStarts(), getSlots()})
    if (places && cast<RankedTensorType>(places.getType()).getRank() != 1)
      return emitOpError("needs one start and one slot for each row of the "
                         "batch, but found ")
             << places.getType();
  if (getParameters()) {
    auto elementOf = [](Value value) { return getElementTypeOrSelf(value); };
    auto type = cast<RankedTensorType>(getParameters().getType());
    if (type.getRank() != 1 || (type.getDimSize(0) != fewParameters &&
                                type.getDimSize(0) != allParameters))
      return emitOpError("needs ")
             << fewParameters << " or " << allParameters
             << " numbers that say how it is quantized, but found " << type;
    if (getStarts() || !elementOf(getQuery()).isUnsignedInteger(8) ||
        !elementOf(getKey()).isSignlessInteger(8) ||
        !elementOf(getValue()).isSignlessInteger(8))
      return emitOpError("is quantized, so that it needs queries of ui8, and "
                         "keys and values of i8 that are no caches, but found ")
             << getQuery().getType() << ", " << getKey().getType() << " and "
             << getValue().getType();
  }
  if (getWindow() && (*getWindow() < 1 || !getCausal()))
    return emitOpError("has a window of ")
           << *getWindow() << (getCausal() ? "" : " without causal")
           << ", but needs causal and at least 1";
  int64_t heads = cast<RankedTensorType>(getQuery().getType()).getDimSize(1);
  int64_t kvHeads = cast<RankedTensorType>(getKey().getType()).getDimSize(1);
  if (!ShapedType::isDynamic(heads) && !ShapedType::isDynamic(kvHeads) &&
      (kvHeads == 0 || heads % kvHeads != 0))
    return emitOpError("has ") << heads << " query heads, which is no multiple "
                               << "of its " << kvHeads << " key heads";
  return success();
}

int64_t AppendOp::getRowSize(int64_t headSize, Type element) {
  return element.isInteger(8) ? headSize + scaleBytes : headSize;
}

int64_t AppendOp::getHeadSize(RankedTensorType cache) {
  int64_t size = cache.getDimSize(3);
  bool hasScale =
      cache.getElementType().isInteger(8) && !ShapedType::isDynamic(size);
  return hasScale ? size - scaleBytes : size;
}

LogicalResult AppendOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto cache = cast<RankedTensorType>(getCache().getType());
  if (input.getRank() != 4 || cache.getRank() != 4)
    return emitOpError("needs tensors of rank 4 (batch, heads, sequence, size "
                       "and slots, heads, capacity, size), but found ")
           << input << " and " << cache;
  SmallVector<int64_t> sizes(cache.getShape());
  sizes[3] = getHeadSize(cache);
  for (int64_t dim : {1, 3})
    if (failed(verifyCompatibleShape({input.getDimSize(dim)}, {sizes[dim]})))
      return emitOpError("appends ") << input << " to " << cache
                                     << ", which differ in dimension " << dim
                                     << (sizes[dim] != cache.getDimSize(dim)
                                             ? " beside the bytes of a scale"
                                             : "");
  for (Value places : {Value(getStarts()), Value(getSlots())})
    if (places && cast<RankedTensorType>(places.getType()).getRank() != 1)
      return emitOpError("needs one start and one slot for each row of the "
                         "batch, but found ")
             << places.getType();
  if (getOutput().getType() != cache)
    return emitOpError("has result type ")
           << getOutput().getType() << ", but its cache has " << cache;
  return success();
}
