// Constants, weights and look-ups by index.
#include "GraphToKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace tenon {

Value wrapNegative(OpBuilder &b, Location loc, Value position, Value size) {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value at =
      position.getType().isIndex()
          ? position
          : arith::IndexCastOp::create(b, loc, b.getIndexType(), position);
  Value negative =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, at, zero);
  Value wrapped = arith::AddIOp::create(b, loc, at, size);
  at = arith::SelectOp::create(b, loc, negative, wrapped, at);
  // An index out of bounds must not read foreign memory.
  Value last = arith::SubIOp::create(b, loc, size,
                                     arith::ConstantIndexOp::create(b, loc, 1));
  at = arith::MinSIOp::create(b, loc, at, last);
  return arith::MaxSIOp::create(b, loc, at, zero);
}

/// Whether every reader multiplies by the weight, and all as it lies or all
/// transposed.
static bool isPackable(graph::WeightOp op) {
  RankedTensorType type = op.getOutput().getType();
  Type element = type.getElementType();
  bool hasKernel = computeType(element).isF32() || element.isInteger(8);
  if (type.getRank() != 2 || !hasKernel || op.use_empty())
    return false;
  std::optional<bool> transposed;
  for (OpOperand &use : op->getUses()) {
    auto matmul = dyn_cast<graph::MatmulOp>(use.getOwner());
    if (!matmul || use.getOperandNumber() != 1 ||
        (transposed && *transposed != matmul.getTransposeRhs()))
      return false;
    transposed = matmul.getTransposeRhs();
  }
  return true;
}

static Value convertWeight(OpBuilder &b, graph::WeightOp op) {
  RankedTensorType type = op.getOutput().getType(), outType = type;
  auto layout = kernel::LayoutKind::Rows;
  bool transposed = false;
  if (isPackable(op)) {
    layout = kernel::LayoutKind::Panel32;
    transposed = cast<graph::MatmulOp>(*op->user_begin()).getTransposeRhs();
    int64_t rows = type.getDimSize(transposed ? 1 : 0);
    int64_t columns = type.getDimSize(transposed ? 0 : 1);
    outType = RankedTensorType::get({(columns + 31) / 32, rows, 32},
                                    type.getElementType());
  }
  return kernel::WeightOp::create(b, op.getLoc(), outType, op.getName(),
                                  op.getFile(), op.getOffset(), type, layout,
                                  transposed);
}

static Value convertGather(GraphToKernel &state, graph::GatherOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Value input = state.get(op.getInput()), indices = state.get(op.getIndices());
  Sizes inputSizes = state.sizesOf(input), sizes = inputSizes,
        indexSizes = state.sizesOf(indices);
  int64_t axis = op.getAxis(), count = indexSizes.size();
  sizes.erase(sizes.begin() + axis);
  sizes.insert(sizes.begin() + axis, indexSizes.begin(), indexSizes.end());
  SmallVector<AffineExpr> exprs;
  for (int64_t dim = 0; dim < count; ++dim)
    exprs.push_back(state.builder.getAffineDimExpr(axis + dim));
  AffineMap map =
      AffineMap::get(type.getRank(), 0, exprs, state.builder.getContext());
  return state.createGeneric(
      op, "gather", type, sizes, indices, map, input, inputSizes[axis],
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        Location loc = op.getLoc();
        SmallVector<Value> at;
        for (int64_t dim = 0; dim < (int64_t)inputSizes.size(); ++dim)
          at.push_back(dim == axis
                           ? wrapNegative(b, loc, scalars.elements[0],
                                          scalars.indices[0])
                           : linalg::IndexOp::create(
                                 b, loc, dim < axis ? dim : dim + count - 1)
                                 .getResult());
        return tensor::ExtractOp::create(b, loc, scalars.tensors[0], at);
      });
}

static Value convertGatherND(GraphToKernel &state, graph::GatherNDOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Value input = state.get(op.getInput()), indices = state.get(op.getIndices());
  Sizes inputSizes = state.sizesOf(input), sizes = state.sizesOf(indices);
  int64_t leading = sizes.size() - 1, batch = op.getBatchDims();
  int64_t length = cast<RankedTensorType>(indices.getType()).getShape().back();
  sizes.pop_back();
  sizes.append(inputSizes.begin() + batch + length, inputSizes.end());
  SmallVector<Value> wrapped(inputSizes.begin() + batch,
                             inputSizes.begin() + batch + length);
  return state.createGeneric(
      op, "gather_nd", type, sizes, {}, {}, {input, indices}, wrapped,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        Location loc = op.getLoc();
        SmallVector<Value> loops, at;
        for (int64_t dim = 0; dim < type.getRank(); ++dim)
          loops.push_back(linalg::IndexOp::create(b, loc, dim));
        at.assign(loops.begin(), loops.begin() + batch);
        for (int64_t i = 0; i < length; ++i) {
          SmallVector<Value> tuple(loops.begin(), loops.begin() + leading);
          tuple.push_back(arith::ConstantIndexOp::create(b, loc, i));
          Value position =
              tensor::ExtractOp::create(b, loc, scalars.tensors[1], tuple);
          at.push_back(wrapNegative(b, loc, position, scalars.indices[i]));
        }
        at.append(loops.begin() + leading, loops.end());
        return tensor::ExtractOp::create(b, loc, scalars.tensors[0], at);
      });
}

FailureOr<bool> GraphToKernel::convertData(Operation *op) {
  Value result;
  if (auto constant = dyn_cast<graph::ConstantOp>(op)) {
    result = kernel::ConstantOp::create(builder, op->getLoc(),
                                        constant.getOutput().getType(),
                                        constant.getValue());
  } else if (auto weight = dyn_cast<graph::WeightOp>(op)) {
    result = convertWeight(builder, weight);
  } else if (auto gather = dyn_cast<graph::GatherOp>(op)) {
    result = convertGather(*this, gather);
  } else if (auto gatherND = dyn_cast<graph::GatherNDOp>(op)) {
    result = convertGatherND(*this, gatherND);
  } else {
    return false;
  }
  replace(op->getResult(0), result, sizesOf(result));
  return true;
}

} // namespace tenon
