// Reads regions around a kernel.attention.
#include "AttentionRegion.h"
#include "ScheduledRegion.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::kernel;

AttentionOp tenon::findAttention(RegionOp region) {
  for (Operation &op : region.getBody().front())
    if (auto attention = dyn_cast<AttentionOp>(op))
      return attention;
  return nullptr;
}

LogicalResult tenon::checkAttention(RegionOp region, AttentionOp op) {
  for (Operation &other : region.getBody().front())
    if (&other != op && !isa<YieldOp, tensor::EmptyOp, tensor::DimOp,
                             tensor::ExtractSliceOp, arith::ConstantOp>(other))
      return other.emitOpError("cannot stand beside a kernel.attention");
  Operation *yield = region.getBody().front().getTerminator();
  if (region.getNumResults() != 1 || yield->getOperand(0) != op.getOutput())
    return region.emitOpError("has ")
           << region.getNumResults() << " results, but attention yields one";
  auto isFloat = [](RankedTensorType type) {
    return isa<Float32Type, Float16Type, BFloat16Type>(type.getElementType());
  };
  for (Value value : {op.getQuery(), op.getKey(), op.getValue()}) {
    auto type = cast<RankedTensorType>(value.getType());
    bool isCache = op.getStarts() && value != op.getQuery();
    bool isBytes = (isCache || op.getParameters()) &&
                   type.getElementType().isSignlessInteger(8);
    if (!(isFloat(type) || isBytes) || !getInput(value))
      return op.emitOpError("needs inputs of its region of f32, f16 or bf16, "
                            "or caches of i8, but found ")
             << type;
  }
  if (op.getMask()) {
    auto type = cast<RankedTensorType>(op.getMask().getType());
    if (type.getRank() > 4 || !isa<BlockArgument>(op.getMask()) ||
        !(isFloat(type) || type.getElementType().isInteger(1)))
      return op.emitOpError("needs a mask of f32, f16, bf16 or i1, of rank at "
                            "most 4, from its region's inputs, but found ")
             << type;
  }
  if (op.getParameters() && !isa<BlockArgument>(op.getParameters()))
    return op.emitOpError("needs what says how it is quantized from its "
                          "region's inputs");
  for (Value value : {Value(op.getStarts()), Value(op.getSlots())})
    if (value && (!isa<BlockArgument>(value) ||
                  cast<RankedTensorType>(value.getType()).getRank() != 1))
      return op.emitOpError(
                 "needs starts and slots of rank 1 from its region's "
                 "inputs, but found ")
             << value.getType();
  auto checkHead = [&](Value value, int64_t size) -> LogicalResult {
    constexpr int64_t largest = graph::AttentionOp::largestHead;
    if (ShapedType::isDynamic(size) || size > largest)
      return op.emitOpError("needs a static head size of at most ")
             << largest << ", but found " << value.getType();
    return success();
  };
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  if (failed(
          checkHead(op.getQuery(), query.getDimSize(op.getQueryLayout()[3]))))
    return failure();
  return checkHead(op.getValue(), getValueSize(op));
}

int64_t tenon::getValueSize(AttentionOp op) {
  auto type = cast<RankedTensorType>(op.getValue().getType());
  int64_t size = type.getDimSize(op.getValueLayout()[3]);
  return ShapedType::isDynamic(size) || !op.getStarts()
             ? size
             : size - graph::AppendOp::getRowSize(0, type.getElementType());
}

AttentionHeads tenon::readHeads(TileBuilder &t, Value memref,
                                ArrayRef<int64_t> layout) {
  return readHeads(t, memref, layout, memref);
}

AttentionHeads tenon::readHeads(TileBuilder &t, Value memref,
                                ArrayRef<int64_t> layout, Value operand) {
  SmallVector<Value> sizes = t.sizes(memref), strides = t.strides(sizes);
  AttentionHeads result;
  result.flat = t.flatten(memref);
  result.offset = t.index(0);
  for (auto [dim, start] : llvm::enumerate(getStarts(operand)))
    result.offset = t.add(result.offset, t.mul(t.index(start), strides[dim]));
  for (auto [dim, size] :
       llvm::enumerate(cast<ShapedType>(operand.getType()).getShape()))
    if (!ShapedType::isDynamic(size))
      sizes[dim] = t.index(size);
  for (int64_t dim : layout) {
    result.sizes.push_back(sizes[dim]);
    result.strides.push_back(strides[dim]);
  }
  return result;
}

FlatMatrix AttentionHeads::at(TileBuilder &t, Value batch, Value head,
                              Value row) const {
  Value at = t.add(t.mul(batch, strides[0]), t.mul(head, strides[1]));
  at = t.add(t.add(at, t.mul(row, strides[2])), offset);
  return {flat, at, strides[2], strides[3]};
}
