// Types as kernels see them.
#include "Signless.h"
#include "NarrowTypes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

using namespace mlir;

static constexpr StringRef unsignedAttr = "tenon.unsigned";
static constexpr StringRef toUnsignedAttr = "tenon.to_unsigned";
static constexpr StringRef fromAttr = "tenon.from";
static constexpr StringRef toAttr = "tenon.to";
static constexpr StringRef elementAttr = "tenon.element";

static bool isUnsigned(Type type) {
  return isa<RankedTensorType>(type) &&
         getElementTypeOrSelf(type).isUnsignedInteger();
}

/// The element type if it is stored as bytes; else null.
static TypeAttr storedAsBytes(Type type) {
  Type element = getElementTypeOrSelf(type);
  return isa<RankedTensorType>(type) && tenon::isStoredAsByte(element)
             ? TypeAttr::get(element)
             : TypeAttr();
}

/// The form of a tensor in kernels; null if that is its own type.
static RankedTensorType signlessForm(Type type) {
  unsigned width = storedAsBytes(type) ? 8
                   : isUnsigned(type)
                       ? getElementTypeOrSelf(type).getIntOrFloatBitWidth()
                       : 0;
  return width ? cast<RankedTensorType>(type).clone(
                     IntegerType::get(type.getContext(), width))
               : nullptr;
}

/// The elements of a constant in `type`, that form of its type.
static ElementsAttr convertElements(ElementsAttr value, RankedTensorType type) {
  auto dense = dyn_cast<DenseElementsAttr>(value);
  if (!dense)
    return DenseResourceElementsAttr::get(
        type, cast<DenseResourceElementsAttr>(value).getRawHandle());
  unsigned width = type.getElementTypeBitWidth();
  if (dense.getElementType().getIntOrFloatBitWidth() == width)
    return dense.bitcast(type.getElementType());
  if (auto floats = dyn_cast<DenseFPElementsAttr>(dense))
    return floats.mapValues(type.getElementType(), [&](const APFloat &number) {
      return number.bitcastToAPInt().zext(width);
    });
  return cast<DenseIntElementsAttr>(dense).mapValues(
      type.getElementType(),
      [&](const APInt &number) { return number.zext(width); });
}

static void makeSignless(Operation *op) {
  auto unit = UnitAttr::get(op->getContext());
  // The last operand: the first of a where is its condition.
  bool isFirst =
      isa<tenon::graph::DequantizeOp, tenon::graph::DequantizeBlocksOp>(op);
  if (op->getNumOperands() &&
      isUnsigned(
          op->getOperand(isFirst ? 0 : op->getNumOperands() - 1).getType()))
    op->setAttr(unsignedAttr, unit);
  if (isa<tenon::graph::CastOp, tenon::graph::QuantizeOp>(op) &&
      isUnsigned(op->getResult(0).getType()))
    op->setAttr(toUnsignedAttr, unit);
  if (isa<tenon::graph::CastOp>(op)) {
    if (TypeAttr from = storedAsBytes(op->getOperand(0).getType()))
      op->setAttr(fromAttr, from);
    if (TypeAttr to = storedAsBytes(op->getResult(0).getType()))
      op->setAttr(toAttr, to);
  }
  if (auto constant = dyn_cast<tenon::graph::ConstantOp>(op))
    if (RankedTensorType type = signlessForm(constant.getType()))
      constant.setValueAttr(convertElements(constant.getValue(), type));
}

void tenon::makeSignless(func::FuncOp function) {
  // Ops first, while the types still say what was unsigned.
  function.walk([](Operation *op) { ::makeSignless(op); });
  auto change = [](Value value) {
    if (RankedTensorType type = signlessForm(value.getType()))
      value.setType(type);
  };
  function.walk([&](Operation *op) {
    llvm::for_each(op->getResults(), change);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::for_each(block.getArguments(), change);
  });
  FunctionType type = function.getFunctionType();
  SmallVector<Type> inputs(type.getInputs()), results(type.getResults());
  auto changeEach = [](SmallVectorImpl<Type> &types, auto setAttr) {
    for (auto [i, type] : llvm::enumerate(types)) {
      RankedTensorType form = signlessForm(type);
      if (TypeAttr element = storedAsBytes(type))
        setAttr(i, elementAttr, element);
      else if (form)
        setAttr(i, unsignedAttr, UnitAttr::get(type.getContext()));
      if (form)
        type = form;
    }
  };
  changeEach(inputs, [&](unsigned i, StringRef name, Attribute value) {
    function.setArgAttr(i, name, value);
  });
  changeEach(results, [&](unsigned i, StringRef name, Attribute value) {
    function.setResultAttr(i, name, value);
  });
  function.setFunctionType(
      FunctionType::get(type.getContext(), inputs, results));
}

bool tenon::hasUnsignedOperands(Operation *op) {
  return op->hasAttr(unsignedAttr) ||
         (op->getNumOperands() &&
          getElementTypeOrSelf(op->getOperands().back().getType())
              .isInteger(1));
}

bool tenon::makesUnsigned(Operation *op) { return op->hasAttr(toUnsignedAttr); }

static Type getType(Operation *op, StringRef name) {
  auto type = op->getAttrOfType<TypeAttr>(name);
  return type ? type.getValue() : Type();
}

Type tenon::getReadAsBytes(Operation *cast) { return getType(cast, fromAttr); }
Type tenon::getWrittenAsBytes(Operation *cast) { return getType(cast, toAttr); }
