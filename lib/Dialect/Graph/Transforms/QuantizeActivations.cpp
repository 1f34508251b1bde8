// Says which products may round their left operand to bytes, and rounds the
// scales of their weights. See Passes.td.
#include "DerivedWeights.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_QUANTIZEACTIVATIONSPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// Why a product keeps its left operand; empty if it does not.
StringRef whyKept(MatmulOp op) {
  auto blocks = op.getRhs().getDefiningOp<DequantizeBlocksOp>();
  if (!blocks || !blocks.getInput().getDefiningOp<WeightOp>() ||
      !op.getTransposeRhs())
    return "has no weights that are quantized in blocks";
  if (op.getTransposeLhs())
    return "reads its left operand transposed";
  return "";
}

/// Whether every product with these weights rounds its left operand.
bool isReadRounded(DequantizeBlocksOp blocks) {
  return llvm::all_of(blocks->getUsers(), [](Operation *user) {
    return isa<MatmulOp>(user) && user->hasAttr(activationsAttr);
  });
}

/// Makes a weight of f32 one of f16, if f16 has a normal number near each.
/// Returns whether it did.
FailureOr<bool> roundToHalves(OpOperand &operand) {
  auto weight = operand.get().getDefiningOp<WeightOp>();
  if (!weight || !getElementTypeOrSelf(weight.getType()).isF32())
    return false;
  FailureOr<std::vector<float>> values = readValues(weight);
  if (failed(values))
    return failure();
  std::vector<uint16_t> halves;
  for (float value : *values) {
    std::optional<uint16_t> half = roundToHalf(value);
    if (!half)
      return false;
    halves.push_back(*half);
  }
  OpBuilder b(operand.getOwner());
  auto type = cast<RankedTensorType>(weight.getType()).clone(b.getF16Type());
  FailureOr<WeightOp> rounded =
      createDerived(b, weight, ".f16", type, bytesOf(halves));
  if (failed(rounded))
    return failure();
  operand.set((*rounded).getOutput());
  return true;
}

struct QuantizeActivationsPass
    : impl::QuantizeActivationsPassBase<QuantizeActivationsPass> {
  void runOnOperation() override {
    SmallVector<MatmulOp> chosen;
    getOperation().walk([&](MatmulOp op) {
      auto format = op->getAttrOfType<StringAttr>(activationsAttr);
      if (format && format.getValue() == "int8")
        chosen.push_back(op);
    });
    llvm::MapVector<StringRef, SmallVector<MatmulOp>> kept;
    for (MatmulOp op : chosen)
      if (StringRef why = whyKept(op); !why.empty()) {
        kept[why].push_back(op);
        op->removeAttr(activationsAttr);
      }
    if (chosen.empty())
      return;
    size_t left = 0;
    for (const auto &[why, ops] : kept)
      left += ops.size();
    getOperation().emitRemark()
        << chosen.size() - left << " of " << chosen.size()
        << " products: activations rounded to 8 bits in groups of 32";
    for (const auto &[why, ops] : kept) {
      InFlightDiagnostic line = getOperation().emitRemark();
      line << ops.size() << " of " << chosen.size()
           << " products: activations stay, since it " << why;
      if (auto id = ops.front()->getAttrOfType<StringAttr>("tenon.id"))
        line << ": '" << id.getValue() << "'"
             << (ops.size() > 1 ? ", ..." : "");
    }
    if (failed(roundScales(chosen)))
      signalPassFailure();
  }

private:
  /// Scales and zero points in f32 are a tenth of what such a product reads,
  /// and rounding them is nothing beside rounding activations.
  LogicalResult roundScales(ArrayRef<MatmulOp> products) {
    // Nothing is read where nothing can be written.
    if (!getOperation()->hasAttr("tenon.derived_prefix"))
      return success();
    llvm::SetVector<DequantizeBlocksOp> all;
    for (MatmulOp op : products)
      if (op->hasAttr(activationsAttr))
        all.insert(op.getRhs().getDefiningOp<DequantizeBlocksOp>());
    size_t count = 0;
    for (DequantizeBlocksOp blocks : all) {
      if (!isReadRounded(blocks))
        continue;
      FailureOr<bool> scale = roundToHalves(blocks.getScaleMutable());
      FailureOr<bool> zero = false;
      if (blocks.getZeroPoint())
        zero = roundToHalves(*blocks.getZeroPointMutable().begin());
      if (failed(scale) || failed(zero))
        return failure();
      count += *scale || *zero;
    }
    if (count != 0)
      getOperation().emitRemark()
          << count << " of " << all.size()
          << " weights in blocks: scales and zero points rounded to f16";
    return success();
  }
};

} // namespace
} // namespace tenon::graph
