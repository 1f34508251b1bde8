// ONNX operators on sizes, and those that only move elements.
#include "RunTimeAxes.h"
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
  if (Value operand = ctx.getOperand(1);
      ctx.opset >= 13 && areRunTimeAxes(ctx, operand)) {
    Sizes sizes = ctx.getSizes(ctx.getOperand(0));
    int64_t count =
        typeOf(operand).hasStaticShape() ? typeOf(operand).getNumElements() : 0;
    FailureOr<RunTimeAxes> axes =
        RunTimeAxes::read(ctx, operand, sizes.size() + count);
    if (failed(axes))
      return failure();
    return ctx.setResult(ctx.reshape(ctx.getOperand(0), axes->insert(sizes)));
  }
  std::optional<SmallVector<int64_t>> axes =
      ctx.getIntsOrOperand("axes", 1, 13);
  if (!axes)
    return ctx.invalid() << "has no axes";
  Value input = ctx.getOperand(0);
  int64_t rank = typeOf(input).getRank() + axes->size();
  if (failed(ctx.normalizeAxes(*axes, rank)))
    return failure();
  Sizes old = ctx.getSizes(input), sizes;
  size_t next = 0;
  for (int64_t dim = 0; dim < rank; ++dim) {
    if (llvm::is_contained(*axes, dim))
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
  Sizes sizes = ctx.getSizes(ctx.getOperand(0));
  FailureOr<RunTimeAxes> axes =
      RunTimeAxes::read(ctx, ctx.getOperand(1), sizes.size() + 1);
  if (failed(axes))
    return failure();
  if (axes->getCount() != 1)
    return ctx.invalid() << "needs one axis, but has " << axes->getCount();
  return ctx.setResult(ctx.reshape(ctx.getOperand(0), axes->insert(sizes)));
}

LogicalResult importSqueeze(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  if (Value operand = ctx.getOperand(1);
      ctx.opset >= 13 && areRunTimeAxes(ctx, operand)) {
    Sizes sizes = ctx.getSizes(ctx.getOperand(0));
    FailureOr<RunTimeAxes> axes = RunTimeAxes::read(ctx, operand, sizes.size());
    if (failed(axes))
      return failure();
    return ctx.setResult(ctx.reshape(ctx.getOperand(0), axes->drop(sizes)));
  }
  std::optional<SmallVector<int64_t>> axes =
      ctx.getIntsOrOperand("axes", 1, 13);
  Value input = ctx.getOperand(0);
  RankedTensorType type = typeOf(input);
  if (!axes) {
    if (!type.hasStaticShape())
      return ctx.unsupported() << "without axes needs an input of known sizes, "
                               << "but has " << type;
    axes.emplace();
    for (auto [dim, size] : llvm::enumerate(type.getShape()))
      if (size == 1)
        axes->push_back(dim);
  }
  if (failed(ctx.normalizeAxes(*axes, type.getRank())))
    return failure();
  Sizes sizes;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (!llvm::is_contained(*axes, dim))
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
  // So does the TorchScript exporter write a cache that nothing is added to.
  if (inputs.size() == 1)
    return ctx.setResult(inputs.front());
  return ctx.setResult(ctx.concat(inputs, *axis));
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
    {"Reshape", importReshape},
    {"Shape", importShape},
    {"Size", importSize},
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
