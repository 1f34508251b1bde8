// What the recognisers share: reading constants and products off the graph.
#include "Matching.h"
#include "mlir/Dialect/Traits.h"
#include "mlir/IR/Remarks.h"
#include <cmath>

using namespace mlir;

namespace tenon::graph {

std::optional<double> getSplat(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  if (!constant)
    return std::nullopt;
  auto elements = dyn_cast<DenseFPElementsAttr>(constant.getValue());
  if (!elements || !elements.isSplat())
    return std::nullopt;
  return elements.getSplatValue<APFloat>().convertToDouble();
}

std::optional<double> getScalar(Value value) {
  if (std::optional<double> splat = getSplat(value))
    return splat;
  auto constant = value.getDefiningOp<ConstantOp>();
  auto elements =
      constant ? dyn_cast<DenseIntElementsAttr>(constant.getValue()) : nullptr;
  if (!elements || !elements.isSplat())
    return std::nullopt;
  APInt integer = elements.getSplatValue<APInt>();
  Type type = elements.getElementType();
  bool isUnsigned = type.isInteger(1) || type.isUnsignedInteger();
  if (isUnsigned && integer.getActiveBits() > 53)
    return std::nullopt;
  int64_t exact = isUnsigned ? integer.getZExtValue() : integer.getSExtValue();
  if (std::abs(exact) >= int64_t(1) << 53)
    return std::nullopt;
  return static_cast<double>(exact);
}

bool isClose(double value, double wanted) {
  return std::abs(value - wanted) <= 1e-4 * std::abs(wanted);
}

static void collect(Value value, bool isRoot, Product &product) {
  if (std::optional<double> constant = getSplat(value)) {
    product.coefficient *= *constant;
    return;
  }
  if (isRoot || value.hasOneUse()) {
    if (auto mul = value.getDefiningOp<MulOp>()) {
      collect(mul.getLhs(), false, product);
      collect(mul.getRhs(), false, product);
      return;
    }
    if (auto div = value.getDefiningOp<DivOp>())
      if (std::optional<double> constant = getSplat(div.getRhs())) {
        product.coefficient /= *constant;
        collect(div.getLhs(), false, product);
        return;
      }
  }
  product.factors.push_back(value);
}

Product getProduct(Value root) {
  Product product;
  collect(root, /*isRoot=*/true, product);
  return product;
}

Value getAddend(Value root, double constant) {
  auto add = root.getDefiningOp<AddOp>();
  if (!add)
    return nullptr;
  for (auto [one, other] : {std::pair(add.getLhs(), add.getRhs()),
                            std::pair(add.getRhs(), add.getLhs())})
    if (std::optional<double> value = getSplat(one);
        value && isClose(*value, constant))
      return other;
  return nullptr;
}

Value getSquareRoot(Value root) {
  if (auto mul = root.getDefiningOp<MulOp>())
    return mul.getLhs() == mul.getRhs() ? mul.getLhs() : nullptr;
  auto pow = root.getDefiningOp<PowOp>();
  if (!pow)
    return nullptr;
  std::optional<double> exponent = getSplat(pow.getRhs());
  return exponent && *exponent == 2 ? pow.getLhs() : nullptr;
}

/// x where `condition` is the negation of x, also as `where(x, 0, 1) != 0`.
static Value getNegated(Value condition) {
  if (auto negation = condition.getDefiningOp<NotOp>())
    return negation.getInput();
  auto cast = condition.getDefiningOp<CastOp>();
  auto where = cast ? cast.getInput().getDefiningOp<WhereOp>() : nullptr;
  if (!where || !getElementTypeOrSelf(condition.getType()).isInteger(1))
    return nullptr;
  std::optional<double> onTrue = getScalar(where.getOnTrue()),
                        onFalse = getScalar(where.getOnFalse());
  return onTrue && onFalse && *onTrue == 0 && *onFalse != 0
             ? where.getCondition()
             : Value();
}

std::optional<Hiding> getHiding(Value value) {
  auto where = value.getDefiningOp<WhereOp>();
  if (!where)
    return std::nullopt;
  // Scores of f16 are below its largest number, and hardly near it.
  double most = getElementTypeOrSelf(value.getType()).isF16() ? -65504 : -1e30;
  auto isLow = [&](Value low) { return getSplat(low).value_or(0) <= most; };
  if (isLow(where.getOnFalse()))
    return Hiding{where.getCondition(), where.getOnTrue(), where.getOnFalse()};
  Value keep = getNegated(where.getCondition());
  if (!keep || !isLow(where.getOnTrue()))
    return std::nullopt;
  return Hiding{keep, where.getOnFalse(), where.getOnTrue()};
}

RankedTensorType getBroadcastType(Value lhs, Value rhs, Type element) {
  SmallVector<int64_t> sizes;
  bool isDefined = OpTrait::util::getBroadcastedShape(
      cast<RankedTensorType>(lhs.getType()).getShape(),
      cast<RankedTensorType>(rhs.getType()).getShape(), sizes);
  assert(isDefined && "operands of an op that was there before");
  (void)isDefined;
  return RankedTensorType::get(sizes, element);
}

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

Value stripNaNGuard(Value value, bool &found) {
  auto where = value.getDefiningOp<WhereOp>();
  found = false;
  if (!where || getSplat(where.getOnTrue()) != 0.0)
    return value;
  auto isNaN = where.getCondition().getDefiningOp<IsNaNOp>();
  if (!isNaN || isNaN.getInput() != where.getOnFalse())
    return value;
  found = true;
  return where.getOnFalse();
}

Value getBooleanMask(Value mask) {
  auto where = mask.getDefiningOp<WhereOp>();
  if (!where || getSplat(where.getOnTrue()) != 0.0)
    return mask;
  std::optional<double> masked = getSplat(where.getOnFalse());
  if (!masked || !std::isinf(*masked) || *masked > 0)
    return mask;
  return where.getCondition();
}

bool broadcastsTo(Value mask, RankedTensorType scores) {
  RankedTensorType type = typeOf(mask);
  if (type.getRank() > scores.getRank())
    return false;
  for (auto [size, wanted] : llvm::zip(llvm::reverse(type.getShape()),
                                       llvm::reverse(scores.getShape())))
    if (size != 1 && size != wanted && !ShapedType::isDynamic(size) &&
        !ShapedType::isDynamic(wanted))
      return false;
  return true;
}

Value getKey(Value operand, bool isTransposed, OpBuilder &builder) {
  if (isTransposed)
    return operand;
  auto transpose = operand.getDefiningOp<TransposeOp>();
  SmallVector<int64_t> permutation(transpose.getPermutation());
  std::swap(permutation[2], permutation[3]);
  if (llvm::equal(permutation, llvm::seq<int64_t>(0, 4)))
    return transpose.getInput();
  SmallVector<int64_t> sizes(typeOf(operand).getShape());
  std::swap(sizes[2], sizes[3]);
  auto type = RankedTensorType::get(sizes, typeOf(operand).getElementType());
  return TransposeOp::create(builder, transpose.getLoc(), type,
                             transpose.getInput(), permutation);
}

bool hasRemarks(Operation *op) { return op->getContext()->getRemarkEngine(); }

static remark::RemarkOpts describe(Operation *op, StringRef name) {
  auto id = op->getAttrOfType<StringAttr>("tenon.id");
  return remark::RemarkOpts::name(name)
      .category("simplify")
      .function(id ? id.getValue() : "");
}

void reportRecognized(Operation *op, StringRef form) {
  remark::passed(op->getLoc(), describe(op, "Recognized"))
      << remark::metric("Form", form);
}

void reportNotRecognized(Operation *op, StringRef form,
                         const Obstacle &obstacle) {
  remark::missed(op->getLoc(), describe(op, "NotRecognized"))
      << remark::metric("Form", form) << obstacle.reason();
}

void updateFunctionType(func::FuncOp function) {
  Block &block = function.getBody().front();
  function.setType(FunctionType::get(function.getContext(),
                                     block.getArgumentTypes(),
                                     block.getTerminator()->getOperandTypes()));
}

} // namespace tenon::graph
