// Says which products may round their left operand to bytes. See Passes.td.
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "llvm/ADT/MapVector.h"

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
  }
};

} // namespace
} // namespace tenon::graph
