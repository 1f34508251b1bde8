// Matrix products and attention become anchors.
#include "BlockWeights.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace tenon {

/// The panels in blocks that a product multiplies by: those of a right operand
/// whose rows are read as columns.
static BlockPanels getPanels(GraphToKernel &state, graph::MatmulOp op) {
  if (!op.getTransposeRhs())
    return {};
  return getBlockPanels(state,
                        op.getRhs().getDefiningOp<graph::DequantizeBlocksOp>());
}

static Value convertMatmul(GraphToKernel &state, graph::MatmulOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Value lhs = state.get(op.getLhs()), rhs = state.get(op.getRhs());
  auto weight = rhs.getDefiningOp<kernel::WeightOp>();
  bool packed = weight && weight.getLayout() != kernel::LayoutKind::Rows;
  BlockPanels panels = getPanels(state, op);
  auto activations = op->getAttrOfType<StringAttr>(graph::activationsAttr);
  bool isRounded =
      activations && activations.getValue() == "int8" && !op.getTransposeLhs();
  SmallVector<Value> inputs = {lhs, rhs};
  if (panels) {
    inputs = panels.values();
    inputs.insert(inputs.begin(), lhs);
  }
  const SymbolicSizes &sizes = state.sizesOf(op.getOutput());
  RankedTensorType sumType = type.clone(computeType(type.getElementType()));
  SmallVector<Value> dynamic;
  if (sumType != type)
    for (auto [dim, size] : llvm::enumerate(sizes))
      if (type.isDynamicDim(dim))
        dynamic.push_back(state.index(size));
  return state.createRegion(
      op, "matmul", type, sizes, inputs, dynamic,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        Location loc = op.getLoc();
        ArrayRef<Value> in = scalars.tensors;
        Value product;
        if (panels) {
          auto blocks = op.getRhs().getDefiningOp<graph::DequantizeBlocksOp>();
          product = kernel::ContractOp::create(
              b, loc, sumType, in[0], in[1], in[2],
              panels.zeroPoint ? in[3] : Value(), op.getTransposeLhs(),
              /*transpose_rhs=*/false, /*packed=*/true, blocks.getBitsAttr(),
              blocks.getBlockAttr(),
              panels.offset != 0 ? b.getF32FloatAttr(panels.offset)
                                 : FloatAttr(),
              isRounded);
        } else {
          product = kernel::ContractOp::create(
              b, loc, sumType, in[0], in[1], op.getTransposeLhs(),
              !packed && op.getTransposeRhs(), packed);
        }
        if (sumType == type)
          return product;
        // An epilogue like any other, so that those behind it join it.
        Value empty = tensor::EmptyOp::create(b, loc, type, scalars.indices);
        SmallVector<AffineMap> maps(2,
                                    b.getMultiDimIdentityMap(type.getRank()));
        SmallVector<utils::IteratorType> parallel(
            type.getRank(), utils::IteratorType::parallel);
        return linalg::GenericOp::create(
                   b, loc, TypeRange{type}, product, empty, maps, parallel,
                   [&](OpBuilder &inner, Location, ValueRange x) {
                     linalg::YieldOp::create(
                         inner, loc,
                         narrow(inner, loc, x[0], type.getElementType()));
                   })
            .getResult(0);
      });
}

static Value convertAttention(GraphToKernel &state, graph::AttentionOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  SmallVector<Value> inputs, indices;
  for (Value operand : op->getOperands())
    if (isa<RankedTensorType>(operand.getType()))
      inputs.push_back(state.get(operand));
  if (op.getLength())
    indices.push_back(state.index(OpFoldResult(op.getLength())));
  return state.createRegion(
      op, "attention", type, state.sizesOf(op.getOutput()), inputs, indices,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        const auto *next = scalars.tensors.begin();
        auto take = [&](Value operand) { return operand ? *next++ : Value(); };
        Value query = take(op.getQuery()), key = take(op.getKey()),
              value = take(op.getValue()), mask = take(op.getMask()),
              starts = take(op.getStarts()), slots = take(op.getSlots()),
              parameters = take(op.getParameters());
        auto plain = b.getDenseI64ArrayAttr({0, 1, 2, 3});
        return kernel::AttentionOp::create(
            b, op.getLoc(), type, query, key, value, mask, starts, slots,
            op.getLength() ? scalars.indices.front() : Value(), parameters,
            op.getScaleAttr(), op.getCausalAttr(), op.getRelativeAttr(),
            op.getZeroIfMaskedAttr(), op.getRoundWeightsAttr(),
            op.getWindowAttr(), op.getSoftcapAttr(), plain, plain, plain,
            plain);
      });
}

/// A region that updates its cache.
static Value convertAppend(GraphToKernel &state, graph::AppendOp op) {
  SmallVector<Value> inputs;
  for (Value operand : op->getOperands())
    inputs.push_back(state.get(operand));
  inputs.push_back(state.createIndexError(op.getLoc()));
  const SymbolicSizes &sizes = state.sizesOf(op.getInput());
  auto type = cast<RankedTensorType>(op.getType());
  Value result = state.createRegion(
      op, "append", type, state.sizesOf(op.getOutput()), inputs,
      {state.index(sizes[0]), state.index(sizes[2])},
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        ArrayRef<Value> in = scalars.tensors;
        return kernel::AppendOp::create(
            b, op.getLoc(), type, in[0], scalars.indices[0], scalars.indices[1],
            in[1], in[2], op.getSlots() ? in[3] : Value(), in.back(),
            b.getDenseI64ArrayAttr({0, 1, 2, 3}));
      });
  result.getDefiningOp<kernel::RegionOp>().setUpdates(ArrayRef<int64_t>{1});
  return result;
}

FailureOr<bool> GraphToKernel::convertContraction(Operation *op) {
  Value result;
  if (auto matmul = dyn_cast<graph::MatmulOp>(op))
    result = convertMatmul(*this, matmul);
  else if (auto attention = dyn_cast<graph::AttentionOp>(op))
    result = convertAttention(*this, attention);
  else if (auto append = dyn_cast<graph::AppendOp>(op))
    result = convertAppend(*this, append);
  else
    return false;
  replace(op->getResult(0), result);
  return true;
}

} // namespace tenon
