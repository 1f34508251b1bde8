// ONNX operators that compute tensors of sizes that an operand gives: windows
// for signals, grids of coordinates for pictures.
#include "Formula.h"
#include "mlir/IR/TypeUtilities.h"
#include <cmath>

using namespace mlir;

namespace tenon {
namespace {

/// 0, 1, 2, … as f32.
Value countUp(ImportContext &ctx, OpFoldResult size) {
  return ctx.cast(ctx.iota(ctx.makeSize(0), size), ctx.builder.getF32Type());
}

/// A size as f32.
Value asNumber(ImportContext &ctx, OpFoldResult size) {
  auto type = RankedTensorType::get({}, ctx.builder.getI64Type());
  Value number = graph::FromIndicesOp::create(ctx.builder, ctx.loc, type,
                                              ctx.materialize(size));
  return ctx.cast(number, ctx.builder.getF32Type());
}

/// c₀ - c₁·cos(2πn/N) + c₂·cos(4πn/N) for n below the size, where N is the size
/// or, unless `periodic`, one less.
LogicalResult importWindow(ImportContext &ctx, ArrayRef<double> coefficients) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  int64_t to = ctx.getInt("output_datatype", onnx::TensorProto::FLOAT);
  Type element = ctx.getElementType(to);
  if (!element)
    return ctx.unsupported() << "gives element type " << elementTypeName(to)
                             << ", which is unsupported";
  FailureOr<Sizes> sizes = ctx.extractAll(ctx.getOperand(0), 0);
  if (failed(sizes))
    return failure();
  if (sizes->size() != 1)
    return ctx.invalid() << "needs one size, but has " << sizes->size();
  OpFoldResult size = sizes->front();
  bool isPeriodic = ctx.getInt("periodic", 1) != 0;
  OpFoldResult period = isPeriodic ? size : ctx.subtract(size, ctx.makeSize(1));
  Formula f(ctx, countUp(ctx, size));
  Value angle = f.div(f.mul(f.x, f.number(2 * M_PI)), asNumber(ctx, period));
  Value result = f.number(coefficients[0]);
  for (size_t i = 1; i < coefficients.size(); ++i) {
    Value wave = f.map<graph::CosOp>(f.mul(angle, f.number(i)));
    double sign = i % 2 ? -1 : 1;
    result = f.add(result, f.mul(wave, f.number(sign * coefficients[i])));
  }
  return ctx.setResult(ctx.cast(result, element));
}

LogicalResult importBlackman(ImportContext &ctx) {
  return importWindow(ctx, {0.42, 0.5, 0.08});
}
LogicalResult importHamming(ImportContext &ctx) {
  return importWindow(ctx, {25.0 / 46, 21.0 / 46});
}
LogicalResult importHann(ImportContext &ctx) {
  return importWindow(ctx, {0.5, 0.5});
}

/// The coordinates of `size` pixels between -1 and 1, which are the centres of
/// the outermost with `align`, else their edges.
Value makeCoordinates(ImportContext &ctx, OpFoldResult size, bool align) {
  Formula f(ctx, countUp(ctx, size));
  Value count = asNumber(ctx, size), one = f.number(1), two = f.number(2);
  if (align)
    return f.sub(f.div(f.mul(f.x, two), f.sub(count, one)), one);
  return f.sub(f.div(f.add(f.mul(f.x, two), one), count), one);
}

/// AffineGrid(θ, [N, C, H, W])  ->  reshape (matmul [[x, y, 1], …], θᵀ)
LogicalResult importAffineGrid(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value theta = ctx.getOperand(0);
  FailureOr<Sizes> given = ctx.extractAll(ctx.getOperand(1), 0);
  if (failed(given))
    return failure();
  int64_t dims = static_cast<int64_t>(given->size()) - 2;
  RankedTensorType type = typeOf(theta);
  if ((dims != 2 && dims != 3) || type.getRank() != 3 ||
      failed(verifyCompatibleShape(type.getShape().drop_front(),
                                   {dims, dims + 1})))
    return ctx.invalid() << "needs 4 sizes and matrices of 2×3 or 5 sizes and "
                         << "matrices of 3×4, but has " << given->size()
                         << " and " << type;
  bool align = ctx.getInt("align_corners", 0) != 0;
  Type single = ctx.builder.getF32Type();
  ArrayRef<OpFoldResult> space = ArrayRef(*given).drop_front(2);
  Sizes column(space);
  column.push_back(ctx.makeSize(1));
  SmallVector<Value> columns;
  // x, along the last dimension, comes first.
  for (int64_t dim = dims - 1; dim >= 0; --dim) {
    Sizes along(dims + 1, ctx.makeSize(1));
    along[dim] = space[dim];
    Value coordinates = makeCoordinates(ctx, space[dim], align);
    columns.push_back(ctx.broadcast(ctx.reshape(coordinates, along), column));
  }
  columns.push_back(ctx.broadcast(ctx.makeScalar(1, single), column));
  Value points = ctx.reshape(ctx.concat(columns, dims),
                             {ctx.product(space), ctx.makeSize(dims + 1)});
  Value grid = ctx.matmul(points, ctx.cast(theta, single),
                          /*transposeLhs=*/false, /*transposeRhs=*/true);
  Sizes sizes{ctx.getSize(theta, 0)};
  sizes.append(space.begin(), space.end());
  sizes.push_back(ctx.makeSize(dims));
  return ctx.setResult(
      ctx.cast(ctx.reshape(grid, sizes), type.getElementType()));
}

const OpHandler handlers[] = {
    {"AffineGrid", importAffineGrid},
    {"BlackmanWindow", importBlackman},
    {"HammingWindow", importHamming},
    {"HannWindow", importHann},
};

} // namespace

ArrayRef<OpHandler> gridHandlers() { return handlers; }

} // namespace tenon
