// Ops that move elements: views, and one linalg.generic over the result each.
#include "GraphToKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace tenon {

static SmallVector<Value> loopIndices(OpBuilder &b, Location loc,
                                      int64_t rank) {
  SmallVector<Value> result;
  for (int64_t dim = 0; dim < rank; ++dim)
    result.push_back(linalg::IndexOp::create(b, loc, dim));
  return result;
}

Value GraphToKernel::createView(Operation *op, Value input,
                                RankedTensorType type,
                                const SymbolicSizes &sizes) {
  SmallVector<Value> dynamic;
  for (auto [dim, size] : llvm::enumerate(sizes))
    if (type.isDynamicDim(dim))
      dynamic.push_back(index(size));
  return kernel::ViewOp::create(builder, op->getLoc(), type, input, dynamic);
}

Value GraphToKernel::createView(Operation *op, Value input,
                                const SymbolicSizes &sizes) {
  SmallVector<int64_t> shape;
  for (const SymbolicExpr &size : sizes)
    shape.push_back(size.getConstant().value_or(ShapedType::kDynamic));
  return createView(
      op, input,
      RankedTensorType::get(
          shape, cast<RankedTensorType>(input.getType()).getElementType()),
      sizes);
}

Value GraphToKernel::createTranspose(Operation *op, Value input,
                                     const SymbolicSizes &sizes,
                                     ArrayRef<int64_t> permutation) {
  auto type = cast<RankedTensorType>(input.getType());
  SymbolicSizes outSizes;
  SmallVector<int64_t> shape, moved;
  SmallVector<AffineExpr> exprs(type.getRank());
  for (auto [dim, from] : llvm::enumerate(permutation)) {
    shape.push_back(type.getDimSize(from));
    outSizes.push_back(sizes[from]);
    exprs[from] = builder.getAffineDimExpr(dim);
    if (type.getDimSize(from) != 1)
      moved.push_back(from);
  }
  auto outType = RankedTensorType::get(shape, type.getElementType());
  // Moving dimensions of size 1 moves no element.
  if (llvm::is_sorted(moved))
    return createView(op, input, outType, outSizes);
  AffineMap map =
      AffineMap::get(type.getRank(), 0, exprs, builder.getContext());
  return createGeneric(
      op, "transpose", outType, outSizes, input, map, {}, {},
      [](OpBuilder &, Scalars scalars) { return scalars.elements[0]; });
}

static Value convertBroadcast(GraphToKernel &state, graph::BroadcastOp op) {
  Value input = state.get(op.getInput());
  auto inputType = cast<RankedTensorType>(input.getType());
  auto type = cast<RankedTensorType>(op.getType());
  const SymbolicSizes &sizes = state.sizesOf(op.getOutput());
  if (inputType == type && state.sizesOf(op.getInput()) == sizes)
    return input;
  Value result = state.createGeneric(
      op, "broadcast", type, sizes, input, broadcastMap(inputType, type), {},
      {}, [](OpBuilder &, GraphToKernel::Scalars scalars) {
        return scalars.elements[0];
      });
  return result;
}

static Value convertIota(GraphToKernel &state, graph::IotaOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Value start = state.index(OpFoldResult(op.getStart()));
  return state.createGeneric(
      op, "iota", type, state.sizesOf(op.getOutput()), {}, {}, {}, start,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        Location loc = op.getLoc();
        Value position = linalg::IndexOp::create(b, loc, 0);
        Value step = arith::ConstantIndexOp::create(b, loc, op.getStep());
        Value value = arith::AddIOp::create(
            b, loc, scalars.indices[0],
            arith::MulIOp::create(b, loc, position, step));
        Type element = type.getElementType();
        if (!isa<FloatType>(element))
          return arith::IndexCastOp::create(b, loc, element, value);
        value = arith::IndexCastOp::create(b, loc, b.getI64Type(), value);
        value = arith::SIToFPOp::create(b, loc, computeType(element), value);
        return narrow(b, loc, value, element);
      });
}

static Value convertFromIndices(GraphToKernel &state, graph::FromIndicesOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  SmallVector<Value> elements;
  for (Value value : op.getValues())
    elements.push_back(state.index(OpFoldResult(value)));
  return state.createGeneric(
      op, "from_indices", type, state.sizesOf(op.getOutput()), {}, {}, {},
      elements, [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        Location loc = op.getLoc();
        Value position = arith::ConstantIndexOp::create(b, loc, 0);
        for (auto [dim, size] : llvm::enumerate(type.getShape())) {
          Value scale = arith::ConstantIndexOp::create(b, loc, size);
          position = arith::AddIOp::create(
              b, loc, arith::MulIOp::create(b, loc, position, scale),
              linalg::IndexOp::create(b, loc, dim));
        }
        // Without elements the body is never computed.
        int64_t count = scalars.indices.size();
        Value result = count ? scalars.indices.back() : position;
        for (int64_t i = count - 2; i >= 0; --i) {
          Value here =
              arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, position,
                                    arith::ConstantIndexOp::create(b, loc, i));
          result =
              arith::SelectOp::create(b, loc, here, scalars.indices[i], result);
        }
        return arith::IndexCastOp::create(b, loc, type.getElementType(),
                                          result);
      });
}

Value GraphToKernel::createSlice(Operation *op, Value input,
                                 RankedTensorType type,
                                 const SymbolicSizes &sizes,
                                 const SymbolicSizes &starts,
                                 ArrayRef<int64_t> steps) {
  SmallVector<Value> indices;
  for (const SymbolicExpr &start : starts)
    indices.push_back(index(start));
  return createGeneric(
      op, "slice", type, sizes, {}, {}, input, indices,
      [&](OpBuilder &b, Scalars scalars) -> Value {
        Location loc = op->getLoc();
        SmallVector<Value> at = loopIndices(b, loc, type.getRank());
        for (auto [dim, step] : llvm::enumerate(steps)) {
          if (step != 1)
            at[dim] = arith::MulIOp::create(
                b, loc, at[dim], arith::ConstantIndexOp::create(b, loc, step));
          if (starts[dim] != SymbolicExpr(0))
            at[dim] =
                arith::AddIOp::create(b, loc, at[dim], scalars.indices[dim]);
        }
        return tensor::ExtractOp::create(b, loc, scalars.tensors[0], at);
      });
}

SymbolicSizes GraphToKernel::startsOf(graph::SliceOp op) {
  SymbolicSizes starts;
  // Known, since the sizes of the result are.
  for (auto [mixed, size, step] :
       llvm::zip(op.getMixedStarts(), sizesOf(op.getInput()), op.getSteps()))
    starts.push_back(
        shapes.clampBound(*shapes.getIndex(mixed), size, step, true));
  return starts;
}

static Value convertSlice(GraphToKernel &state, graph::SliceOp op) {
  Value input = state.get(op.getInput());
  auto type = cast<RankedTensorType>(op.getType());
  const SymbolicSizes &sizes = state.sizesOf(op.getOutput());
  if (input.getType() == type && state.sizesOf(op.getInput()) == sizes &&
      llvm::all_of(op.getSteps(), [](int64_t step) { return step == 1; }))
    return input;
  return state.createSlice(op, input, type, sizes, state.startsOf(op),
                           op.getSteps());
}

/// The place in the input that an element of the result shows, which a pad of
/// another kind than constant puts inside again. The input is not empty.
static Value wrapPadded(OpBuilder &b, Location loc, graph::PadKind kind,
                        Value at, Value size) {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0),
        one = arith::ConstantIndexOp::create(b, loc, 1);
  Value last = arith::SubIOp::create(b, loc, size, one);
  if (kind == graph::PadKind::Edge)
    return arith::MaxSIOp::create(
        b, loc, arith::MinSIOp::create(b, loc, at, last), zero);
  // Mirrored, elements come again after all but the outer two came back.
  Value period = size;
  if (kind == graph::PadKind::Reflect)
    period = arith::AddIOp::create(b, loc, last, last);
  period = arith::MaxSIOp::create(b, loc, period, one);
  at = arith::RemSIOp::create(b, loc, at, period);
  Value negative =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, at, zero);
  Value wrapped = arith::AddIOp::create(b, loc, at, period);
  at = arith::SelectOp::create(b, loc, negative, wrapped, at);
  if (kind == graph::PadKind::Reflect)
    at = arith::MinSIOp::create(b, loc, at,
                                arith::SubIOp::create(b, loc, period, at));
  return at;
}

/// Each row is filled, copied and filled, without a look at where each of its
/// elements lies. Nothing elementwise joins it.
static Value convertPadOfRows(GraphToKernel &state, graph::PadOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  int64_t last = type.getRank() - 1;
  const SymbolicSizes &sizes = state.sizesOf(op.getInput());
  const SymbolicSizes &outSizes = state.sizesOf(op.getOutput());
  auto lows = op.getMixedLows(), highs = op.getMixedHighs();
  SmallVector<Value> passed{state.index(lows[last]), state.index(sizes[last]),
                            state.index(outSizes[last])};
  SmallVector<int64_t> padded;
  for (int64_t dim = 0; dim < last; ++dim) {
    if (getConstantIntValue(lows[dim]) == 0 &&
        getConstantIntValue(highs[dim]) == 0)
      continue;
    padded.push_back(dim);
    passed.append({state.index(lows[dim]), state.index(sizes[dim])});
  }
  return state.createLines(
      op, "pad", type, outSizes, last,
      {state.get(op.getInput()), state.get(op.getValue())}, passed,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars,
          SmallVector<Value> place, Value line) -> Value {
        Location loc = op.getLoc();
        Value zero = arith::ConstantIndexOp::create(b, loc, 0),
              one = arith::ConstantIndexOp::create(b, loc, 1);
        Value low = scalars.indices[0], end = scalars.indices[2];
        auto clamp = [&](Value at) -> Value {
          at = arith::MaxSIOp::create(b, loc, at, zero);
          return arith::MinSIOp::create(b, loc, at, end);
        };
        Value past = arith::AddIOp::create(b, loc, low, scalars.indices[1]);
        Value from = clamp(low), to = clamp(past);
        ArrayRef<Value> bounds = ArrayRef(scalars.indices).drop_front(3);
        for (int64_t dim : padded) {
          place[dim] = arith::SubIOp::create(b, loc, place[dim], bounds[0]);
          // Unsigned, a negative place is beyond any size.
          Value isRow = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult,
                                              place[dim], bounds[1]);
          from = arith::SelectOp::create(b, loc, isRow, from, end);
          to = arith::SelectOp::create(b, loc, isRow, to, end);
          bounds = bounds.drop_front(2);
        }
        Value fill =
            tensor::ExtractOp::create(b, loc, scalars.tensors[1], ValueRange());
        auto write = [&](Value first, Value last, Value line, bool copies) {
          return scf::ForOp::create(
                     b, loc, first, last, one, line,
                     [&](OpBuilder &inner, Location, Value at,
                         ValueRange carried) {
                       Value element = fill;
                       if (copies) {
                         SmallVector<Value> source(place);
                         source.back() =
                             arith::SubIOp::create(inner, loc, at, low);
                         element = tensor::ExtractOp::create(
                             inner, loc, scalars.tensors[0], source);
                       }
                       Value longer = tensor::InsertOp::create(
                           inner, loc, element, carried[0], at);
                       scf::YieldOp::create(inner, loc, longer);
                     })
              .getResult(0);
        };
        line = write(zero, from, line, /*copies=*/false);
        line = write(from, to, line, /*copies=*/true);
        return write(to, end, line, /*copies=*/false);
      });
}

static Value convertPad(GraphToKernel &state, graph::PadOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Value input = state.get(op.getInput());
  auto lows = op.getMixedLows(), highs = op.getMixedHighs();
  SmallVector<Value> passed;
  SmallVector<int64_t> padded;
  for (auto [dim, size] : llvm::enumerate(state.sizesOf(op.getInput()))) {
    if (getConstantIntValue(lows[dim]) == 0 &&
        getConstantIntValue(highs[dim]) == 0)
      continue;
    padded.push_back(dim);
    passed.append({state.index(lows[dim]), state.index(size)});
  }
  if (padded.empty())
    return input;
  // Windows are many times what they are taken from, which is stored.
  if (op.getKind() == graph::PadKind::Constant && !op->use_empty() &&
      llvm::all_of(op->getUsers(), llvm::IsaPred<graph::WindowOp>))
    return convertPadOfRows(state, op);
  SmallVector<Value> value;
  SmallVector<AffineMap> maps;
  if (op.getValue()) {
    value.push_back(state.get(op.getValue()));
    maps.push_back(
        AffineMap::get(type.getRank(), 0, {}, state.builder.getContext()));
  }
  return state.createGeneric(
      op, "pad", type, state.sizesOf(op.getOutput()), value, maps, input,
      passed, [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        Location loc = op.getLoc();
        SmallVector<Value> at = loopIndices(b, loc, type.getRank());
        Value inside;
        ArrayRef<Value> bounds = scalars.indices;
        for (int64_t dim : padded) {
          Value size = bounds[1];
          at[dim] = arith::SubIOp::create(b, loc, at[dim], bounds[0]);
          bounds = bounds.drop_front(2);
          if (op.getKind() != graph::PadKind::Constant) {
            at[dim] = wrapPadded(b, loc, op.getKind(), at[dim], size);
            continue;
          }
          // Unsigned, a negative place is beyond any size.
          Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult,
                                             at[dim], size);
          inside = inside
                       ? arith::AndIOp::create(b, loc, inside, here).getResult()
                       : here;
        }
        auto read = [&](OpBuilder &here) -> Value {
          return tensor::ExtractOp::create(here, loc, scalars.tensors[0], at);
        };
        if (!inside)
          return read(b);
        // Nothing is read where the input has no element.
        return scf::IfOp::create(
                   b, loc, inside,
                   [&](OpBuilder &then, Location) {
                     scf::YieldOp::create(then, loc, read(then));
                   },
                   [&](OpBuilder &other, Location) {
                     scf::YieldOp::create(other, loc, scalars.elements[0]);
                   })
            .getResult(0);
      });
}

static Value convertConcat(GraphToKernel &state, graph::ConcatOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  SmallVector<Value> inputs, ends;
  SymbolicExpr end = 0;
  for (Value operand : op.getInputs()) {
    inputs.push_back(state.get(operand));
    end = end + state.sizesOf(operand)[op.getAxis()];
    ends.push_back(state.index(end));
  }
  ends.pop_back();
  return state.createGeneric(
      op, "concat", type, state.sizesOf(op.getOutput()), {}, {}, inputs, ends,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        Location loc = op.getLoc();
        SmallVector<Value> at = loopIndices(b, loc, type.getRank());
        Value along = at[op.getAxis()];
        // Only the input that holds the element is read.
        std::function<Value(OpBuilder &, size_t)> read =
            [&](OpBuilder &inner, size_t i) -> Value {
          auto extract = [&](OpBuilder &here) -> Value {
            SmallVector<Value> from = at;
            if (i > 0)
              from[op.getAxis()] = arith::SubIOp::create(
                  here, loc, along, scalars.indices[i - 1]);
            return tensor::ExtractOp::create(here, loc, scalars.tensors[i],
                                             from);
          };
          if (i + 1 == scalars.tensors.size())
            return extract(inner);
          Value mine = arith::CmpIOp::create(
              inner, loc, arith::CmpIPredicate::slt, along, scalars.indices[i]);
          return scf::IfOp::create(
                     inner, loc, mine,
                     [&](OpBuilder &then, Location) {
                       scf::YieldOp::create(then, loc, extract(then));
                     },
                     [&](OpBuilder &other, Location) {
                       scf::YieldOp::create(other, loc, read(other, i + 1));
                     })
              .getResult(0);
        };
        return read(b, 0);
      });
}

FailureOr<bool> GraphToKernel::convertShape(Operation *op) {
  Value result;
  if (auto reshape = dyn_cast<graph::ReshapeOp>(op))
    result = createView(op, get(reshape.getInput()), reshape.getType(),
                        sizesOf(reshape.getOutput()));
  else if (auto broadcast = dyn_cast<graph::BroadcastOp>(op))
    result = convertBroadcast(*this, broadcast);
  else if (auto transpose = dyn_cast<graph::TransposeOp>(op))
    result = createTranspose(op, get(transpose.getInput()),
                             sizesOf(transpose.getInput()),
                             transpose.getPermutation());
  else if (auto iota = dyn_cast<graph::IotaOp>(op))
    result = convertIota(*this, iota);
  else if (auto fromIndices = dyn_cast<graph::FromIndicesOp>(op))
    result = convertFromIndices(*this, fromIndices);
  else if (auto slice = dyn_cast<graph::SliceOp>(op))
    result = convertSlice(*this, slice);
  else if (auto pad = dyn_cast<graph::PadOp>(op))
    result = convertPad(*this, pad);
  else if (auto concat = dyn_cast<graph::ConcatOp>(op))
    result = convertConcat(*this, concat);
  else
    return false;
  if (result.getType() != op->getResult(0).getType())
    return op->emitOpError("has type ")
           << op->getResult(0).getType() << ", but its operands give "
           << result.getType();
  replace(op->getResult(0), result);
  return true;
}

} // namespace tenon
