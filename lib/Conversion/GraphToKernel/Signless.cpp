// Unsigned integers as kernels see them.
#include "Signless.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

using namespace mlir;

static constexpr StringRef unsignedAttr = "tenon.unsigned";
static constexpr StringRef toUnsignedAttr = "tenon.to_unsigned";

/// The signless form of a tensor of unsigned integers; null for other types.
static RankedTensorType signlessForm(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.getElementType().isUnsignedInteger())
    return nullptr;
  return tensor.clone(
      IntegerType::get(type.getContext(), tensor.getElementTypeBitWidth()));
}

static void makeSignless(Operation *op) {
  auto unit = UnitAttr::get(op->getContext());
  // The last operand: the first of a where is its condition.
  if (op->getNumOperands() && signlessForm(op->getOperands().back().getType()))
    op->setAttr(unsignedAttr, unit);
  if (isa<tenon::graph::CastOp>(op) && signlessForm(op->getResult(0).getType()))
    op->setAttr(toUnsignedAttr, unit);
  auto constant = dyn_cast<tenon::graph::ConstantOp>(op);
  if (!constant)
    return;
  RankedTensorType type = signlessForm(constant.getType());
  if (!type)
    return;
  if (auto dense = dyn_cast<DenseElementsAttr>(constant.getValue()))
    constant.setValueAttr(dense.bitcast(type.getElementType()));
  else if (auto resource =
               dyn_cast<DenseResourceElementsAttr>(constant.getValue()))
    constant.setValueAttr(
        DenseResourceElementsAttr::get(type, resource.getRawHandle()));
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
  auto unit = UnitAttr::get(function.getContext());
  FunctionType type = function.getFunctionType();
  SmallVector<Type> inputs(type.getInputs()), results(type.getResults());
  for (auto [i, input] : llvm::enumerate(inputs))
    if (RankedTensorType form = signlessForm(input)) {
      input = form;
      function.setArgAttr(i, unsignedAttr, unit);
    }
  for (auto [i, result] : llvm::enumerate(results))
    if (RankedTensorType form = signlessForm(result)) {
      result = form;
      function.setResultAttr(i, unsignedAttr, unit);
    }
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
