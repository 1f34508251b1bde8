// Leaves out the weakest channels between two products. See Passes.td.
#include "DerivedWeights.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include <numeric>

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_NARROWFEEDFORWARDPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// A product with weights, elementwise ops on its result, another product.
struct FeedForward {
  MatmulOp up, down;
  SmallVector<Operation *> between;
  SmallVector<WeightOp> vectors; ///< that the ops between read, of up's width
};

/// The weights a product reads; null if they are no matrix in a file.
WeightOp weightsOf(MatmulOp op) {
  auto weight = op.getRhs().getDefiningOp<WeightOp>();
  auto type = cast<RankedTensorType>(op.getRhs().getType());
  return weight && type.getRank() == 2 ? weight : nullptr;
}

FailureOr<FeedForward> match(MatmulOp up) {
  auto refuse = [&](const Twine &why) {
    return up.emitOpError("cannot be narrowed: ") << why;
  };
  FeedForward result{up, nullptr, {}, {}};
  int64_t width = cast<RankedTensorType>(up.getType()).getShape().back();
  if (!weightsOf(up))
    return refuse("its right operand is no matrix of weights");
  Value value = up.getOutput();
  while (true) {
    if (!value.hasOneUse())
      return refuse("a value behind it is read more than once");
    Operation *user = *value.user_begin();
    if (auto down = dyn_cast<MatmulOp>(user)) {
      if (down.getLhs() != value || down.getTransposeLhs() || !weightsOf(down))
        return refuse("what follows is no product with a matrix of weights");
      result.down = down;
      return result;
    }
    if (!isa<AddOp, MulOp, GeluOp, ReluOp, SigmoidOp, TanhOp>(user))
      return refuse("'" + user->getName().getStringRef() +
                    "' stands between it and the next product");
    for (Value operand : user->getOperands()) {
      if (operand == value)
        continue;
      auto vector = operand.getDefiningOp<WeightOp>();
      auto type = cast<RankedTensorType>(operand.getType());
      if (!vector || type.getRank() != 1 || type.getDimSize(0) != width)
        return refuse("'" + user->getName().getStringRef() +
                      "' reads something that is no vector of its width");
      result.vectors.push_back(vector);
    }
    result.between.push_back(user);
    value = user->getResult(0);
  }
}

/// Indices of the `keep` channels with the largest product of the norms of what
/// goes in and what comes out, in their order.
SmallVector<int64_t> strongestChannels(ArrayRef<float> up, ArrayRef<float> down,
                                       int64_t width, int64_t keep) {
  std::vector<double> in(width), out(width);
  for (size_t i = 0; i < up.size(); ++i)
    in[i % width] += double(up[i]) * up[i];
  int64_t columns = down.size() / width;
  for (size_t i = 0; i < down.size(); ++i)
    out[i / columns] += double(down[i]) * down[i];
  SmallVector<int64_t> order(width);
  std::iota(order.begin(), order.end(), 0);
  llvm::stable_sort(order, [&](int64_t a, int64_t b) {
    return in[a] * out[a] > in[b] * out[b];
  });
  order.truncate(keep);
  llvm::sort(order);
  return order;
}

struct NarrowFeedForwardPass
    : impl::NarrowFeedForwardPassBase<NarrowFeedForwardPass> {
  void runOnOperation() override {
    SmallVector<MatmulOp> chosen;
    getOperation().walk([&](MatmulOp op) {
      if (op->hasAttr("tenon.width"))
        chosen.push_back(op);
    });
    for (MatmulOp op : chosen)
      if (failed(narrow(op)))
        return signalPassFailure();
  }

private:
  static LogicalResult narrow(MatmulOp up) {
    int64_t keep = up->getAttrOfType<IntegerAttr>("tenon.width").getInt();
    int64_t width = cast<RankedTensorType>(up.getType()).getShape().back();
    if (keep == width)
      return success();
    if (keep > width)
      return up.emitOpError("cannot be narrowed to ")
             << keep << " columns: it has " << width;
    FailureOr<FeedForward> found = match(up);
    if (failed(found))
      return failure();
    WeightOp upWeight = weightsOf(up), downWeight = weightsOf(found->down);
    FailureOr<std::vector<float>> upMatrix =
        readMatrix(upWeight, up.getTransposeRhs());
    FailureOr<std::vector<float>> downMatrix =
        readMatrix(downWeight, found->down.getTransposeRhs());
    if (failed(upMatrix) || failed(downMatrix))
      return failure();
    SmallVector<int64_t> channels =
        strongestChannels(*upMatrix, *downMatrix, width, keep);
    if (failed(replaceProduct(up, upWeight,
                              selectColumns(*upMatrix, width, channels), keep,
                              /*columns=*/true)) ||
        failed(replaceProduct(found->down, downWeight,
                              selectRows(*downMatrix, width, channels), keep,
                              /*columns=*/false)))
      return failure();
    for (WeightOp vector : found->vectors)
      if (failed(replaceVector(vector, found->between, channels)))
        return failure();
    setWidth(up.getOutput(), keep);
    for (Operation *op : found->between)
      setWidth(op->getResult(0), keep);
    int64_t weights = upMatrix->size() + downMatrix->size();
    int64_t left = weights / width * keep;
    up.emitRemark("feed-forward width ")
        << width << " before, " << keep << " after: " << 2 * weights
        << " FLOPs a token before, " << 2 * left << " after; " << 4 * weights
        << " bytes of weights before, " << 4 * left << " after";
    return success();
  }

  static std::vector<float> selectColumns(ArrayRef<float> matrix, int64_t width,
                                          ArrayRef<int64_t> channels) {
    std::vector<float> result;
    for (size_t row = 0; row < matrix.size(); row += width)
      for (int64_t channel : channels)
        result.push_back(matrix[row + channel]);
    return result;
  }

  static std::vector<float> selectRows(ArrayRef<float> matrix, int64_t width,
                                       ArrayRef<int64_t> channels) {
    size_t columns = matrix.size() / width;
    std::vector<float> result;
    for (int64_t channel : channels)
      llvm::append_range(result, matrix.slice(channel * columns, columns));
    return result;
  }

  static LogicalResult replaceProduct(MatmulOp op, WeightOp origin,
                                      const std::vector<float> &values,
                                      int64_t keep, bool columns) {
    int64_t other = values.size() / keep;
    OpBuilder b(op);
    auto type = columns ? RankedTensorType::get({other, keep}, b.getF32Type())
                        : RankedTensorType::get({keep, other}, b.getF32Type());
    FailureOr<WeightOp> narrow =
        createDerived(b, origin, ".narrow", type, bytesOf(values));
    if (failed(narrow))
      return failure();
    op.getRhsMutable().assign((*narrow).getOutput());
    op.setTransposeRhs(false);
    return success();
  }

  static LogicalResult replaceVector(WeightOp vector,
                                     ArrayRef<Operation *> readers,
                                     ArrayRef<int64_t> channels) {
    FailureOr<std::vector<float>> values = readValues(vector);
    if (failed(values))
      return failure();
    std::vector<float> kept;
    for (int64_t channel : channels)
      kept.push_back((*values)[channel]);
    OpBuilder b(vector);
    auto type = RankedTensorType::get({int64_t(kept.size())}, b.getF32Type());
    FailureOr<WeightOp> narrow =
        createDerived(b, vector, ".narrow", type, bytesOf(kept));
    if (failed(narrow))
      return failure();
    // Others may share the vector; only these read it narrowed.
    for (Operation *reader : readers)
      reader->replaceUsesOfWith(vector.getOutput(), (*narrow).getOutput());
    return success();
  }

  static void setWidth(Value value, int64_t width) {
    auto type = cast<RankedTensorType>(value.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape.back() = width;
    value.setType(RankedTensorType::get(shape, type.getElementType()));
  }
};

} // namespace
} // namespace tenon::graph
