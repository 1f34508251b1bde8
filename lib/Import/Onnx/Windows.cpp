// Reads and checks what says where windows lie.
#include "Windows.h"
#include "llvm/Support/InterleavedRange.h"

using namespace mlir;

namespace tenon {

FailureOr<Sizes> getSpatialSizes(ImportContext &ctx, Value input) {
  if (typeOf(input).getRank() < 3) {
    ctx.invalid() << "needs an input with batch, channels and one spatial "
                     "dimension or more, but has "
                  << input.getType();
    return failure();
  }
  return Sizes(llvm::drop_begin(ctx.getSizes(input), 2));
}

/// Attribute `name`, with a value for each spatial dimension.
static FailureOr<SmallVector<int64_t>> readList(ImportContext &ctx,
                                                StringRef name, size_t count,
                                                int64_t least,
                                                int64_t otherwise) {
  SmallVector<int64_t> values =
      ctx.getInts(name).value_or(SmallVector<int64_t>(count, otherwise));
  if (values.size() == count &&
      llvm::all_of(values, [&](int64_t value) { return value >= least; }))
    return values;
  ctx.invalid() << name << " must have " << count << " values of at least "
                << least << ", but has [" << llvm::interleaved(values) << "]";
  return failure();
}

/// Pads such that there is a window for each stride in the input, the odd one
/// at the end with SAME_UPPER and at the beginning with SAME_LOWER.
static void padToSame(ImportContext &ctx, ArrayRef<OpFoldResult> sizes,
                      bool upper, Windows &windows) {
  for (auto [dim, size] : llvm::enumerate(sizes)) {
    OpFoldResult total = ctx.makeSize(windows.span(dim) - 1);
    if (int64_t stride = windows.strides[dim]; stride != 1) {
      OpFoldResult step = ctx.makeSize(stride);
      OpFoldResult last =
          ctx.subtract(ctx.ceilDivide(size, step), ctx.makeSize(1));
      total = ctx.subtract(
          ctx.add(ctx.multiply(last, step), ctx.makeSize(windows.span(dim))),
          size);
      total = ctx.maximum(total, ctx.makeSize(0));
    }
    OpFoldResult less = ctx.floorDivide(total, ctx.makeSize(2));
    OpFoldResult more = ctx.subtract(total, less);
    windows.lows.push_back(upper ? less : more);
    windows.highs.push_back(upper ? more : less);
  }
}

FailureOr<Windows> readWindows(ImportContext &ctx, ArrayRef<OpFoldResult> sizes,
                               ArrayRef<int64_t> kernel) {
  Windows windows;
  size_t rank = sizes.size();
  windows.kernel.assign(kernel.begin(), kernel.end());
  auto given = ctx.getInts("kernel_shape");
  if (given && ArrayRef(*given) != kernel) {
    ctx.invalid() << "kernel_shape is [" << llvm::interleaved(*given)
                  << "], but the weights have kernels of ["
                  << llvm::interleaved(kernel) << "]";
    return failure();
  }
  if (kernel.size() != rank ||
      llvm::any_of(kernel, [](int64_t size) { return size < 1; })) {
    ctx.invalid() << "needs a kernel of " << rank
                  << " positive sizes, but has [" << llvm::interleaved(kernel)
                  << "]";
    return failure();
  }
  FailureOr<SmallVector<int64_t>> strides =
      readList(ctx, "strides", rank, 1, 1);
  FailureOr<SmallVector<int64_t>> dilations =
      readList(ctx, "dilations", rank, 1, 1);
  FailureOr<SmallVector<int64_t>> pads = readList(ctx, "pads", 2 * rank, 0, 0);
  if (failed(strides) || failed(dilations) || failed(pads))
    return failure();
  windows.strides = *strides;
  windows.dilations = *dilations;
  StringRef mode = ctx.getString("auto_pad", "NOTSET");
  if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    padToSame(ctx, sizes, mode == "SAME_UPPER", windows);
  } else if (mode == "NOTSET" || mode.empty() || mode == "VALID") {
    bool pads0 = mode == "VALID";
    for (size_t dim = 0; dim < rank; ++dim) {
      windows.lows.push_back(ctx.makeSize(pads0 ? 0 : (*pads)[dim]));
      windows.highs.push_back(ctx.makeSize(pads0 ? 0 : (*pads)[rank + dim]));
    }
  } else {
    ctx.invalid() << "auto_pad must be NOTSET, VALID, SAME_UPPER or "
                     "SAME_LOWER, but is "
                  << mode;
    return failure();
  }
  return windows;
}

Value padSpatial(ImportContext &ctx, Value input, Value value,
                 ArrayRef<OpFoldResult> lows, ArrayRef<OpFoldResult> highs) {
  Sizes before(typeOf(input).getRank() - lows.size(), ctx.makeSize(0)),
      behind = before;
  llvm::append_range(before, lows);
  llvm::append_range(behind, highs);
  return ctx.pad(input, value, before, behind);
}

Value makeWindows(ImportContext &ctx, Value input, const Windows &windows) {
  RankedTensorType type = typeOf(input);
  size_t leading = type.getRank() - windows.rank();
  SmallVector<int64_t> sizes(type.getShape().take_front(leading));
  for (size_t dim = 0; dim < windows.rank(); ++dim)
    sizes.push_back(
        graph::countWindows(type.getDimSize(leading + dim), windows.kernel[dim],
                            windows.strides[dim], windows.dilations[dim]));
  llvm::append_range(sizes, windows.kernel);
  return graph::WindowOp::create(ctx.builder, ctx.loc, type.clone(sizes), input,
                                 windows.kernel, windows.strides,
                                 windows.dilations);
}

} // namespace tenon
