// Softmax and norms: each row of the last dimension is read a few times, while
// it is in the nearest cache, by vectors. Floats of 16 bits are widened as they
// are read.
#include "RowRegion.h"
#include "ScheduledRegion.h"
#include "TileBuilder.h"
#include "VectorBody.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Kernels/Family.h"
#include <limits>

using namespace mlir;
using namespace tenon::kernel;

namespace tenon {

/// Whether `generic` may follow an anchor that gives `value`.
static bool isRowEpilogue(linalg::GenericOp generic, Value value) {
  if (generic->getNumResults() != 1 || generic.getNumReductionLoops() != 0 ||
      !getElementTypeOrSelf(value.getType()).isF32() ||
      getElementTypeOrSelf(generic.getResult(0).getType()).isInteger(1) ||
      !generic.getBody()->getArguments().back().use_empty() ||
      !generic.getIndexingMapsArray().back().isIdentity())
    return false;
  for (OpOperand *operand : generic.getDpsInputOperands()) {
    AffineMap map = generic.getMatchingIndexingMap(operand);
    if (operand->get() == value
            ? !map.isIdentity()
            : !isa<BlockArgument>(operand->get()) || !map.isConstant())
      return false;
  }
  return llvm::all_of(*generic.getBody(), [&](Operation &op) {
    auto isLocal = [&](Value operand) {
      return operand.getParentBlock() == generic.getBody() ||
             constantScalar(operand);
    };
    return isa<linalg::YieldOp, arith::ConstantOp>(op) ||
           (OpTrait::hasElementwiseMappableTraits(&op) &&
            llvm::all_of(op.getOperands(), isLocal));
  });
}

Operation *findRowAnchor(RegionOp region) {
  Block &body = region.getBody().front();
  Operation *anchor = nullptr;
  linalg::GenericOp epilogue;
  for (Operation &op : body.without_terminator()) {
    if (isa<SoftmaxOp, NormOp>(op) && !anchor)
      anchor = &op;
    else if (auto generic = dyn_cast<linalg::GenericOp>(op);
             generic && anchor && !epilogue &&
             isRowEpilogue(generic, anchor->getResult(0)))
      epilogue = generic;
    else if (!isa<tensor::EmptyOp, arith::ConstantOp>(op))
      return nullptr;
  }
  if (!anchor || region->getNumResults() != 1)
    return nullptr;
  Operation *last = epilogue ? epilogue : anchor;
  auto type = cast<RankedTensorType>(anchor->getResult(0).getType());
  bool isTaken =
      isa<Float32Type, Float16Type, BFloat16Type>(type.getElementType()) &&
      type.getRank() > 0 &&
      body.getTerminator()->getOperand(0) == last->getResult(0) &&
      llvm::all_of(anchor->getOperands(), llvm::IsaPred<BlockArgument>);
  return isTaken ? anchor : nullptr;
}

linalg::GenericOp findRowEpilogue(RegionOp region) {
  auto generics = region.getBody().front().getOps<linalg::GenericOp>();
  return generics.empty() ? nullptr : *generics.begin();
}

SmallVector<Value> loadScalars(TileBuilder &t, linalg::GenericOp epilogue,
                               function_ref<Value(Value)> buffer) {
  SmallVector<Value> scalars;
  for (OpOperand *operand : epilogue.getDpsInputOperands()) {
    if (!isa<BlockArgument>(operand->get())) {
      scalars.push_back(Value());
      continue;
    }
    SmallVector<Value> place;
    for (AffineExpr expr :
         epilogue.getMatchingIndexingMap(operand).getResults())
      place.push_back(t.index(cast<AffineConstantExpr>(expr).getValue()));
    scalars.push_back(
        memref::LoadOp::create(t.b, t.loc, buffer(operand->get()), place));
  }
  return scalars;
}

namespace {

bool matchesRow(RegionOp region) { return findRowAnchor(region) != nullptr; }

/// Walks one row in vectors; what is left over goes through a mask.
class RowBuilder {
public:
  RowBuilder(OpBuilder &builder, Location loc, int64_t lanes)
      : t{builder, loc}, lanes(lanes), type(builder.getF32Type()) {}

  using Step = llvm::function_ref<Value(Value at, Value mask, Value total)>;

  /// Folds `step` over the vectors of a row of `size` elements and returns the
  /// last value. The mask is null where all lanes count.
  Value fold(Value size, Value initial, Step step) {
    Value whole = t.sub(size, t.rem(size, t.index(lanes)));
    auto loop = scf::ForOp::create(t.b, t.loc, t.index(0), whole,
                                   t.index(lanes), initial);
    {
      OpBuilder::InsertionGuard guard(t.b);
      t.b.setInsertionPointToStart(loop.getBody());
      scf::YieldOp::create(
          t.b, t.loc,
          step(loop.getInductionVar(), nullptr, loop.getRegionIterArg(0)));
    }
    Value left = t.sub(size, whole);
    Value hasRest = arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::ne,
                                          left, t.index(0));
    auto rest = scf::IfOp::create(t.b, t.loc, initial.getType(), hasRest,
                                  /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(t.b);
    t.b.setInsertionPointToStart(rest.thenBlock());
    Value mask = vector::CreateMaskOp::create(
        t.b, t.loc, VectorType::get({lanes}, t.b.getI1Type()), left);
    scf::YieldOp::create(t.b, t.loc, step(whole, mask, loop.getResult(0)));
    t.b.setInsertionPointToStart(rest.elseBlock());
    scf::YieldOp::create(t.b, t.loc, loop.getResult(0));
    return rest.getResult(0);
  }

  /// The same without a result.
  void walk(Value size, llvm::function_ref<void(Value at, Value mask)> step) {
    fold(size, t.index(0), [&](Value at, Value mask, Value) {
      step(at, mask);
      return t.index(0);
    });
  }

  /// Lanes outside the mask read `outside`.
  Value load(Value flat, Value offset, Value at, Value mask, Value outside) {
    Value position = t.add(offset, at);
    Type element = cast<MemRefType>(flat.getType()).getElementType();
    if (!mask)
      return t.convert(t.loadVector(flat, position, lanes), type);
    Value stored = vector::MaskedLoadOp::create(
        t.b, t.loc, VectorType::get({lanes}, element), flat, position, mask,
        t.convert(outside, element));
    return t.convert(stored, type);
  }

  void store(Value value, Value flat, Value offset, Value at, Value mask) {
    Value position = t.add(offset, at);
    value = t.convert(value, cast<MemRefType>(flat.getType()).getElementType());
    if (mask)
      vector::MaskedStoreOp::create(t.b, t.loc, flat, position, mask, value);
    else
      vector::StoreOp::create(t.b, t.loc, value, flat, position);
  }

  /// Stores what the epilogue makes of the anchor's result.
  void finish(Value value, Value flat, Value offset, Value at, Value mask) {
    if (epilogue) {
      SmallVector<Value> inputs;
      for (Value scalar : scalars)
        inputs.push_back(scalar ? spread(scalar) : value);
      value = cloneOnVectors(t, epilogue, inputs, nullptr, lanes);
    }
    store(value, flat, offset, at, mask);
  }

  Value splat(double value) {
    return t.splat(t.b.getF32FloatAttr(value), lanes);
  }
  Value select(Value mask, Value value, Value outside) {
    return mask ? arith::SelectOp::create(t.b, t.loc, mask, value, outside)
                      .getResult()
                : value;
  }
  Value spread(Value scalar) { return t.broadcast(scalar, lanes); }
  Value reduce(vector::CombiningKind kind, Value value) {
    return vector::ReductionOp::create(t.b, t.loc, kind, value);
  }
  Value addf(Value lhs, Value rhs) {
    return arith::AddFOp::create(t.b, t.loc, lhs, rhs);
  }
  Value subf(Value lhs, Value rhs) {
    return arith::SubFOp::create(t.b, t.loc, lhs, rhs);
  }
  Value mulf(Value lhs, Value rhs) {
    return arith::MulFOp::create(t.b, t.loc, lhs, rhs);
  }
  Value divf(Value lhs, Value rhs) {
    return arith::DivFOp::create(t.b, t.loc, lhs, rhs);
  }

  TileBuilder t;
  int64_t lanes;
  Type type;                  ///< of lanes in registers
  linalg::GenericOp epilogue; ///< or null
  SmallVector<Value> scalars; ///< its operands; null for what it follows
};

/// Powers of a row that lie on the stack.
constexpr int64_t scratchElements = 2048;

/// exp(x - max(x)) / sum(exp(x - max(x)))
/// Without `scratch` the result holds powers without rounding them.
void buildSoftmaxRow(RowBuilder &r, Value input, Value output, Value offset,
                     Value size, Value scratch) {
  OpBuilder &b = r.t.b;
  Location loc = r.t.loc;
  Value lowest = r.splat(-std::numeric_limits<double>::infinity());
  Value zero = r.splat(0);
  Value maxima = r.fold(size, lowest, [&](Value at, Value mask, Value total) {
    Value x = r.load(input, offset, at, mask, lowest);
    return arith::MaximumFOp::create(b, loc, total, x).getResult();
  });
  Value max = r.spread(r.reduce(vector::CombiningKind::MAXIMUMF, maxima));
  auto power = [&](Value at, Value mask) -> Value {
    Value x = r.load(input, offset, at, mask, lowest);
    return math::ExpOp::create(b, loc, r.subf(x, max));
  };
  // Powers wait for their sum in `kept`, or are computed again.
  auto finish = [&](Value kept, Value place) {
    Value sums = r.fold(size, zero, [&](Value at, Value mask, Value total) {
      Value e = power(at, mask);
      if (kept)
        r.store(e, kept, place, at, mask);
      return r.addf(total, r.select(mask, e, zero));
    });
    Value sum = r.spread(r.reduce(vector::CombiningKind::ADD, sums));
    r.walk(size, [&](Value at, Value mask) {
      Value e = kept ? r.load(kept, place, at, mask, zero) : power(at, mask);
      r.finish(r.divf(e, sum), output, offset, at, mask);
    });
  };
  if (!scratch)
    return finish(output, offset);
  APInt known;
  if (matchPattern(size, m_ConstantInt(&known)))
    return known.sle(scratchElements) ? finish(scratch, r.t.index(0))
                                      : finish(nullptr, nullptr);
  Value fits = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle, size,
                                     r.t.index(scratchElements));
  auto branch = scf::IfOp::create(b, loc, fits, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  finish(scratch, r.t.index(0));
  b.setInsertionPointToStart(branch.elseBlock());
  finish(nullptr, nullptr);
}

/// (x - mean) / sqrt(mean((x - mean)²) + epsilon) · scale + bias; with rms the
/// mean counts as 0.
void buildNormRow(RowBuilder &r, NormOp op, Value input, Value scale,
                  Value bias, Value output, Value offset, Value size) {
  OpBuilder &b = r.t.b;
  Location loc = r.t.loc;
  Value zero = r.splat(0), origin = r.t.index(0);
  Value count = arith::UIToFPOp::create(
      b, loc, b.getF32Type(),
      arith::IndexCastOp::create(b, loc, b.getI64Type(), size));
  Value mean = zero;
  if (!op.getRms()) {
    Value sums = r.fold(size, zero, [&](Value at, Value mask, Value total) {
      return r.addf(total, r.load(input, offset, at, mask, zero));
    });
    mean = r.spread(r.divf(r.reduce(vector::CombiningKind::ADD, sums), count));
  }
  // Two passes, as the definition: one pass over squares would cancel.
  Value squares = r.fold(size, zero, [&](Value at, Value mask, Value total) {
    Value x = r.load(input, offset, at, mask, zero);
    Value d = op.getRms() ? x : r.select(mask, r.subf(x, mean), zero);
    return math::FmaOp::create(b, loc, d, d, total).getResult();
  });
  Value variance = r.divf(r.reduce(vector::CombiningKind::ADD, squares), count);
  Value epsilon = arith::ConstantOp::create(b, loc, op.getEpsilonAttr());
  Value root = math::SqrtOp::create(b, loc, r.addf(variance, epsilon));
  Value one = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(1));
  Value factor = r.spread(r.divf(one, root));
  r.walk(size, [&](Value at, Value mask) {
    Value x = r.load(input, offset, at, mask, zero);
    Value y = r.mulf(op.getRms() ? x : r.subf(x, mean), factor);
    if (scale)
      y = r.mulf(y, r.load(scale, origin, at, mask, zero));
    if (bias)
      y = r.addf(y, r.load(bias, origin, at, mask, zero));
    r.finish(y, output, offset, at, mask);
  });
}

LogicalResult scheduleRow(RegionOp region, const TargetFacts &facts,
                          RewriterBase &rewriter) {
  Operation *anchor = findRowAnchor(region);
  Location loc = region.getLoc();
  rewriter.setInsertionPoint(region);
  SmallVector<Value> sizes = getResultSizes(rewriter, region, 0);
  Value grid = TileBuilder{rewriter, loc}.product(ArrayRef(sizes).drop_back());
  int64_t lanes = facts.lanes(4);
  auto schedule = ScheduleAttr::get(region.getContext(), "row",
                                    ArrayRef<int64_t>{1}, lanes);
  ScheduledRegion scheduled =
      createScheduledRegion(rewriter, region, grid, schedule);
  RowBuilder r(rewriter, loc, lanes);
  if ((r.epilogue = findRowEpilogue(region)))
    r.scalars = loadScalars(r.t, r.epilogue, [&](Value argument) {
      return scheduled.argument(cast<BlockArgument>(argument));
    });
  auto flat = [&](Value operand) -> Value {
    if (!operand)
      return nullptr;
    return r.t.flatten(scheduled.argument(cast<BlockArgument>(operand)));
  };
  Value output = scheduled.output(0);
  Value size =
      r.t.size(output, cast<MemRefType>(output.getType()).getRank() - 1);
  output = r.t.flatten(output);
  auto norm = dyn_cast<NormOp>(anchor);
  Value input = flat(anchor->getOperand(0));
  Value scale = norm ? flat(norm.getScale()) : Value();
  Value bias = norm ? flat(norm.getBias()) : Value();
  Value scratch;
  if (!norm && (r.epilogue ||
                !cast<MemRefType>(output.getType()).getElementType().isF32()))
    scratch = memref::AllocaOp::create(
        rewriter, loc,
        MemRefType::get({scratchElements}, rewriter.getF32Type()),
        rewriter.getI64IntegerAttr(64));
  r.t.forEach(scheduled.begin, scheduled.end, 1, [&](Value row) {
    Value offset = r.t.mul(row, size);
    if (norm)
      buildNormRow(r, norm, input, scale, bias, output, offset, size);
    else
      buildSoftmaxRow(r, input, output, offset, size, scratch);
  });
  YieldOp::create(rewriter, loc, ValueRange());
  rewriter.replaceOp(region, scheduled.op);
  return success();
}

} // namespace

KernelFamily rowFamily() { return {"row", matchesRow, scheduleRow}; }

} // namespace tenon
