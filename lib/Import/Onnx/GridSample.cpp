// ONNX GridSample: weighted sums of elements around places that a tensor holds.
#include "Interpolation.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;

namespace tenon {
namespace {

enum class Padding { Zeros, Border, Reflection };

/// One spatial dimension of the input: its size, and the first and last place
/// inside of it.
struct GridAxis {
  OpFoldResult size;
  Value last, low, high;
};

/// An element that a place takes: where it is, and what it weighs, null for 1.
struct Tap {
  Value place, weight;
};

/// To the nearest whole number, of two to the even one.
Value roundToEven(Numbers &numbers, Value x) {
  Value half = numbers.number(0.5), two = numbers.number(2);
  Value up = numbers.floor(numbers.add(x, half));
  Value isTie = numbers.equal(numbers.sub(up, x), half);
  Value even = numbers.mul(numbers.floor(numbers.div(up, two)), two);
  return numbers.where(isTie, even, up);
}

/// A place outside, mirrored at both ends until it is inside.
Value reflect(Numbers &numbers, const GridAxis &axis, Value x) {
  Value two = numbers.number(2);
  Value isBelow = numbers.less(x, axis.low),
        isAbove = numbers.less(axis.high, x);
  // One element reflects to itself, wherever it is.
  Value range = numbers.sub(axis.high, axis.low);
  range = numbers.where(numbers.less(numbers.number(0), range), range,
                        numbers.number(1));
  Value beyond = numbers.where(isBelow, numbers.sub(axis.low, x),
                               numbers.sub(x, axis.high));
  Value times = numbers.floor(numbers.div(beyond, range));
  Value rest = numbers.sub(beyond, numbers.mul(times, range));
  Value isEven = numbers.equal(
      numbers.mul(numbers.floor(numbers.div(times, two)), two), times);
  Value fromLow = numbers.add(axis.low, rest);
  Value fromHigh = numbers.sub(axis.high, rest);
  Value inside =
      numbers.where(isBelow, numbers.where(isEven, fromLow, fromHigh),
                    numbers.where(isEven, fromHigh, fromLow));
  return numbers.where(numbers.either(isBelow, isAbove), inside, x);
}

/// The elements of one dimension that each coordinate takes.
SmallVector<Tap> makeTaps(Numbers &numbers, const GridAxis &axis, Value at,
                          int64_t reach, Padding padding) {
  Value zero = numbers.number(0);
  if (reach == 0)
    at = roundToEven(numbers, at);
  if (padding == Padding::Reflection) {
    at = reflect(numbers, axis, at);
  } else if (padding == Padding::Border) {
    Value isOutside =
        numbers.either(numbers.less(at, axis.low), numbers.less(axis.high, at));
    at = numbers.where(isOutside, numbers.clamp(at, zero, axis.last), at);
  }
  SmallVector<Tap> taps;
  Value base = reach == 0 ? at : numbers.floor(at);
  for (int64_t step = reach == 0 ? 0 : 1 - reach; step <= reach; ++step) {
    Tap tap{numbers.add(base, numbers.number(step)), Value()};
    if (reach != 0) {
      Value distance = numbers.sub(at, tap.place);
      tap.weight = reach == 1 ? numbers.triangle(distance)
                              : numbers.cubic(distance, -0.75);
    }
    if (padding == Padding::Zeros) {
      Value isOutside = numbers.either(numbers.less(tap.place, zero),
                                       numbers.less(axis.last, tap.place));
      tap.weight = numbers.where(isOutside, zero,
                                 tap.weight ? tap.weight : numbers.number(1));
    } else if (padding == Padding::Reflection) {
      tap.place = reflect(numbers, axis, tap.place);
    }
    tap.place = numbers.clamp(tap.place, zero, axis.last);
    taps.push_back(tap);
  }
  return taps;
}

/// Attributes mode and padding_mode: how far elements reach, and what is
/// outside. Fails after an error.
FailureOr<std::pair<int64_t, Padding>> readModes(ImportContext &ctx) {
  StringRef mode = ctx.getString("mode", "linear");
  StringRef padding = ctx.getString("padding_mode", "zeros");
  int64_t reach = mode == "nearest"                        ? 0
                  : mode == "linear" || mode == "bilinear" ? 1
                  : mode == "cubic" || mode == "bicubic"   ? 2
                                                           : -1;
  if (reach < 0) {
    ctx.invalid() << "mode must be nearest, linear or cubic, but is " << mode;
    return failure();
  }
  if (padding == "zeros")
    return std::pair(reach, Padding::Zeros);
  if (padding == "border")
    return std::pair(reach, Padding::Border);
  if (padding == "reflection")
    return std::pair(reach, Padding::Reflection);
  ctx.invalid() << "padding_mode must be zeros, border or reflection, but is "
                << padding;
  return failure();
}

/// All places are one dimension, and so are the input's spatial ones:
/// GridSample(x, g)  ->  reshape (sum of gather_elements x, places · weights)
LogicalResult importGridSample(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0), grid = ctx.getOperand(1);
  RankedTensorType type = typeOf(input), gridType = typeOf(grid);
  int64_t rank = type.getRank() - 2;
  if (rank < 1 || gridType.getRank() != type.getRank() ||
      failed(verifyCompatibleShape({gridType.getShape().back()}, {rank})))
    return ctx.invalid() << "needs a grid with a coordinate for each spatial "
                            "dimension of the input, but has "
                         << type << " and " << gridType;
  auto modes = readModes(ctx);
  if (failed(modes))
    return failure();
  auto [reach, padding] = *modes;
  bool aligns = ctx.getInt("align_corners", 0) != 0;
  Numbers numbers{ctx};
  Sizes sizes = ctx.getSizes(input), gridSizes = ctx.getSizes(grid);
  ctx.assumeEqual(gridSizes.back(), ctx.makeSize(rank));
  ArrayRef<OpFoldResult> spatial = ArrayRef(sizes).drop_front(2);
  ArrayRef<OpFoldResult> wanted = ArrayRef(gridSizes).slice(1, rank);
  OpFoldResult one = ctx.makeSize(1), places = ctx.product(wanted);
  Value coordinates =
      ctx.cast(ctx.reshape(grid, {gridSizes[0], places, ctx.makeSize(rank)}),
               numbers.f32());

  Type index = ctx.builder.getI64Type();
  SmallVector<Tap> all{{Value(), Value()}};
  for (int64_t dim = 0; dim < rank; ++dim) {
    // The last dimension's coordinate comes first.
    int64_t from = rank - 1 - dim;
    Value at = ctx.reshape(
        ctx.slice(coordinates, 2, ctx.makeSize(from), ctx.makeSize(from + 1)),
        {gridSizes[0], one, places});
    Value size = numbers.size(spatial[dim]), half = numbers.number(0.5);
    GridAxis axis{spatial[dim], numbers.sub(size, numbers.number(1))};
    axis.low = numbers.number(aligns ? 0 : -0.5);
    axis.high = aligns ? axis.last : numbers.sub(size, half);
    // From -1 … 1 to the first and last place inside.
    Value share = numbers.mul(numbers.add(at, numbers.number(1)), half);
    at = aligns ? numbers.mul(share, axis.last)
                : numbers.sub(numbers.mul(share, size), half);
    SmallVector<Tap> taps = makeTaps(numbers, axis, at, reach, padding), next;
    Value stride = graph::FromIndicesOp::create(
        ctx.builder, ctx.loc, RankedTensorType::get({}, index),
        ctx.materialize(spatial[dim]));
    for (const Tap &before : all)
      for (const Tap &tap : taps) {
        Tap both{ctx.cast(tap.place, index), tap.weight};
        if (before.place)
          both.place = ctx.binary<graph::AddOp>(
              ctx.binary<graph::MulOp>(before.place, stride), both.place);
        if (before.weight)
          both.weight = numbers.mul(before.weight, tap.weight);
        next.push_back(both);
      }
    all = next;
  }

  Value flat = ctx.reshape(input, {sizes[0], sizes[1], ctx.product(spatial)});
  bool computes = all.front().weight != nullptr;
  if (computes)
    flat = ctx.cast(flat, numbers.f32());
  Sizes taken{sizes[0], sizes[1], places};
  Value sum;
  for (const Tap &tap : all) {
    Value from = ctx.broadcast(tap.place, taken);
    Value part = graph::GatherElementsOp::create(
        ctx.builder, ctx.loc,
        RankedTensorType::get(staticSizes(taken),
                              typeOf(flat).getElementType()),
        flat, from, /*axis=*/2);
    if (computes)
      part = numbers.mul(part, tap.weight);
    sum = sum ? numbers.add(sum, part) : part;
  }
  Sizes result{sizes[0], sizes[1]};
  llvm::append_range(result, wanted);
  return ctx.setResult(
      ctx.reshape(ctx.cast(sum, type.getElementType()), result));
}

const OpHandler handlers[] = {
    {"GridSample", importGridSample},
    {"GridSample", importGridSample, 1, microsoftDomain},
};

} // namespace

ArrayRef<OpHandler> gridSampleHandlers() { return handlers; }

} // namespace tenon
