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
    SmallVector<AttentionOp> attentions;
    getOperation().walk([&](Operation *op) {
      auto precision = op->getAttrOfType<StringAttr>("tenon.precision");
      if (!precision || precision.getValue() != "bf16")
        return;
      if (auto product = dyn_cast<MatmulOp>(op))
        lower(product);
      else if (auto attention = dyn_cast<AttentionOp>(op);
               attention && lower(attention))
        attentions.push_back(attention);
    });
    for (AttentionOp op : attentions)
      roundResult(op);
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

  /// Both of its products. Returns whether something was changed.
  bool lower(AttentionOp op) {
    if (weightsOnly || !isSingle(op.getQuery()) || !isSingle(op.getKey()) ||
        !isSingle(op.getValue()) || !isSingle(op.getOutput()))
      return false;
    round(op, op.getQueryMutable(), "/query");
    round(op, op.getKeyMutable(), "/key");
    round(op, op.getValueMutable(), "/value");
    op.setRoundWeights(true);
    op.emitRemark("operands and weights in bf16");
    return true;
  }

  /// What is rounded behind an attention and nowhere else read is rounded by
  /// it.
  void roundResult(AttentionOp op) {
    auto cast = op.getOutput().hasOneUse()
                    ? dyn_cast<CastOp>(*op.getOutput().user_begin())
                    : nullptr;
    if (!cast || !getElementTypeOrSelf(cast.getType()).isBF16())
      return;
    op.getOutput().setType(cast.getType());
    cast.replaceAllUsesWith(op.getOutput());
    cast.erase();
  }

  /// Moves elements and reads none of them otherwise.
  static bool isMove(Value value) {
    return value.hasOneUse() &&
           isa_and_nonnull<ReshapeOp, TransposeOp>(value.getDefiningOp());
  }

  /// Products that read one value share one cast of it. What only moves it is
  /// left behind the cast, which then joins what computes the value.
  void round(Operation *op, OpOperand &operand, StringRef suffix) {
    SmallVector<Operation *> moves;
    Value value = operand.get();
    for (; isMove(value); value = moves.back()->getOperand(0))
      moves.push_back(value.getDefiningOp());
    Value rounded = roundValue(op, value, suffix);
    for (Operation *move : llvm::reverse(moves)) {
      move->setOperand(0, rounded);
      rounded = move->getResult(0);
      auto type = cast<RankedTensorType>(rounded.getType());
      rounded.setType(type.clone(BFloat16Type::get(&getContext())));
    }
    operand.set(rounded);
  }

  Value roundValue(Operation *op, Value value, StringRef suffix) {
    Value &rounded = roundedValues[value];
    if (!rounded) {
      OpBuilder b(op);
      b.setInsertionPointAfterValue(value);
      auto type = cast<RankedTensorType>(value.getType());
      auto cast =
          CastOp::create(b, op->getLoc(), type.clone(b.getBF16Type()), value);
      if (auto id = op->getAttrOfType<StringAttr>("tenon.id"))
        cast->setAttr("tenon.id", b.getStringAttr(id.getValue() + suffix));
      rounded = cast;
    }
    return rounded;
  }

  llvm::DenseMap<Value, Value> roundedValues;
};

} // namespace
} // namespace tenon::graph
