// ONNX operators that take a part of a tensor, or make it part of a larger one.
#include "RunTimeAxes.h"

using namespace mlir;

namespace tenon {
namespace {

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

/// Of a step that is known when the model runs:
/// gather x, start + iota · step
Value sliceByStep(ImportContext &ctx, Value input, int64_t axis,
                  OpFoldResult start, OpFoldResult end, OpFoldResult step) {
  OpFoldResult zero = ctx.makeSize(0), size = ctx.getSize(input, axis);
  auto clamp = [&](OpFoldResult bound, int64_t leastBackward) {
    bound = ctx.selectLess(bound, zero, ctx.add(bound, size), bound);
    OpFoldResult forward = ctx.minimum(ctx.maximum(bound, zero), size);
    OpFoldResult backward =
        ctx.minimum(ctx.maximum(bound, ctx.makeSize(leastBackward)),
                    ctx.subtract(size, ctx.makeSize(1)));
    return ctx.selectLess(step, zero, backward, forward);
  };
  start = clamp(start, 0);
  OpFoldResult span = ctx.subtract(clamp(end, -1), start);
  OpFoldResult count = ctx.maximum(ctx.countSteps(span, step), zero);
  return ctx.gather(input, ctx.iota(start, step, count), axis);
}

/// What a Slice takes of each dimension.
struct Bounds {
  Sizes starts, ends, steps;
};

/// The integers of attribute `name` before opset 10, of operand `i` from then
/// on; nothing if they are left out. Fails after an error.
FailureOr<std::optional<Sizes>> readBounds(ImportContext &ctx, StringRef name,
                                           unsigned i) {
  if (ctx.opset >= 10) {
    if (!ctx.getOperand(i))
      return std::optional<Sizes>();
    FailureOr<Sizes> values = ctx.extractAll(ctx.getOperand(i), INT64_MIN);
    return failed(values) ? FailureOr<std::optional<Sizes>>(failure())
                          : std::optional(*values);
  }
  std::optional<SmallVector<int64_t>> values = ctx.getInts(name);
  if (!values)
    return std::optional<Sizes>();
  return std::optional(llvm::map_to_vector(
      *values, [&](int64_t value) { return ctx.makeSize(value); }));
}

/// Beyond any size, so that sums with sizes are exact.
OpFoldResult withinSizes(ImportContext &ctx, OpFoldResult bound) {
  constexpr int64_t largest = int64_t(1) << 47;
  std::optional<int64_t> known = getConstantIntValue(bound);
  return known ? ctx.makeSize(std::clamp(*known, -largest, largest)) : bound;
}

/// Fails after an error.
FailureOr<Bounds> readSlice(ImportContext &ctx) {
  Value input = ctx.getOperand(0);
  int64_t rank = typeOf(input).getRank();
  auto starts = readBounds(ctx, "starts", 1), ends = readBounds(ctx, "ends", 2),
       steps = readBounds(ctx, "steps", 4);
  if (failed(starts) || failed(ends) || failed(steps))
    return failure();
  size_t count = (*starts)->size();
  if (!*steps)
    steps->emplace(count, ctx.makeSize(1));
  auto check = [&](size_t axes) -> LogicalResult {
    if ((*ends)->size() == count && axes == count && (*steps)->size() == count)
      return success();
    return ctx.invalid() << "has " << count << " starts, " << (*ends)->size()
                         << " ends, " << axes << " axes and "
                         << (*steps)->size() << " steps";
  };
  Bounds bounds{Sizes(rank, ctx.makeSize(0)),
                Sizes(rank, ctx.makeSize(INT64_MAX)),
                Sizes(rank, ctx.makeSize(1))};
  if (ctx.opset >= 10 && areRunTimeAxes(ctx, ctx.getOperand(3))) {
    FailureOr<RunTimeAxes> axes =
        RunTimeAxes::read(ctx, ctx.getOperand(3), rank);
    if (failed(axes) || failed(check(axes->getCount())))
      return failure();
    for (Sizes *values : {&**starts, &**ends})
      for (OpFoldResult &value : *values)
        value = withinSizes(ctx, value);
    for (int64_t dim = 0; dim < rank; ++dim) {
      bounds.starts[dim] = axes->pick(dim, **starts, ctx.makeSize(0));
      bounds.ends[dim] = axes->pick(dim, **ends, ctx.getSize(input, dim));
      bounds.steps[dim] = axes->pick(dim, **steps, ctx.makeSize(1));
    }
    return bounds;
  }
  SmallVector<int64_t> axes =
      ctx.getIntsOrOperand("axes", 3, 10)
          .value_or(llvm::to_vector(llvm::seq<int64_t>(0, count)));
  if (failed(check(axes.size())) || failed(ctx.normalizeAxes(axes, rank)))
    return failure();
  for (auto [i, axis] : llvm::enumerate(axes)) {
    // INT64_MIN marks a bound that is a value.
    auto bound = [&](OpFoldResult value) {
      return getConstantIntValue(value) == INT64_MIN ? ctx.makeSize(-INT64_MAX)
                                                     : value;
    };
    bounds.starts[axis] = bound((**starts)[i]);
    bounds.ends[axis] = bound((**ends)[i]);
    bounds.steps[axis] = (**steps)[i];
  }
  return bounds;
}

LogicalResult importSlice(ImportContext &ctx) {
  if (failed(ctx.requireOperands(ctx.opset < 10 ? 1 : 3)))
    return failure();
  for (StringRef name : {"starts", "ends"})
    if (ctx.opset < 10 && failed(ctx.requireAttribute(name)))
      return failure();
  FailureOr<Bounds> bounds = readSlice(ctx);
  if (failed(bounds))
    return failure();
  Value result = ctx.getOperand(0);
  int64_t rank = typeOf(result).getRank();
  SmallVector<int64_t> steps(rank, 1);
  for (int64_t dim = 0; dim < rank; ++dim) {
    OpFoldResult &start = bounds->starts[dim], &end = bounds->ends[dim];
    if (std::optional<int64_t> step = getConstantIntValue(bounds->steps[dim])) {
      if (*step == 0)
        return ctx.invalid() << "has a step of 0";
      steps[dim] = *step;
      continue;
    }
    result = sliceByStep(ctx, result, dim, withinSizes(ctx, start),
                         withinSizes(ctx, end), bounds->steps[dim]);
    start = ctx.makeSize(0);
    end = ctx.makeSize(INT64_MAX);
  }
  RankedTensorType type = typeOf(result);
  SmallVector<int64_t> sizes;
  for (int64_t dim = 0; dim < rank; ++dim)
    sizes.push_back(sliceSize(type.getDimSize(dim),
                              staticSize(bounds->starts[dim]),
                              staticSize(bounds->ends[dim]), steps[dim]));
  SmallVector<Value> startValues, endValues;
  SmallVector<int64_t> knownStarts, knownEnds;
  dispatchIndexOpFoldResults(bounds->starts, startValues, knownStarts);
  dispatchIndexOpFoldResults(bounds->ends, endValues, knownEnds);
  return ctx.setResult(graph::SliceOp::create(
      ctx.builder, ctx.loc, RankedTensorType::get(sizes, type.getElementType()),
      result, startValues, knownStarts, endValues, knownEnds, steps));
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
  int64_t whole = staticSize(ctx.getSize(input, *axis));
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

/// Gives each axis, of which operand 3 may name some, its two pads.
LogicalResult placePads(ImportContext &ctx, ArrayRef<OpFoldResult> pads,
                        MutableArrayRef<OpFoldResult> lows,
                        MutableArrayRef<OpFoldResult> highs) {
  int64_t rank = lows.size();
  auto check = [&](int64_t count) -> LogicalResult {
    if (static_cast<int64_t>(pads.size()) == 2 * count)
      return success();
    return ctx.invalid() << "has " << pads.size() << " pads, but needs two for "
                         << "each of " << count << " axes";
  };
  Value operand = ctx.opset >= 18 ? ctx.getOperand(3) : Value();
  if (areRunTimeAxes(ctx, operand)) {
    FailureOr<RunTimeAxes> axes = RunTimeAxes::read(ctx, operand, rank);
    if (failed(axes) || failed(check(axes->getCount())))
      return failure();
    int64_t count = axes->getCount();
    for (int64_t dim = 0; dim < rank; ++dim) {
      lows[dim] = axes->pick(dim, pads.take_front(count), ctx.makeSize(0));
      highs[dim] = axes->pick(dim, pads.drop_front(count), ctx.makeSize(0));
    }
    return success();
  }
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (operand)
    axes = *ctx.getConstantInts(operand);
  int64_t count = axes.size();
  if (failed(check(count)) || failed(ctx.normalizeAxes(axes, rank)))
    return failure();
  for (auto [i, axis] : llvm::enumerate(axes)) {
    lows[axis] = pads[i];
    highs[axis] = pads[count + i];
  }
  return success();
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
  Sizes lows(rank, ctx.makeSize(0)), highs = lows;
  if (failed(placePads(ctx, pads, lows, highs)))
    return failure();
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

const OpHandler handlers[] = {
    {"Pad", importPad},
    {"Slice", importSlice},
    {"Split", importSplit},
};

} // namespace

ArrayRef<OpHandler> slicingHandlers() { return handlers; }

} // namespace tenon
