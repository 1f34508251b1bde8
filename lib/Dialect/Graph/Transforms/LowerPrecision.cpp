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
      if (auto product = dyn_cast<MatmulOp>(op))
        sort(product);
      else if (auto attention = dyn_cast<AttentionOp>(op))
        // Pairs that the model has are multiplied as such.
        if (isSingle(attention.getQuery()))
          keep(op, "both products of an attention stay in f32");
    });
    if (isWanted)
      report();
  }

private:
  static bool isSingle(Value value) {
    return getElementTypeOrSelf(value.getType()).isF32();
  }

  void keep(Operation *op, const Twine &why) {
    kept[StringAttr::get(&getContext(), why)].push_back(op);
  }

  /// Lowers a product, or notes why not.
  void sort(MatmulOp op) {
    auto precision = op->getAttrOfType<StringAttr>("tenon.precision");
    bool isChosen = precision && precision.getValue() == "bf16";
    isWanted |= isChosen;
    // In bytes or 16 bits a recipe or the model has them, and no second choice
    // is made for one product.
    for (Value value : {op.getLhs(), op.getRhs(), op.getOutput()})
      if (!isSingle(value)) {
        std::string why;
        llvm::raw_string_ostream(why)
            << "has " << getElementTypeOrSelf(value.getType()) << " already";
        return keep(op, why);
      }
    if (!isChosen)
      return keep(op, "stays in f32 as the recipe says");
    bool isWeight = op.getRhs().getDefiningOp<WeightOp>() != nullptr;
    if (weightsOnly && !isWeight)
      return keep(op, "stays in f32: bf16 is no faster on this machine, and it "
                      "has no weights to halve");
    if (!weightsOnly)
      round(op, op.getLhsMutable(), "/lhs");
    round(op, op.getRhsMutable(), "/rhs");
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
  bool isWanted = false; ///< for any product
  SmallVector<MatmulOp> lowered;
  llvm::MapVector<StringAttr, SmallVector<Operation *>> kept; ///< by why
};

} // namespace
} // namespace tenon::graph
