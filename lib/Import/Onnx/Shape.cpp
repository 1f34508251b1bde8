// ONNX operators on sizes, and those that only move elements.
#include "ImportContext.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/InterleavedRange.h"

using namespace mlir;

namespace tenon {
namespace {

/// Shape(x)  ->  from_indices(dim x 0, dim x 1, …)
LogicalResult importShape(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  int64_t rank = typeOf(input).getRank();
  auto clamp = [&](int64_t bound) {
    return std::clamp<int64_t>(bound < 0 ? bound + rank : bound, 0, rank);
  };
  int64_t start = clamp(ctx.getInt("start", 0));
  int64_t end = std::max(start, clamp(ctx.getInt("end", rank)));
  SmallVector<Value> sizes;
  for (int64_t dim = start; dim < end; ++dim)
    sizes.push_back(ctx.materialize(ctx.getSize(input, dim)));
  auto type = RankedTensorType::get(end - start, ctx.builder.getI64Type());
  return ctx.setResult(
      graph::FromIndicesOp::create(ctx.builder, ctx.loc, type, sizes));
}

LogicalResult importSize(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value size = ctx.materialize(ctx.product(ctx.getSizes(ctx.getOperand(0))));
  auto type = RankedTensorType::get({}, ctx.builder.getI64Type());
  return ctx.setResult(
      graph::FromIndicesOp::create(ctx.builder, ctx.loc, type, size));
}

/// Sizes of a Reshape, some of which an input holds: what -1 and 0 stand for is
/// chosen when the model runs. Two that are -1 or one that is less do not keep
/// the number of elements, which the run checks.
Sizes resolveReshape(ImportContext &ctx, Value input, Value requested,
                     Sizes sizes, bool allowZero) {
  Sizes old = ctx.getSizes(input), others;
  for (auto [i, size] : llvm::enumerate(sizes)) {
    bool isKnown = !ctx.isRunTimeValue(requested, i);
    OpFoldResult one = ctx.makeSize(1);
    if (!allowZero && i < old.size() &&
        (!isKnown || isConstantIntValue(size, 0)))
      size = isKnown ? old[i] : ctx.selectEqual(size, 0, old[i], size);
    others.push_back(isKnown ? (isConstantIntValue(size, -1) ? one : size)
                             : ctx.selectEqual(size, -1, one, size));
  }
  Value all = ctx.materialize(ctx.product(old));
  Value part = ctx.materialize(ctx.product(others));
  OpFoldResult rest =
      arith::FloorDivSIOp::create(ctx.builder, ctx.loc, all, part).getResult();
  for (auto [i, size] : llvm::enumerate(sizes)) {
    if (ctx.isRunTimeValue(requested, i))
      size = ctx.selectEqual(size, -1, rest, size);
    else if (isConstantIntValue(size, -1))
      size = rest;
  }
  return sizes;
}

LogicalResult importReshape(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0);
  FailureOr<Sizes> sizes = ctx.extractAll(ctx.getOperand(1), -1);
  if (failed(sizes))
    return failure();
  bool allowZero = ctx.getInt("allowzero", 0) != 0;
  for (size_t i = 0; i < sizes->size(); ++i)
    if (ctx.isRunTimeValue(ctx.getOperand(1), i))
      return ctx.setResult(
          ctx.reshape(input, resolveReshape(ctx, input, ctx.getOperand(1),
                                            *sizes, allowZero)));
  RankedTensorType type = typeOf(input);
  SmallVector<int64_t> result = staticSizes(*sizes);
  int64_t rest = -1, known = 1;
  for (auto [dim, size] : llvm::enumerate(result)) {
    if (size == 0 && !allowZero) {
      if (static_cast<int64_t>(dim) >= type.getRank())
        return ctx.invalid() << "copies size " << dim << " of an input of rank "
                             << type.getRank();
      size = type.getDimSize(dim);
    }
    if (size == -1) {
      if (rest >= 0)
        return ctx.invalid()
               << "sizes " << rest << " and " << dim << " are both -1";
      rest = dim;
    } else if (ShapedType::isDynamic(size) || ShapedType::isDynamic(known)) {
      known = ShapedType::kDynamic;
    } else {
      known *= size;
    }
  }
  if (type.hasStaticShape() && !ShapedType::isDynamic(known)) {
    int64_t count = type.getNumElements();
    bool fits = rest < 0     ? count == known
                : known == 0 ? count == 0
                             : count % known == 0;
    if (!fits)
      return ctx.invalid() << "cannot give the " << count << " elements of "
                           << type << " the sizes "
                           << llvm::interleaved(staticSizes(*sizes));
  }
  if (rest >= 0)
    result[rest] = type.hasStaticShape() && known > 0
                       ? type.getNumElements() / known
                       : ShapedType::kDynamic;
  SmallVector<Value> values;
  SmallVector<int64_t> requested;
  dispatchIndexOpFoldResults(*sizes, values, requested);
  return ctx.setResult(graph::ReshapeOp::create(
      ctx.builder, ctx.loc,
      RankedTensorType::get(result, type.getElementType()), input, values,
      requested, allowZero));
}

LogicalResult importUnsqueeze(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  FailureOr<std::optional<SmallVector<int64_t>>> axes =
      ctx.getIntsOrOperand("axes", 1, 13);
  if (failed(axes))
    return failure();
  if (!*axes)
    return ctx.invalid() << "has no axes";
  Value input = ctx.getOperand(0);
  int64_t rank = typeOf(input).getRank() + (*axes)->size();
  if (failed(ctx.normalizeAxes(**axes, rank)))
    return failure();
  Sizes old = ctx.getSizes(input), sizes;
  size_t next = 0;
  for (int64_t dim = 0; dim < rank; ++dim) {
    if (llvm::is_contained(**axes, dim))
      sizes.push_back(ctx.makeSize(1));
    else if (next < old.size())
      sizes.push_back(old[next++]);
    else
      return ctx.invalid() << "lists an axis twice";
  }
  return ctx.setResult(ctx.reshape(input, sizes));
}

/// Of com.microsoft: one axis, which is a scalar.
LogicalResult importExpandDims(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0);
  std::optional<SmallVector<int64_t>> given =
      ctx.getConstantInts(ctx.getOperand(1));
  if (!given || given->size() != 1)
    return ctx.unsupported() << "the axis must be a constant";
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(given->front(), typeOf(input).getRank() + 1);
  if (failed(axis))
    return failure();
  Sizes sizes = ctx.getSizes(input);
  sizes.insert(sizes.begin() + *axis, ctx.makeSize(1));
  return ctx.setResult(ctx.reshape(input, sizes));
}

LogicalResult importSqueeze(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  FailureOr<std::optional<SmallVector<int64_t>>> axes =
      ctx.getIntsOrOperand("axes", 1, 13);
  if (failed(axes))
    return failure();
  Value input = ctx.getOperand(0);
  RankedTensorType type = typeOf(input);
  if (!*axes) {
    if (!type.hasStaticShape())
      return ctx.unsupported() << "without axes needs an input of known sizes, "
                               << "but has " << type;
    axes->emplace();
    for (auto [dim, size] : llvm::enumerate(type.getShape()))
      if (size == 1)
        (*axes)->push_back(dim);
  }
  if (failed(ctx.normalizeAxes(**axes, type.getRank())))
    return failure();
  Sizes sizes;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (!llvm::is_contained(**axes, dim))
      sizes.push_back(ctx.getSize(input, dim));
  return ctx.setResult(ctx.reshape(input, sizes));
}

/// Flatten(x)  ->  reshape x to [product before axis, product from axis on]
LogicalResult importFlatten(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  int64_t rank = typeOf(input).getRank(), axis = ctx.getInt("axis", 1);
  if (axis < -rank || axis > rank)
    return ctx.invalid() << "has axis " << axis << " for a tensor of rank "
                         << rank;
  axis = axis < 0 ? axis + rank : axis;
  Sizes sizes = ctx.getSizes(input);
  ArrayRef<OpFoldResult> all(sizes);
  OpFoldResult rows = ctx.product(all.take_front(axis));
  return ctx.setResult(
      ctx.reshape(input, {rows, ctx.product(all.drop_front(axis))}));
}

LogicalResult importExpand(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0);
  FailureOr<Sizes> sizes = ctx.extractAll(ctx.getOperand(1), 0);
  if (failed(sizes))
    return failure();
  SmallVector<Value> values;
  SmallVector<int64_t> requested;
  dispatchIndexOpFoldResults(*sizes, values, requested);
  FailureOr<SmallVector<int64_t>> result =
      graph::broadcastSizes(typeOf(input).getShape(), requested);
  if (failed(result))
    return ctx.invalid() << "cannot broadcast " << input.getType() << " to "
                         << typeOf(input).clone(requested);
  return ctx.setResult(graph::BroadcastOp::create(
      ctx.builder, ctx.loc,
      RankedTensorType::get(*result, typeOf(input).getElementType()), input,
      values, requested));
}

LogicalResult importTranspose(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  int64_t rank = typeOf(input).getRank();
  SmallVector<int64_t> permutation =
      llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, rank)));
  if (std::optional<SmallVector<int64_t>> perm = ctx.getInts("perm")) {
    if (failed(ctx.normalizeAxes(*perm, rank)))
      return failure();
    if (static_cast<int64_t>(perm->size()) != rank)
      return ctx.invalid() << "permutes " << perm->size()
                           << " dimensions of a tensor of rank " << rank;
    permutation = *perm;
  }
  return ctx.setResult(ctx.transpose(input, permutation));
}

LogicalResult importConcat(ImportContext &ctx) {
  if (failed(ctx.requireOperands(std::max(1u, ctx.getNumOperands()))) ||
      failed(ctx.requireAttribute("axis")))
    return failure();
  SmallVector<Value> inputs;
  for (unsigned i = 0; i < ctx.getNumOperands(); ++i)
    inputs.push_back(ctx.getOperand(i));
  RankedTensorType first = typeOf(inputs.front());
  for (Value input : inputs)
    if (typeOf(input).getRank() != first.getRank())
      return ctx.invalid() << "joins " << first << " and " << input.getType()
                           << ", whose ranks differ";
  FailureOr<int64_t> axis = ctx.getAxis(0, first.getRank());
  if (failed(axis))
    return failure();
  return ctx.setResult(ctx.concat(inputs, *axis));
}

/// A bound of a slice of a dimension that has elements, as ONNX Slice clamps
/// it: backwards, a start before all elements is the first of them.
int64_t clampBound(int64_t bound, int64_t size, int64_t step, bool isStart) {
  if (bound < 0)
    bound += size;
  return step > 0 ? std::clamp<int64_t>(bound, 0, size)
                  : std::clamp<int64_t>(bound, isStart ? 0 : -1, size - 1);
}

int64_t sliceSize(int64_t size, int64_t start, int64_t end, int64_t step) {
  if (start == 0 && end == INT64_MAX && step == 1)
    return size;
  if (ShapedType::isDynamic(size) || ShapedType::isDynamic(start) ||
      ShapedType::isDynamic(end))
    return ShapedType::kDynamic;
  if (size == 0)
    return 0;
  start = clampBound(start, size, step, /*isStart=*/true);
  end = clampBound(end, size, step, /*isStart=*/false);
  int64_t span = step > 0 ? end - start : start - end;
  return span <= 0 ? 0 : (span - 1) / std::abs(step) + 1;
}

LogicalResult importSlice(ImportContext &ctx) {
  if (failed(ctx.requireOperands(ctx.opset < 10 ? 1 : 3)))
    return failure();
  Value input = ctx.getOperand(0);
  RankedTensorType type = typeOf(input);
  int64_t rank = type.getRank();
  FailureOr<std::optional<SmallVector<int64_t>>> axes =
      ctx.getIntsOrOperand("axes", 3, 10);
  FailureOr<std::optional<SmallVector<int64_t>>> steps =
      ctx.getIntsOrOperand("steps", 4, 10);
  if (failed(axes) || failed(steps))
    return failure();
  Sizes bounds[2];
  for (unsigned i = 0; i < 2; ++i) {
    if (ctx.opset < 10) {
      if (failed(ctx.requireAttribute(i == 0 ? "starts" : "ends")))
        return failure();
      for (int64_t bound : ctx.getInts(i == 0 ? "starts" : "ends")
                               .value_or(SmallVector<int64_t>()))
        bounds[i].push_back(ctx.makeSize(bound));
      continue;
    }
    FailureOr<Sizes> values = ctx.extractAll(ctx.getOperand(1 + i), INT64_MIN);
    if (failed(values))
      return failure();
    bounds[i] = *values;
  }
  size_t count = bounds[0].size();
  if (!*axes)
    *axes = llvm::to_vector(llvm::seq<int64_t>(0, count));
  if (!*steps)
    steps->emplace(count, 1);
  if (bounds[1].size() != count || (*axes)->size() != count ||
      (*steps)->size() != count)
    return ctx.invalid() << "has " << count << " starts, " << bounds[1].size()
                         << " ends, " << (*axes)->size() << " axes and "
                         << (*steps)->size() << " steps";
  if (failed(ctx.normalizeAxes(**axes, rank)))
    return failure();
  Sizes starts(rank, ctx.makeSize(0)), ends(rank, ctx.makeSize(INT64_MAX));
  SmallVector<int64_t> allSteps(rank, 1);
  for (size_t i = 0; i < count; ++i) {
    int64_t axis = (**axes)[i];
    // INT64_MIN marks a bound that is a value.
    auto bound = [&](OpFoldResult value) {
      return getConstantIntValue(value) == INT64_MIN ? ctx.makeSize(-INT64_MAX)
                                                     : value;
    };
    starts[axis] = bound(bounds[0][i]);
    ends[axis] = bound(bounds[1][i]);
    allSteps[axis] = (**steps)[i];
    if (allSteps[axis] == 0)
      return ctx.invalid() << "has a step of 0";
  }
  SmallVector<int64_t> sizes;
  for (int64_t dim = 0; dim < rank; ++dim)
    sizes.push_back(sliceSize(type.getDimSize(dim), staticSize(starts[dim]),
                              staticSize(ends[dim]), allSteps[dim]));
  SmallVector<Value> startValues, endValues;
  SmallVector<int64_t> knownStarts, knownEnds;
  dispatchIndexOpFoldResults(starts, startValues, knownStarts);
  dispatchIndexOpFoldResults(ends, endValues, knownEnds);
  return ctx.setResult(graph::SliceOp::create(
      ctx.builder, ctx.loc, RankedTensorType::get(sizes, type.getElementType()),
      input, startValues, knownStarts, endValues, knownEnds, allSteps));
}

/// Split(x)  ->  one slice for each result
LogicalResult importSplit(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  FailureOr<int64_t> axis = ctx.getAxis(0, typeOf(input).getRank());
  if (failed(axis))
    return failure();
  unsigned count = ctx.getNumResults();
  int64_t wanted = ctx.getInt("num_outputs", count);
  if (wanted != count)
    return ctx.invalid() << "num_outputs is " << wanted << ", but there are "
                         << count << " results";
  Sizes sizes;
  bool isEqual = false;
  if (ctx.opset >= 13 && ctx.getOperand(1)) {
    FailureOr<Sizes> values = ctx.extractAll(ctx.getOperand(1), 0);
    if (failed(values))
      return failure();
    sizes = *values;
  } else if (std::optional<SmallVector<int64_t>> split = ctx.getInts("split")) {
    for (int64_t size : *split) {
      if (size < 0)
        return ctx.invalid() << "splits off a part of size " << size;
      sizes.push_back(ctx.makeSize(size));
    }
  } else {
    isEqual = true;
    sizes.assign(
        count, ctx.ceilDivide(ctx.getSize(input, *axis), ctx.makeSize(count)));
  }
  if (sizes.size() != count)
    return ctx.invalid() << "splits into " << sizes.size() << " parts, but has "
                         << count << " results";
  OpFoldResult start = ctx.makeSize(0), all = start;
  for (OpFoldResult size : sizes)
    all = ctx.add(all, size);
  // Since opset 18 the last of equal parts may be smaller.
  if (ctx.opset < 18 || !isEqual)
    ctx.assumeEqual(all, ctx.getSize(input, *axis));
  int64_t whole = typeOf(input).getDimSize(*axis);
  for (unsigned i = 0; i < count; ++i) {
    OpFoldResult end = ctx.add(start, sizes[i]);
    if (int64_t known = staticSize(end);
        !ShapedType::isDynamic(whole) && known > whole)
      end = ctx.makeSize(std::max(whole, staticSize(start)));
    (void)ctx.setResult(ctx.slice(input, *axis, start, end), i);
    start = end;
  }
  return success();
}

/// Tile(x, [m, n])  ->  reshape (broadcast (reshape x to [1, a, 1, b])
///                                         to [m, a, n, b]) to [m * a, n * b]
LogicalResult importTile(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0);
  FailureOr<Sizes> repeats = ctx.extractAll(ctx.getOperand(1), 0);
  if (failed(repeats))
    return failure();
  Sizes sizes = ctx.getSizes(input), apart, repeated, joined;
  if (repeats->size() != sizes.size())
    return ctx.invalid() << "has " << repeats->size()
                         << " repeats for an input of type " << input.getType();
  for (auto [repeat, size] : llvm::zip(*repeats, sizes)) {
    apart.append({ctx.makeSize(1), size});
    repeated.append({repeat, size});
    joined.push_back(ctx.multiply(repeat, size));
  }
  Value result = ctx.broadcast(ctx.reshape(input, apart), repeated);
  return ctx.setResult(ctx.reshape(result, joined));
}

/// A constant pad without a value takes 0.
LogicalResult importPad(ImportContext &ctx) {
  if (failed(ctx.requireOperands(ctx.opset < 11 ? 1 : 2)))
    return failure();
  Value input = ctx.getOperand(0);
  RankedTensorType type = typeOf(input);
  int64_t rank = type.getRank();
  StringRef mode = ctx.getString("mode", "constant");
  auto kind = graph::symbolizePadKind(mode);
  if (!kind)
    return ctx.invalid() << "mode must be constant, reflect, edge or wrap, got "
                         << mode;
  Sizes pads;
  float number = 0;
  if (ctx.opset < 11) {
    if (failed(ctx.requireAttribute("pads")))
      return failure();
    number = ctx.getFloat("value", 0);
    for (int64_t pad : ctx.getInts("pads").value_or(SmallVector<int64_t>()))
      pads.push_back(ctx.makeSize(pad));
  } else {
    FailureOr<Sizes> values = ctx.extractAll(ctx.getOperand(1), INT64_MIN);
    if (failed(values))
      return failure();
    pads = *values;
  }
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (ctx.opset >= 18 && ctx.getOperand(3)) {
    FailureOr<std::optional<SmallVector<int64_t>>> given =
        ctx.getIntsOrOperand("axes", 3, 18);
    if (failed(given))
      return failure();
    axes = **given;
    if (failed(ctx.normalizeAxes(axes, rank)))
      return failure();
  }
  size_t count = axes.size();
  if (pads.size() != 2 * count)
    return ctx.invalid() << "has " << pads.size() << " pads, but needs two for "
                         << "each of " << count << " axes";
  Sizes lows(rank, ctx.makeSize(0)), highs = lows;
  for (auto [i, axis] : llvm::enumerate(axes)) {
    lows[axis] = pads[i];
    highs[axis] = pads[count + i];
  }
  SmallVector<int64_t> sizes;
  for (auto [dim, size] : llvm::enumerate(type.getShape())) {
    int64_t low = staticSize(lows[dim]), high = staticSize(highs[dim]);
    bool isKnown = !ShapedType::isDynamic(size) &&
                   !ShapedType::isDynamic(low) && !ShapedType::isDynamic(high);
    sizes.push_back(isKnown ? std::max<int64_t>(size + low + high, 0)
                            : ShapedType::kDynamic);
  }
  Value value;
  if (*kind == graph::PadKind::Constant) {
    value = ctx.opset < 11 ? Value() : ctx.getOperand(2);
    if (value && (!typeOf(value).hasStaticShape() ||
                  typeOf(value).getNumElements() != 1))
      return ctx.invalid() << "the value must have 1 element, but has type "
                           << value.getType();
    value = value ? ctx.reshape(value, {})
                  : ctx.makeScalar(number, type.getElementType());
  }
  SmallVector<Value> lowValues, highValues;
  SmallVector<int64_t> knownLows, knownHighs;
  dispatchIndexOpFoldResults(lows, lowValues, knownLows);
  dispatchIndexOpFoldResults(highs, highValues, knownHighs);
  return ctx.setResult(graph::PadOp::create(
      ctx.builder, ctx.loc, type.clone(sizes), *kind, input, value, lowValues,
      knownLows, highValues, knownHighs));
}

/// Trilu(x)  ->  where columns - rows >= k (<= k if lower), x, 0
LogicalResult importTrilu(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  RankedTensorType type = typeOf(input);
  int64_t rank = type.getRank();
  if (rank < 2)
    return ctx.invalid() << "needs a rank of 2 or more, but has " << type;
  int64_t diagonal = 0;
  Value shift = ctx.getOperand(1);
  if (shift) {
    if (!typeOf(shift).hasStaticShape() || typeOf(shift).getNumElements() != 1)
      return ctx.invalid() << "k must have 1 element, but has type "
                           << shift.getType();
    if (std::optional<SmallVector<int64_t>> known =
            ctx.getConstantInts(shift)) {
      diagonal = known->front();
      shift = {};
    }
  }
  OpFoldResult height = ctx.getSize(input, rank - 2);
  Value columns = ctx.iota(ctx.makeSize(0), ctx.getSize(input, rank - 1));
  Value rows = ctx.reshape(ctx.iota(ctx.makeSize(diagonal), height),
                           {height, ctx.makeSize(1)});
  if (shift)
    rows = ctx.binary<graph::AddOp>(rows, ctx.reshape(shift, {}));
  Type flag = ctx.builder.getI1Type();
  Value kept = ctx.getInt("upper", 1)
                   ? ctx.binary<graph::GreaterEqualOp>(columns, rows, flag)
                   : ctx.binary<graph::LessEqualOp>(columns, rows, flag);
  Value zero = ctx.makeScalar(0, type.getElementType());
  return ctx.setResult(
      graph::WhereOp::create(ctx.builder, ctx.loc, type, kept, input, zero));
}

LogicalResult importIdentity(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  return ctx.setResult(ctx.getOperand(0));
}

/// Dropout is the identity when a model runs.
LogicalResult importDropout(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  // Of training only: the ratio, an attribute or an operand, and the seed.
  (void)ctx.getFloat("ratio", 0.5f);
  (void)ctx.getOperand(1);
  (void)ctx.getInt("seed", 0);
  if (Value training = ctx.getOperand(2)) {
    std::optional<SmallVector<int64_t>> mode = ctx.getConstantInts(training);
    if (!mode || llvm::any_of(*mode, [](int64_t bit) { return bit != 0; }))
      return ctx.unsupported() << "training is unsupported";
  }
  Value input = ctx.getOperand(0);
  if (ctx.isResultUsed(1)) {
    // The mask keeps all; a type of its own it has since opset 10.
    Type element = ctx.opset < 10 ? typeOf(input).getElementType()
                                  : ctx.builder.getI1Type();
    Value kept = ctx.makeScalar(1, element);
    (void)ctx.setResult(ctx.broadcast(kept, ctx.getSizes(input)), 1);
  }
  return ctx.setResult(input);
}

const OpHandler handlers[] = {
    {"Concat", importConcat},
    {"Dropout", importDropout},
    {"Expand", importExpand},
    {"Flatten", importFlatten},
    {"Identity", importIdentity},
    {"Pad", importPad},
    {"Reshape", importReshape},
    {"Shape", importShape},
    {"Size", importSize},
    {"Slice", importSlice},
    {"Split", importSplit},
    {"Squeeze", importSqueeze},
    {"Transpose", importTranspose},
    {"Tile", importTile},
    {"Trilu", importTrilu},
    {"Unsqueeze", importUnsqueeze},
    {"ExpandDims", importExpandDims, 1, microsoftDomain},
    {"Trilu", importTrilu, 1, microsoftDomain},
};

} // namespace

ArrayRef<OpHandler> shapeHandlers() { return handlers; }

} // namespace tenon
