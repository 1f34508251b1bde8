// Rounds the operands of chosen products to bf16. See Passes.td.
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_LOWERPRECISIONPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

struct LowerPrecisionPass : impl::LowerPrecisionPassBase<LowerPrecisionPass> {
  using LowerPrecisionPassBase::LowerPrecisionPassBase;

  void runOnOperation() override {
    roundedValues.clear();
    isWanted = false;
    lowered.clear();
    kept.clear();
    getOperation().walk([&](Operation *op) {
      if (isa<MatmulOp, AttentionOp>(op))
        sort(op);
    });
    for (Operation *op : lowered)
      if (auto attention = dyn_cast<AttentionOp>(op))
        roundResult(attention);
    if (isWanted)
      report();
  }

private:
  static bool isSingle(Value value) {
    return getElementTypeOrSelf(value.getType()).isF32();
  }

  static bool hasBlockWeights(MatmulOp op) {
    return bool(op.getRhs().getDefiningOp<DequantizeBlocksOp>());
  }

  void keep(Operation *op, const Twine &why) {
    kept[StringAttr::get(&getContext(), why)].push_back(op);
  }

  /// Lowers a product, or both of an attention, or notes why not.
  void sort(Operation *op) {
    auto precision = op->getAttrOfType<StringAttr>("tenon.precision");
    bool isChosen = precision && precision.getValue() == "bf16";
    isWanted |= isChosen;
    auto product = dyn_cast<MatmulOp>(op);
    auto attention = dyn_cast<AttentionOp>(op);
    // Caches hold what they hold: it is not rounded again for each step.
    bool readsCaches = attention && attention.getStarts();
    MutableArrayRef<OpOperand> operands =
        op->getOpOperands().take_front(product       ? 2
                                       : readsCaches ? 1
                                                     : 3);
    // In bytes or 16 bits a recipe or the model has them, and no second choice
    // is made for one product.
    SmallVector<Value> values = {op->getResult(0)};
    for (OpOperand &operand : operands)
      values.push_back(operand.get());
    for (Value value : values)
      if (!isSingle(value)) {
        std::string why;
        llvm::raw_string_ostream(why)
            << "has " << getElementTypeOrSelf(value.getType()) << " already";
        return keep(op, why);
      }
    if (product && hasBlockWeights(product))
      return keep(op, "has weights that are quantized in blocks");
    if (!isChosen)
      return keep(op, "stays in f32 as the recipe says");
    if (readsCaches && !getElementTypeOrSelf(attention.getKey()).isBF16())
      return keep(op, "reads caches that are not of bf16");
    bool isWeight = product && product.getRhs().getDefiningOp<WeightOp>();
    if (weightsOnly && !isWeight)
      return keep(op, "stays in f32: bf16 is no faster on this machine, and it "
                      "has no weights to halve");
    static constexpr StringRef ofProduct[] = {"/lhs", "/rhs"};
    static constexpr StringRef ofAttention[] = {"/query", "/key", "/value"};
    ArrayRef<StringRef> names = product ? ArrayRef(ofProduct) : ofAttention;
    for (auto [operand, name] : llvm::zip(operands, names))
      if (!weightsOnly || name == "/rhs")
        round(op, operand, name);
    if (attention && !readsCaches)
      attention.setRoundWeights(true);
    lowered.push_back(op);
  }

  /// One line for what was done, and one for each reason why it was not.
  void report() {
    size_t all = lowered.size();
    for (const auto &[why, ops] : kept)
      all += ops.size();
    getOperation().emitRemark()
        << lowered.size() << " of " << all << " products: "
        << (weightsOnly ? "weights in bf16, computed in f32, since bf16 is no "
                          "faster on this machine"
                        : "operands in bf16, sums in f32");
    for (const auto &[why, ops] : kept) {
      InFlightDiagnostic line = getOperation().emitRemark();
      line << ops.size() << " of " << all << " products: " << why.getValue();
      for (Operation *op : ArrayRef(ops).take_front(2))
        if (auto id = op->getAttrOfType<StringAttr>("tenon.id"))
          line << (op == ops.front() ? ": '" : ", '") << id.getValue() << "'";
      if (ops.size() > 2)
        line << ", ...";
    }
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

  /// Moves elements and reads none of them otherwise. What attention without a
  /// cache slices are parts of what is all rounded.
  static bool isMove(Value value, Operation *reader) {
    Operation *op = value.getDefiningOp();
    auto attention = dyn_cast<AttentionOp>(reader);
    return value.hasOneUse() && (isa_and_nonnull<ReshapeOp, TransposeOp>(op) ||
                                 (isa_and_nonnull<SliceOp>(op) && attention &&
                                  !attention.getStarts()));
  }

  /// Products that read one value share one cast of it. What only moves it is
  /// left behind the cast, which then joins what computes the value.
  void round(Operation *op, OpOperand &operand, StringRef suffix) {
    SmallVector<Operation *> moves;
    Value value = operand.get();
    for (; isMove(value, op); value = moves.back()->getOperand(0))
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
  bool isWanted = false; ///< for any product
  SmallVector<Operation *> lowered;
  llvm::MapVector<StringAttr, SmallVector<Operation *>> kept; ///< by why
};

} // namespace
} // namespace tenon::graph
