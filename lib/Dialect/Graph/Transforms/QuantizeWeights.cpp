// Stores chosen weights in eight bits. See Passes.td.
#include "DerivedWeights.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include <cmath>

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_QUANTIZEWEIGHTSPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// A matrix as round(value / scale of its column).
struct Quantized {
  std::vector<int8_t> values;
  std::vector<float> scales;
};

Quantized quantize(ArrayRef<float> matrix, int64_t columns) {
  Quantized result{std::vector<int8_t>(matrix.size()),
                   std::vector<float>(columns)};
  for (size_t i = 0; i < matrix.size(); ++i) {
    float &scale = result.scales[i % columns];
    scale = std::max(scale, std::fabs(matrix[i]) / 127);
  }
  for (size_t i = 0; i < matrix.size(); ++i) {
    float scale = result.scales[i % columns];
    // Halves go to the even neighbour, as everywhere in ONNX.
    float rounded = scale > 0 ? std::nearbyint(matrix[i] / scale) : 0;
    result.values[i] = static_cast<int8_t>(std::clamp(rounded, -127.f, 127.f));
  }
  return result;
}

struct QuantizeWeightsPass
    : impl::QuantizeWeightsPassBase<QuantizeWeightsPass> {
  void runOnOperation() override {
    SmallVector<MatmulOp> chosen;
    getOperation().walk([&](MatmulOp op) {
      auto format = op->getAttrOfType<StringAttr>("tenon.weights");
      if (format && format.getValue() == "int8")
        chosen.push_back(op);
    });
    for (MatmulOp op : chosen)
      if (failed(quantize(op)))
        return signalPassFailure();
  }

private:
  static LogicalResult quantize(MatmulOp op) {
    auto weight = op.getRhs().getDefiningOp<WeightOp>();
    auto type = cast<RankedTensorType>(op.getRhs().getType());
    if (type.getElementType().isInteger(8))
      return success(); // the module comes from after this pass
    if (!weight || type.getRank() != 2)
      return op.emitOpError("cannot have int8 weights: its right operand is no "
                            "matrix of weights");
    FailureOr<std::vector<float>> matrix =
        readMatrix(weight, op.getTransposeRhs());
    if (failed(matrix))
      return failure();
    int64_t rows = type.getDimSize(op.getTransposeRhs() ? 1 : 0);
    int64_t columns = type.getDimSize(op.getTransposeRhs() ? 0 : 1);
    Quantized quantized = graph::quantize(*matrix, columns);

    OpBuilder b(op);
    Location loc = op.getLoc();
    FailureOr<WeightOp> values =
        createDerived(b, weight, ".int8",
                      RankedTensorType::get({rows, columns}, b.getI8Type()),
                      bytesOf(quantized.values));
    if (failed(values))
      return failure();
    FailureOr<WeightOp> scales = createDerived(
        b, weight, ".scales", RankedTensorType::get({columns}, b.getF32Type()),
        bytesOf(quantized.scales));
    if (failed(scales))
      return failure();
    op.getRhsMutable().assign((*values).getOutput());
    op.setTransposeRhs(false);
    b.setInsertionPointAfter(op);
    auto scaled = MulOp::create(b, loc, op.getType(), op.getOutput(),
                                (*scales).getOutput());
    scaled->setAttr("tenon.id", b.getStringAttr(idOf(op) + "/scales"));
    op.getOutput().replaceAllUsesExcept(scaled.getOutput(), scaled);
    op.emitRemark("weights in int8: ")
        << rows << "x" << columns << ", " << matrix->size() * 4
        << " bytes before, " << quantized.values.size() + columns * 4
        << " after";
    return success();
  }

  static std::string idOf(MatmulOp op) {
    auto id = op->getAttrOfType<StringAttr>("tenon.id");
    return id ? id.str() : "";
  }
};

} // namespace
} // namespace tenon::graph
