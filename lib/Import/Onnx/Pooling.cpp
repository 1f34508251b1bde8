// ONNX pooling: reductions over the windows of the input.
#include "Windows.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;

namespace tenon {
namespace {

struct Pool {
  Value input;
  Windows windows;
  Sizes sizes; ///< spatial ones, of the input
  /// With ceil_mode, what a last window takes beyond the pads.
  Sizes overhangs;
};

/// Attribute ceil_mode adds a window where there is a rest, unless it began
/// behind the input and the pads before it.
FailureOr<Pool> readPool(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Pool pool{ctx.getOperand(0)};
  FailureOr<Sizes> sizes = getSpatialSizes(ctx, pool.input);
  if (failed(sizes))
    return failure();
  pool.sizes = *sizes;
  FailureOr<Windows> windows =
      readWindows(ctx, pool.sizes,
                  ctx.getInts("kernel_shape").value_or(SmallVector<int64_t>()));
  if (failed(windows))
    return failure();
  pool.windows = *windows;
  bool rounds = ctx.getInt("ceil_mode", 0) != 0;
  for (auto [dim, size] : llvm::enumerate(pool.sizes)) {
    pool.overhangs.push_back(ctx.makeSize(0));
    if (!rounds)
      continue;
    OpFoldResult stride = ctx.makeSize(windows->strides[dim]);
    OpFoldResult span = ctx.makeSize(windows->span(dim));
    OpFoldResult start = ctx.add(size, windows->lows[dim]);
    OpFoldResult padded = ctx.add(start, windows->highs[dim]);
    OpFoldResult count =
        ctx.minimum(ctx.add(ctx.ceilDivide(ctx.subtract(padded, span), stride),
                            ctx.makeSize(1)),
                    ctx.ceilDivide(start, stride));
    OpFoldResult end = ctx.add(
        ctx.multiply(ctx.subtract(count, ctx.makeSize(1)), stride), span);
    pool.overhangs.back() =
        ctx.maximum(ctx.subtract(end, padded), ctx.makeSize(0));
  }
  return pool;
}

Value makeWindows(ImportContext &ctx, const Pool &pool, Value input,
                  Value padding) {
  Sizes highs;
  for (auto [high, overhang] : llvm::zip(pool.windows.highs, pool.overhangs))
    highs.push_back(ctx.add(high, overhang));
  return makeWindows(ctx,
                     padSpatial(ctx, input, padding, pool.windows.lows, highs),
                     pool.windows);
}

/// N×C×windows×kernel  ->  N×C×windows
Value reduceWindows(ImportContext &ctx, graph::ReductionKind kind,
                    Value windows, size_t spatial) {
  int64_t rank = typeOf(windows).getRank(), kept = rank - spatial;
  Value result =
      ctx.reduce(kind, windows, llvm::to_vector(llvm::seq(kept, rank)));
  Sizes sizes = ctx.getSizes(result);
  sizes.resize(kept, ctx.makeSize(1));
  return ctx.reshape(result, sizes);
}

/// How many elements of the input, and of its pads where these count, are in
/// each window along a dimension: [windows].
Value countElements(ImportContext &ctx, const Pool &pool, size_t dim,
                    bool countsPads, Type type) {
  OpFoldResult none = ctx.makeSize(0);
  OpFoldResult counted = pool.sizes[dim], low = pool.windows.lows[dim],
               high = pool.windows.highs[dim];
  if (countsPads) {
    counted = ctx.add(ctx.add(counted, low), high);
    low = high = none;
  }
  Value ones = ctx.broadcast(ctx.makeScalar(1, type), {counted});
  Value padded = ctx.pad(ones, ctx.makeScalar(0, type), {low},
                         {ctx.add(high, pool.overhangs[dim])});
  Windows line;
  line.kernel = {pool.windows.kernel[dim]};
  line.strides = {pool.windows.strides[dim]};
  line.dilations = {pool.windows.dilations[dim]};
  return reduceWindows(ctx, graph::ReductionKind::Sum,
                       makeWindows(ctx, padded, line), 1);
}

/// Without pads that do not count:
/// AveragePool(x)  ->  reduce mean (window (pad x))
/// Else the sum is divided by how many elements each window has.
LogicalResult importAveragePool(ImportContext &ctx) {
  FailureOr<Pool> pool = readPool(ctx);
  if (failed(pool))
    return failure();
  bool countsPads = ctx.getInt("count_include_pad", 0) != 0;
  size_t rank = pool->windows.rank();
  Type type = typeOf(pool->input).getElementType();
  Value windows = makeWindows(ctx, *pool, pool->input, ctx.makeScalar(0, type));
  auto isZero = [](OpFoldResult size) {
    return getConstantIntValue(size) == 0;
  };
  auto isWhole = [&](size_t dim) {
    return isZero(pool->overhangs[dim]) &&
           (countsPads || (isZero(pool->windows.lows[dim]) &&
                           isZero(pool->windows.highs[dim])));
  };
  if (llvm::all_of(llvm::seq<size_t>(0, rank), isWhole))
    return ctx.setResult(
        reduceWindows(ctx, graph::ReductionKind::Mean, windows, rank));
  Value count;
  for (size_t dim = 0; dim < rank; ++dim) {
    Value along = isWhole(dim)
                      ? ctx.makeScalar(pool->windows.kernel[dim], type)
                      : countElements(ctx, *pool, dim, countsPads, type);
    if (!isWhole(dim)) {
      Sizes sizes(rank - dim, ctx.makeSize(1));
      sizes[0] = ctx.getSize(along, 0);
      along = ctx.reshape(along, sizes);
    }
    count = count ? ctx.binary<graph::MulOp>(count, along) : along;
    if (!count)
      return failure();
  }
  Value sum = reduceWindows(ctx, graph::ReductionKind::Sum, windows, rank);
  Value result = ctx.binary<graph::DivOp>(sum, count);
  return result ? ctx.setResult(result) : failure();
}

/// The least value of a type, of rank 0.
Value makeLeast(ImportContext &ctx, Type type) {
  auto tensor = RankedTensorType::get({}, type);
  if (isa<FloatType>(type))
    return ctx.makeScalar(-std::numeric_limits<double>::infinity(), type);
  unsigned width = type.getIntOrFloatBitWidth();
  APInt least = type.isUnsignedInteger() ? APInt::getMinValue(width)
                                         : APInt::getSignedMinValue(width);
  return ctx.makeConstant(DenseElementsAttr::get(tensor, least));
}

/// The place of each of the input's elements among all, as windows that
/// correspond to the input's: N×C×windows×kernel. With `columnMajor` the
/// spatial dimensions are counted from the first on.
Value makePlaces(ImportContext &ctx, const Pool &pool, bool columnMajor) {
  Sizes all = ctx.getSizes(pool.input);
  size_t rank = pool.windows.rank();
  OpFoldResult area = ctx.product(pool.sizes);
  Sizes spatial(pool.sizes);
  SmallVector<int64_t> permutation =
      llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (columnMajor) {
    std::reverse(spatial.begin(), spatial.end());
    std::reverse(permutation.begin(), permutation.end());
  }
  Value within = ctx.transpose(
      ctx.reshape(ctx.iota(ctx.makeSize(0), area), spatial), permutation);
  Type type = typeOf(within).getElementType();
  Value windows = makeWindows(ctx, pool, within, ctx.makeScalar(0, type));
  Value planes = ctx.iota(ctx.makeSize(0), ctx.multiply(all[0], all[1]));
  Value size = graph::FromIndicesOp::create(ctx.builder, ctx.loc,
                                            RankedTensorType::get({}, type),
                                            ctx.materialize(area));
  Value starts = ctx.binary<graph::MulOp>(planes, size);
  if (!starts)
    return {};
  Sizes plane(2 + 2 * rank, ctx.makeSize(1));
  plane[0] = all[0];
  plane[1] = all[1];
  return ctx.binary<graph::AddOp>(ctx.reshape(starts, plane), windows);
}

/// Of the largest elements in a window the first counts:
/// i = top_k (reshape (window x)); gather_elements (places, i)
LogicalResult setPlaces(ImportContext &ctx, const Pool &pool, Value windows) {
  size_t rank = pool.windows.rank();
  if (isa<IntegerType>(typeOf(pool.input).getElementType())) {
    // Pads are no element of the input, though as small as the least.
    Type wide = ctx.builder.getI32Type();
    windows = makeWindows(ctx, pool, ctx.cast(pool.input, wide),
                          makeLeast(ctx, wide));
  }
  Value places = makePlaces(ctx, pool, ctx.getInt("storage_order", 0) != 0);
  if (!places)
    return failure();
  auto joinWindow = [&](Value value) {
    Sizes sizes = ctx.getSizes(value);
    ArrayRef<OpFoldResult> kernel = ArrayRef(sizes).take_back(rank);
    OpFoldResult elements = ctx.product(kernel);
    sizes.truncate(sizes.size() - rank);
    sizes.push_back(elements);
    return ctx.reshape(value, sizes);
  };
  Value lines = joinWindow(windows);
  RankedTensorType type = typeOf(lines);
  SmallVector<int64_t> shape(type.getShape());
  int64_t axis = type.getRank() - 1;
  shape[axis] = 1;
  auto indexType = RankedTensorType::get(shape, ctx.builder.getI64Type());
  Value best = graph::TopKOp::create(ctx.builder, ctx.loc, indexType,
                                     ctx.materialize(ctx.makeSize(1)), lines,
                                     axis, /*smallest=*/false,
                                     /*prefer_last=*/false);
  Value found = graph::GatherElementsOp::create(ctx.builder, ctx.loc, indexType,
                                                joinWindow(places), best, axis);
  Sizes sizes = ctx.getSizes(found);
  sizes.pop_back();
  return ctx.setResult(ctx.reshape(found, sizes), 1);
}

LogicalResult importMaxPool(ImportContext &ctx) {
  FailureOr<Pool> pool = readPool(ctx);
  if (failed(pool))
    return failure();
  Type type = typeOf(pool->input).getElementType();
  Value windows = makeWindows(ctx, *pool, pool->input, makeLeast(ctx, type));
  (void)ctx.getInt("storage_order", 0); // of the indices
  if (ctx.isResultUsed(1) && failed(setPlaces(ctx, *pool, windows)))
    return failure();
  return ctx.setResult(reduceWindows(ctx, graph::ReductionKind::Max, windows,
                                     pool->windows.rank()));
}

/// |x|^p for a positive p
Value raise(ImportContext &ctx, Value input, int64_t p) {
  if (p == 2)
    return ctx.binary<graph::MulOp>(input, input);
  Value length =
      graph::AbsOp::create(ctx.builder, ctx.loc, input.getType(), input);
  return p == 1
             ? length
             : ctx.binary<graph::PowOp>(
                   length, ctx.makeScalar(p, typeOf(input).getElementType()));
}

Value takeRoot(ImportContext &ctx, Value sum, int64_t p) {
  if (p == 1)
    return sum;
  if (p == 2)
    return graph::SqrtOp::create(ctx.builder, ctx.loc, sum.getType(), sum);
  return ctx.binary<graph::PowOp>(
      sum, ctx.makeScalar(1.0 / p, typeOf(sum).getElementType()));
}

FailureOr<int64_t> readPower(ImportContext &ctx) {
  int64_t p = ctx.getInt("p", 2);
  if (p >= 1)
    return p;
  ctx.invalid() << "p must be at least 1, but is " << p;
  return failure();
}

/// LpPool(x)  ->  (reduce sum (window (pad |x|^p)))^(1/p)
LogicalResult importLpPool(ImportContext &ctx) {
  FailureOr<Pool> pool = readPool(ctx);
  FailureOr<int64_t> p = readPower(ctx);
  if (failed(pool) || failed(p))
    return failure();
  // Powers of 16 bits overflow, or vanish.
  Value input = ctx.widen(pool->input);
  Value windows =
      makeWindows(ctx, *pool, raise(ctx, input, *p),
                  ctx.makeScalar(0, typeOf(input).getElementType()));
  Value sum = reduceWindows(ctx, graph::ReductionKind::Sum, windows,
                            pool->windows.rank());
  return ctx.setResult(
      ctx.cast(takeRoot(ctx, sum, *p), typeOf(pool->input).getElementType()));
}

/// The axes of the spatial dimensions. Fails, after an error, if there is none.
FailureOr<SmallVector<int64_t>> getSpatialAxes(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)) ||
      failed(getSpatialSizes(ctx, ctx.getOperand(0))))
    return failure();
  return llvm::to_vector(
      llvm::seq<int64_t>(2, typeOf(ctx.getOperand(0)).getRank()));
}

template <graph::ReductionKind kind>
LogicalResult importGlobalPool(ImportContext &ctx) {
  FailureOr<SmallVector<int64_t>> axes = getSpatialAxes(ctx);
  if (failed(axes))
    return failure();
  return ctx.setResult(ctx.reduce(kind, ctx.getOperand(0), *axes));
}

LogicalResult importGlobalLpPool(ImportContext &ctx) {
  FailureOr<SmallVector<int64_t>> axes = getSpatialAxes(ctx);
  FailureOr<int64_t> p = readPower(ctx);
  if (failed(axes) || failed(p))
    return failure();
  Value input = ctx.widen(ctx.getOperand(0));
  Value sum =
      ctx.reduce(graph::ReductionKind::Sum, raise(ctx, input, *p), *axes);
  return ctx.setResult(ctx.cast(takeRoot(ctx, sum, *p),
                                typeOf(ctx.getOperand(0)).getElementType()));
}

/// x / (bias + alpha / size * s)^beta, where s is the sum of the squares of
/// `size` channels around each.
LogicalResult importLRN(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.widen(ctx.getOperand(0));
  if (failed(getSpatialSizes(ctx, input)))
    return failure();
  Type type = typeOf(input).getElementType();
  int64_t size = ctx.getInt("size", 0);
  if (size < 1)
    return ctx.invalid() << "size must be at least 1, but is " << size;
  // The windows of N×C×places are over channels and single places.
  Sizes sizes = ctx.getSizes(input);
  OpFoldResult places = ctx.product(ArrayRef(sizes).drop_front(2));
  Value squares = ctx.reshape(ctx.binary<graph::MulOp>(input, input),
                              {sizes[0], sizes[1], places});
  OpFoldResult none = ctx.makeSize(0);
  Value padded = padSpatial(ctx, squares, ctx.makeScalar(0, type),
                            {ctx.makeSize((size - 1) / 2), none},
                            {ctx.makeSize(size / 2), none});
  Windows windows;
  windows.kernel = {size, 1};
  windows.strides = windows.dilations = {1, 1};
  Value sum = reduceWindows(ctx, graph::ReductionKind::Sum,
                            makeWindows(ctx, padded, windows), 2);
  double alpha = ctx.getFloat("alpha", 1e-4f);
  Value scaled = ctx.binary<graph::MulOp>(ctx.reshape(sum, sizes),
                                          ctx.makeScalar(alpha / size, type));
  Value base = ctx.binary<graph::AddOp>(
      scaled, ctx.makeScalar(ctx.getFloat("bias", 1), type));
  Value divisor = ctx.binary<graph::PowOp>(
      base, ctx.makeScalar(ctx.getFloat("beta", 0.75f), type));
  return ctx.setResult(ctx.cast(ctx.binary<graph::DivOp>(input, divisor),
                                typeOf(ctx.getOperand(0)).getElementType()));
}

const OpHandler handlers[] = {
    {"AveragePool", importAveragePool},
    {"GlobalAveragePool", importGlobalPool<graph::ReductionKind::Mean>},
    {"GlobalLpPool", importGlobalLpPool},
    {"GlobalMaxPool", importGlobalPool<graph::ReductionKind::Max>},
    {"LRN", importLRN},
    {"LpPool", importLpPool},
    {"MaxPool", importMaxPool},
};

} // namespace

ArrayRef<OpHandler> poolingHandlers() { return handlers; }

} // namespace tenon
