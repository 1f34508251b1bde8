// Constants, weights, and look-ups and writes by index.
#include "BlockWeights.h"
#include "Signless.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace tenon {

Value GraphToKernel::createIndexError(Location loc) {
  auto type = RankedTensorType::get({2}, builder.getI64Type());
  return kernel::IndexErrorOp::create(builder, loc, type, indexErrors++);
}

static Value checkIndex(OpBuilder &b, Location loc, Value position, Value size,
                        Value error) {
  position = arith::IndexCastOp::create(b, loc, b.getIndexType(), position);
  return kernel::CheckIndexOp::create(b, loc, b.getIndexType(), position, size,
                                      error);
}

/// A coordinate of the indices as one of a smaller input: none may be outside.
static Value clampCoordinate(OpBuilder &b, Location loc, Value at, Value size) {
  Value last = arith::SubIOp::create(b, loc, size,
                                     arith::ConstantIndexOp::create(b, loc, 1));
  return arith::MaxSIOp::create(b, loc,
                                arith::MinSIOp::create(b, loc, at, last),
                                arith::ConstantIndexOp::create(b, loc, 0));
}

/// The panels that a product reads its right operand from. Bytes and bf16 lie
/// in groups where the left operand is as narrow: where a machine has no
/// instruction that is worth it, pairs of bf16 are widened by a shift and a
/// mask, so a layout serves all machines.
static kernel::LayoutKind getPanels(graph::MatmulOp op) {
  auto element = [](Value value) {
    return cast<RankedTensorType>(value.getType()).getElementType();
  };
  Type lhs = element(op.getLhs()), rhs = element(op.getRhs());
  if (lhs.isBF16() && rhs.isBF16())
    return kernel::LayoutKind::Panel32x2;
  if (lhs.isInteger(8) && element(op.getOutput()).isInteger(32))
    return kernel::LayoutKind::Panel32x4;
  return kernel::LayoutKind::Panel32;
}

/// The first product that multiplies by a weight, or null.
static graph::MatmulOp findProduct(Value weight) {
  for (Operation *user : weight.getUsers())
    if (auto matmul = dyn_cast<graph::MatmulOp>(user))
      return matmul;
  return nullptr;
}

/// Whether the op looks up rows of the weight: they are found in panels of its
/// transpose, too.
static bool looksUpRows(OpOperand &use) {
  auto gather = dyn_cast<graph::GatherOp>(use.getOwner());
  return gather && use.getOperandNumber() == 0 && gather.getAxis() == 0;
}

/// The panels of a weight that every reader multiplies by, all in one way, or
/// looks rows up in, as in embeddings that are the last product's weights, too;
/// none where it must keep its rows.
static std::optional<kernel::LayoutKind>
findPanels(TypedValue<RankedTensorType> weight) {
  Type element = weight.getType().getElementType();
  bool hasKernel = computeType(element).isF32() || element.isInteger(8);
  if (weight.getType().getRank() != 2 || !hasKernel || weight.use_empty())
    return std::nullopt;
  graph::MatmulOp first = findProduct(weight);
  if (!first)
    return std::nullopt;
  for (OpOperand &use : weight.getUses()) {
    if (looksUpRows(use) && first.getTransposeRhs())
      continue;
    auto matmul = dyn_cast<graph::MatmulOp>(use.getOwner());
    if (!matmul || use.getOperandNumber() != 1 ||
        first.getTransposeRhs() != matmul.getTransposeRhs() ||
        getPanels(first) != getPanels(matmul))
      return std::nullopt;
  }
  return getPanels(first);
}

/// `value` is `op`, or what it is rounded to.
static Value convertWeight(OpBuilder &b, graph::WeightOp op,
                           TypedValue<RankedTensorType> value) {
  RankedTensorType type = value.getType();
  std::optional<kernel::LayoutKind> panels = findPanels(value);
  auto layout = panels.value_or(kernel::LayoutKind::Rows);
  bool transposed = false;
  if (panels) {
    transposed = findProduct(value).getTransposeRhs();
    int64_t rows = type.getDimSize(transposed ? 1 : 0);
    int64_t columns = type.getDimSize(transposed ? 0 : 1);
    int64_t group = kernel::groupOf(layout);
    SmallVector<int64_t> sizes{llvm::divideCeil(columns, 32),
                               llvm::divideCeil(rows, group), 32};
    if (group > 1)
      sizes.push_back(group);
    type = type.clone(sizes);
  }
  return kernel::WeightOp::create(b, op.getLoc(), type, op.getName(),
                                  op.getFile(), op.getOffset(),
                                  op.getOutput().getType(), layout, transposed);
}

/// Weights are rounded to bf16 as they are written, not in every run.
static Value convertRoundedWeight(OpBuilder &b, graph::CastOp op) {
  auto weight = op.getInput().getDefiningOp<graph::WeightOp>();
  auto output = cast<TypedValue<RankedTensorType>>(op->getResult(0));
  if (!weight || !output.getType().getElementType().isBF16())
    return nullptr;
  Type from = weight.getOutput().getType().getElementType();
  return isa<Float32Type, Float16Type>(from) ? convertWeight(b, weight, output)
                                             : nullptr;
}

/// Where element (row, column) of a transposed weight lies in its panels.
static SmallVector<Value> placeInPanels(OpBuilder &b, Location loc, Value row,
                                        Value column, kernel::WeightOp weight) {
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  auto quotient = [&](Value lhs, int64_t rhs) -> Value {
    return arith::DivUIOp::create(b, loc, lhs, index(rhs));
  };
  auto remainder = [&](Value lhs, int64_t rhs) -> Value {
    return arith::RemUIOp::create(b, loc, lhs, index(rhs));
  };
  constexpr int64_t width = 32;
  int64_t group = kernel::groupOf(weight.getLayout());
  SmallVector<Value> at{quotient(row, width), quotient(column, group),
                        remainder(row, width)};
  if (group > 1)
    at.push_back(remainder(column, group));
  return at;
}

/// Every element by itself, for those who read no panels. A region that nobody
/// reads is gone in the end.
static Value convertDequantizeBlocks(GraphToKernel &state,
                                     graph::DequantizeBlocksOp op) {
  SmallVector<Value> inputs;
  for (Value operand : op->getOperands())
    inputs.push_back(state.get(operand));
  bool isUnsigned = hasUnsignedOperands(op);
  BlockPanels panels = getBlockPanels(state, op);
  if (panels)
    inputs = panels.values();
  return state.createGeneric(
      op, "dequantize_blocks", op.getType(), state.sizesOf(op.getOutput()), {},
      {}, inputs, {}, [&](OpBuilder &b, GraphToKernel::Scalars scalars) {
        Location loc = op.getLoc();
        Value row = linalg::IndexOp::create(b, loc, 0),
              column = linalg::IndexOp::create(b, loc, 1);
        return panels ? extractFromPanels(b, loc, op, panels, scalars.tensors,
                                          row, column)
                      : extractFromRows(b, loc, op, isUnsigned, scalars.tensors,
                                        row, column);
      });
}

static Value convertGather(GraphToKernel &state, graph::GatherOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  auto blocks = op.getInput().getDefiningOp<graph::DequantizeBlocksOp>();
  BlockPanels panels = getBlockPanels(
      state, op.getAxis() == 0 ? blocks : graph::DequantizeBlocksOp());
  Value input = state.get(op.getInput()), indices = state.get(op.getIndices());
  // Not that of a weight in panels.
  int64_t tableRank = cast<RankedTensorType>(op.getInput().getType()).getRank();
  int64_t count = cast<RankedTensorType>(indices.getType()).getRank();
  int64_t axis = op.getAxis();
  auto weight = input.getDefiningOp<kernel::WeightOp>();
  SmallVector<AffineExpr> exprs;
  for (int64_t dim = 0; dim < count; ++dim)
    exprs.push_back(state.builder.getAffineDimExpr(axis + dim));
  AffineMap map =
      AffineMap::get(type.getRank(), 0, exprs, state.builder.getContext());
  SmallVector<Value> tensors = {input};
  if (panels)
    tensors = panels.values();
  tensors.push_back(state.createIndexError(op.getLoc()));
  return state.createGeneric(
      op, "gather", type, state.sizesOf(op.getOutput()), indices, map, tensors,
      state.index(state.sizesOf(op.getInput())[axis]),
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        Location loc = op.getLoc();
        SmallVector<Value> at;
        for (int64_t dim = 0; dim < tableRank; ++dim)
          at.push_back(
              dim == axis
                  ? checkIndex(b, loc, scalars.elements[0], scalars.indices[0],
                               scalars.tensors.back())
                  : linalg::IndexOp::create(b, loc,
                                            dim < axis ? dim : dim + count - 1)
                        .getResult());
        ArrayRef<Value> table = ArrayRef(scalars.tensors).drop_back();
        if (panels)
          return extractFromPanels(b, loc, blocks, panels, table, at[0], at[1]);
        if (weight && weight.getLayout() != kernel::LayoutKind::Rows)
          at = placeInPanels(b, loc, at[0], at[1], weight);
        return tensor::ExtractOp::create(b, loc, table[0], at);
      });
}

static Value convertGatherND(GraphToKernel &state, graph::GatherNDOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Value input = state.get(op.getInput()), indices = state.get(op.getIndices());
  ArrayRef<int64_t> tuples =
      cast<RankedTensorType>(indices.getType()).getShape();
  int64_t leading = tuples.size() - 1, batch = op.getBatchDims();
  int64_t length = tuples.back();
  SmallVector<Value> wrapped;
  for (int64_t i = 0; i < length; ++i)
    wrapped.push_back(state.index(state.sizesOf(op.getInput())[batch + i]));
  return state.createGeneric(
      op, "gather_nd", type, state.sizesOf(op.getOutput()), {}, {},
      {input, indices, state.createIndexError(op.getLoc())}, wrapped,
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
          at.push_back(checkIndex(b, loc, position, scalars.indices[i],
                                  scalars.tensors[2]));
        }
        at.append(loops.begin() + leading, loops.end());
        return tensor::ExtractOp::create(b, loc, scalars.tensors[0], at);
      });
}

static Value convertGatherElements(GraphToKernel &state,
                                   graph::GatherElementsOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Value input = state.get(op.getInput()), indices = state.get(op.getIndices());
  const SymbolicSizes &inputSizes = state.sizesOf(op.getInput());
  const SymbolicSizes &sizes = state.sizesOf(op.getIndices());
  SmallVector<Value> bounds;
  for (const SymbolicExpr &size : inputSizes)
    bounds.push_back(state.index(size));
  AffineMap identity = state.builder.getMultiDimIdentityMap(type.getRank());
  return state.createGeneric(
      op, "gather_elements", type, sizes, indices, identity,
      {input, state.createIndexError(op.getLoc())}, bounds,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        Location loc = op.getLoc();
        SmallVector<Value> at;
        for (int64_t dim = 0; dim < type.getRank(); ++dim) {
          Value place = linalg::IndexOp::create(b, loc, dim);
          if (dim == op.getAxis())
            place = checkIndex(b, loc, scalars.elements[0],
                               scalars.indices[dim], scalars.tensors[1]);
          else if (sizes[dim] != inputSizes[dim])
            place = clampCoordinate(b, loc, place, scalars.indices[dim]);
          at.push_back(place);
        }
        return tensor::ExtractOp::create(b, loc, scalars.tensors[0], at);
      });
}

/// The element after an update.
static Value update(OpBuilder &b, Location loc, graph::ScatterKind kind,
                    bool isUnsigned, Value element, Value with) {
  bool isFloat = isa<FloatType>(element.getType());
  switch (kind) {
  case graph::ScatterKind::Replace:
    return with;
  case graph::ScatterKind::Add:
    return isFloat ? arith::AddFOp::create(b, loc, element, with).getResult()
                   : arith::AddIOp::create(b, loc, element, with).getResult();
  case graph::ScatterKind::Mul:
    return isFloat ? arith::MulFOp::create(b, loc, element, with).getResult()
                   : arith::MulIOp::create(b, loc, element, with).getResult();
  case graph::ScatterKind::Max:
    if (isUnsigned)
      return arith::MaxUIOp::create(b, loc, element, with);
    return isFloat
               ? arith::MaximumFOp::create(b, loc, element, with).getResult()
               : arith::MaxSIOp::create(b, loc, element, with).getResult();
  case graph::ScatterKind::Min:
    if (isUnsigned)
      return arith::MinUIOp::create(b, loc, element, with);
    return isFloat
               ? arith::MinimumFOp::create(b, loc, element, with).getResult()
               : arith::MinSIOp::create(b, loc, element, with).getResult();
  }
  llvm_unreachable("all kinds are handled");
}

/// Where update number `number` goes along the line, and what it is.
using ReadUpdate = function_ref<std::pair<Value, Value>(
    OpBuilder &, GraphToKernel::Scalars, ArrayRef<Value> place, Value number)>;

/// Each line along `axis` is the input's, then updates in their order.
/// `tensors` begin with the input; `indices` with the size of the line, how
/// many updates there are, and for each of the dimensions `bounded` how many
/// lines get any.
static Value createScatter(GraphToKernel &state, Operation *op,
                           graph::ScatterKind kind, const SymbolicSizes &sizes,
                           int64_t axis, ValueRange tensors, ValueRange indices,
                           ArrayRef<int64_t> bounded, ReadUpdate readUpdate) {
  auto type = cast<RankedTensorType>(tensors.front().getType());
  return state.createLines(
      op, op->getName().stripDialect(), type, sizes, axis, tensors, indices,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars,
          SmallVector<Value> place, Value line) -> Value {
        Location loc = op->getLoc();
        Value size = scalars.indices[0], count = scalars.indices[1];
        Value zero = arith::ConstantIndexOp::create(b, loc, 0),
              one = arith::ConstantIndexOp::create(b, loc, 1);
        auto copy = scf::ForOp::create(
            b, loc, zero, size, one, line,
            [&](OpBuilder &inner, Location, Value at, ValueRange carried) {
              place[axis] = at;
              Value element = tensor::ExtractOp::create(
                  inner, loc, scalars.tensors[0], place);
              Value longer =
                  tensor::InsertOp::create(inner, loc, element, carried[0], at);
              scf::YieldOp::create(inner, loc, longer);
            });
        // What is checked becomes 0, which is no place on an empty line.
        Value any = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt,
                                          size, zero);
        for (auto [i, dim] : llvm::enumerate(bounded)) {
          Value here =
              arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                    place[dim], scalars.indices[2 + i]);
          any = arith::AndIOp::create(b, loc, any, here);
        }
        count = arith::SelectOp::create(b, loc, any, count, zero);
        auto write = scf::ForOp::create(
            b, loc, zero, count, one, copy.getResult(0),
            [&](OpBuilder &inner, Location, Value number, ValueRange carried) {
              auto [at, with] = readUpdate(inner, scalars, place, number);
              Value before =
                  tensor::ExtractOp::create(inner, loc, carried[0], at);
              Value after =
                  update(inner, loc, kind, hasUnsignedOperands(op),
                         widen(inner, loc, before), widen(inner, loc, with));
              after = narrow(inner, loc, after, type.getElementType());
              Value longer =
                  tensor::InsertOp::create(inner, loc, after, carried[0], at);
              scf::YieldOp::create(inner, loc, longer);
            });
        return write.getResult(0);
      });
}

static Value convertScatterElements(GraphToKernel &state,
                                    graph::ScatterElementsOp op) {
  Location loc = op.getLoc();
  Value input = state.get(op.getInput()), indices = state.get(op.getIndices()),
        updates = state.get(op.getUpdates());
  const SymbolicSizes &sizes = state.sizesOf(op.getInput());
  const SymbolicSizes &counts = state.sizesOf(op.getIndices());
  int64_t axis = op.getAxis();
  SmallVector<Value> passed{state.index(sizes[axis]),
                            state.index(counts[axis])};
  SmallVector<int64_t> bounded;
  for (int64_t dim = 0; dim < static_cast<int64_t>(sizes.size()); ++dim) {
    if (dim == axis || sizes[dim] == counts[dim])
      continue;
    bounded.push_back(dim);
    passed.push_back(state.index(counts[dim]));
  }
  return createScatter(
      state, op, op.getKind(), sizes, axis,
      {input, indices, updates, state.createIndexError(loc)}, passed, bounded,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars, ArrayRef<Value> place,
          Value number) {
        SmallVector<Value> from(place);
        from[axis] = number;
        Value at = tensor::ExtractOp::create(b, loc, scalars.tensors[1], from);
        Value with =
            tensor::ExtractOp::create(b, loc, scalars.tensors[2], from);
        at = checkIndex(b, loc, at, scalars.indices[0], scalars.tensors[3]);
        return std::pair(at, with);
      });
}

/// The dimensions that a tuple addresses become one, and so do the others: a
/// line is one element of every slice.
static Value convertScatterND(GraphToKernel &state, graph::ScatterNDOp op) {
  Location loc = op.getLoc();
  Value input = state.get(op.getInput()), indices = state.get(op.getIndices()),
        updates = state.get(op.getUpdates());
  auto type = cast<RankedTensorType>(input.getType());
  const SymbolicSizes &sizes = state.sizesOf(op.getInput());
  const SymbolicSizes &tuples = state.sizesOf(op.getIndices());
  int64_t length = cast<RankedTensorType>(indices.getType()).getShape().back();
  auto product = [](ArrayRef<SymbolicExpr> factors) {
    SymbolicExpr result = 1;
    for (const SymbolicExpr &factor : factors)
      result = result * factor;
    return result;
  };
  ArrayRef<SymbolicExpr> addressed = ArrayRef(sizes).take_front(length);
  SymbolicExpr slices = product(addressed);
  SymbolicExpr width = product(ArrayRef(sizes).drop_front(length));
  SymbolicExpr count = product(ArrayRef(tuples).drop_back());
  Value flat = state.createView(op, input, {slices, width});
  Value flatIndices = state.createView(op, indices, {count, length});
  Value flatUpdates = state.createView(op, updates, {count, width});
  SmallVector<Value> passed{state.index(slices), state.index(count)};
  for (const SymbolicExpr &size : addressed)
    passed.push_back(state.index(size));
  Value result = createScatter(
      state, op, op.getKind(), {slices, width}, /*axis=*/0,
      {flat, flatIndices, flatUpdates, state.createIndexError(loc)}, passed,
      /*bounded=*/{},
      [&](OpBuilder &b, GraphToKernel::Scalars scalars, ArrayRef<Value> place,
          Value number) {
        Value at = arith::ConstantIndexOp::create(b, loc, 0);
        for (int64_t i = 0; i < length; ++i) {
          Value size = scalars.indices[2 + i];
          Value index = tensor::ExtractOp::create(
              b, loc, scalars.tensors[1],
              {number, arith::ConstantIndexOp::create(b, loc, i).getResult()});
          at = arith::AddIOp::create(
              b, loc, arith::MulIOp::create(b, loc, at, size),
              checkIndex(b, loc, index, size, scalars.tensors[3]));
        }
        Value with = tensor::ExtractOp::create(b, loc, scalars.tensors[2],
                                               {number, place[1]});
        return std::pair(at, with);
      });
  return state.createView(op, result, type, sizes);
}

FailureOr<bool> GraphToKernel::convertData(Operation *op) {
  Value result;
  if (auto constant = dyn_cast<graph::ConstantOp>(op)) {
    result = kernel::ConstantOp::create(builder, op->getLoc(),
                                        constant.getOutput().getType(),
                                        constant.getValue());
  } else if (auto weight = dyn_cast<graph::WeightOp>(op)) {
    result = convertWeight(builder, weight, weight.getOutput());
  } else if (auto cast = dyn_cast<graph::CastOp>(op)) {
    result = convertRoundedWeight(builder, cast);
    if (!result)
      return false;
  } else if (auto blocks = dyn_cast<graph::DequantizeBlocksOp>(op)) {
    result = convertDequantizeBlocks(*this, blocks);
  } else if (auto gather = dyn_cast<graph::GatherOp>(op)) {
    result = convertGather(*this, gather);
  } else if (auto gatherND = dyn_cast<graph::GatherNDOp>(op)) {
    result = convertGatherND(*this, gatherND);
  } else if (auto gather = dyn_cast<graph::GatherElementsOp>(op)) {
    result = convertGatherElements(*this, gather);
  } else if (auto scatter = dyn_cast<graph::ScatterElementsOp>(op)) {
    result = convertScatterElements(*this, scatter);
  } else if (auto scatter = dyn_cast<graph::ScatterNDOp>(op)) {
    result = convertScatterND(*this, scatter);
  } else {
    return false;
  }
  replace(op->getResult(0), result);
  return true;
}

} // namespace tenon
