// Verifiers of the elementwise family.
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

using namespace mlir;
using namespace tenon::graph;

#define GET_OP_CLASSES
#include "tenon/Dialect/Graph/IR/GraphElementwiseOps.cpp.inc"

FailureOr<SmallVector<int64_t>>
tenon::graph::broadcastSizes(ArrayRef<int64_t> lhs, ArrayRef<int64_t> rhs) {
  size_t rank = std::max(lhs.size(), rhs.size());
  SmallVector<int64_t> sizes(rank);
  for (size_t i = 0; i < rank; ++i) {
    int64_t left = i < rank - lhs.size() ? 1 : lhs[i - (rank - lhs.size())];
    int64_t right = i < rank - rhs.size() ? 1 : rhs[i - (rank - rhs.size())];
    if (left == 1 || left == right)
      sizes[i] = right;
    else if (right == 1)
      sizes[i] = left;
    else if (ShapedType::isDynamic(left))
      sizes[i] = right;
    else if (ShapedType::isDynamic(right))
      sizes[i] = left;
    else
      return failure();
  }
  return sizes;
}

/// The result must be the broadcast of the operands, as far as sizes are known.
static LogicalResult verifyBroadcast(Operation *op) {
  SmallVector<int64_t> sizes;
  for (Value operand : op->getOperands()) {
    ArrayRef<int64_t> shape =
        cast<RankedTensorType>(operand.getType()).getShape();
    FailureOr<SmallVector<int64_t>> both = broadcastSizes(sizes, shape);
    if (failed(both))
      return op->emitOpError("cannot broadcast operand of type ")
             << operand.getType() << " with the operands before it";
    sizes = *both;
  }
  auto output = cast<RankedTensorType>(op->getResult(0).getType());
  if (failed(verifyCompatibleShape(output.getShape(), sizes)))
    return op->emitOpError("has result type ")
           << output << ", but its operands broadcast to "
           << output.clone(sizes);
  return success();
}

static LogicalResult verifyElementType(Operation *op, Type found, Type wanted,
                                       StringRef what) {
  if (found != wanted)
    return op->emitOpError() << what << " has element type " << found
                             << ", but must have " << wanted;
  return success();
}

static Type elementType(Value value) {
  return getElementTypeOrSelf(value.getType());
}

#define VERIFY_UNARY(OP)                                                       \
  LogicalResult OP::verify() {                                                 \
    if (failed(verifyBroadcast(*this)))                                        \
      return failure();                                                        \
    return verifyElementType(*this, elementType(getOutput()),                  \
                             elementType(getInput()), "result");               \
  }
VERIFY_UNARY(AbsOp)
VERIFY_UNARY(NegOp)
VERIFY_UNARY(ExpOp)
VERIFY_UNARY(LogOp)
VERIFY_UNARY(SqrtOp)
VERIFY_UNARY(ReciprocalOp)
VERIFY_UNARY(SinOp)
VERIFY_UNARY(CosOp)
VERIFY_UNARY(TanhOp)
VERIFY_UNARY(ErfOp)
VERIFY_UNARY(SigmoidOp)
VERIFY_UNARY(ReluOp)
VERIFY_UNARY(FloorOp)
VERIFY_UNARY(CeilOp)
VERIFY_UNARY(RoundOp)
VERIFY_UNARY(GeluOp)
#undef VERIFY_UNARY

LogicalResult CastOp::verify() { return verifyBroadcast(*this); }

LogicalResult BitcastOp::verify() {
  if (failed(verifyBroadcast(*this)))
    return failure();
  Type from = elementType(getInput()), to = elementType(getOutput());
  if (from.getIntOrFloatBitWidth() != to.getIntOrFloatBitWidth())
    return emitOpError("takes the bits of ")
           << from << " as " << to << ", which has another width";
  return success();
}

LogicalResult IsNaNOp::verify() {
  if (failed(verifyBroadcast(*this)))
    return failure();
  return verifyElementType(*this, elementType(getOutput()),
                           IntegerType::get(getContext(), 1), "result");
}

/// Both operands have one element type; the result has `result` or, if that is
/// null, the same.
static LogicalResult verifyBinary(Operation *op, Type result) {
  if (failed(verifyBroadcast(op)))
    return failure();
  Type lhs = elementType(op->getOperand(0));
  if (failed(verifyElementType(op, elementType(op->getOperand(1)), lhs, "rhs")))
    return failure();
  return verifyElementType(op, elementType(op->getResult(0)),
                           result ? result : lhs, "result");
}

#define VERIFY_BINARY(OP, RESULT)                                              \
  LogicalResult OP::verify() { return verifyBinary(*this, RESULT); }
VERIFY_BINARY(AddOp, Type())
VERIFY_BINARY(SubOp, Type())
VERIFY_BINARY(MulOp, Type())
VERIFY_BINARY(DivOp, Type())
VERIFY_BINARY(PowOp, Type())
VERIFY_BINARY(MaxOp, Type())
VERIFY_BINARY(MinOp, Type())
VERIFY_BINARY(ModOp, Type())
VERIFY_BINARY(EqualOp, IntegerType::get(getContext(), 1))
VERIFY_BINARY(LessOp, IntegerType::get(getContext(), 1))
VERIFY_BINARY(LessEqualOp, IntegerType::get(getContext(), 1))
VERIFY_BINARY(GreaterOp, IntegerType::get(getContext(), 1))
VERIFY_BINARY(GreaterEqualOp, IntegerType::get(getContext(), 1))
#undef VERIFY_BINARY

static LogicalResult verifyIntegers(Operation *op) {
  Type type = elementType(op->getOperand(0));
  if (!type.isInteger())
    return op->emitOpError("needs integers, but has ") << type;
  return success();
}

#define VERIFY_BITS(OP)                                                        \
  LogicalResult OP::verify() {                                                 \
    return failure(failed(verifyBinary(*this, Type())) ||                      \
                   failed(verifyIntegers(*this)));                             \
  }
VERIFY_BITS(AndOp)
VERIFY_BITS(OrOp)
VERIFY_BITS(XorOp)
VERIFY_BITS(ShiftLeftOp)
VERIFY_BITS(ShiftRightOp)
#undef VERIFY_BITS

LogicalResult NotOp::verify() {
  if (failed(verifyBroadcast(*this)) || failed(verifyIntegers(*this)))
    return failure();
  return verifyElementType(*this, elementType(getOutput()),
                           elementType(getInput()), "result");
}

LogicalResult WhereOp::verify() {
  if (failed(verifyBroadcast(*this)))
    return failure();
  Type type = elementType(getOnTrue());
  if (failed(verifyElementType(*this, elementType(getCondition()),
                               IntegerType::get(getContext(), 1), "condition")))
    return failure();
  if (failed(verifyElementType(*this, elementType(getOnFalse()), type,
                               "on_false")))
    return failure();
  return verifyElementType(*this, elementType(getOutput()), type, "result");
}

/// The parameters of quantize and dequantize: `integers` has the zero point's
/// type, everything else is f32.
static LogicalResult verifyQuantized(Operation *op, Value integers,
                                     Value floats, Value scale, Value zeroPoint,
                                     bool takesWords) {
  if (failed(verifyBroadcast(op)))
    return failure();
  Type type = elementType(integers),
       single = Float32Type::get(op->getContext());
  auto integer = dyn_cast<IntegerType>(type);
  unsigned width = integer ? integer.getWidth() : 0;
  if (width != 8 && width != 16 &&
      !(takesWords && width == 32 && !integer.isUnsigned()))
    return op->emitOpError("cannot quantize to integers of type ") << type;
  if (failed(verifyElementType(op, elementType(floats), single,
                               takesWords ? "result" : "input")) ||
      failed(verifyElementType(op, elementType(scale), single, "scale")))
    return failure();
  return zeroPoint
             ? verifyElementType(op, elementType(zeroPoint), type, "zero point")
             : success();
}

LogicalResult QuantizeOp::verify() {
  return verifyQuantized(*this, getOutput(), getInput(), getScale(),
                         getZeroPoint(), /*takesWords=*/false);
}

LogicalResult DequantizeOp::verify() {
  return verifyQuantized(*this, getInput(), getOutput(), getScale(),
                         getZeroPoint(), /*takesWords=*/true);
}
