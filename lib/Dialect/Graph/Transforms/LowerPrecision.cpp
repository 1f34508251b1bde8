// Rounds the operands of chosen products to bf16. See Passes.td.
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_LOWERPRECISIONPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

struct LowerPrecisionPass : impl::LowerPrecisionPassBase<LowerPrecisionPass> {
  using LowerPrecisionPassBase::LowerPrecisionPassBase;

  void runOnOperation() override {
    getOperation().walk([&](MatmulOp op) {
      auto precision = op->getAttrOfType<StringAttr>("tenon.precision");
      if (precision && precision.getValue() == "bf16")
        lower(op);
    });
  }

private:
  static bool isSingle(Value value) {
    return getElementTypeOrSelf(value.getType()).isF32();
  }

  void lower(MatmulOp op) {
    // In bytes or 16 bits a recipe or the model has them, and no second choice
    // is made for one product.
    if (!isSingle(op.getLhs()) || !isSingle(op.getRhs()) ||
        !isSingle(op.getOutput()))
      return;
    bool isWeight = op.getRhs().getDefiningOp<WeightOp>() != nullptr;
    if (weightsOnly && !isWeight)
      return;
    if (!weightsOnly)
      round(op, op.getLhsMutable(), "/lhs");
    round(op, op.getRhsMutable(), "/rhs");
    op.emitRemark(weightsOnly ? "weights in bf16" : "operands in bf16");
  }

  /// Products that read one value share one cast of it.
  void round(MatmulOp op, OpOperand &operand, StringRef suffix) {
    Value value = operand.get();
    Value &rounded = roundedValues[value];
    if (!rounded) {
      OpBuilder b(op);
      b.setInsertionPointAfterValue(value);
      auto type = cast<RankedTensorType>(value.getType());
      auto cast =
          CastOp::create(b, op.getLoc(), type.clone(b.getBF16Type()), value);
      if (auto id = op->getAttrOfType<StringAttr>("tenon.id"))
        cast->setAttr("tenon.id", b.getStringAttr(id.getValue() + suffix));
      rounded = cast;
    }
    operand.set(rounded);
  }

  llvm::DenseMap<Value, Value> roundedValues;
};

} // namespace
} // namespace tenon::graph
