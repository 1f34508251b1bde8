// Weights that are quantized in blocks: how they lie in the artifact, and
// elements of them.
#include "BlockWeights.h"
#include "Signless.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace tenon {

/// A weight of rows that are the columns of a product, in panels.
static Value createPanels(GraphToKernel &state, Value value,
                          kernel::LayoutKind layout) {
  auto weight = value.getDefiningOp<graph::WeightOp>();
  auto type = cast<RankedTensorType>(value.getType());
  int64_t rows = type.getDimSize(0), width = type.getDimSize(1);
  SmallVector<int64_t> sizes = {int64_t(llvm::divideCeil(rows, 32)), width, 32};
  if (layout != kernel::LayoutKind::Panel32) {
    // Bytes, and of two elements each in whole groups of 32.
    bool holdsTwo = layout == kernel::LayoutKind::Panel32x8;
    sizes[1] = llvm::alignTo(width, holdsTwo ? 16 : 4) / 4;
    sizes.push_back(4);
  }
  OpBuilder::InsertionGuard guard(state.builder);
  state.builder.setInsertionPoint(weight);
  return kernel::WeightOp::create(
      state.builder, weight.getLoc(), type.clone(sizes), weight.getName(),
      weight.getFile(), weight.getOffset(), type, layout, /*transposed=*/true);
}

SmallVector<Value> BlockPanels::values() const {
  SmallVector<Value> values = {weights, scale};
  if (zeroPoint)
    values.push_back(zeroPoint);
  return values;
}

/// The zero point of all blocks, if they have one; bytes are unsigned.
static std::optional<float> getUniformZeroPoint(graph::DequantizeBlocksOp op) {
  if (!op.getZeroPoint())
    return 0;
  auto constant = op.getZeroPoint().getDefiningOp<graph::ConstantOp>();
  auto elements =
      constant ? dyn_cast<DenseElementsAttr>(constant.getValue()) : nullptr;
  if (!elements || !elements.isSplat())
    return std::nullopt;
  if (isa<FloatType>(elements.getElementType()))
    return elements.getSplatValue<APFloat>().convertToDouble();
  return elements.getSplatValue<APInt>().getZExtValue();
}

BlockPanels getBlockPanels(GraphToKernel &state, graph::DequantizeBlocksOp op) {
  BlockPanels panels;
  auto isWeight = [](Value value) {
    return bool(value.getDefiningOp<graph::WeightOp>());
  };
  if (!op || !hasUnsignedOperands(op) || !isWeight(op.getInput()) ||
      !isWeight(op.getScale()))
    return panels;
  std::optional<float> uniform = getUniformZeroPoint(op);
  // Products read whole blocks.
  int64_t width = cast<RankedTensorType>(op.getInput().getType()).getDimSize(1);
  int64_t needed = llvm::alignTo(op.getType().getDimSize(1), op.getBlock());
  if (width * 8 / int64_t(op.getBits()) < needed ||
      !(uniform || isWeight(op.getZeroPoint())))
    return panels;
  panels.weights =
      createPanels(state, op.getInput(),
                   op.getBits() == 4 ? kernel::LayoutKind::Panel32x8
                                     : kernel::LayoutKind::Panel32x4);
  panels.scale =
      createPanels(state, op.getScale(), kernel::LayoutKind::Panel32);
  if (uniform)
    panels.offset = *uniform;
  else
    panels.zeroPoint =
        createPanels(state, op.getZeroPoint(), kernel::LayoutKind::Panel32);
  return panels;
}

namespace {

/// Builds the body that dequantizes one element.
struct ElementBuilder {
  OpBuilder &b;
  Location loc;

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  Value div(Value value, int64_t by) {
    return arith::DivUIOp::create(b, loc, value, index(by));
  }
  Value rem(Value value, int64_t by) {
    return arith::RemUIOp::create(b, loc, value, index(by));
  }
  Value add(Value lhs, Value rhs) {
    return arith::AddIOp::create(b, loc, lhs, rhs);
  }
  Value mul(Value lhs, int64_t rhs) {
    return arith::MulIOp::create(b, loc, lhs, index(rhs));
  }
  Value word(int64_t value) {
    return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(value));
  }
  Value extract(Value tensor, ValueRange at) {
    return tensor::ExtractOp::create(b, loc, tensor, at);
  }
  /// A scale or zero point; integers are bytes.
  Value asFloat(Value value, bool isUnsigned) {
    Type single = b.getF32Type();
    if (!isa<IntegerType>(value.getType()))
      return widen(b, loc, value);
    if (isUnsigned)
      return arith::UIToFPOp::create(b, loc, single, value);
    return arith::SIToFPOp::create(b, loc, single, value);
  }
  /// The lower or upper half of a byte, as `second` is 0 or 1.
  Value half(Value byte, Value second) {
    Value shift =
        arith::IndexCastOp::create(b, loc, b.getI32Type(), mul(second, 4));
    Value bits = arith::ExtUIOp::create(b, loc, b.getI32Type(), byte);
    bits = arith::ShRUIOp::create(b, loc, bits, shift);
    return arith::AndIOp::create(b, loc, bits, word(15));
  }
  Value dequantize(Value element, Value zero, Value scale) {
    if (zero)
      element = arith::SubFOp::create(b, loc, element, zero);
    return arith::MulFOp::create(b, loc, element, scale);
  }
};

} // namespace

Value extractFromPanels(OpBuilder &b, Location loc,
                        graph::DequantizeBlocksOp op, const BlockPanels &panels,
                        ArrayRef<Value> tensors, Value row, Value column) {
  ElementBuilder e{b, loc};
  Value panel = e.div(row, 32), lane = e.rem(row, 32);
  Value byte = e.rem(column, 4), value;
  if (op.getBits() == 4) {
    Value group =
        e.add(e.mul(e.div(column, 32), 4), e.div(e.rem(column, 16), 4));
    value = e.half(e.extract(tensors[0], {panel, group, lane, byte}),
                   e.rem(e.div(column, 16), 2));
  } else {
    value = e.extract(tensors[0], {panel, e.div(column, 4), lane, byte});
  }
  value = e.asFloat(value, /*isUnsigned=*/true);
  Value at[] = {panel, e.div(column, op.getBlock()), lane}, zero;
  if (panels.zeroPoint)
    zero = e.asFloat(e.extract(tensors[2], at), /*isUnsigned=*/true);
  else if (panels.offset != 0)
    zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(panels.offset));
  return e.dequantize(value, zero, e.asFloat(e.extract(tensors[1], at), false));
}

Value extractFromRows(OpBuilder &b, Location loc, graph::DequantizeBlocksOp op,
                      bool isUnsigned, ArrayRef<Value> tensors, Value row,
                      Value column) {
  ElementBuilder e{b, loc};
  Value value;
  if (op.getBits() == 4)
    value = e.half(e.extract(tensors[0], {row, e.div(column, 2)}),
                   e.rem(column, 2));
  else
    value = e.extract(tensors[0], {row, column});
  value = e.asFloat(value, isUnsigned);
  Value at[] = {row, e.div(column, op.getBlock())}, zero;
  if (tensors.size() > 2) {
    bool isScalar = cast<RankedTensorType>(tensors[2].getType()).getRank() == 0;
    zero = e.asFloat(e.extract(tensors[2], isScalar ? ArrayRef<Value>()
                                                    : ArrayRef<Value>(at)),
                     isUnsigned);
  }
  return e.dequantize(value, zero, e.asFloat(e.extract(tensors[1], at), false));
}

} // namespace tenon
