// ONNX operators that combine or order elements along dimensions: reductions,
// softmax and norms of rows.
#include "Reduction.h"
#include "RunTimeAxes.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;

namespace tenon {

namespace {

Value makeSum(ImportContext &ctx, Value input, ArrayRef<int64_t> axes) {
  return ctx.reduce(graph::ReductionKind::Sum, input, axes);
}

template <typename OpTy> Value makeUnary(ImportContext &ctx, Value input) {
  return OpTy::create(ctx.builder, ctx.loc, input.getType(), input);
}

Value makeSquare(ImportContext &ctx, Value input) {
  return ctx.binary<graph::MulOp>(input, input);
}

/// x as exp can take it: less the largest element, which `offset` becomes.
Value subtractLargest(ImportContext &ctx, Value input, ArrayRef<int64_t> axes,
                      Value &offset) {
  Value largest = ctx.reduce(graph::ReductionKind::Max, input, axes);
  Value zero = ctx.makeScalar(0, typeOf(input).getElementType());
  // Where all are -inf, or one is +inf, the difference must not be NaN.
  Value finite =
      ctx.binary<graph::EqualOp>(ctx.binary<graph::SubOp>(largest, largest),
                                 zero, ctx.builder.getI1Type());
  offset = graph::WhereOp::create(ctx.builder, ctx.loc, largest.getType(),
                                  finite, largest, zero);
  return ctx.binary<graph::SubOp>(input, offset);
}

Value makeLogSum(ImportContext &ctx, Value input, ArrayRef<int64_t> axes) {
  return makeUnary<graph::LogOp>(ctx, makeSum(ctx, input, axes));
}

/// log(sum(exp(x)))
Value makeLogOfPowers(ImportContext &ctx, Value input, ArrayRef<int64_t> axes) {
  return makeLogSum(ctx, makeUnary<graph::ExpOp>(ctx, input), axes);
}

Value makeLogSumExp(ImportContext &ctx, Value input, ArrayRef<int64_t> axes) {
  Value offset;
  Value shifted = subtractLargest(ctx, input, axes, offset);
  return ctx.binary<graph::AddOp>(makeLogOfPowers(ctx, shifted, axes), offset);
}

template <graph::ReductionKind kind>
Value makePlain(ImportContext &ctx, Value input, ArrayRef<int64_t> axes) {
  return ctx.reduce(kind, input, axes);
}
Value makeL1(ImportContext &ctx, Value input, ArrayRef<int64_t> axes) {
  return makeSum(ctx, makeUnary<graph::AbsOp>(ctx, input), axes);
}
Value makeSumSquare(ImportContext &ctx, Value input, ArrayRef<int64_t> axes) {
  return makeSum(ctx, makeSquare(ctx, input), axes);
}
Value makeL2(ImportContext &ctx, Value input, ArrayRef<int64_t> axes) {
  return makeUnary<graph::SqrtOp>(ctx, makeSumSquare(ctx, input, axes));
}

/// A function of a reduction of another type than the operand's is computed in:
/// of integers what is behind the point is dropped.
template <Value (*make)(ImportContext &, Value, ArrayRef<int64_t>)>
Value makeWide(ImportContext &ctx, Value input, ArrayRef<int64_t> axes) {
  return ctx.cast(make(ctx, ctx.widen(input), axes),
                  typeOf(input).getElementType());
}

/// Each dimension becomes two, of which the second is reduced and has its
/// elements, or 1, as an operand says:
/// ReduceX(x, axes)  ->  reshape (reduce (reshape x to [1, a, b, 1, …]))
template <Value (*make)(ImportContext &, Value, ArrayRef<int64_t>)>
LogicalResult reduceAlong(ImportContext &ctx, Value operand, bool keepsDims) {
  Value input = ctx.getOperand(0);
  Sizes sizes = ctx.getSizes(input), apart, kept;
  FailureOr<RunTimeAxes> axes = RunTimeAxes::read(ctx, operand, sizes.size());
  if (failed(axes))
    return failure();
  OpFoldResult one = ctx.makeSize(1);
  SmallVector<int64_t> seconds;
  for (auto [dim, size] : llvm::enumerate(sizes)) {
    kept.push_back(axes->select(dim, one, size));
    apart.append({kept.back(), axes->select(dim, size, one)});
    seconds.push_back(2 * dim + 1);
  }
  Value result = make(ctx, ctx.reshape(input, apart), seconds);
  return ctx.setResult(
      ctx.reshape(result, keepsDims ? kept : axes->drop(sizes)));
}

/// ReduceX(x) without keepdims  ->  reshape (reduce x)
template <Value (*make)(ImportContext &, Value, ArrayRef<int64_t>),
          int64_t axesOperandSince>
LogicalResult importReduce(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  bool keepsAll = ctx.getInt("noop_with_empty_axes", 0) != 0;
  bool keepsDims = ctx.getInt("keepdims", 1) != 0;
  if (ctx.opset >= axesOperandSince && areRunTimeAxes(ctx, ctx.getOperand(1)))
    return reduceAlong<make>(ctx, ctx.getOperand(1), keepsDims);
  Value input = ctx.getOperand(0);
  int64_t rank = typeOf(input).getRank();
  SmallVector<int64_t> axes = ctx.getIntsOrOperand("axes", 1, axesOperandSince)
                                  .value_or(SmallVector<int64_t>());
  // Nothing is combined then, but squares and logarithms are taken.
  if (axes.empty() && !keepsAll)
    axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (failed(ctx.normalizeAxes(axes, rank)))
    return failure();
  llvm::sort(axes);
  axes.erase(llvm::unique(axes), axes.end());
  Value result = make(ctx, input, axes);
  if (!keepsDims && !axes.empty()) {
    Sizes kept;
    for (int64_t dim = 0; dim < rank; ++dim)
      if (!llvm::is_contained(axes, dim))
        kept.push_back(ctx.getSize(input, dim));
    result = ctx.reshape(result, kept);
  }
  return ctx.setResult(result);
}

} // namespace

Value makeLogSoftmax(ImportContext &ctx, Value input, int64_t axis) {
  // The largest is taken off x, not added to the logarithm, which it may be
  // much larger than.
  Value offset;
  Value shifted = subtractLargest(ctx, ctx.widen(input), {axis}, offset);
  return ctx.cast(
      ctx.binary<graph::SubOp>(shifted, makeLogOfPowers(ctx, shifted, {axis})),
      typeOf(input).getElementType());
}

namespace {

Value makeSoftmax(ImportContext &ctx, Value input, int64_t axis) {
  return graph::SoftmaxOp::create(ctx.builder, ctx.loc, input.getType(), input,
                                  axis);
}

/// 1 at the first of the largest elements, else 0.
Value makeHardmax(ImportContext &ctx, Value input, int64_t axis) {
  RankedTensorType type = typeOf(input);
  Type flag = ctx.builder.getI1Type(), index = ctx.builder.getI64Type();
  Sizes sizes(type.getRank() - axis, ctx.makeSize(1));
  sizes[0] = ctx.getSize(input, axis);
  Value positions = ctx.reshape(ctx.iota(ctx.makeSize(0), sizes[0]), sizes);
  Value largest = ctx.reduce(graph::ReductionKind::Max, input, {axis});
  Value isLargest = ctx.binary<graph::EqualOp>(input, largest, flag);
  Value candidates = graph::WhereOp::create(
      ctx.builder, ctx.loc, type.clone(index), isLargest, positions,
      ctx.makeScalar(static_cast<double>(int64_t(1) << 62), index));
  Value first = ctx.reduce(graph::ReductionKind::Min, candidates, {axis});
  return graph::WhereOp::create(
      ctx.builder, ctx.loc, type,
      ctx.binary<graph::EqualOp>(positions, first, flag),
      ctx.makeScalar(1, type.getElementType()),
      ctx.makeScalar(0, type.getElementType()));
}

/// Without a constant axis:
/// CumSum(x, axis)  ->  where axis = 1, cumulative_sum axis 1,
///                                      cumulative_sum axis 0
template <typename OpTy> LogicalResult importCumulative(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0), axis = ctx.getOperand(1);
  int64_t rank = typeOf(input).getRank();
  if (!typeOf(axis).hasStaticShape() || typeOf(axis).getNumElements() != 1)
    return ctx.invalid() << "axis must have 1 element, but has type "
                         << axis.getType();
  auto combine = [&](int64_t along) -> Value {
    return OpTy::create(ctx.builder, ctx.loc, input.getType(), input, along,
                        ctx.getInt("exclusive", 0) != 0,
                        ctx.getInt("reverse", 0) != 0);
  };
  if (std::optional<SmallVector<int64_t>> known = ctx.getConstantInts(axis)) {
    FailureOr<int64_t> along = ctx.normalizeAxis(known->front(), rank);
    return failed(along) ? failure() : ctx.setResult(combine(*along));
  }
  if (rank == 0)
    return ctx.invalid() << "needs a rank of 1 or more, but has "
                         << input.getType();
  if (ctx.isRunTimeValue(axis, 0)) {
    OpFoldResult number = ctx.extract(axis, 0), least = ctx.makeSize(-rank),
                 most = ctx.makeSize(rank - 1);
    ctx.assumeEqual(ctx.maximum(number, least), number);
    ctx.assumeEqual(ctx.maximum(number, most), most);
  }
  axis = ctx.reshape(axis, {});
  Value result = combine(0);
  for (int64_t along = 1; along < rank; ++along) {
    auto isAxis = [&](int64_t number) {
      Value wanted = ctx.makeScalar(number, typeOf(axis).getElementType());
      return ctx.binary<graph::EqualOp>(axis, wanted, ctx.builder.getI1Type());
    };
    Value either = ctx.binary<graph::OrOp>(isAxis(along), isAxis(along - rank));
    result = graph::WhereOp::create(ctx.builder, ctx.loc, input.getType(),
                                    either, combine(along), result);
  }
  return ctx.setResult(result);
}

/// ArgMax(x)  ->  top_k x k 1, reshaped without keepdims
template <bool smallest> LogicalResult importArg(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  int64_t rank = typeOf(input).getRank();
  FailureOr<int64_t> axis = ctx.getAxis(0, rank);
  if (failed(axis))
    return failure();
  SmallVector<int64_t> shape(typeOf(input).getShape());
  shape[*axis] = 1;
  Value result = graph::TopKOp::create(
      ctx.builder, ctx.loc,
      RankedTensorType::get(shape, ctx.builder.getI64Type()),
      ctx.materialize(ctx.makeSize(1)), input, *axis, smallest,
      ctx.getInt("select_last_index", 0) != 0);
  if (ctx.getInt("keepdims", 1) == 0) {
    Sizes kept;
    for (int64_t dim = 0; dim < rank; ++dim)
      if (dim != *axis)
        kept.push_back(ctx.getSize(input, dim));
    result = ctx.reshape(result, kept);
  }
  return ctx.setResult(result);
}

/// TopK(x, k)  ->  gather_elements x, (top_k x k), and top_k x k
LogicalResult importTopK(ImportContext &ctx) {
  bool hasAttribute = ctx.opset < 10;
  if (failed(ctx.requireOperands(hasAttribute ? 1 : 2)) ||
      (hasAttribute && failed(ctx.requireAttribute("k"))))
    return failure();
  Value input = ctx.getOperand(0);
  RankedTensorType type = typeOf(input);
  FailureOr<int64_t> axis = ctx.getAxis(-1, type.getRank());
  if (failed(axis))
    return failure();
  // Sorted is as good as any order.
  (void)ctx.getInt("sorted", 1);
  OpFoldResult k = ctx.makeSize(ctx.getInt("k", 0));
  if (!hasAttribute) {
    FailureOr<Sizes> values = ctx.extractAll(ctx.getOperand(1), 0);
    if (failed(values))
      return failure();
    if (values->size() != 1)
      return ctx.invalid() << "k must have 1 element, but has "
                           << values->size();
    k = values->front();
  }
  SmallVector<int64_t> shape(type.getShape());
  shape[*axis] = staticSize(k);
  Value indices = graph::TopKOp::create(
      ctx.builder, ctx.loc,
      RankedTensorType::get(shape, ctx.builder.getI64Type()),
      ctx.materialize(k), input, *axis, ctx.getInt("largest", 1) == 0,
      /*prefer_last=*/false);
  Value values = graph::GatherElementsOp::create(
      ctx.builder, ctx.loc, RankedTensorType::get(shape, type.getElementType()),
      input, indices, *axis);
  (void)ctx.setResult(values, 0);
  return ctx.setResult(indices, 1);
}

/// Before opset 13 the input is taken as a matrix whose rows are softmaxed:
/// Softmax(x)  ->  reshape (softmax (reshape x to [before axis, from axis on]))
template <Value (*make)(ImportContext &, Value, int64_t)>
LogicalResult importSoftmax(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  int64_t rank = typeOf(input).getRank();
  FailureOr<int64_t> axis = ctx.getAxis(ctx.opset < 13 ? 1 : -1, rank);
  if (failed(axis))
    return failure();
  if (ctx.opset >= 13 || *axis == rank - 1)
    return ctx.setResult(make(ctx, input, *axis));
  Sizes sizes = ctx.getSizes(input);
  ArrayRef<OpFoldResult> all(sizes);
  OpFoldResult rows = ctx.product(all.take_front(*axis));
  Value matrix = ctx.reshape(input, {rows, ctx.product(all.drop_front(*axis))});
  return ctx.setResult(ctx.reshape(make(ctx, matrix, 1), sizes));
}

} // namespace

Value makeNorm(ImportContext &ctx, Value input, int64_t axis, float epsilon,
               bool rms) {
  return graph::NormOp::create(
      ctx.builder, ctx.loc, input.getType(), input, Value(), Value(),
      ctx.builder.getI64IntegerAttr(axis), ctx.builder.getF32FloatAttr(epsilon),
      rms ? ctx.builder.getUnitAttr() : UnitAttr());
}

namespace {

/// Results 1 and 2 of LayerNormalization: the mean and one over the standard
/// deviation, of the type that `stashType` numbers.
LogicalResult setStatistics(ImportContext &ctx, Value input, int64_t axis,
                            float epsilon, int64_t stashType) {
  if (stashType != onnx::TensorProto::FLOAT &&
      stashType != onnx::TensorProto::BFLOAT16)
    return ctx.invalid() << "stash_type must be 1 (float) or 16 (bfloat16), "
                            "but is "
                         << stashType;
  Type stash = stashType == onnx::TensorProto::FLOAT
                   ? Type(ctx.builder.getF32Type())
                   : ctx.builder.getBF16Type();
  input = ctx.widen(input);
  auto axes = llvm::to_vector(llvm::seq(axis, typeOf(input).getRank()));
  auto mean = [&](Value value) {
    return ctx.reduce(graph::ReductionKind::Mean, value, axes);
  };
  Value average = mean(input);
  Value variance =
      mean(makeSquare(ctx, ctx.binary<graph::SubOp>(input, average)));
  Value deviation = makeUnary<graph::SqrtOp>(
      ctx,
      ctx.binary<graph::AddOp>(
          variance, ctx.makeScalar(epsilon, typeOf(input).getElementType())));
  (void)ctx.setResult(ctx.cast(average, stash), 1);
  return ctx.setResult(
      ctx.cast(makeUnary<graph::ReciprocalOp>(ctx, deviation), stash), 2);
}

/// The norm whose scale or bias has another type or shape than what is
/// normalised: applied apart, and rounded once.
Value makeNormApart(ImportContext &ctx, Value input, Value scale, Value bias,
                    int64_t axis, float epsilon, bool rms) {
  Type type = typeOf(scale).getElementType();
  bool isWide = isa<Float64Type>(type) ||
                isa<Float64Type>(typeOf(input).getElementType());
  auto widen = [&](Value value) {
    return isWide ? ctx.cast(value, ctx.builder.getF64Type())
                  : ctx.widen(value);
  };
  Value result = ctx.binary<graph::MulOp>(
      makeNorm(ctx, widen(input), axis, epsilon, rms), widen(scale));
  if (result && bias)
    result = ctx.binary<graph::AddOp>(result, widen(bias));
  return result ? ctx.cast(result, type) : Value();
}

/// `rms`: without subtracting the mean; its result has the type of its scale.
template <bool rms> LogicalResult importNorm(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0), scale = ctx.getOperand(1),
        bias = rms ? Value() : ctx.getOperand(2);
  RankedTensorType type = typeOf(input);
  FailureOr<int64_t> axis = ctx.getAxis(-1, type.getRank());
  if (failed(axis))
    return failure();
  float epsilon = ctx.getFloat("epsilon", 1e-5f);
  // What is computed in f32 has at least the precision that this asks for.
  int64_t stashType = ctx.getInt("stash_type", onnx::TensorProto::FLOAT);
  if (ctx.isResultUsed(1) || ctx.isResultUsed(2)) {
    if (rms)
      return ctx.unsupported() << "only the first result is supported";
    if (failed(setStatistics(ctx, input, *axis, epsilon, stashType)))
      return failure();
  }
  auto normalised = RankedTensorType::get(type.getShape().drop_front(*axis),
                                          type.getElementType());
  auto fits = [&](Value operand) {
    return !operand || operand.getType() == normalised;
  };
  if (!fits(scale) || !fits(bias)) {
    Value result = makeNormApart(ctx, input, scale, bias, *axis, epsilon, rms);
    if (result && failed(verifyCompatibleShape(result.getType(), type)))
      return ctx.invalid() << "scale and bias must broadcast to the input "
                           << type << ", but the result is "
                           << result.getType();
    return result ? ctx.setResult(result) : failure();
  }
  return ctx.setResult(
      graph::NormOp::create(ctx.builder, ctx.loc, type, input, scale, bias,
                            ctx.builder.getI64IntegerAttr(*axis),
                            ctx.builder.getF32FloatAttr(epsilon),
                            rms ? ctx.builder.getUnitAttr() : UnitAttr()));
}

/// x / |x|, and 0 where the norm is 0
LogicalResult importLpNorm(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.widen(ctx.getOperand(0));
  FailureOr<int64_t> axis = ctx.getAxis(-1, typeOf(input).getRank());
  if (failed(axis))
    return failure();
  int64_t p = ctx.getInt("p", 2);
  if (p != 1 && p != 2)
    return ctx.invalid() << "p must be 1 or 2, but is " << p;
  Value length =
      p == 1 ? makeL1(ctx, input, {*axis}) : makeL2(ctx, input, {*axis});
  Value zero = ctx.makeScalar(0, typeOf(input).getElementType());
  Value isZero =
      ctx.binary<graph::EqualOp>(length, zero, ctx.builder.getI1Type());
  Value result =
      graph::WhereOp::create(ctx.builder, ctx.loc, input.getType(), isZero,
                             zero, ctx.binary<graph::DivOp>(input, length));
  return ctx.setResult(
      ctx.cast(result, typeOf(ctx.getOperand(0)).getElementType()));
}

/// (x - mean) / (sqrt(mean(x²) - mean²) + 1e-9)
LogicalResult importMeanVarianceNorm(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.widen(ctx.getOperand(0));
  auto axes = ctx.getInts("axes").value_or(SmallVector<int64_t>{0, 2, 3});
  if (failed(ctx.normalizeAxes(axes, typeOf(input).getRank())))
    return failure();
  Value mean = ctx.reduce(graph::ReductionKind::Mean, input, axes);
  Value centred = ctx.binary<graph::SubOp>(input, mean);
  Value variance =
      ctx.reduce(graph::ReductionKind::Mean, makeSquare(ctx, centred), axes);
  Value deviation = ctx.binary<graph::AddOp>(
      makeUnary<graph::SqrtOp>(ctx, variance),
      ctx.makeScalar(1e-9, typeOf(input).getElementType()));
  return ctx.setResult(ctx.cast(ctx.binary<graph::DivOp>(centred, deviation),
                                typeOf(ctx.getOperand(0)).getElementType()));
}

/// CDist(a, b)  ->  sqrt (reduce sum (square (a - b)))
/// for each row of a with each of b.
LogicalResult importCDist(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)) || failed(ctx.requireRank(0, 2)) ||
      failed(ctx.requireRank(1, 2)))
    return failure();
  StringRef metric = ctx.getString("metric", "sqeuclidean");
  if (metric != "euclidean" && metric != "sqeuclidean")
    return ctx.unsupported() << "metric " << metric << " is unsupported";
  Value rows = ctx.getOperand(0);
  Sizes sizes = ctx.getSizes(rows);
  rows = ctx.reshape(rows, {sizes[0], ctx.makeSize(1), sizes[1]});
  Value difference = ctx.binary<graph::SubOp>(rows, ctx.getOperand(1));
  if (!difference)
    return failure();
  Value sum = makeSumSquare(ctx, difference, {2});
  if (metric == "euclidean")
    sum = makeUnary<graph::SqrtOp>(ctx, sum);
  return ctx.setResult(
      ctx.reshape(sum, {ctx.getSize(sum, 0), ctx.getSize(sum, 1)}));
}

const OpHandler handlers[] = {
    {"ArgMax", importArg</*smallest=*/false>},
    {"ArgMin", importArg</*smallest=*/true>},
    {"CDist", importCDist, 1, microsoftDomain},
    {"CumProd", importCumulative<graph::CumulativeProductOp>},
    {"CumSum", importCumulative<graph::CumulativeSumOp>},
    {"Hardmax", importSoftmax<makeHardmax>},
    {"LayerNormalization", importNorm<false>},
    {"LogSoftmax", importSoftmax<makeLogSoftmax>},
    {"LpNormalization", importLpNorm},
    {"MeanVarianceNormalization", importMeanVarianceNorm},
    {"RMSNormalization", importNorm<true>},
    {"ReduceL1", importReduce<makeL1, 18>},
    {"ReduceL2", importReduce<makeWide<makeL2>, 18>},
    {"ReduceLogSum", importReduce<makeWide<makeLogSum>, 18>},
    {"ReduceLogSumExp", importReduce<makeWide<makeLogSumExp>, 18>},
    {"ReduceMax", importReduce<makePlain<graph::ReductionKind::Max>, 18>},
    {"ReduceMean", importReduce<makePlain<graph::ReductionKind::Mean>, 18>},
    {"ReduceMin", importReduce<makePlain<graph::ReductionKind::Min>, 18>},
    {"ReduceProd", importReduce<makePlain<graph::ReductionKind::Prod>, 18>},
    {"ReduceSum", importReduce<makeSum, 13>},
    {"ReduceSumSquare", importReduce<makeSumSquare, 18>},
    {"SimplifiedLayerNormalization", importNorm<true>},
    {"Softmax", importSoftmax<makeSoftmax>},
    {"TopK", importTopK},
};

} // namespace

ArrayRef<OpHandler> reductionHandlers() { return handlers; }

} // namespace tenon
