// Windows are read where they lie, by affine maps; what sums them back is one
// reduction over each window's elements.
#include "GraphToKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace tenon {

static Value convertWindow(GraphToKernel &state, graph::WindowOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Builder &b = state.builder;
  unsigned spatial = op.getKernel().size();
  unsigned windows = type.getRank() - spatial, leading = windows - spatial;
  SmallVector<AffineExpr> exprs;
  for (unsigned dim = 0; dim < leading; ++dim)
    exprs.push_back(b.getAffineDimExpr(dim));
  for (auto [i, stride, dilation] :
       llvm::enumerate(op.getStrides(), op.getDilations()))
    exprs.push_back(b.getAffineDimExpr(leading + i) * stride +
                    b.getAffineDimExpr(windows + i) * dilation);
  AffineMap map = AffineMap::get(type.getRank(), 0, exprs, b.getContext());
  return state.createGeneric(op, "window", type, state.sizesOf(op.getOutput()),
                             state.get(op.getInput()), map, {}, {},
                             [](OpBuilder &, GraphToKernel::Scalars scalars) {
                               return scalars.elements[0];
                             });
}

/// result[…, y] = sum over k of input[…, (y - k · dilation) / stride, k], where
/// the division is exact and gives a window that exists.
static Value convertOverlapAdd(GraphToKernel &state, graph::OverlapAddOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Location loc = op.getLoc();
  int64_t spatial = op.getStrides().size(), rank = type.getRank();
  int64_t leading = rank - spatial;
  const SymbolicSizes &sizes = state.sizesOf(op.getOutput());
  const SymbolicSizes &windows = state.sizesOf(op.getInput());
  // One loop for each dimension of the result, then those over a window.
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  iterators.resize(rank + spatial, utils::IteratorType::reduction);
  SmallVector<Value> indices;
  for (auto [dim, size] : llvm::enumerate(sizes))
    if (type.isDynamicDim(dim))
      indices.push_back(state.index(size));
  size_t dynamic = indices.size();
  for (int64_t i = 0; i < spatial; ++i)
    indices.push_back(state.index(windows[leading + i]));
  // Once each, as they are the region's arguments.
  return state.createRegion(
      op, "overlap_add", type, sizes, state.get(op.getInput()), indices,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        Type element = type.getElementType();
        RankedTensorType sumType = type.clone(computeType(element));
        ArrayRef<Value> dims = ArrayRef(scalars.indices).take_front(dynamic);
        ArrayRef<Value> counts = ArrayRef(scalars.indices).drop_front(dynamic);
        Value zero = arith::ConstantOp::create(
            b, loc, b.getZeroAttr(sumType.getElementType()));
        Value init =
            linalg::FillOp::create(
                b, loc, zero,
                tensor::EmptyOp::create(b, loc, sumType, dims).getResult())
                .getResult(0);
        // Says how many elements a window has; nothing reads it.
        Value kernel = tensor::EmptyOp::create(b, loc, op.getKernel(), element);
        SmallVector<AffineExpr> own, taps;
        for (int64_t dim = 0; dim < rank + spatial; ++dim)
          (dim < rank ? own : taps).push_back(b.getAffineDimExpr(dim));
        SmallVector<AffineMap> maps = {
            AffineMap::get(rank + spatial, 0, taps, b.getContext()),
            AffineMap::get(rank + spatial, 0, own, b.getContext())};
        auto addElement = [&](OpBuilder &inner, Location, ValueRange x) {
          SmallVector<Value> at, place;
          for (int64_t dim = 0; dim < rank + spatial; ++dim)
            place.push_back(linalg::IndexOp::create(inner, loc, dim));
          at.assign(place.begin(), place.begin() + leading);
          Value lies;
          auto require = [&](arith::CmpIPredicate predicate, Value lhs,
                             Value rhs) {
            Value holds =
                arith::CmpIOp::create(inner, loc, predicate, lhs, rhs);
            lies =
                lies
                    ? arith::AndIOp::create(inner, loc, lies, holds).getResult()
                    : holds;
          };
          for (int64_t i = 0; i < spatial; ++i) {
            auto constant = [&](int64_t value) -> Value {
              return arith::ConstantIndexOp::create(inner, loc, value);
            };
            Value stride = constant(op.getStrides()[i]);
            Value begin = arith::SubIOp::create(
                inner, loc, place[leading + i],
                arith::MulIOp::create(inner, loc, place[rank + i],
                                      constant(op.getDilations()[i])));
            // Of a negative number the quotient may be 0, the rest is not.
            Value window = arith::DivSIOp::create(inner, loc, begin, stride);
            Value rest = arith::RemSIOp::create(inner, loc, begin, stride);
            require(arith::CmpIPredicate::eq, rest, constant(0));
            // Unsigned, a negative window is beyond all.
            require(arith::CmpIPredicate::ult, window, counts[i]);
            at.push_back(window);
          }
          at.append(place.begin() + rank, place.end());
          Value with =
              scf::IfOp::create(
                  inner, loc, lies,
                  [&](OpBuilder &then, Location) {
                    Value read = tensor::ExtractOp::create(
                        then, loc, scalars.tensors[0], at);
                    scf::YieldOp::create(then, loc, widen(then, loc, read));
                  },
                  [&](OpBuilder &other, Location) {
                    scf::YieldOp::create(other, loc, zero);
                  })
                  .getResult(0);
          Value sum =
              isa<FloatType>(with.getType())
                  ? arith::AddFOp::create(inner, loc, x[1], with).getResult()
                  : arith::AddIOp::create(inner, loc, x[1], with).getResult();
          linalg::YieldOp::create(inner, loc, sum);
        };
        Value result =
            linalg::GenericOp::create(b, loc, TypeRange{sumType}, kernel, init,
                                      maps, iterators, addElement)
                .getResult(0);
        if (sumType == type)
          return result;
        Value empty = tensor::EmptyOp::create(b, loc, type, dims);
        SmallVector<AffineMap> same(2, b.getMultiDimIdentityMap(rank));
        SmallVector<utils::IteratorType> parallel(
            rank, utils::IteratorType::parallel);
        return linalg::GenericOp::create(
                   b, loc, TypeRange{type}, result, empty, same, parallel,
                   [&](OpBuilder &inner, Location, ValueRange x) {
                     linalg::YieldOp::create(inner, loc,
                                             narrow(inner, loc, x[0], element));
                   })
            .getResult(0);
      });
}

FailureOr<bool> GraphToKernel::convertWindows(Operation *op) {
  Value result;
  if (auto window = dyn_cast<graph::WindowOp>(op))
    result = convertWindow(*this, window);
  else if (auto overlap = dyn_cast<graph::OverlapAddOp>(op))
    result = convertOverlapAdd(*this, overlap);
  else
    return false;
  replace(op->getResult(0), result);
  return true;
}

} // namespace tenon
