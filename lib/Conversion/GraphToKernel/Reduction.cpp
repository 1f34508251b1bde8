// Reductions become linalg; softmax and norms become anchors, and so do sums
// and selections along lines; rotary is elementwise on pairs.
#include "GraphToKernel.h"
#include "Signless.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
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
  const SymbolicSizes &sizes = state.sizesOf(op.getOutput());
  int64_t rank = type.getRank();
  SymbolicExpr count = 1;
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  SmallVector<AffineExpr> exprs;
  for (int64_t dim = 0; dim < rank; ++dim)
    exprs.push_back(state.builder.getAffineDimExpr(dim));
  for (int64_t axis : op.getAxes()) {
    iterators[axis] = utils::IteratorType::reduction;
    exprs[axis] = state.builder.getAffineConstantExpr(0);
    count = count * state.sizesOf(op.getInput())[axis];
  }
  AffineMap outMap = AffineMap::get(rank, 0, exprs, state.builder.getContext());
  graph::ReductionKind kind = op.getKind();
  bool isMean = kind == graph::ReductionKind::Mean;
  bool isUnsigned = hasUnsignedOperands(op);
  SmallVector<Value> indices;
  for (auto [dim, size] : llvm::enumerate(sizes))
    if (type.isDynamicDim(dim))
      indices.push_back(state.index(size));
  size_t dynamic = indices.size();
  if (isMean)
    indices.push_back(state.index(count));
  return state.createRegion(
      op, "reduce", type, sizes, input, indices,
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        Location loc = op.getLoc();
        Type element = computeType(type.getElementType());
        RankedTensorType sumType = type.clone(element);
        ArrayRef<Value> dims = ArrayRef(scalars.indices).take_front(dynamic);
        Value empty = tensor::EmptyOp::create(b, loc, sumType, dims);
        Value first = arith::ConstantOp::create(
            b, loc, neutral(b, kind, element, isUnsigned));
        Value init = linalg::FillOp::create(b, loc, first, empty).getResult(0);
        SmallVector<AffineMap> maps = {b.getMultiDimIdentityMap(rank), outMap};
        Value result =
            linalg::GenericOp::create(
                b, loc, TypeRange{sumType}, ValueRange{scalars.tensors[0]},
                ValueRange{init}, maps, iterators,
                [&](OpBuilder &inner, Location, ValueRange x) {
                  linalg::YieldOp::create(inner, loc,
                                          combine(inner, loc, kind, isUnsigned,
                                                  widen(inner, loc, x[0]),
                                                  x[1]));
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
                       value = divide(inner, loc, value, scalars.indices.back(),
                                      isUnsigned);
                     linalg::YieldOp::create(
                         inner, loc,
                         narrow(inner, loc, value, type.getElementType()));
                   })
            .getResult(0);
      });
}

/// A sum or product of the elements up to each, in their order.
template <typename OpTy>
static Value convertCumulative(GraphToKernel &state, OpTy op,
                               graph::ReductionKind kind) {
  auto type = cast<RankedTensorType>(op.getType());
  Value input = state.get(op.getInput());
  const SymbolicSizes &sizes = state.sizesOf(op.getInput());
  int64_t axis = op.getAxis();
  return state.createLines(
      op, op->getName().stripDialect(), type, sizes, axis, input,
      state.index(sizes[axis]),
      [&](OpBuilder &b, GraphToKernel::Scalars scalars,
          SmallVector<Value> place, Value line) -> Value {
        Location loc = op.getLoc();
        Value size = scalars.indices[0];
        Value first = arith::ConstantIndexOp::create(b, loc, 0),
              one = arith::ConstantIndexOp::create(b, loc, 1);
        Value nothing = arith::ConstantOp::create(
            b, loc,
            neutral(b, kind, computeType(type.getElementType()),
                    /*isUnsigned=*/false));
        auto loop = scf::ForOp::create(
            b, loc, first, size, one, ValueRange{line, nothing},
            [&](OpBuilder &inner, Location, Value number, ValueRange carried) {
              Value at = number;
              if (op.getReverse()) {
                at = arith::SubIOp::create(inner, loc, size, number);
                at = arith::SubIOp::create(inner, loc, at, one);
              }
              place[axis] = at;
              Value element = tensor::ExtractOp::create(
                  inner, loc, scalars.tensors[0], place);
              Value sum = combine(inner, loc, kind, /*isUnsigned=*/false,
                                  carried[1], widen(inner, loc, element));
              Value written =
                  narrow(inner, loc, op.getExclusive() ? carried[1] : sum,
                         type.getElementType());
              Value longer =
                  tensor::InsertOp::create(inner, loc, written, carried[0], at);
              scf::YieldOp::create(inner, loc, ValueRange{longer, sum});
            });
        return loop.getResult(0);
      });
}

/// Whether `lhs` comes before `rhs` among the largest, or smallest, elements; a
/// NaN is the largest.
static Value comesBefore(OpBuilder &b, Location loc, bool smallest,
                         bool isUnsigned, Value lhs, Value rhs) {
  if (!isa<FloatType>(lhs.getType())) {
    using Predicate = arith::CmpIPredicate;
    Predicate below = isUnsigned ? Predicate::ult : Predicate::slt,
              above = isUnsigned ? Predicate::ugt : Predicate::sgt;
    return arith::CmpIOp::create(b, loc, smallest ? below : above, lhs, rhs);
  }
  // Unordered: true if either is NaN. One of two NaNs comes before neither.
  Value number = smallest ? lhs : rhs;
  return arith::AndIOp::create(
      b, loc,
      arith::CmpFOp::create(b, loc,
                            smallest ? arith::CmpFPredicate::ULT
                                     : arith::CmpFPredicate::UGT,
                            lhs, rhs),
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::ORD, number, number));
}

/// The line holds the best elements so far, in order: each element that comes
/// before the last of them takes its place, and moves up.
static Value convertTopK(GraphToKernel &state, graph::TopKOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Location loc = op.getLoc();
  Value input = state.get(op.getInput());
  int64_t axis = op.getAxis();
  Value size = state.index(state.sizesOf(op.getInput())[axis]);
  Value k = state.index(OpFoldResult(op.getK()));
  return state.createLines(
      op, "top_k", type, state.sizesOf(op.getIndices()), axis, input, {size, k},
      [&](OpBuilder &b, GraphToKernel::Scalars scalars,
          SmallVector<Value> place, Value line) -> Value {
        Value size = scalars.indices[0], k = scalars.indices[1];
        Value zero = arith::ConstantIndexOp::create(b, loc, 0),
              one = arith::ConstantIndexOp::create(b, loc, 1);
        auto sub = [&](OpBuilder &here, Value lhs, Value rhs) -> Value {
          return arith::SubIOp::create(here, loc, lhs, rhs);
        };
        auto select = [&](OpBuilder &here, Value condition, Value onTrue,
                          Value onFalse) -> Value {
          return arith::SelectOp::create(here, loc, condition, onTrue, onFalse);
        };
        auto get = [&](OpBuilder &here, Value from, Value at) -> Value {
          return tensor::ExtractOp::create(here, loc, from, at);
        };
        auto read = [&](OpBuilder &here, Value at) {
          place[axis] = at;
          Value element =
              tensor::ExtractOp::create(here, loc, scalars.tensors[0], place);
          return widen(here, loc, element);
        };
        // Whether `found` comes before the input's element number `index`.
        auto comesFirst = [&](OpBuilder &here, Value found, Value index) {
          Value at =
              arith::IndexCastOp::create(here, loc, here.getIndexType(), index);
          return comesBefore(here, loc, op.getSmallest(),
                             hasUnsignedOperands(op), found, read(here, at));
        };
        auto enter = [&](OpBuilder &outer, Location, Value number,
                         ValueRange best) {
          Value at = number;
          if (op.getPreferLast())
            at = sub(outer, sub(outer, size, number), one);
          Value found = read(outer, at);
          Value index =
              arith::IndexCastOp::create(outer, loc, type.getElementType(), at);
          Value end = sub(outer, k, one);
          Value isOpen = arith::CmpIOp::create(
              outer, loc, arith::CmpIPredicate::slt, number, k);
          // Until k elements are there, the last place holds nothing.
          Value last = select(outer, isOpen, index, get(outer, best[0], end));
          Value enters = arith::OrIOp::create(outer, loc, isOpen,
                                              comesFirst(outer, found, last));
          Value hole = arith::MinSIOp::create(outer, loc, number, end);
          auto moveUp = [&](OpBuilder &inner, Location, Value step,
                            ValueRange carried) {
            Value to = sub(inner, hole, step), from = sub(inner, to, one);
            Value other = get(inner, carried[0], from),
                  kept = get(inner, carried[0], to);
            Value moves = comesFirst(inner, found, other);
            Value moved = tensor::InsertOp::create(
                inner, loc, select(inner, moves, other, kept), carried[0], to);
            scf::YieldOp::create(
                inner, loc,
                ValueRange{moved, select(inner, moves, from, carried[1])});
          };
          auto moved = scf::ForOp::create(
              outer, loc, zero, select(outer, enters, hole, zero), one,
              ValueRange{best[0], hole}, moveUp);
          Value kept = get(outer, moved.getResult(0), moved.getResult(1));
          Value entered = tensor::InsertOp::create(
              outer, loc, select(outer, enters, index, kept),
              moved.getResult(0), moved.getResult(1));
          scf::YieldOp::create(outer, loc, entered);
        };
        Value isAsked =
            arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, k, zero);
        return scf::ForOp::create(b, loc, zero, select(b, isAsked, size, zero),
                                  one, line, enter)
            .getResult(0);
      });
}

static Value convertSoftmax(GraphToKernel &state, graph::SoftmaxOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Value input = state.get(op.getInput());
  SymbolicSizes sizes = state.sizesOf(op.getInput());
  SmallVector<int64_t> permutation;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    permutation.push_back(dim);
  bool isLast = op.getAxis() == type.getRank() - 1;
  if (!isLast) {
    std::swap(permutation[op.getAxis()], permutation.back());
    input = state.createTranspose(op, input, sizes, permutation);
    std::swap(sizes[op.getAxis()], sizes.back());
  }
  auto inner = cast<RankedTensorType>(input.getType());
  Value result = state.createRegion(
      op, "softmax", inner, sizes, input, {},
      [&](OpBuilder &b, GraphToKernel::Scalars scalars) -> Value {
        return kernel::SoftmaxOp::create(b, op.getLoc(), inner,
                                         scalars.tensors[0]);
      });
  // A swap of two dimensions undoes itself.
  return isLast ? result
                : state.createTranspose(op, result, sizes, permutation);
}

static Value convertNorm(GraphToKernel &state, graph::NormOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  SmallVector<Value> inputs{state.get(op.getInput())};
  if (op.getScale())
    inputs.push_back(state.get(op.getScale()));
  if (op.getBias())
    inputs.push_back(state.get(op.getBias()));
  const SymbolicSizes &sizes = state.sizesOf(op.getInput());
  SymbolicSizes flat = sizes;
  int64_t axis = op.getAxis();
  bool collapses = axis != type.getRank() - 1;
  if (collapses) {
    while ((int64_t)flat.size() > axis + 1) {
      SymbolicExpr last = flat.pop_back_val();
      flat.back() = flat.back() * last;
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
/// in the pair. A transpose that keeps the last dimension is read through, and
/// what is sliced along others is viewed so before.
static Value convertRotary(GraphToKernel &state, graph::RotaryOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  Location loc = op.getLoc();
  int64_t rank = type.getRank(), last = rank - 1;
  const SymbolicSizes &sizes = state.sizesOf(op.getInput());
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
  auto splitLast = [&](SymbolicSizes whole) {
    whole.back() = op.getInterleaved() ? half : 2;
    whole.push_back(op.getInterleaved() ? 2 : half);
    return whole;
  };
  auto view = [&](Value tensor) {
    return state.createView(op, state.get(tensor),
                            splitLast(state.sizesOf(tensor)));
  };
  Value split;
  auto slice = source.getDefiningOp<graph::SliceOp>();
  if (slice && slice.getSteps().back() == 1 &&
      state.sizesOf(slice.getInput()).back() == sizes.back()) {
    Value whole = view(slice.getInput());
    SymbolicSizes parts = splitLast(state.sizesOf(source)),
                  starts = state.startsOf(slice);
    SmallVector<int64_t> steps(slice.getSteps()), shape;
    starts.push_back(0);
    steps.push_back(1);
    for (const SymbolicExpr &size : parts)
      shape.push_back(size.getConstant().value_or(ShapedType::kDynamic));
    split = state.createSlice(slice, whole, type.clone(shape), parts, starts,
                              steps);
  } else {
    split = view(source);
  }

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
      from.push_back(tableType.getDimSize(dim) == 1 ? b.getAffineConstantExpr(0)
                                                    : b.getAffineDimExpr(loop));
    }
    from.push_back(b.getAffineDimExpr(pair));
    maps.push_back(AffineMap::get(rank + 1, 0, from, b.getContext()));
    elements.push_back(table);
  }
  SmallVector<int64_t> shape(type.getShape().drop_back());
  shape.push_back(op.getInterleaved() ? half : 2);
  shape.push_back(op.getInterleaved() ? 2 : half);
  Value result = state.createGeneric(
      op, "rotary", RankedTensorType::get(shape, type.getElementType()),
      splitLast(sizes), elements, maps, {}, {},
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
  else if (auto sum = dyn_cast<graph::CumulativeSumOp>(op))
    result = convertCumulative(*this, sum, graph::ReductionKind::Sum);
  else if (auto product = dyn_cast<graph::CumulativeProductOp>(op))
    result = convertCumulative(*this, product, graph::ReductionKind::Prod);
  else if (auto topK = dyn_cast<graph::TopKOp>(op))
    result = convertTopK(*this, topK);
  else if (auto softmax = dyn_cast<graph::SoftmaxOp>(op))
    result = convertSoftmax(*this, softmax);
  else if (auto norm = dyn_cast<graph::NormOp>(op))
    result = convertNorm(*this, norm);
  else if (auto rotary = dyn_cast<graph::RotaryOp>(op))
    result = convertRotary(*this, rotary);
  else
    return false;
  replace(op->getResult(0), result);
  return true;
}

} // namespace tenon
