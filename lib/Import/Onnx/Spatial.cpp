// ONNX operators that move elements between, into and out of spatial
// dimensions.
#include "Windows.h"

using namespace mlir;

namespace tenon {
namespace {

/// What DepthToSpace and SpaceToDepth have in common: N×C×H×W, the block, and
/// whether the channels that become places are outermost (DCR) or innermost.
struct Blocks {
  Value input;
  Sizes sizes;
  OpFoldResult size, area;
  bool outermost;
};

FailureOr<Blocks> readBlocks(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  int64_t size = ctx.getInt("blocksize", 0);
  StringRef mode = ctx.getString("mode", "DCR");
  if (typeOf(input).getRank() != 4 || size < 1 ||
      (mode != "DCR" && mode != "CRD")) {
    ctx.invalid() << "needs an input of rank 4, a positive blocksize and mode "
                     "DCR or CRD, but has "
                  << input.getType() << ", " << size << " and " << mode;
    return failure();
  }
  return Blocks{input, ctx.getSizes(input), ctx.makeSize(size),
                ctx.makeSize(size * size), mode == "DCR"};
}

LogicalResult importDepthToSpace(ImportContext &ctx) {
  FailureOr<Blocks> blocks = readBlocks(ctx);
  if (failed(blocks))
    return failure();
  Sizes &sizes = blocks->sizes;
  OpFoldResult b = blocks->size;
  int64_t channels = staticSize(sizes[1]), area = staticSize(blocks->area);
  if (!ShapedType::isDynamic(channels) && channels % area != 0)
    return ctx.invalid() << "needs a multiple of " << area
                         << " channels, but has " << blocks->input.getType();
  OpFoldResult kept = ctx.floorDivide(sizes[1], blocks->area);
  Value result;
  if (blocks->outermost)
    result = ctx.transpose(
        ctx.reshape(blocks->input, {sizes[0], b, b, kept, sizes[2], sizes[3]}),
        {0, 3, 4, 1, 5, 2});
  else
    result = ctx.transpose(
        ctx.reshape(blocks->input, {sizes[0], kept, b, b, sizes[2], sizes[3]}),
        {0, 1, 4, 2, 5, 3});
  return ctx.setResult(
      ctx.reshape(result, {sizes[0], kept, ctx.multiply(sizes[2], b),
                           ctx.multiply(sizes[3], b)}));
}

LogicalResult importSpaceToDepth(ImportContext &ctx) {
  FailureOr<Blocks> blocks = readBlocks(ctx);
  if (failed(blocks))
    return failure();
  Sizes &sizes = blocks->sizes;
  OpFoldResult b = blocks->size;
  for (int64_t dim : {2, 3})
    if (int64_t known = staticSize(sizes[dim]);
        !ShapedType::isDynamic(known) && known % staticSize(b) != 0)
      return ctx.invalid() << "needs height and width that are multiples of "
                           << staticSize(b) << ", but has "
                           << blocks->input.getType();
  OpFoldResult height = ctx.floorDivide(sizes[2], b),
               width = ctx.floorDivide(sizes[3], b);
  Value apart =
      ctx.reshape(blocks->input, {sizes[0], sizes[1], height, b, width, b});
  Value moved = blocks->outermost ? ctx.transpose(apart, {0, 3, 5, 1, 2, 4})
                                  : ctx.transpose(apart, {0, 1, 3, 5, 2, 4});
  return ctx.setResult(ctx.reshape(
      moved, {sizes[0], ctx.multiply(sizes[1], blocks->area), height, width}));
}

/// What is missing or too much is added or taken off on both sides, the odd one
/// at the end:
/// CenterCropPad(x, shape)  ->  pad constant x
LogicalResult importCenterCropPad(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0);
  int64_t rank = typeOf(input).getRank();
  auto axes = ctx.getInts("axes").value_or(
      llvm::to_vector(llvm::seq<int64_t>(0, rank)));
  FailureOr<Sizes> wanted = ctx.extractAll(ctx.getOperand(1), 0);
  if (failed(wanted) || failed(ctx.normalizeAxes(axes, rank)))
    return failure();
  if (wanted->size() != axes.size())
    return ctx.invalid() << "has " << wanted->size() << " sizes for "
                         << axes.size() << " axes";
  OpFoldResult none = ctx.makeSize(0), two = ctx.makeSize(2);
  Sizes lows(rank, none), highs(rank, none);
  for (auto [axis, size] : llvm::zip(axes, *wanted)) {
    OpFoldResult missing = ctx.subtract(size, ctx.getSize(input, axis));
    OpFoldResult excess = ctx.subtract(none, missing);
    lows[axis] = ctx.subtract(ctx.floorDivide(ctx.maximum(missing, none), two),
                              ctx.floorDivide(ctx.maximum(excess, none), two));
    highs[axis] = ctx.subtract(missing, lows[axis]);
  }
  Value zero = ctx.makeScalar(0, typeOf(input).getElementType());
  return ctx.setResult(ctx.pad(input, zero, lows, highs));
}

/// Col2Im(x)  ->  pad (overlap_add (transpose (reshape x)))
LogicalResult importCol2Im(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Value input = ctx.getOperand(0);
  RankedTensorType type = typeOf(input);
  FailureOr<Sizes> image = ctx.extractAll(ctx.getOperand(1), 0);
  std::optional<SmallVector<int64_t>> block =
      ctx.getConstantInts(ctx.getOperand(2));
  if (failed(image))
    return failure();
  if (!block)
    return ctx.unsupported() << "block_shape must be a constant";
  if (type.getRank() != 3 || block->size() != image->size())
    return ctx.invalid() << "needs an input of rank 3 and as many sizes of "
                            "blocks as of the image, but has "
                         << type << ", " << block->size() << " and "
                         << image->size();
  FailureOr<Windows> windows = readWindows(ctx, *image, *block);
  if (failed(windows))
    return failure();
  size_t rank = windows->rank();
  Sizes sizes = ctx.getSizes(input), padded, apart{sizes[0]}, lows, highs;
  int64_t area = 1;
  for (int64_t size : *block)
    area *= size;
  apart.push_back(ctx.floorDivide(sizes[1], ctx.makeSize(area)));
  for (int64_t size : *block)
    apart.push_back(ctx.makeSize(size));
  SmallVector<int64_t> permutation{0, 1};
  for (size_t dim = 0; dim < rank; ++dim)
    permutation.push_back(2 + rank + dim);
  for (size_t dim = 0; dim < rank; ++dim) {
    permutation.push_back(2 + dim);
    OpFoldResult whole = ctx.add(ctx.add((*image)[dim], windows->lows[dim]),
                                 windows->highs[dim]);
    padded.push_back(whole);
    OpFoldResult stride = ctx.makeSize(windows->strides[dim]);
    apart.push_back(ctx.floorDivide(
        ctx.add(ctx.subtract(whole, ctx.makeSize(windows->span(dim))), stride),
        stride));
    lows.push_back(ctx.subtract(ctx.makeSize(0), windows->lows[dim]));
    highs.push_back(ctx.subtract(ctx.makeSize(0), windows->highs[dim]));
  }
  Value seen = ctx.transpose(ctx.reshape(input, apart), permutation);
  SmallVector<Value> values;
  SmallVector<int64_t> known, shape(typeOf(seen).getShape().take_front(2));
  dispatchIndexOpFoldResults(padded, values, known);
  llvm::append_range(shape, known);
  Value sum = graph::OverlapAddOp::create(
      ctx.builder, ctx.loc, typeOf(seen).clone(shape), seen, values, known,
      windows->strides, windows->dilations);
  Value zero = ctx.makeScalar(0, type.getElementType());
  return ctx.setResult(padSpatial(ctx, sum, zero, lows, highs));
}

const OpHandler handlers[] = {
    {"CenterCropPad", importCenterCropPad},
    {"Col2Im", importCol2Im},
    {"DepthToSpace", importDepthToSpace},
    {"SpaceToDepth", importSpaceToDepth},
};

} // namespace

ArrayRef<OpHandler> spatialHandlers() { return handlers; }

} // namespace tenon
