// Reductions become linalg; softmax and norms become anchors; rotary is
// elementwise on pairs.
#include "GraphToKernel.h"
#include "Signless.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <limits>

using namespace mlir;

namespace tenon {

/// The value that changes no result: 0, or the least or largest element.
static TypedAttr neutral(Builder &b, graph::ReductionKind kind, Type type,
                         bool isUnsigned) {
  bool least = kind == graph::ReductionKind::Max;
  double number = kind == graph::ReductionKind::Prod ? 1 : 0;
  if (auto floating = dyn_cast<FloatType>(type)) {
    if (least || kind == graph::ReductionKind::Min)
      return b.getFloatAttr(
          type, APFloat::getInf(floating.getFloatSemantics(), least));
    return b.getFloatAttr(type, number);
  }
  unsigned width = type.getIntOrFloatBitWidth();
  if (least)
    return b.getIntegerAttr(type, isUnsigned ? APInt::getMinValue(width)
                                             : APInt::getSignedMinValue(width));
  if (kind == graph::ReductionKind::Min)
    return b.getIntegerAttr(type, isUnsigned ? APInt::getMaxValue(width)
                                             : APInt::getSignedMaxValue(width));
  return b.getIntegerAttr(type, static_cast<int64_t>(number));
}

static Value combine(OpBuilder &b, Location loc, graph::ReductionKind kind,
                     bool isUnsigned, Value x, Value y) {
  bool isFloat = isa<FloatType>(x.getType());
  switch (kind) {
  case graph::ReductionKind::Sum:
  case graph::ReductionKind::Mean:
    return isFloat ? arith::AddFOp::create(b, loc, x, y).getResult()
                   : arith::AddIOp::create(b, loc, x, y).getResult();
  case graph::ReductionKind::Max:
    if (isUnsigned)
      return arith::MaxUIOp::create(b, loc, x, y);
    return isFloat ? arith::MaximumFOp::create(b, loc, x, y).getResult()
                   : arith::MaxSIOp::create(b, loc, x, y).getResult();
  case graph::ReductionKind::Min:
    if (isUnsigned)
      return arith::MinUIOp::create(b, loc, x, y);
    return isFloat ? arith::MinimumFOp::create(b, loc, x, y).getResult()
                   : arith::MinSIOp::create(b, loc, x, y).getResult();
  case graph::ReductionKind::Prod:
    return isFloat ? arith::MulFOp::create(b, loc, x, y).getResult()
                   : arith::MulIOp::create(b, loc, x, y).getResult();
  }
  llvm_unreachable("all kinds are handled");
}

/// `value` divided by a size, an integer at least by 1.
static Value divide(OpBuilder &b, Location loc, Value value, Value size,
                    bool isUnsigned) {
  Type element = value.getType();
  Value n = arith::IndexCastOp::create(b, loc, b.getI64Type(), size);
  if (isa<FloatType>(element)) {
    n = arith::SIToFPOp::create(b, loc, element, n);
    return arith::DivFOp::create(b, loc, value, n);
  }
  n = arith::MaxSIOp::create(b, loc, n,
                             arith::ConstantIntOp::create(b, loc, 1, 64));
  if (element.getIntOrFloatBitWidth() < 64)
    n = arith::TruncIOp::create(b, loc, element, n);
  if (isUnsigned)
    return arith::DivUIOp::create(b, loc, value, n);
  return arith::DivSIOp::create(b, loc, value, n);
}

static Value convertReduce(GraphToKernel &state, graph::ReduceOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Value input = state.get(op.getInput());
  Sizes inputSizes = state.sizesOf(input), sizes = inputSizes;
  int64_t rank = type.getRank();
  Value count = state.index(1);
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  SmallVector<AffineExpr> exprs;
  for (int64_t dim = 0; dim < rank; ++dim)
    exprs.push_back(state.builder.getAffineDimExpr(dim));
  for (int64_t axis : op.getAxes()) {
    iterators[axis] = utils::IteratorType::reduction;
    exprs[axis] = state.builder.getAffineConstantExpr(0);
    count = state.mul(count, inputSizes[axis]);
    sizes[axis] = state.index(1);
  }
  AffineMap outMap = AffineMap::get(rank, 0, exprs, state.builder.getContext());
  graph::ReductionKind kind = op.getKind();
  bool isMean = kind == graph::ReductionKind::Mean;
  bool isUnsigned = hasUnsignedOperands(op);
  SmallVector<Value> indices;
  for (auto [dim, size] : llvm::enumerate(sizes))
    if (type.isDynamicDim(dim))
      indices.push_back(size);
  size_t dynamic = indices.size();
  if (isMean)
    indices.push_back(count);
  return state.createRegion(
      op, "reduce", type, sizes, input, indices,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        Location loc = op.getLoc();
        Type element = computeType(type.getElementType());
        RankedTensorType sumType = type.clone(element);
        ArrayRef<Value> dims = ArrayRef(scalars.indices).take_front(dynamic);
        Value empty = tensor::EmptyOp::create(b, loc, sumType, dims);
        Value first =
            arith::ConstantOp::create(b, loc, neutral(b, kind, element, isUnsigned));
        Value init = linalg::FillOp::create(b, loc, first, empty).getResult(0);
        SmallVector<AffineMap> maps = {b.getMultiDimIdentityMap(rank), outMap};
        Value result =
            linalg::GenericOp::create(
                b, loc, TypeRange{sumType}, ValueRange{scalars.tensors[0]},
                ValueRange{init}, maps, iterators,
                [&](OpBuilder &inner, Location, ValueRange x) {
                  linalg::YieldOp::create(
                      inner, loc,
                      combine(inner, loc, kind, isUnsigned,
                              widen(inner, loc, x[0]), x[1]));
                })
                .getResult(0);
        if (!isMean && sumType == type)
          return result;
        if (sumType != type)
          empty = tensor::EmptyOp::create(b, loc, type, dims);
        maps[1] = maps[0];
        SmallVector<utils::IteratorType> parallel(
            rank, utils::IteratorType::parallel);
        return linalg::GenericOp::create(
                   b, loc, TypeRange{type}, ValueRange{result},
                   ValueRange{empty}, maps, parallel,
                   [&](OpBuilder &inner, Location, ValueRange x) {
                     Value value = x[0];
                     if (isMean)
                       value =
                           divide(inner, loc, value, scalars.indices.back(),
                                  isUnsigned);
                     linalg::YieldOp::create(
                         inner, loc,
                         narrow(inner, loc, value, type.getElementType()));
                   })
            .getResult(0);
      });
}

static Value convertSoftmax(GraphToKernel &state, graph::SoftmaxOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Value input = state.get(op.getInput());
  SmallVector<int64_t> permutation;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    permutation.push_back(dim);
  bool isLast = op.getAxis() == type.getRank() - 1;
  if (!isLast) {
    std::swap(permutation[op.getAxis()], permutation.back());
    input = state.createTranspose(op, input, permutation);
  }
  auto inner = cast<RankedTensorType>(input.getType());
  Value result = state.createRegion(
      op, "softmax", inner, state.sizesOf(input), input, {},
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        return kernel::SoftmaxOp::create(b, op.getLoc(), inner,
                                         scalars.tensors[0]);
      });
  // A swap of two dimensions undoes itself.
  return isLast ? result : state.createTranspose(op, result, permutation);
}

static Value convertNorm(GraphToKernel &state, graph::NormOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  SmallVector<Value> inputs{state.get(op.getInput())};
  if (op.getScale())
    inputs.push_back(state.get(op.getScale()));
  if (op.getBias())
    inputs.push_back(state.get(op.getBias()));
  Sizes sizes = state.sizesOf(inputs[0]), flat = sizes;
  int64_t axis = op.getAxis();
  bool collapses = axis != type.getRank() - 1;
  if (collapses) {
    while ((int64_t)flat.size() > axis + 1) {
      Value last = flat.pop_back_val();
      flat.back() = state.mul(flat.back(), last);
    }
    inputs[0] = state.createView(op, inputs[0], flat);
    for (Value &parameter : llvm::drop_begin(inputs))
      parameter = state.createView(op, parameter, {flat.back()});
  }
  auto inner = cast<RankedTensorType>(inputs[0].getType());
  Value result = state.createRegion(
      op, "norm", inner, flat, inputs, {},
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        ArrayRef<Value> rest = scalars.tensors;
        Value input = rest.consume_front();
        Value scale = op.getScale() ? rest.consume_front() : Value();
        Value bias = op.getBias() ? rest.consume_front() : Value();
        return kernel::NormOp::create(b, op.getLoc(), inner, input, scale, bias,
                                      op.getEpsilonAttr(), op.getRmsAttr());
      });
  return collapses ? state.createView(op, result, type, sizes) : result;
}

/// Both elements of a pair are read by maps, not by look-ups, so that loops run
/// on vectors: the last dimension is viewed as two, one of which is the place
/// in the pair. A transpose that keeps the last dimension is read through.
static Value convertRotary(GraphToKernel &state, graph::RotaryOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Location loc = op.getLoc();
  int64_t rank = type.getRank(), last = rank - 1;
  Sizes sizes = state.sizesOf(state.get(op.getInput()));
  Value source = op.getInput();
  SmallVector<int64_t> permutation =
      llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (auto transpose = source.getDefiningOp<graph::TransposeOp>())
    if (transpose.getPermutation().back() == last) {
      source = transpose.getInput();
      permutation.assign(transpose.getPermutation().begin(),
                         transpose.getPermutation().end());
    }

  int64_t half = type.getShape().back() / 2;
  unsigned place = op.getInterleaved() ? rank : last;
  unsigned pair = op.getInterleaved() ? last : rank;
  auto splitLast = [&](Sizes whole) {
    whole.back() = state.index(op.getInterleaved() ? half : 2);
    whole.push_back(state.index(op.getInterleaved() ? 2 : half));
    return whole;
  };
  Value input = state.get(source);
  Value split = state.createView(op, input, splitLast(state.sizesOf(input)));

  Builder &b = state.builder;
  SmallVector<AffineExpr> exprs(rank);
  for (auto [dim, from] : llvm::enumerate(permutation))
    exprs[from] = b.getAffineDimExpr(dim);
  exprs.resize(rank + 1);
  exprs[pair] = b.getAffineDimExpr(pair);
  SmallVector<AffineMap> maps;
  for (int64_t number : {0, 1}) {
    exprs[place] = b.getAffineConstantExpr(number);
    maps.push_back(AffineMap::get(rank + 1, 0, exprs, b.getContext()));
  }
  SmallVector<Value> elements{split, split};
  for (Value operand : {op.getCosine(), op.getSine()}) {
    Value table = state.get(operand);
    auto tableType = cast<RankedTensorType>(table.getType());
    int64_t dims = tableType.getRank();
    SmallVector<AffineExpr> from;
    for (int64_t dim = 0; dim < dims - 1; ++dim) {
      // Rank 3 stands for batch×S×D/2: the heads have no dimension.
      int64_t loop = dims == 3 && dim == 0 ? 0 : dim + rank - dims;
      bool single = tableType.getDimSize(dim) == 1;
      from.push_back(single ? b.getAffineConstantExpr(0)
                            : b.getAffineDimExpr(loop));
      if (!single)
        state.assumeEqual(loc, sizes[loop], state.sizesOf(table)[dim]);
    }
    from.push_back(b.getAffineDimExpr(pair));
    maps.push_back(AffineMap::get(rank + 1, 0, from, b.getContext()));
    elements.push_back(table);
  }
  Sizes outSizes = splitLast(sizes);
  SmallVector<int64_t> shape(type.getShape().drop_back());
  shape.push_back(op.getInterleaved() ? half : 2);
  shape.push_back(op.getInterleaved() ? 2 : half);
  Value result = state.createGeneric(
      op, "rotary", RankedTensorType::get(shape, type.getElementType()),
      outSizes, elements, maps, {}, {},
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        for (Value &element : scalars.elements)
          element = widen(b, loc, element);
        auto [first, second, cosine, sine] =
            std::tuple(scalars.elements[0], scalars.elements[1],
                       scalars.elements[2], scalars.elements[3]);
        auto mul = [&](Value lhs, Value rhs) -> Value {
          return arith::MulFOp::create(b, loc, lhs, rhs);
        };
        Value low = arith::SubFOp::create(b, loc, mul(first, cosine),
                                          mul(second, sine));
        Value high = arith::AddFOp::create(b, loc, mul(first, sine),
                                           mul(second, cosine));
        Value isFirst =
            arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                  linalg::IndexOp::create(b, loc, place),
                                  arith::ConstantIndexOp::create(b, loc, 0));
        return narrow(b, loc,
                      arith::SelectOp::create(b, loc, isFirst, low, high),
                      type.getElementType());
      });
  return state.createView(op, result, type, sizes);
}

FailureOr<bool> GraphToKernel::convertReduction(Operation *op) {
  Value result;
  if (auto reduce = dyn_cast<graph::ReduceOp>(op))
    result = convertReduce(*this, reduce);
  else if (auto softmax = dyn_cast<graph::SoftmaxOp>(op))
    result = convertSoftmax(*this, softmax);
  else if (auto norm = dyn_cast<graph::NormOp>(op))
    result = convertNorm(*this, norm);
  else if (auto rotary = dyn_cast<graph::RotaryOp>(op))
    result = convertRotary(*this, rotary);
  else
    return false;
  replace(op->getResult(0), result, sizesOf(result));
  return true;
}

} // namespace tenon
