// Sizes as choices between those of all dimensions that an axis may name.
#include "RunTimeAxes.h"

using namespace mlir;

namespace tenon {

bool areRunTimeAxes(ImportContext &ctx, Value axes) {
  return axes && !ctx.getConstantInts(axes);
}

FailureOr<RunTimeAxes> RunTimeAxes::read(ImportContext &ctx, Value operand,
                                         int64_t rank) {
  FailureOr<Sizes> axes = ctx.extractAll(operand, INT64_MIN);
  if (failed(axes))
    return failure();
  if (static_cast<int64_t>(axes->size()) > rank) {
    ctx.invalid() << "has " << axes->size() << " axes for a tensor of rank "
                  << rank;
    return failure();
  }
  constexpr size_t mostAxes = 16;
  if (axes->size() > mostAxes) {
    ctx.unsupported() << "has " << axes->size() << " axes that are known when "
                      << "it runs, more than " << mostAxes;
    return failure();
  }
  RunTimeAxes result(ctx, *axes, rank);
  Sizes kept = result.countKept();
  // One listed twice, or no dimension, leaves more of them.
  ctx.assumeEqual(kept.back(), ctx.makeSize(rank - result.getCount()));
  return result;
}

OpFoldResult RunTimeAxes::pick(int64_t dim, ArrayRef<OpFoldResult> values,
                               OpFoldResult otherwise) {
  OpFoldResult result = otherwise;
  for (auto [axis, value] : llvm::zip(axes, values)) {
    result = ctx->selectEqual(axis, dim - rank, value, result);
    result = ctx->selectEqual(axis, dim, value, result);
  }
  return result;
}

OpFoldResult RunTimeAxes::select(int64_t dim, OpFoldResult then,
                                 OpFoldResult otherwise) {
  return pick(dim, Sizes(axes.size(), then), otherwise);
}

Sizes RunTimeAxes::countKept() {
  OpFoldResult zero = ctx->makeSize(0), one = ctx->makeSize(1);
  Sizes kept{zero};
  for (int64_t dim = 0; dim < rank; ++dim)
    kept.push_back(ctx->add(kept.back(), select(dim, zero, one)));
  return kept;
}

Sizes RunTimeAxes::drop(ArrayRef<OpFoldResult> sizes) {
  Sizes places = countKept(), result;
  for (int64_t i = 0; i < rank - getCount(); ++i) {
    // The last dimension with that place: those listed before have it, too.
    OpFoldResult size = ctx->makeSize(0);
    for (int64_t dim = 0; dim < rank; ++dim)
      size = ctx->selectEqual(places[dim], i, sizes[dim], size);
    result.push_back(size);
  }
  return result;
}

Sizes RunTimeAxes::insert(ArrayRef<OpFoldResult> sizes) {
  Sizes places = countKept(), result;
  for (int64_t dim = 0; dim < rank; ++dim) {
    OpFoldResult size = ctx->makeSize(1);
    for (auto [i, other] : llvm::enumerate(sizes))
      size = ctx->selectEqual(places[dim], i, other, size);
    result.push_back(select(dim, ctx->makeSize(1), size));
  }
  return result;
}

} // namespace tenon
