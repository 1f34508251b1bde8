// Ops that move elements: views, and one linalg.generic over the result each.
#include "GraphToKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace tenon {

static std::optional<int64_t> getKnown(Value value) {
  APInt known;
  if (matchPattern(value, m_ConstantInt(&known)))
    return known.getSExtValue();
  return std::nullopt;
}

static SmallVector<Value> loopIndices(OpBuilder &b, Location loc,
                                      int64_t rank) {
  SmallVector<Value> result;
  for (int64_t dim = 0; dim < rank; ++dim)
    result.push_back(linalg::IndexOp::create(b, loc, dim));
  return result;
}

Value GraphToKernel::createView(Operation *op, Value input,
                                RankedTensorType type, Sizes outSizes) {
  SmallVector<Value> dynamic;
  for (auto [dim, size] : llvm::enumerate(outSizes))
    if (type.isDynamicDim(dim))
      dynamic.push_back(size);
  Value view =
      kernel::ViewOp::create(builder, op->getLoc(), type, input, dynamic);
  sizes[view] = outSizes;
  return view;
}

Value GraphToKernel::createView(Operation *op, Value input, Sizes outSizes) {
  SmallVector<int64_t> shape;
  for (Value size : outSizes)
    shape.push_back(getKnown(size).value_or(ShapedType::kDynamic));
  return createView(
      op, input,
      RankedTensorType::get(
          shape, cast<RankedTensorType>(input.getType()).getElementType()),
      outSizes);
}

Value GraphToKernel::createTranspose(Operation *op, Value input,
                                     ArrayRef<int64_t> permutation) {
  auto type = cast<RankedTensorType>(input.getType());
  Sizes inputSizes = sizesOf(input), outSizes;
  SmallVector<int64_t> shape, moved;
  SmallVector<AffineExpr> exprs(type.getRank());
  for (auto [dim, from] : llvm::enumerate(permutation)) {
    shape.push_back(type.getDimSize(from));
    outSizes.push_back(inputSizes[from]);
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

static FailureOr<Value> convertReshape(GraphToKernel &state,
                                       graph::ReshapeOp op) {
  Value input = state.get(op.getInput());
  Sizes inputSizes = state.sizesOf(input), sizes;
  RankedTensorType type = op.getType();
  for (auto [dim, mixed] : llvm::enumerate(op.getMixedSizes())) {
    std::optional<int64_t> known = getConstantIntValue(mixed);
    if (!type.isDynamicDim(dim))
      sizes.push_back(state.index(type.getDimSize(dim)));
    else if (known == -1)
      return op.emitOpError("has size -1 in dimension ")
             << dim << ", which simplify should have replaced";
    else if (known == 0 && !op.getAllowZero())
      sizes.push_back(inputSizes[dim]);
    else
      sizes.push_back(state.index(mixed));
  }
  return state.createView(op, input, type, sizes);
}

static Value convertBroadcast(GraphToKernel &state, graph::BroadcastOp op) {
  Value input = state.get(op.getInput());
  auto inputType = cast<RankedTensorType>(input.getType());
  auto type = cast<RankedTensorType>(op.getType());
  Sizes inputSizes = state.sizesOf(input), sizes;
  SmallVector<OpFoldResult> wanted = op.getMixedSizes();
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    int64_t from = dim - (type.getRank() - inputType.getRank());
    int64_t asked = dim - (type.getRank() - (int64_t)wanted.size());
    Value size = asked < 0 ? state.index(1) : state.index(wanted[asked]);
    if (from >= 0 && inputType.getDimSize(from) != 1) {
      if (getKnown(size) != 1)
        state.assumeEqual(op.getLoc(), inputSizes[from], size);
      size = inputSizes[from];
    }
    if (!type.isDynamicDim(dim))
      size = state.index(type.getDimSize(dim));
    sizes.push_back(size);
  }
  if (inputType == type && inputSizes == sizes)
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
  Value size = state.max(state.get(op.getSize()), state.index(0));
  if (!type.isDynamicDim(0))
    size = state.index(type.getDimSize(0));
  Value start = state.index(OpFoldResult(op.getStart()));
  return state.createGeneric(
      op, "iota", type, {size}, {}, {}, {}, start,
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
        Value result = scalars.indices.back();
        for (int64_t i = scalars.indices.size() - 2; i >= 0; --i) {
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

/// A bound of ONNX Slice, wrapped if negative and clamped to [low, high].
static Value clampBound(GraphToKernel &state, OpFoldResult bound, Value size,
                        Value low, Value high) {
  Value value = state.index(bound);
  if (std::optional<int64_t> known = getKnown(value)) {
    if (*known == INT64_MAX)
      return high;
    if (*known == 0 && getKnown(low) == 0 && high == size)
      return value;
    if (*known < 0)
      value = *known < -(int64_t(1) << 40) ? low : state.add(size, value);
  } else {
    OpBuilder &b = state.builder;
    Location loc = b.getUnknownLoc();
    Value negative = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                           value, state.index(0));
    value = arith::SelectOp::create(b, loc, negative, state.add(value, size),
                                    value);
  }
  return state.max(state.min(value, high), low);
}

static Value convertSlice(GraphToKernel &state, graph::SliceOp op) {
  Value input = state.get(op.getInput());
  auto type = cast<RankedTensorType>(op.getType());
  Sizes inputSizes = state.sizesOf(input), sizes, starts;
  SmallVector<OpFoldResult> froms = op.getMixedStarts(),
                            tos = op.getMixedEnds();
  bool whole = input.getType() == type;
  for (auto [dim, step] : llvm::enumerate(op.getSteps())) {
    Value size = inputSizes[dim], low = state.index(0), high = size;
    if (step < 0) {
      low = state.index(-1);
      high = state.sub(size, state.index(1));
    }
    Value start = clampBound(state, froms[dim], size, state.index(0), high);
    Value count;
    if (!type.isDynamicDim(dim)) {
      count = state.index(type.getDimSize(dim));
    } else {
      Value end = clampBound(state, tos[dim], size, low, high);
      count = step > 0 ? state.sub(end, start) : state.sub(start, end);
      // A whole dimension needs no bound; anything else may be empty.
      if (count != size)
        count = state.max(count, state.index(0));
      if (std::abs(step) != 1)
        count = state.builder.createOrFold<arith::CeilDivSIOp>(
            op.getLoc(), count, state.index(std::abs(step)));
    }
    starts.push_back(start);
    sizes.push_back(count);
    whole &= step == 1 && getKnown(start) == 0 && count == size;
  }
  if (whole)
    return input;
  return state.createGeneric(
      op, "slice", type, sizes, {}, {}, input, starts,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        Location loc = op.getLoc();
        SmallVector<Value> at = loopIndices(b, loc, type.getRank());
        for (auto [dim, step] : llvm::enumerate(op.getSteps())) {
          if (step != 1)
            at[dim] = arith::MulIOp::create(
                b, loc, at[dim], arith::ConstantIndexOp::create(b, loc, step));
          if (getKnown(starts[dim]) != 0)
            at[dim] =
                arith::AddIOp::create(b, loc, at[dim], scalars.indices[dim]);
        }
        return tensor::ExtractOp::create(b, loc, scalars.tensors[0], at);
      });
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

static Value convertPad(GraphToKernel &state, graph::PadOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Value input = state.get(op.getInput());
  Sizes sizes = state.sizesOf(input), outSizes, passed;
  auto lows = op.getMixedLows(), highs = op.getMixedHighs();
  SmallVector<int64_t> padded;
  for (auto [dim, size] : llvm::enumerate(sizes)) {
    Value low = state.index(lows[dim]), high = state.index(highs[dim]);
    Value outSize = state.add(state.add(low, size), high);
    if (getKnown(low) != 0 || getKnown(high) != 0) {
      outSize = state.max(outSize, state.index(0));
      padded.push_back(dim);
      passed.append({low, size});
    }
    outSizes.push_back(
        type.isDynamicDim(dim) ? outSize : state.index(type.getDimSize(dim)));
  }
  if (padded.empty())
    return input;
  SmallVector<Value> value;
  SmallVector<AffineMap> maps;
  if (op.getValue()) {
    value.push_back(state.get(op.getValue()));
    maps.push_back(
        AffineMap::get(type.getRank(), 0, {}, state.builder.getContext()));
  }
  return state.createGeneric(
      op, "pad", type, outSizes, value, maps, input, passed,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
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
  Value total = state.index(0);
  Sizes sizes;
  for (Value operand : op.getInputs()) {
    inputs.push_back(state.get(operand));
    Sizes inputSizes = state.sizesOf(inputs.back());
    if (sizes.empty())
      sizes = inputSizes;
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      if (dim != op.getAxis())
        state.assumeEqual(op.getLoc(), sizes[dim], inputSizes[dim]);
    total = state.add(total, inputSizes[op.getAxis()]);
    ends.push_back(total);
  }
  sizes[op.getAxis()] = total;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (!type.isDynamicDim(dim))
      sizes[dim] = state.index(type.getDimSize(dim));
  ends.pop_back();
  return state.createGeneric(
      op, "concat", type, sizes, {}, {}, inputs, ends,
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
  FailureOr<Value> result = failure();
  if (auto reshape = dyn_cast<graph::ReshapeOp>(op))
    result = convertReshape(*this, reshape);
  else if (auto broadcast = dyn_cast<graph::BroadcastOp>(op))
    result = convertBroadcast(*this, broadcast);
  else if (auto transpose = dyn_cast<graph::TransposeOp>(op))
    result = createTranspose(op, get(transpose.getInput()),
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
  if (failed(result))
    return failure();
  if (result->getType() != op->getResult(0).getType())
    return op->emitOpError("has type ")
           << op->getResult(0).getType() << ", but its operands give "
           << result->getType();
  replace(op->getResult(0), *result, sizesOf(*result));
  return true;
}

} // namespace tenon
