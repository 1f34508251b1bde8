// ONNX operators whose results have as many elements as the data says: each
// counts first, and gets memory for what it has counted.
#include "ImportContext.h"
#include <numeric>

using namespace mlir;

namespace tenon {
namespace {

/// Positions in a tensor of one dimension, and how many they are.
struct Selection {
  Value positions; ///< i64
  OpFoldResult count;
};

/// Whether each element is not zero.
Value makeFlags(ImportContext &ctx, Value input) {
  Type element = typeOf(input).getElementType();
  if (element.isInteger(1))
    return input;
  if (isNarrowFloat(element))
    input = ctx.cast(input, element = ctx.builder.getF32Type());
  Value isZero = ctx.binary<graph::EqualOp>(input, ctx.makeScalar(0, element),
                                            ctx.builder.getI1Type());
  return graph::NotOp::create(ctx.builder, ctx.loc, isZero.getType(), isZero);
}

Value flatten(ImportContext &ctx, Value input) {
  return ctx.reshape(input, ctx.product(ctx.getSizes(input)));
}

Value zeros(ImportContext &ctx, OpFoldResult size) {
  return ctx.broadcast(ctx.makeScalar(0, ctx.builder.getI64Type()), size);
}

/// target[indices[i]] = updates[i], or += with `add`; all of one dimension.
Value scatter(ImportContext &ctx, Value target, Value indices, Value updates,
              graph::ScatterKind kind = graph::ScatterKind::Replace) {
  return graph::ScatterElementsOp::create(ctx.builder, ctx.loc,
                                          target.getType(), kind, target,
                                          indices, updates, /*axis=*/0);
}

/// The order that sorts a tensor of one dimension; equal elements stay in
/// theirs.
Value sortingOrder(ImportContext &ctx, Value input, OpFoldResult size) {
  return graph::TopKOp::create(
      ctx.builder, ctx.loc,
      RankedTensorType::get(staticSize(size), ctx.builder.getI64Type()),
      ctx.materialize(size), input, /*axis=*/0, /*smallest=*/true,
      /*prefer_last=*/false);
}

Value cumulativeSum(ImportContext &ctx, Value input, bool exclusive) {
  return graph::CumulativeSumOp::create(ctx.builder, ctx.loc, input.getType(),
                                        input, /*axis=*/0, exclusive,
                                        /*reverse=*/false);
}

/// Where `flags`, i1 of one dimension, are true, in order. Each of these has
/// its place in the result, and all others share one behind it: slice (scatter
/// (where flags, (cumulative_sum flags), count), iota) 0 to count
Selection select(ImportContext &ctx, Value flags) {
  Type index = ctx.builder.getI64Type();
  OpFoldResult size = ctx.getSize(flags, 0);
  Value ones = ctx.cast(flags, index);
  Value total = ctx.reduce(graph::ReductionKind::Sum, ones, {0});
  // Import gives it its name.
  OpFoldResult count =
      graph::CountOp::create(ctx.builder, ctx.loc, ctx.builder.getIndexType(),
                             "", total, ctx.materialize(size))
          .getSize();
  Value places = graph::WhereOp::create(
      ctx.builder, ctx.loc, ones.getType(), flags,
      cumulativeSum(ctx, ones, /*exclusive=*/true), total);
  Value all = scatter(ctx, zeros(ctx, ctx.add(count, ctx.makeSize(1))), places,
                      ctx.iota(ctx.makeSize(0), size));
  return {ctx.slice(all, 0, ctx.makeSize(0), count), count};
}

/// NonZero(x)  ->  the coordinates of the selected elements, a row for each
/// dimension
LogicalResult importNonZero(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  Selection selected = select(ctx, flatten(ctx, makeFlags(ctx, input)));
  Sizes sizes = ctx.getSizes(input);
  if (sizes.empty()) // no rows, but as many columns as there are elements
    return ctx.setResult(ctx.reshape(
        ctx.slice(selected.positions, 0, ctx.makeSize(0), ctx.makeSize(0)),
        {ctx.makeSize(0), selected.count}));
  SmallVector<Value> rows;
  Value rest = selected.positions;
  for (size_t dim = sizes.size(); dim-- > 0;) {
    Value coordinate = rest;
    if (dim != 0) {
      Value size = graph::FromIndicesOp::create(
          ctx.builder, ctx.loc,
          RankedTensorType::get({}, ctx.builder.getI64Type()),
          ctx.materialize(sizes[dim]));
      Value quotient = ctx.binary<graph::DivOp>(rest, size);
      coordinate = ctx.binary<graph::SubOp>(
          rest, ctx.binary<graph::MulOp>(quotient, size));
      rest = quotient;
    }
    rows.insert(rows.begin(),
                ctx.reshape(coordinate, {ctx.makeSize(1), selected.count}));
  }
  return ctx.setResult(rows.size() == 1 ? rows.front() : ctx.concat(rows, 0));
}

/// Compress(x, flags)  ->  gather x, (select flags), of all elements where no
/// axis is given
LogicalResult importCompress(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value input = ctx.getOperand(0), flags = ctx.getOperand(1);
  if (typeOf(flags).getRank() != 1 ||
      !typeOf(flags).getElementType().isInteger(1))
    return ctx.invalid() << "condition must be bool with 1 dimension, but has "
                            "type "
                         << flags.getType();
  int64_t axis = 0;
  if (ctx.hasAttribute("axis")) {
    FailureOr<int64_t> given = ctx.getAxis(0, typeOf(input).getRank());
    if (failed(given))
      return failure();
    axis = *given;
  } else {
    input = flatten(ctx, input);
  }
  return ctx.setResult(ctx.gather(input, select(ctx, flags).positions, axis));
}

/// Which elements of a sorted tensor differ from the one before; NaN is equal
/// to NaN, as in numpy.
Value findNew(ImportContext &ctx, Value sorted, OpFoldResult size) {
  Type flag = ctx.builder.getI1Type(), index = ctx.builder.getI64Type();
  Value positions = ctx.iota(ctx.makeSize(0), size);
  Value zero = ctx.makeScalar(0, index), one = ctx.makeScalar(1, index);
  Value before = ctx.gather(
      sorted,
      ctx.binary<graph::MaxOp>(ctx.binary<graph::SubOp>(positions, one), zero),
      0);
  Value isSame = ctx.binary<graph::EqualOp>(sorted, before, flag);
  if (isa<FloatType>(typeOf(sorted).getElementType())) {
    auto isNaN = [&](Value value) {
      return graph::IsNaNOp::create(ctx.builder, ctx.loc, isSame.getType(),
                                    value);
    };
    isSame = ctx.binary<graph::OrOp>(
        isSame, ctx.binary<graph::AndOp>(isNaN(sorted), isNaN(before)));
  }
  Value isNew =
      graph::NotOp::create(ctx.builder, ctx.loc, isSame.getType(), isSame);
  return ctx.binary<graph::OrOp>(
      isNew, ctx.binary<graph::EqualOp>(positions, zero, flag));
}

/// Unique(x)  ->  the first of each run of equal elements of x when sorted, in
/// that order or that in which x has them
template <bool isMicrosoft> LogicalResult importUnique(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  if (ctx.hasAttribute("axis")) {
    FailureOr<int64_t> axis = ctx.getAxis(0, typeOf(input).getRank());
    if (failed(axis))
      return failure();
    if (typeOf(input).getRank() != 1)
      return ctx.unsupported()
             << "an axis of an input with " << typeOf(input).getRank()
             << " dimensions is unsupported";
  }
  Type element = typeOf(input).getElementType(),
       index = ctx.builder.getI64Type();
  if (element.isInteger(1) || isNarrowFloat(element))
    return ctx.unsupported()
           << "elements of type " << element << " are unsupported";
  Value flat = flatten(ctx, input);
  OpFoldResult size = ctx.getSize(flat, 0);
  Value order = sortingOrder(ctx, flat, size);
  Value sorted = ctx.gather(flat, order, 0);
  Value isNew = findNew(ctx, sorted, size);
  auto [starts, count] = select(ctx, isNew);
  Value values = ctx.gather(sorted, starts, 0);
  Value first = ctx.gather(order, starts, 0); // in the input
  Value group = ctx.binary<graph::SubOp>(
      cumulativeSum(ctx, ctx.cast(isNew, index), /*exclusive=*/false),
      ctx.makeScalar(1, index));
  Value inverse = scatter(ctx, zeros(ctx, size), order, group);
  if (isMicrosoft || ctx.getInt("sorted", 1) == 0) {
    Value byPlace = sortingOrder(ctx, first, count);
    values = ctx.gather(values, byPlace, 0);
    first = ctx.gather(first, byPlace, 0);
    Value rank = scatter(ctx, zeros(ctx, count), byPlace,
                         ctx.iota(ctx.makeSize(0), count));
    inverse = ctx.gather(rank, inverse, 0);
  }
  // Of com.microsoft, it has no result of first places.
  unsigned last = isMicrosoft ? 2 : 3;
  (void)ctx.setResult(values, 0);
  (void)ctx.setResult(inverse, last - 1);
  if (!isMicrosoft)
    (void)ctx.setResult(first, 1);
  if (!ctx.isResultUsed(last))
    return success();
  Value ones = ctx.broadcast(ctx.makeScalar(1, index), size);
  return ctx.setResult(
      scatter(ctx, zeros(ctx, count), inverse, ones, graph::ScatterKind::Add),
      last);
}

const OpHandler handlers[] = {
    {"Compress", importCompress, 9},
    {"NonZero", importNonZero, 9},
    {"Unique", importUnique<false>, 11},
    {"Unique", importUnique<true>, 1, microsoftDomain},
};

} // namespace

ArrayRef<OpHandler> selectionHandlers() { return handlers; }

} // namespace tenon
