// ONNX Resize and Upsample: along each axis by itself, sums of weighted slices
// that are looked up. Where they are and what they weigh is computed by the
// model in f32, from sizes that may be symbolic.
#include "Interpolation.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>

using namespace mlir;

namespace tenon {
namespace {

enum class Mode { Nearest, Linear, Cubic };

/// What is the same along all axes.
struct ResizeOptions {
  Mode mode;
  StringRef coordinates, nearest;
  bool antialias, excludesOutside;
  float cubicCoefficient, outsideValue;
};

/// One axis: sizes, and how many times larger the result is, as a number or, of
/// sizes that are not known, a tensor of rank 0. `start` and `end` bound the
/// region of interest, if there is one.
struct ResizedAxis {
  int64_t axis;
  OpFoldResult from, to;
  std::optional<float> scale;
  Value start, end;
};

/// How many times larger the result is than the input.
Value scaleOf(Numbers &numbers, const ResizedAxis &axis) {
  return axis.scale
             ? numbers.number(*axis.scale)
             : numbers.div(numbers.size(axis.to), numbers.size(axis.from));
}

/// Where each element of the result lies between the input's. Null after an
/// error.
Value makeCoordinates(Numbers &numbers, const ResizeOptions &options,
                      const ResizedAxis &axis) {
  ImportContext &ctx = numbers.ctx;
  Value at = ctx.cast(ctx.iota(ctx.makeSize(0), axis.to), numbers.f32());
  Value scale = scaleOf(numbers, axis), from = numbers.size(axis.from),
        half = numbers.number(0.5), one = numbers.number(1);
  auto halfPixel = [&](Value offset = {}) {
    Value place = numbers.div(numbers.add(at, half), scale);
    return numbers.sub(offset ? numbers.add(offset, place) : place, half);
  };
  // Of sizes as they are asked for, before they are rounded.
  auto lengths = [&]() {
    Value width = axis.scale ? numbers.mul(from, scale) : numbers.size(axis.to);
    return std::pair(numbers.sub(from, one), numbers.sub(width, one));
  };
  // A result of one element has no distance between elements.
  auto unlessSingle = [&](Value last, Value otherwise, Value single) {
    Value isSingle = ctx.binary<graph::EqualOp>(last, numbers.number(0),
                                                ctx.builder.getI1Type());
    return numbers.where(isSingle, single, otherwise);
  };
  if (options.coordinates == "half_pixel")
    return halfPixel();
  if (options.coordinates == "asymmetric")
    return numbers.div(at, scale);
  if (options.coordinates == "pytorch_half_pixel")
    return unlessSingle(lengths().second, halfPixel(), numbers.number(0));
  if (options.coordinates == "align_corners") {
    auto [last, lastOut] = lengths();
    return unlessSingle(lastOut, numbers.div(numbers.mul(at, last), lastOut),
                        numbers.number(0));
  }
  if (options.coordinates == "half_pixel_symmetric") {
    Value adjustment =
        numbers.div(numbers.size(axis.to), numbers.mul(from, scale));
    Value offset =
        numbers.mul(numbers.mul(from, half), numbers.sub(one, adjustment));
    return halfPixel(offset);
  }
  if (options.coordinates == "tf_crop_and_resize") {
    auto [last, lastOut] = lengths();
    Value region = numbers.mul(numbers.sub(axis.end, axis.start), last);
    Value inside =
        unlessSingle(lastOut, numbers.div(numbers.mul(at, region), lastOut),
                     numbers.mul(region, half));
    return numbers.add(inside, numbers.mul(axis.start, last));
  }
  ctx.unsupported() << "coordinate_transformation_mode " << options.coordinates
                    << " is unsupported";
  return {};
}

/// The slices of the input at these places, of which those outside are the
/// outermost.
Value lookUp(Numbers &numbers, const ResizedAxis &axis, Value input,
             Value places) {
  ImportContext &ctx = numbers.ctx;
  Value last = numbers.sub(numbers.size(axis.from), numbers.number(1));
  Value inside = ctx.binary<graph::MaxOp>(
      ctx.binary<graph::MinOp>(places, last), numbers.number(0));
  return ctx.gather(input, ctx.cast(inside, ctx.builder.getI64Type()),
                    axis.axis);
}

/// A vector along the axis, for tensors of this rank.
Value alongAxis(ImportContext &ctx, Value vector, int64_t axis, int64_t rank) {
  Sizes sizes(rank - axis, ctx.makeSize(1));
  sizes[0] = ctx.getSize(vector, 0);
  return ctx.reshape(vector, sizes);
}

/// The nearest element; of two, as attribute nearest_mode says. Null after an
/// error.
Value makeNearest(Numbers &numbers, StringRef mode, Value at) {
  if (mode == "round_prefer_floor")
    return numbers.ceil(numbers.sub(at, numbers.number(0.5)));
  if (mode == "round_prefer_ceil")
    return numbers.floor(numbers.add(at, numbers.number(0.5)));
  if (mode == "floor")
    return numbers.floor(at);
  if (mode == "ceil")
    return numbers.ceil(at);
  numbers.ctx.invalid() << "nearest_mode must be round_prefer_floor, "
                           "round_prefer_ceil, floor or ceil, but is "
                        << mode;
  return {};
}

/// The weighted sum of the elements around each coordinate.
Value interpolate(Numbers &numbers, const ResizeOptions &options,
                  const ResizedAxis &axis, Value input, Value at) {
  ImportContext &ctx = numbers.ctx;
  int64_t reach = options.mode == Mode::Linear ? 1 : 2;
  float shrink = 1;
  // Taking a mean of what a smaller result leaves out.
  if (options.antialias && *axis.scale < 1) {
    shrink = *axis.scale;
    reach = std::ceil(reach / shrink);
  }
  Value base = numbers.floor(at), ratio = numbers.sub(at, base), total;
  SmallVector<Value> places, weights;
  for (int64_t step = 1 - reach; step <= reach; ++step) {
    Value distance = numbers.sub(ratio, numbers.number(step));
    if (shrink != 1)
      distance = numbers.mul(distance, numbers.number(shrink));
    Value place = numbers.add(base, numbers.number(step));
    Value weight = options.mode == Mode::Linear
                       ? numbers.triangle(distance)
                       : numbers.cubic(distance, options.cubicCoefficient);
    if (options.excludesOutside) {
      Value last = numbers.sub(numbers.size(axis.from), numbers.number(1));
      Value outside = numbers.either(numbers.less(place, numbers.number(0)),
                                     numbers.less(last, place));
      weight = numbers.where(outside, numbers.number(0), weight);
    }
    total = total ? numbers.add(total, weight) : weight;
    places.push_back(place);
    weights.push_back(weight);
  }
  bool normalizes = options.excludesOutside || shrink != 1;
  int64_t rank = typeOf(input).getRank();
  Value sum;
  for (auto [place, weight] : llvm::zip(places, weights)) {
    if (normalizes)
      weight = numbers.div(weight, total);
    Value slices = lookUp(numbers, axis, input, place);
    Value part = numbers.mul(slices, alongAxis(ctx, weight, axis.axis, rank));
    sum = sum ? numbers.add(sum, part) : part;
  }
  return sum;
}

Value resizeAxis(ImportContext &ctx, const ResizeOptions &options,
                 const ResizedAxis &axis, Value input) {
  Numbers numbers{ctx};
  Value at = makeCoordinates(numbers, options, axis);
  if (!at)
    return {};
  Value result;
  if (options.mode == Mode::Nearest) {
    Value place = makeNearest(numbers, options.nearest, at);
    if (!place)
      return {};
    result = lookUp(numbers, axis, input, place);
  } else {
    result = interpolate(numbers, options, axis, input, at);
  }
  if (options.coordinates != "tf_crop_and_resize")
    return result;
  Value last = numbers.sub(numbers.size(axis.from), numbers.number(1));
  Value outside = numbers.either(numbers.less(at, numbers.number(0)),
                                 numbers.less(last, at));
  RankedTensorType type = typeOf(result);
  return graph::WhereOp::create(
      ctx.builder, ctx.loc, type,
      alongAxis(ctx, outside, axis.axis, type.getRank()),
      ctx.makeScalar(options.outsideValue, type.getElementType()), result);
}

/// size · scale, rounded down as ONNX does: in f32 or, of a size that is not
/// known, as the fraction with the least denominator that the scale stands for.
OpFoldResult scaleSize(ImportContext &ctx, OpFoldResult size, float scale) {
  if (std::optional<int64_t> known = getConstantIntValue(size))
    return ctx.makeSize(std::floor(static_cast<float>(*known) * scale));
  int64_t denominator = 1;
  auto numerator = [&]() {
    return static_cast<int64_t>(
        std::llround(static_cast<double>(scale) * denominator));
  };
  // A float of 24 bits is exact at the latest.
  while (denominator < (int64_t(1) << 23) &&
         static_cast<float>(static_cast<double>(numerator()) / denominator) !=
             scale)
    ++denominator;
  return ctx.floorDivide(ctx.multiply(size, ctx.makeSize(numerator())),
                         ctx.makeSize(denominator));
}

/// The elements of a constant of floats.
std::optional<SmallVector<float>> constantFloats(Value tensor) {
  auto constant = tensor.getDefiningOp<graph::ConstantOp>();
  auto elements =
      constant ? dyn_cast<DenseFPElementsAttr>(constant.getValue()) : nullptr;
  if (!elements)
    return std::nullopt;
  SmallVector<float> values;
  for (const APFloat &value : elements.getValues<APFloat>())
    values.push_back(static_cast<float>(value.convertToDouble()));
  return values;
}

bool isEmptyOrMissing(Value operand) {
  return !operand || llvm::is_contained(typeOf(operand).getShape(), 0);
}

/// From opset 18 on, the scale of one axis, rounded sizes and all, may be taken
/// for all of them. Fails after an error.
LogicalResult keepAspectRatio(ImportContext &ctx,
                              MutableArrayRef<ResizedAxis> axes) {
  StringRef policy = ctx.getString("keep_aspect_ratio_policy", "stretch");
  if (policy == "stretch")
    return success();
  if (policy != "not_larger" && policy != "not_smaller")
    return ctx.invalid() << "keep_aspect_ratio_policy must be stretch, "
                            "not_larger or not_smaller, but is "
                         << policy;
  std::optional<float> all;
  for (ResizedAxis &axis : axes) {
    std::optional<int64_t> from = getConstantIntValue(axis.from),
                           to = getConstantIntValue(axis.to);
    if (!from || !to || *from == 0)
      return ctx.unsupported()
             << "keep_aspect_ratio_policy " << policy << " needs known sizes";
    float scale = static_cast<float>(*to) / *from;
    bool replaces =
        !all || (policy == "not_larger" ? scale < *all : scale > *all);
    all = replaces ? scale : *all;
  }
  for (ResizedAxis &axis : axes) {
    axis.scale = all;
    axis.to = ctx.makeSize(std::floor(
        static_cast<float>(*getConstantIntValue(axis.from)) * *all + 0.5f));
  }
  return success();
}

/// Sets the sizes and scales of `axes`, one of which operands `scales` and
/// `sizes` must give. Fails after an error.
LogicalResult readSizes(ImportContext &ctx, Value scales, Value sizes,
                        MutableArrayRef<ResizedAxis> axes) {
  if (isEmptyOrMissing(scales) == isEmptyOrMissing(sizes))
    return ctx.invalid() << "needs either scales or sizes";
  auto requireCount = [&](size_t count) -> LogicalResult {
    if (count == axes.size())
      return success();
    return ctx.invalid() << "has " << count << " scales or sizes for "
                         << axes.size() << " axes";
  };
  if (!isEmptyOrMissing(sizes)) {
    FailureOr<Sizes> wanted = ctx.extractAll(sizes, 0);
    if (failed(wanted) || failed(requireCount(wanted->size())))
      return failure();
    for (auto [axis, size] : llvm::zip(axes, *wanted)) {
      axis.to = size;
      std::optional<int64_t> from = getConstantIntValue(axis.from),
                             to = getConstantIntValue(axis.to);
      if (from && to && *from != 0)
        axis.scale = static_cast<float>(*to) / *from;
    }
    return keepAspectRatio(ctx, axes);
  }
  (void)ctx.getString("keep_aspect_ratio_policy", "stretch"); // of sizes only
  std::optional<SmallVector<float>> values = constantFloats(scales);
  if (!values)
    return ctx.unsupported() << "scales must be a constant";
  if (failed(requireCount(values->size())))
    return failure();
  for (auto [axis, scale] : llvm::zip(axes, *values)) {
    if (!(scale > 0))
      return ctx.invalid() << "has a scale of " << scale;
    axis.scale = scale;
    axis.to = scaleSize(ctx, axis.from, scale);
  }
  return success();
}

/// Resizes along each axis whose size changes.
LogicalResult setResized(ImportContext &ctx, const ResizeOptions &options,
                         ArrayRef<ResizedAxis> axes) {
  Value input = ctx.getOperand(0);
  Type type = typeOf(input).getElementType();
  bool computes = options.mode != Mode::Nearest;
  if (computes && !isa<Float32Type, Float16Type, BFloat16Type>(type))
    return ctx.unsupported() << "needs floats of 16 or 32 bits to interpolate "
                                "between, but has "
                             << input.getType();
  Value result = computes ? ctx.cast(input, ctx.builder.getF32Type()) : input;
  for (const ResizedAxis &axis : axes) {
    bool isSame = axis.scale == 1.0f && axis.from == axis.to && !axis.start;
    if (isSame)
      continue;
    if (options.antialias && computes && !axis.scale)
      return ctx.unsupported() << "antialias needs known scales";
    result = resizeAxis(ctx, options, axis, result);
    if (!result)
      return failure();
  }
  return ctx.setResult(ctx.cast(result, type));
}

FailureOr<Mode> readMode(ImportContext &ctx) {
  StringRef text = ctx.getString("mode", "nearest");
  auto mode = llvm::StringSwitch<std::optional<Mode>>(text)
                  .Case("nearest", Mode::Nearest)
                  .Cases({"linear", "bilinear"}, Mode::Linear)
                  .Case("cubic", Mode::Cubic)
                  .Default(std::nullopt);
  if (mode)
    return *mode;
  ctx.invalid() << "mode must be nearest, linear or cubic, but is " << text;
  return failure();
}

/// Upsample, and Resize of opset 10, have no choice of coordinates.
LogicalResult importUpsample(ImportContext &ctx) {
  if (failed(ctx.requireOperands(ctx.opset < 9 ? 1 : 2)))
    return failure();
  Value input = ctx.getOperand(0), scales = ctx.getOperand(1);
  FailureOr<Mode> mode = readMode(ctx);
  if (failed(mode))
    return failure();
  if (ctx.opset < 9) {
    if (failed(ctx.requireAttribute("scales")))
      return failure();
    SmallVector<float> values =
        ctx.getFloats("scales").value_or(SmallVector<float>());
    auto type = RankedTensorType::get(static_cast<int64_t>(values.size()),
                                      ctx.builder.getF32Type());
    scales = ctx.makeConstant(DenseElementsAttr::get(type, ArrayRef(values)));
  }
  SmallVector<ResizedAxis> axes;
  for (int64_t axis = 0; axis < typeOf(input).getRank(); ++axis)
    axes.push_back({axis, ctx.getSize(input, axis)});
  if (failed(readSizes(ctx, scales, Value(), axes)))
    return failure();
  return setResized(ctx,
                    {*mode, "asymmetric", "floor", /*antialias=*/false,
                     /*excludesOutside=*/false, -0.75f, 0},
                    axes);
}

LogicalResult importResize(ImportContext &ctx) {
  if (ctx.opset < 11)
    return importUpsample(ctx);
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0), roi = ctx.getOperand(1);
  int64_t rank = typeOf(input).getRank();
  FailureOr<Mode> mode = readMode(ctx);
  if (failed(mode))
    return failure();
  ResizeOptions options{
      *mode,
      ctx.getString("coordinate_transformation_mode", "half_pixel"),
      ctx.getString("nearest_mode", "round_prefer_floor"),
      ctx.getInt("antialias", 0) != 0,
      ctx.getInt("exclude_outside", 0) != 0,
      ctx.getFloat("cubic_coeff_a", -0.75f),
      ctx.getFloat("extrapolation_value", 0)};
  auto given = ctx.getInts("axes").value_or(
      llvm::to_vector(llvm::seq<int64_t>(0, rank)));
  if (failed(ctx.normalizeAxes(given, rank)))
    return failure();
  SmallVector<ResizedAxis> axes;
  for (int64_t axis : given)
    axes.push_back({axis, ctx.getSize(input, axis)});
  if (failed(readSizes(ctx, ctx.getOperand(2), ctx.getOperand(3), axes)))
    return failure();
  if (options.coordinates == "tf_crop_and_resize") {
    int64_t count = axes.size();
    if (!roi || typeOf(roi).getRank() != 1 ||
        typeOf(roi).getDimSize(0) != 2 * count)
      return ctx.invalid() << "needs a region of interest of " << 2 * count
                           << " numbers to crop";
    auto bound = [&](int64_t i) {
      return ctx.cast(
          ctx.reshape(ctx.slice(roi, 0, ctx.makeSize(i), ctx.makeSize(i + 1)),
                      {}),
          ctx.builder.getF32Type());
    };
    for (auto [i, axis] : llvm::enumerate(axes)) {
      axis.start = bound(i);
      axis.end = bound(count + i);
    }
  }
  return setResized(ctx, options, axes);
}

const OpHandler handlers[] = {
    {"Resize", importResize},
    {"Upsample", importUpsample},
};

} // namespace

ArrayRef<OpHandler> resizeHandlers() { return handlers; }

} // namespace tenon
