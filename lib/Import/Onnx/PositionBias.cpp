// What domain com.microsoft adds to the scores of attention for the distance
// between query and key.
#include "ImportContext.h"
#include <cmath>

using namespace mlir;

namespace tenon {
namespace {

/// The bucket of each distance from 0 to `largest`, at which the last begins
/// at the latest: the first half of them hold one distance each, the others
/// ever more (arXiv:1910.10683).
SmallVector<int64_t> findBuckets(int64_t buckets, int64_t largest) {
  int64_t exact = buckets / 2;
  SmallVector<int64_t> result;
  for (int64_t distance = 0; distance <= largest; ++distance) {
    if (distance < exact) {
      result.push_back(distance);
      continue;
    }
    // In f32, as models are trained.
    float share = std::log(float(distance) / float(exact)) /
                  std::log(float(largest) / float(exact));
    int64_t more = static_cast<int64_t>(share * float(buckets - exact));
    result.push_back(std::min(exact + more, buckets - 1));
  }
  return result;
}

/// A length as a size. Fails after an error.
FailureOr<OpFoldResult> getLength(ImportContext &ctx, unsigned i) {
  FailureOr<Sizes> values = ctx.extractAll(ctx.getOperand(i), 0);
  if (failed(values))
    return failure();
  if (values->size() != 1) {
    ctx.invalid() << "operand " << i << " must have 1 element, but has "
                  << values->size();
    return failure();
  }
  return values->front();
}

/// RelativePositionBias(t, s, k)  ->
///   gather t, (gather buckets, min(|keys - queries|, largest))
/// The table lies in memory with the buckets of one head behind each other,
/// though its type has the heads last.
LogicalResult importRelativeBias(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)) || failed(ctx.requireRank(0, 2)))
    return failure();
  Value table = ctx.getOperand(0);
  int64_t buckets = typeOf(table).getDimSize(0);
  int64_t largest = ctx.getInt("max_distance", 0);
  bool isBidirectional = ctx.getInt("is_bidirectional", 0) != 0;
  int64_t each = isBidirectional ? buckets / 2 : buckets;
  // Far beyond what models have, and short enough for a table.
  constexpr int64_t mostDistances = 1 << 16;
  if (ShapedType::isDynamic(buckets) || each < 2 || largest <= each / 2 ||
      largest > mostDistances)
    return ctx.invalid() << "cannot sort distances up to " << largest
                         << " into the buckets of " << table.getType();
  FailureOr<OpFoldResult> queries = getLength(ctx, 1), keys = getLength(ctx, 2);
  if (failed(queries) || failed(keys))
    return failure();
  Type index = ctx.builder.getI64Type();
  OpFoldResult zero = ctx.makeSize(0), one = ctx.makeSize(1);
  Value rows = ctx.reshape(ctx.iota(zero, *queries), {*queries, one});
  Value distance = ctx.binary<graph::SubOp>(ctx.iota(zero, *keys), rows);
  auto number = [&](int64_t value) { return ctx.makeScalar(value, index); };
  Value behind;
  if (isBidirectional) {
    Value isBehind = ctx.binary<graph::GreaterOp>(distance, number(0),
                                                  ctx.builder.getI1Type());
    behind = ctx.binary<graph::MulOp>(ctx.cast(isBehind, index), number(each));
    distance = graph::AbsOp::create(ctx.builder, ctx.loc, distance.getType(),
                                    distance);
  } else {
    distance = graph::NegOp::create(ctx.builder, ctx.loc, distance.getType(),
                                    distance);
    distance = ctx.binary<graph::MaxOp>(distance, number(0));
  }
  distance = ctx.binary<graph::MinOp>(distance, number(largest));
  SmallVector<int64_t> known = findBuckets(each, largest);
  auto knownType =
      RankedTensorType::get(static_cast<int64_t>(known.size()), index);
  Value bucket = ctx.gather(
      ctx.makeConstant(DenseElementsAttr::get(knownType, ArrayRef(known))),
      distance, 0);
  if (behind)
    bucket = ctx.binary<graph::AddOp>(bucket, behind);
  Value byHead =
      ctx.reshape(table, {ctx.getSize(table, 1), ctx.getSize(table, 0)});
  Value bias = ctx.gather(byHead, bucket, 1);
  return ctx.setResult(
      ctx.reshape(bias, {one, ctx.getSize(byHead, 0), *queries, *keys}));
}

/// Each half of a row of the product, summed, is a gate (arXiv:2109.14446):
/// GatedRelativePositionBias(q, c, r, w, b, a)  ->
///   mul (u * (v * a - 1) + 2), r    for (u, v) = sigmoid (reduce ((q + c)·w +
///   b))
LogicalResult importGatedBias(ImportContext &ctx) {
  if (failed(ctx.requireOperands(6)) || failed(ctx.requireRank(0, 3)) ||
      failed(ctx.requireRank(1, 1)) || failed(ctx.requireRank(2, 4)) ||
      failed(ctx.requireRank(3, 2)) || failed(ctx.requireRank(4, 1)) ||
      failed(ctx.requireRank(5, 4)))
    return failure();
  if (ctx.getOperand(6))
    return ctx.unsupported() << "packed tokens are unsupported";
  Value query = ctx.binary<graph::AddOp>(ctx.getOperand(0), ctx.getOperand(1));
  if (!query)
    return failure();
  FailureOr<Value> heads = ctx.splitHeads(query, "num_heads");
  if (failed(heads))
    return failure();
  Value product = ctx.matmul(*heads, ctx.getOperand(3));
  product =
      product ? ctx.binary<graph::AddOp>(product, ctx.getOperand(4)) : product;
  if (!product)
    return failure();
  Sizes sizes = ctx.getSizes(product);
  OpFoldResult half = ctx.floorDivide(sizes[3], ctx.makeSize(2));
  Value sums = ctx.reduce(graph::ReductionKind::Sum,
                          ctx.reshape(product, {sizes[0], sizes[1], sizes[2],
                                                ctx.makeSize(2), half}),
                          {4});
  sums = ctx.reshape(sums, {sizes[0], sizes[1], sizes[2], ctx.makeSize(2)});
  Value gates =
      graph::SigmoidOp::create(ctx.builder, ctx.loc, sums.getType(), sums);
  auto gate = [&](int64_t i) {
    return ctx.slice(gates, 3, ctx.makeSize(i), ctx.makeSize(i + 1));
  };
  Type element = typeOf(gates).getElementType();
  auto number = [&](double value) { return ctx.makeScalar(value, element); };
  Value factor = ctx.binary<graph::MulOp>(gate(1), ctx.getOperand(5));
  if (!factor)
    return failure();
  factor = ctx.binary<graph::MulOp>(
      gate(0), ctx.binary<graph::SubOp>(factor, number(1)));
  factor = ctx.binary<graph::AddOp>(factor, number(2));
  Value result = ctx.binary<graph::MulOp>(factor, ctx.getOperand(2));
  return result ? ctx.setResult(result) : failure();
}

const OpHandler handlers[] = {
    {"GatedRelativePositionBias", importGatedBias, 1, microsoftDomain},
    {"RelativePositionBias", importRelativeBias, 1, microsoftDomain},
};

} // namespace

ArrayRef<OpHandler> positionBiasHandlers() { return handlers; }

} // namespace tenon
