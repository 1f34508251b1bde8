// ONNX operators that make tensors of constants, or look values up or write
// them by index.
#include "ImportContext.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>

using namespace mlir;

namespace tenon {
namespace {

LogicalResult importConstant(ImportContext &ctx) {
  Builder &builder = ctx.builder;
  if (const onnx::TensorProto *value = ctx.getTensor("value")) {
    FailureOr<Value> tensor = ctx.makeTensor(*value);
    return failed(tensor) ? failure() : ctx.setResult(*tensor);
  }
  auto make = [&](Type type, ArrayRef<int64_t> shape, auto values) {
    return ctx.setResult(ctx.makeConstant(
        DenseElementsAttr::get(RankedTensorType::get(shape, type), values)));
  };
  if (ctx.hasAttribute("value_int"))
    return make(builder.getI64Type(), {}, ArrayRef(ctx.getInt("value_int", 0)));
  if (ctx.hasAttribute("value_float"))
    return make(builder.getF32Type(), {},
                ArrayRef(ctx.getFloat("value_float", 0)));
  if (std::optional<SmallVector<int64_t>> ints = ctx.getInts("value_ints"))
    return make(builder.getI64Type(), static_cast<int64_t>(ints->size()),
                ArrayRef<int64_t>(*ints));
  if (std::optional<SmallVector<float>> floats = ctx.getFloats("value_floats"))
    return make(builder.getF32Type(), static_cast<int64_t>(floats->size()),
                ArrayRef<float>(*floats));
  for (StringRef name : {"value_string", "value_strings", "sparse_value"})
    if (ctx.hasAttribute(name))
      return ctx.unsupported() << "strings and sparse values are unsupported";
  return ctx.requireAttribute("value");
}

/// ConstantOfShape(sizes)  ->  broadcast c to [sizes]
LogicalResult importConstantOfShape(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  FailureOr<Sizes> sizes = ctx.extractAll(ctx.getOperand(0), 0);
  if (failed(sizes))
    return failure();
  Value scalar;
  if (const onnx::TensorProto *value = ctx.getTensor("value")) {
    FailureOr<Value> tensor = ctx.makeTensor(*value);
    if (failed(tensor))
      return failure();
    if (typeOf(*tensor).getNumElements() != 1)
      return ctx.invalid() << "value must have 1 element, but has "
                           << typeOf(*tensor).getNumElements();
    scalar = *tensor;
    if (!scalar.getDefiningOp<graph::ConstantOp>())
      return ctx.unsupported()
             << "a value of element type " << typeOf(scalar).getElementType()
             << " is unsupported";
  } else {
    scalar = ctx.makeScalar(0, ctx.builder.getF32Type());
  }
  // Rank 0, so that a shape of rank 0 gives a scalar.
  auto elements = cast<DenseElementsAttr>(
      scalar.getDefiningOp<graph::ConstantOp>().getValue());
  Type element = elements.getElementType();
  scalar.getDefiningOp()->erase();
  auto splat = [&](ArrayRef<int64_t> shape) {
    return ctx.makeConstant(
        DenseElementsAttr::get(RankedTensorType::get(shape, element),
                               *elements.getValues<Attribute>().begin()));
  };
  SmallVector<int64_t> shape = staticSizes(*sizes);
  if (!ShapedType::isDynamicShape(shape) &&
      ShapedType::getNumElements(shape) <= 128)
    return ctx.setResult(splat(shape));
  SmallVector<Value> values;
  SmallVector<int64_t> known;
  dispatchIndexOpFoldResults(*sizes, values, known);
  return ctx.setResult(graph::BroadcastOp::create(
      ctx.builder, ctx.loc, RankedTensorType::get(shape, element), splat({}),
      values, known));
}

LogicalResult importGather(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  FailureOr<int64_t> axis = ctx.getAxis(0, typeOf(ctx.getOperand(0)).getRank());
  if (failed(axis))
    return failure();
  return ctx.setResult(ctx.gather(ctx.getOperand(0), ctx.getOperand(1), *axis));
}

LogicalResult importGatherND(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0), indices = ctx.getOperand(1);
  RankedTensorType type = typeOf(input), indexType = typeOf(indices);
  int64_t batchDims = ctx.getInt("batch_dims", 0);
  if (indexType.getRank() == 0)
    return ctx.invalid() << "indices must have a rank of 1 or more";
  int64_t tuple = indexType.getShape().back();
  if (ShapedType::isDynamic(tuple))
    return ctx.unsupported() << "the last size of indices must be known";
  if (batchDims < 0 || tuple < 1 || batchDims + tuple > type.getRank())
    return ctx.invalid() << "has index tuples of " << tuple
                         << " for an input of rank " << type.getRank()
                         << " with " << batchDims << " batch dimensions";
  SmallVector<int64_t> sizes(indexType.getShape().drop_back());
  llvm::append_range(sizes, type.getShape().drop_front(batchDims + tuple));
  return ctx.setResult(graph::GatherNDOp::create(
      ctx.builder, ctx.loc, RankedTensorType::get(sizes, type.getElementType()),
      input, indices, batchDims));
}

LogicalResult importGatherElements(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0), indices = ctx.getOperand(1);
  FailureOr<int64_t> axis = ctx.getAxis(0, typeOf(input).getRank());
  if (failed(axis))
    return failure();
  return ctx.setResult(graph::GatherElementsOp::create(
      ctx.builder, ctx.loc,
      typeOf(indices).clone(typeOf(input).getElementType()), input, indices,
      *axis));
}

/// Attribute `reduction` of a scatter into operand 0.
FailureOr<graph::ScatterKind> getScatterKind(ImportContext &ctx) {
  StringRef reduction = ctx.getString("reduction", "none");
  auto kind = llvm::StringSwitch<std::optional<graph::ScatterKind>>(reduction)
                  .Case("none", graph::ScatterKind::Replace)
                  .Case("add", graph::ScatterKind::Add)
                  .Case("mul", graph::ScatterKind::Mul)
                  .Case("max", graph::ScatterKind::Max)
                  .Case("min", graph::ScatterKind::Min)
                  .Default(std::nullopt);
  if (!kind) {
    ctx.invalid() << "reduction must be none, add, mul, max or min, got "
                  << reduction;
    return failure();
  }
  Type element = typeOf(ctx.getOperand(0)).getElementType();
  if (*kind != graph::ScatterKind::Replace && element.isInteger(1)) {
    ctx.unsupported() << "reduction " << reduction
                      << " of bools is unsupported";
    return failure();
  }
  return *kind;
}

LogicalResult importScatterElements(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Value input = ctx.getOperand(0);
  FailureOr<int64_t> axis = ctx.getAxis(0, typeOf(input).getRank());
  FailureOr<graph::ScatterKind> kind = getScatterKind(ctx);
  if (failed(axis) || failed(kind))
    return failure();
  return ctx.setResult(graph::ScatterElementsOp::create(
      ctx.builder, ctx.loc, input.getType(), *kind, input, ctx.getOperand(1),
      ctx.getOperand(2), *axis));
}

LogicalResult importScatterND(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Value input = ctx.getOperand(0), indices = ctx.getOperand(1);
  FailureOr<graph::ScatterKind> kind = getScatterKind(ctx);
  if (failed(kind))
    return failure();
  if (typeOf(indices).getRank() == 0)
    return ctx.invalid() << "indices must have a rank of 1 or more";
  if (ShapedType::isDynamic(typeOf(indices).getShape().back()))
    return ctx.unsupported() << "the last size of indices must be known";
  return ctx.setResult(graph::ScatterNDOp::create(ctx.builder, ctx.loc,
                                                  input.getType(), *kind, input,
                                                  indices, ctx.getOperand(2)));
}

/// OneHot(x, depth, values)  ->  where x = iota depth, values[1], values[0]
LogicalResult importOneHot(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  OpBuilder &builder = ctx.builder;
  Type index = builder.getI64Type();
  // Any type of number is allowed.
  Value indices = ctx.cast(ctx.getOperand(0), index);
  int64_t rank = typeOf(indices).getRank();
  FailureOr<int64_t> axis = ctx.getAxis(-1, rank + 1);
  FailureOr<Sizes> depth =
      ctx.extractAll(ctx.cast(ctx.getOperand(1), index), 0);
  if (failed(axis) || failed(depth))
    return failure();
  if (depth->size() != 1)
    return ctx.invalid() << "depth must have 1 element, but has "
                         << depth->size();
  RankedTensorType values = typeOf(ctx.getOperand(2));
  if (values.getRank() != 1 || values.getDimSize(0) != 2)
    return ctx.invalid() << "values must be of size 2, but has type " << values;
  if (ctx.opset >= 11) {
    // Before that, negative indices were out of range.
    Value negative = ctx.binary<graph::LessOp>(
        indices, ctx.makeScalar(0, index), builder.getI1Type());
    Value last = graph::FromIndicesOp::create(builder, ctx.loc,
                                              RankedTensorType::get({}, index),
                                              ctx.materialize(depth->front()));
    Value wrapped = ctx.binary<graph::AddOp>(indices, last);
    indices = graph::WhereOp::create(builder, ctx.loc, indices.getType(),
                                     negative, wrapped, indices);
  }
  Sizes sizes = ctx.getSizes(indices);
  sizes.insert(sizes.begin() + *axis, ctx.makeSize(1));
  indices = ctx.reshape(indices, sizes);
  Value positions = ctx.iota(ctx.makeSize(0), depth->front());
  Sizes along(rank + 1 - *axis, ctx.makeSize(1));
  along.front() = depth->front();
  positions = ctx.reshape(positions, along);
  Value hot =
      ctx.binary<graph::EqualOp>(indices, positions, builder.getI1Type());
  if (!hot)
    return failure();
  auto value = [&](int64_t position) {
    Value part = ctx.slice(ctx.getOperand(2), 0, ctx.makeSize(position),
                           ctx.makeSize(position + 1));
    return ctx.reshape(part, {});
  };
  return ctx.setResult(graph::WhereOp::create(
      builder, ctx.loc, typeOf(hot).clone(values.getElementType()), hot,
      value(1), value(0)));
}

/// EyeLike(x)  ->  cast (iota columns = iota rows + k)
LogicalResult importEyeLike(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  RankedTensorType type = typeOf(input);
  if (type.getRank() != 2)
    return ctx.invalid() << "needs a rank of 2, but has " << type;
  int64_t to = ctx.getInt("dtype", 0);
  Type element = to ? ctx.getElementType(to) : type.getElementType();
  if (!element)
    return ctx.unsupported() << "gives element type " << elementTypeName(to)
                             << ", which is unsupported";
  Sizes sizes = ctx.getSizes(input);
  Value rows = ctx.reshape(ctx.iota(ctx.makeSize(ctx.getInt("k", 0)), sizes[0]),
                           {sizes[0], ctx.makeSize(1)});
  Value isOne = ctx.binary<graph::EqualOp>(ctx.iota(ctx.makeSize(0), sizes[1]),
                                           rows, ctx.builder.getI1Type());
  return ctx.setResult(ctx.cast(isOne, element));
}

/// Integers of any type as i64, one for each index of dimension `dim` of
/// `rank`.
Value alongDim(ImportContext &ctx, Value vector, int64_t dim, int64_t rank) {
  Sizes sizes(rank, ctx.makeSize(1));
  sizes[dim] = ctx.getSize(vector, 0);
  return ctx.reshape(ctx.cast(vector, ctx.builder.getI64Type()), sizes);
}

/// ReverseSequence(x, n)  ->
///   gather_elements x, where iota < n, n - 1 - iota, iota
LogicalResult importReverseSequence(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0), lengths = ctx.getOperand(1);
  RankedTensorType type = typeOf(input);
  int64_t time = ctx.getInt("time_axis", 0),
          batch = ctx.getInt("batch_axis", 1);
  if (type.getRank() < 2 || time < 0 || time > 1 || batch != 1 - time)
    return ctx.invalid() << "has time_axis " << time << " and batch_axis "
                         << batch << " for " << type
                         << ", but they must be 0 and 1 or 1 and 0";
  if (typeOf(lengths).getRank() != 1)
    return ctx.invalid() << "needs a length for each sequence, but has "
                         << lengths.getType();
  Type index = ctx.builder.getI64Type();
  lengths = alongDim(ctx, lengths, batch, type.getRank());
  Value positions =
      alongDim(ctx, ctx.iota(ctx.makeSize(0), ctx.getSize(input, time)), time,
               type.getRank());
  Value isReversed =
      ctx.binary<graph::LessOp>(positions, lengths, ctx.builder.getI1Type());
  Value last = ctx.binary<graph::SubOp>(lengths, ctx.makeScalar(1, index));
  Value mirrored = ctx.binary<graph::SubOp>(last, positions);
  Value from = graph::WhereOp::create(ctx.builder, ctx.loc, mirrored.getType(),
                                      isReversed, mirrored, positions);
  return ctx.setResult(graph::GatherElementsOp::create(
      ctx.builder, ctx.loc, type, input,
      ctx.broadcast(from, ctx.getSizes(input)), time));
}

/// TensorScatter(x, u, w)  ->  scatter_elements replace x, iota + w, u
/// With `circular` positions are taken modulo the size of x.
LogicalResult importTensorScatter(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value cache = ctx.getOperand(0), update = ctx.getOperand(1);
  RankedTensorType type = typeOf(cache);
  int64_t rank = type.getRank();
  FailureOr<int64_t> axis = ctx.getAxis(-2, rank);
  if (failed(axis))
    return failure();
  StringRef mode = ctx.getString("mode", "linear");
  if (mode != "linear" && mode != "circular")
    return ctx.invalid() << "mode must be linear or circular, but is " << mode;
  if (*axis == 0 || typeOf(update).getRank() != rank)
    return ctx.invalid() << "needs an update of the rank of " << type
                         << " and an axis behind the batch, but has "
                         << update.getType() << " and axis " << *axis;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (dim != *axis)
      ctx.assumeEqual(ctx.getSize(cache, dim), ctx.getSize(update, dim));
  Value positions = alongDim(
      ctx, ctx.iota(ctx.makeSize(0), ctx.getSize(update, *axis)), *axis, rank);
  if (Value starts = ctx.getOperand(2)) {
    if (typeOf(starts).getRank() != 1)
      return ctx.invalid() << "needs one write index for each batch, but has "
                           << starts.getType();
    positions =
        ctx.binary<graph::AddOp>(positions, alongDim(ctx, starts, 0, rank));
  }
  if (mode == "circular") {
    Type index = ctx.builder.getI64Type();
    Value size = graph::FromIndicesOp::create(
        ctx.builder, ctx.loc, RankedTensorType::get({}, index),
        ctx.materialize(ctx.getSize(cache, *axis)));
    positions = graph::ModOp::create(ctx.builder, ctx.loc, positions.getType(),
                                     positions, size, /*truncated=*/false);
  }
  return ctx.setResult(graph::ScatterElementsOp::create(
      ctx.builder, ctx.loc, type, graph::ScatterKind::Replace, cache,
      ctx.broadcast(positions, ctx.getSizes(update)), update, *axis));
}

/// Of floats, computed in f32 or f64:
/// Range(start, limit, delta)  ->  start + iota · delta
/// with as many elements as ceil((limit - start) / delta) says.
LogicalResult importFloatRange(ImportContext &ctx) {
  Type element = typeOf(ctx.getOperand(0)).getElementType(),
       index = ctx.builder.getI64Type();
  Type wide = element.isF64() ? element : Type(ctx.builder.getF32Type());
  SmallVector<Value> bounds; // start, limit, delta
  SmallVector<double> known;
  for (unsigned i = 0; i < 3; ++i) {
    Value bound = ctx.getOperand(i);
    if (typeOf(bound) != RankedTensorType::get({}, element))
      return ctx.invalid() << "operand " << i << " must be a scalar of "
                           << element << ", but has type " << bound.getType();
    bounds.push_back(ctx.cast(bound, wide));
    DenseFPElementsAttr value;
    if (matchPattern(bound, m_Constant(&value)))
      known.push_back(value.getSplatValue<APFloat>().convertToDouble());
  }
  OpFoldResult size;
  if (known.size() == 3) {
    double count = std::ceil((known[1] - known[0]) / known[2]);
    if (!(count < INT32_MAX))
      return ctx.invalid() << "goes from " << known[0] << " to " << known[1]
                           << " in steps of " << known[2];
    size = ctx.makeSize(static_cast<int64_t>(std::max(count, 0.0)));
  } else {
    Value count = ctx.binary<graph::DivOp>(
        ctx.binary<graph::SubOp>(bounds[1], bounds[0]), bounds[2]);
    count = graph::CeilOp::create(ctx.builder, ctx.loc, count.getType(), count);
    FailureOr<Sizes> sizes = ctx.extractAll(ctx.cast(count, index), INT64_MIN);
    if (failed(sizes))
      return failure();
    size = sizes->front();
  }
  Value steps = ctx.cast(ctx.iota(ctx.makeSize(0), size), wide);
  Value offsets = ctx.binary<graph::MulOp>(steps, bounds[2]);
  return ctx.setResult(
      ctx.cast(ctx.binary<graph::AddOp>(offsets, bounds[0]), element));
}

/// Range(start, limit, step)  ->  iota start step size ceildiv(limit - start)
LogicalResult importRange(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Type element = typeOf(ctx.getOperand(0)).getElementType();
  if (isa<FloatType>(element))
    return importFloatRange(ctx);
  std::optional<SmallVector<int64_t>> step =
      ctx.getConstantInts(ctx.getOperand(2));
  if (!step || step->size() != 1)
    return ctx.unsupported() << "delta must be a constant";
  if (step->front() == 0)
    return ctx.invalid() << "delta must not be 0";
  Sizes bounds;
  for (unsigned i = 0; i < 2; ++i) {
    FailureOr<Sizes> bound = ctx.extractAll(ctx.getOperand(i), INT64_MIN);
    if (failed(bound))
      return failure();
    if (bound->size() != 1)
      return ctx.invalid() << "operand " << i
                           << " must have 1 element, but has " << bound->size();
    bounds.push_back(bound->front());
  }
  OpFoldResult start = bounds[0], limit = bounds[1];
  OpFoldResult size =
      ctx.ceilDivide(ctx.subtract(limit, start), ctx.makeSize(step->front()));
  if (std::optional<int64_t> known = getConstantIntValue(size))
    size = ctx.makeSize(std::max<int64_t>(*known, 0));
  return ctx.setResult(graph::IotaOp::create(
      ctx.builder, ctx.loc, RankedTensorType::get(staticSize(size), element),
      ctx.materialize(start), step->front(), ctx.materialize(size)));
}

const OpHandler handlers[] = {
    {"Constant", importConstant},
    {"ConstantOfShape", importConstantOfShape},
    {"EyeLike", importEyeLike},
    {"Gather", importGather},
    {"GatherElements", importGatherElements},
    {"GatherND", importGatherND},
    {"OneHot", importOneHot},
    {"Range", importRange},
    {"ReverseSequence", importReverseSequence},
    {"Scatter", importScatterElements},
    {"ScatterElements", importScatterElements},
    {"ScatterND", importScatterND},
    {"TensorScatter", importTensorScatter},
};

} // namespace

ArrayRef<OpHandler> dataHandlers() { return handlers; }

} // namespace tenon
