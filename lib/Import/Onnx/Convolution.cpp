// ONNX convolutions: products of the weights with the windows of the input.
#include "Activation.h"
#include "Windows.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/InterleavedRange.h"

using namespace mlir;

namespace tenon {
namespace {

/// A convolution's operands: N×C×spatial, O×(C / groups)×kernel, and O or none.
/// Transposed, the weights are C×(O / groups)×kernel.
struct Convolution {
  Value input, weights, bias;
  int64_t groups = 1;
  bool transposed = false;
  SmallVector<int64_t> kernel;
  Sizes sizes; ///< spatial ones, of the input

  ArrayRef<int64_t> weightShape() const { return typeOf(weights).getShape(); }
};

/// Checks what the operands' types say about each other.
FailureOr<Convolution> readConvolution(ImportContext &ctx, Value data,
                                       Value kernel, bool transposed = false) {
  Convolution conv{data, kernel};
  conv.transposed = transposed;
  conv.groups = ctx.getInt("group", 1);
  FailureOr<Sizes> sizes = getSpatialSizes(ctx, conv.input);
  if (failed(sizes))
    return failure();
  conv.sizes = *sizes;
  RankedTensorType input = typeOf(conv.input), weights = typeOf(conv.weights);
  if (weights.getRank() != input.getRank()) {
    ctx.invalid() << "needs an input and weights of one rank, but has " << input
                  << " and " << weights;
    return failure();
  }
  conv.kernel.assign(weights.getShape().begin() + 2, weights.getShape().end());
  if (ShapedType::isDynamicShape(conv.kernel)) {
    ctx.unsupported() << "the sizes of the kernel must be known, but the "
                         "weights are "
                      << weights;
    return failure();
  }
  // Channels of the input are the groups' together; so are those of the result.
  int64_t channels = input.getDimSize(1), first = weights.getDimSize(0);
  int64_t taken = transposed ? first : weights.getDimSize(1);
  bool fits = conv.groups >= 1;
  if (fits && !ShapedType::isDynamic(first))
    fits = first % conv.groups == 0;
  if (fits && !ShapedType::isDynamic(channels) && !ShapedType::isDynamic(taken))
    fits = channels == (transposed ? taken : taken * conv.groups);
  if (!fits) {
    ctx.invalid() << "cannot convolve " << input << " with weights " << weights
                  << " in " << conv.groups << " groups";
    return failure();
  }
  return conv;
}

/// Checks a bias or anything else that there is for each channel.
LogicalResult requireForChannels(ImportContext &ctx, Value vector,
                                 int64_t channels) {
  RankedTensorType type = typeOf(vector);
  if (type.getRank() == 1 &&
      succeeded(verifyCompatibleShape(type.getShape(), {channels})))
    return success();
  return ctx.invalid() << "needs a vector for each of the channels, but has "
                       << type;
}

Sizes concatSizes(ArrayRef<OpFoldResult> first, ArrayRef<OpFoldResult> second) {
  Sizes all(first);
  llvm::append_range(all, second);
  return all;
}

/// N×C×a×b  ->  N×C×b×a, where a and b are `rank` dimensions each.
Value swapSpatial(ImportContext &ctx, Value tensor, size_t rank) {
  SmallVector<int64_t> permutation{0, 1};
  for (size_t dim = 0; dim < 2 * rank; ++dim)
    permutation.push_back(2 + (dim + rank) % (2 * rank));
  return ctx.transpose(tensor, permutation);
}

/// [C]  ->  [C, 1, 1, …]
Value alongChannels(ImportContext &ctx, Value vector, size_t spatial) {
  Sizes sizes(1 + spatial, ctx.makeSize(1));
  sizes[0] = ctx.getSize(vector, 0);
  return ctx.reshape(vector, sizes);
}

/// Each channel by itself, a reduction of each window times the kernel:
/// x, w  ->  reshape (reduce sum (mul (window (reshape x to [N, C, 1, …])),
///                                    (reshape w to [C, O / C, 1, …, kernel])))
Value convolveChannels(ImportContext &ctx, const Convolution &conv,
                       const Windows &windows, Value input) {
  size_t rank = windows.rank();
  Sizes sizes = ctx.getSizes(input), weightSizes = ctx.getSizes(conv.weights);
  bool isMultiple = conv.weightShape()[0] != conv.groups;
  OpFoldResult one = ctx.makeSize(1), channels = ctx.makeSize(conv.groups);
  OpFoldResult multiple = ctx.floorDivide(weightSizes[0], channels);
  Sizes kernel{channels};
  if (isMultiple) {
    sizes.insert(sizes.begin() + 2, one);
    input = ctx.reshape(input, sizes);
    kernel.push_back(multiple);
  }
  kernel.append(rank, one);
  kernel.append(weightSizes.begin() + 2, weightSizes.end());
  Value seen = makeWindows(ctx, input, windows);
  Value weights = ctx.reshape(conv.weights, kernel);
  Value product = ctx.binary<graph::MulOp>(seen, weights);
  if (!product)
    return {};
  int64_t all = typeOf(product).getRank();
  Value sum = ctx.reduce(graph::ReductionKind::Sum, product,
                         llvm::to_vector(llvm::seq<int64_t>(all - rank, all)));
  Sizes result = ctx.getSizes(sum);
  result.resize(result.size() - rank, one);
  if (isMultiple) {
    result.erase(result.begin() + 2);
    result[1] = weightSizes[0];
  }
  sum = ctx.reshape(sum, result);
  return conv.bias ? ctx.binary<graph::AddOp>(
                         sum, alongChannels(ctx, conv.bias, rank))
                   : sum;
}

/// All windows as the columns of a matrix for each group:
/// x, w  ->  reshape (add (matmul (reshape w),
///                                (reshape (transpose (window (pad x))))), b)
/// A kernel of one element needs no windows.
Value convolve(ImportContext &ctx, const Convolution &conv,
               const Windows &windows) {
  size_t rank = windows.rank();
  auto isOne = [](int64_t value) { return value == 1; };
  Value zero = ctx.makeScalar(0, typeOf(conv.input).getElementType());
  Value input = padSpatial(ctx, conv.input, zero, windows.lows, windows.highs);
  bool isPointwise = llvm::all_of(windows.kernel, isOne) &&
                     llvm::all_of(windows.strides, isOne);
  if (conv.groups > 1 && conv.weightShape()[1] == 1)
    return convolveChannels(ctx, conv, windows, input);

  Value columns = input;
  Sizes spatial;
  if (isPointwise) {
    llvm::append_range(spatial, llvm::drop_begin(ctx.getSizes(input), 2));
  } else {
    Value seen = makeWindows(ctx, input, windows);
    Sizes sizes = ctx.getSizes(seen);
    spatial.append(sizes.begin() + 2, sizes.begin() + 2 + rank);
    columns = swapSpatial(ctx, seen, rank);
  }
  OpFoldResult batch = ctx.getSize(conv.input, 0);
  Sizes weightSizes = ctx.getSizes(conv.weights);
  OpFoldResult groups = ctx.makeSize(conv.groups);
  OpFoldResult each = ctx.floorDivide(weightSizes[0], groups);
  OpFoldResult depth = ctx.product(ArrayRef(weightSizes).drop_front());
  OpFoldResult places = ctx.product(spatial);
  Sizes inGroups;
  if (conv.groups > 1)
    inGroups.push_back(groups);
  Value rows = ctx.reshape(conv.weights, concatSizes(inGroups, {each, depth}));
  columns = ctx.reshape(
      columns, concatSizes(concatSizes({batch}, inGroups), {depth, places}));
  Value product = ctx.matmul(rows, columns);
  if (product && conv.bias)
    product = ctx.binary<graph::AddOp>(
        product,
        ctx.reshape(conv.bias, concatSizes(inGroups, {each, ctx.makeSize(1)})));
  if (!product || (rank == 1 && conv.groups == 1))
    return product;
  return ctx.reshape(product, concatSizes({batch, weightSizes[0]}, spatial));
}

/// Null after an error.
Value makeConv(ImportContext &ctx, Value data, Value kernel) {
  FailureOr<Convolution> conv = readConvolution(ctx, data, kernel);
  if (failed(conv))
    return {};
  conv->bias = ctx.getOperand(2);
  if (conv->bias &&
      failed(requireForChannels(ctx, conv->bias, conv->weightShape()[0])))
    return {};
  FailureOr<Windows> windows = readWindows(ctx, conv->sizes, conv->kernel);
  return failed(windows) ? Value() : convolve(ctx, *conv, *windows);
}

LogicalResult importConv(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value result = makeConv(ctx, ctx.getOperand(0), ctx.getOperand(1));
  return result ? ctx.setResult(result) : failure();
}

/// FusedConv(x, w, b, z)  ->  activation (add Conv(x, w, b), z)
LogicalResult importFusedConv(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  SmallVector<float> parameters =
      ctx.getFloats("activation_params").value_or(SmallVector<float>());
  Value result = makeConv(ctx, ctx.getOperand(0), ctx.getOperand(1));
  if (Value sum = ctx.getOperand(3); sum && result)
    result = ctx.binary<graph::AddOp>(result, sum);
  if (result)
    result = activate(ctx, result, parameters);
  return result ? ctx.setResult(result) : failure();
}

/// Channels last, in the input, the kernels and the result:
/// NhwcConv(x, w, b)  ->  transpose (Conv(transpose x, transpose w, b))
LogicalResult importNhwcConv(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)) || failed(ctx.requireRank(0, 4)) ||
      failed(ctx.requireRank(1, 4)))
    return failure();
  Value result = makeConv(ctx, ctx.transpose(ctx.getOperand(0), {0, 3, 1, 2}),
                          ctx.transpose(ctx.getOperand(1), {0, 3, 1, 2}));
  return result ? ctx.setResult(ctx.transpose(result, {0, 2, 3, 1}))
                : failure();
}

/// Of bytes, without their zero points, in i32.
LogicalResult importConvInteger(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  FailureOr<Convolution> conv =
      readConvolution(ctx, ctx.getOperand(0), ctx.getOperand(1));
  if (failed(conv))
    return failure();
  FailureOr<Windows> windows = readWindows(ctx, conv->sizes, conv->kernel);
  if (failed(windows))
    return failure();
  Type wide = ctx.builder.getI32Type();
  Value *operands[] = {&conv->input, &conv->weights};
  for (unsigned i = 0; i < 2; ++i) {
    Value &operand = *operands[i];
    Value zero = ctx.getOperand(2 + i);
    operand = ctx.cast(operand, wide);
    if (!zero)
      continue;
    zero = ctx.cast(zero, wide);
    // The weights may have one for each channel of the result.
    if (i == 1 && typeOf(zero).getRank() == 1 &&
        typeOf(zero).getDimSize(0) != 1) {
      if (failed(requireForChannels(ctx, zero, conv->weightShape()[0])))
        return failure();
      zero = alongChannels(ctx, zero, 1 + windows->rank());
    } else if (typeOf(zero).hasStaticShape() &&
               typeOf(zero).getNumElements() == 1) {
      zero = ctx.reshape(zero, {});
    } else {
      return ctx.invalid() << "needs a zero point of one element, but has "
                           << zero.getType();
    }
    operand = ctx.binary<graph::SubOp>(operand, zero);
    if (!operand)
      return failure();
  }
  Value result = convolve(ctx, *conv, *windows);
  return result ? ctx.setResult(result) : failure();
}

/// The pads of a ConvTranspose are what is cut off its result, which attribute
/// output_shape, or a SAME auto_pad, asks to be as large as it says.
FailureOr<Windows> readTransposedWindows(ImportContext &ctx,
                                         const Convolution &conv,
                                         ArrayRef<int64_t> added) {
  StringRef mode = ctx.getString("auto_pad", "NOTSET");
  bool upper = mode == "SAME_UPPER", same = upper || mode == "SAME_LOWER";
  FailureOr<Windows> windows = readWindows(ctx, conv.sizes, conv.kernel);
  size_t rank = conv.sizes.size();
  auto shape = ctx.getInts("output_shape");
  if (failed(windows) || (!shape && !same))
    return windows;
  // It may name batch and channels, too.
  if (shape && shape->size() == rank + 2)
    shape->erase(shape->begin(), shape->begin() + 2);
  if (shape && shape->size() != rank) {
    ctx.invalid() << "output_shape must have " << rank << " sizes, but has ["
                  << llvm::interleaved(*shape) << "]";
    return failure();
  }
  for (auto [dim, size] : llvm::enumerate(conv.sizes)) {
    OpFoldResult stride = ctx.makeSize(windows->strides[dim]);
    OpFoldResult whole =
        ctx.add(ctx.multiply(ctx.subtract(size, ctx.makeSize(1)), stride),
                ctx.makeSize(windows->span(dim) + added[dim]));
    OpFoldResult wanted =
        shape ? ctx.makeSize((*shape)[dim]) : ctx.multiply(size, stride);
    OpFoldResult total = ctx.subtract(whole, wanted);
    OpFoldResult less = ctx.floorDivide(total, ctx.makeSize(2));
    OpFoldResult more = ctx.subtract(total, less);
    windows->lows[dim] = upper ? less : more;
    windows->highs[dim] = upper ? more : less;
  }
  return windows;
}

/// ConvTranspose(x, w, b)  ->
///   add (pad (overlap_add (transpose (reshape (matmul wᵀ, x))))), b
LogicalResult importConvTranspose(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  FailureOr<Convolution> conv = readConvolution(
      ctx, ctx.getOperand(0), ctx.getOperand(1), /*transposed=*/true);
  if (failed(conv))
    return failure();
  size_t rank = conv->sizes.size();
  SmallVector<int64_t> added =
      ctx.getInts("output_padding").value_or(SmallVector<int64_t>(rank, 0));
  if (added.size() != rank ||
      llvm::any_of(added, [](int64_t value) { return value < 0; }))
    return ctx.invalid() << "output_padding must have " << rank
                         << " values of at least 0, but has ["
                         << llvm::interleaved(added) << "]";
  FailureOr<Windows> windows = readTransposedWindows(ctx, *conv, added);
  if (failed(windows))
    return failure();

  OpFoldResult batch = ctx.getSize(conv->input, 0);
  Sizes weightSizes = ctx.getSizes(conv->weights);
  OpFoldResult groups = ctx.makeSize(conv->groups);
  OpFoldResult each = ctx.floorDivide(weightSizes[0], groups);
  OpFoldResult width = ctx.product(ArrayRef(weightSizes).drop_front());
  Sizes inGroups;
  if (conv->groups > 1)
    inGroups.push_back(groups);
  Value columns =
      ctx.reshape(conv->weights, concatSizes(inGroups, {each, width}));
  Value places =
      ctx.reshape(conv->input, concatSizes(concatSizes({batch}, inGroups),
                                           {each, ctx.product(conv->sizes)}));
  Value product = ctx.matmul(columns, places, /*transposeLhs=*/true);
  if (!product)
    return failure();
  // N×O×kernel×spatial  ->  N×O×spatial×kernel
  OpFoldResult channels = ctx.multiply(groups, weightSizes[1]);
  Sizes kernel(llvm::drop_begin(weightSizes, 2));
  Value windowed =
      ctx.reshape(product, concatSizes(concatSizes({batch, channels}, kernel),
                                       conv->sizes));
  windowed = swapSpatial(ctx, windowed, rank);

  Sizes whole, lows, highs;
  for (size_t dim = 0; dim < rank; ++dim) {
    // No window, no element.
    OpFoldResult last = ctx.subtract(conv->sizes[dim], ctx.makeSize(1));
    whole.push_back(
        ctx.add(ctx.multiply(last, ctx.makeSize(windows->strides[dim])),
                ctx.makeSize(windows->span(dim))));
    lows.push_back(ctx.subtract(ctx.makeSize(0), windows->lows[dim]));
    highs.push_back(
        ctx.subtract(ctx.makeSize(added[dim]), windows->highs[dim]));
  }
  SmallVector<Value> values;
  SmallVector<int64_t> known, shape(typeOf(windowed).getShape().take_front(2));
  dispatchIndexOpFoldResults(whole, values, known);
  llvm::append_range(shape, known);
  Value sum = graph::OverlapAddOp::create(
      ctx.builder, ctx.loc, typeOf(windowed).clone(shape), windowed, values,
      known, windows->strides, windows->dilations);
  Value zero = ctx.makeScalar(0, typeOf(sum).getElementType());
  Value result = padSpatial(ctx, sum, zero, lows, highs);
  if (Value bias = ctx.getOperand(2)) {
    if (failed(requireForChannels(ctx, bias, typeOf(result).getDimSize(1))))
      return failure();
    result = ctx.binary<graph::AddOp>(result, alongChannels(ctx, bias, rank));
  }
  return result ? ctx.setResult(result) : failure();
}

/// A convolution of each channel by itself over the last places before each,
/// of which those before the input are the state, or 0:
/// CausalConvWithState(x, w, b, s)  ->  activation (Conv (concat s, x)),
///                                      slice (concat s, x)
LogicalResult importCausalConv(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Convolution conv{ctx.getOperand(0), ctx.getOperand(1), ctx.getOperand(2)};
  RankedTensorType input = typeOf(conv.input), weights = typeOf(conv.weights);
  if (input.getRank() != 3 || weights.getRank() != 3 ||
      !weights.hasStaticShape() || weights.getDimSize(1) != 1 ||
      failed(verifyCompatibleShape({input.getDimSize(1)},
                                   {weights.getDimSize(0)})))
    return ctx.invalid() << "needs an input of rank 3 and a kernel of known "
                            "size for each channel, but has "
                         << input << " and " << weights;
  conv.groups = weights.getDimSize(0);
  if (conv.bias && failed(requireForChannels(ctx, conv.bias, conv.groups)))
    return failure();
  int64_t size = weights.getDimSize(2);
  OpFoldResult length = ctx.getSize(conv.input, 2);
  if (Value state = ctx.getOperand(3)) {
    if (typeOf(state).getRank() != 3)
      return ctx.invalid() << "needs a state of rank 3, but has "
                           << state.getType();
    conv.input = ctx.concat({state, conv.input}, 2);
  } else {
    Value zero = ctx.makeScalar(0, input.getElementType());
    conv.input = padSpatial(ctx, conv.input, zero, {ctx.makeSize(size - 1)},
                            {ctx.makeSize(0)});
  }
  FailureOr<Windows> windows =
      readWindows(ctx, {ctx.getSize(conv.input, 2)}, {size});
  if (failed(windows))
    return failure();
  Value result = convolve(ctx, conv, *windows);
  if (!result)
    return failure();
  StringRef activation = ctx.getString("activation", "none");
  if (activation == "silu" || activation == "swish") {
    Value wide = ctx.cast(result, ctx.builder.getF32Type());
    Value gate =
        graph::SigmoidOp::create(ctx.builder, ctx.loc, wide.getType(), wide);
    result =
        ctx.cast(ctx.binary<graph::MulOp>(wide, gate), input.getElementType());
  } else if (activation != "none") {
    return ctx.invalid() << "activation must be none, silu or swish, but is "
                         << activation;
  }
  Value last = ctx.slice(conv.input, 2, length, ctx.getSize(conv.input, 2));
  (void)ctx.setResult(last, 1);
  return ctx.setResult(result);
}

const OpHandler handlers[] = {
    {"CausalConvWithState", importCausalConv},
    {"Conv", importConv},
    {"ConvInteger", importConvInteger},
    {"ConvTranspose", importConvTranspose},
    {"FusedConv", importFusedConv, 1, microsoftDomain},
    {"NhwcConv", importNhwcConv, 1, microsoftDomain},
};

} // namespace

ArrayRef<OpHandler> convolutionHandlers() { return handlers; }

} // namespace tenon
