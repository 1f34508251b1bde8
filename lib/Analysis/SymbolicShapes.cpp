// Forward over a graph function: sizes of tensors, contents of shape tensors.
#include "tenon/Analysis/SymbolicShapes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "tenon/Analysis/SymbolicIndex.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace tenon::graph;

namespace tenon {

/// Contents are followed up to this many elements: shapes, and products of
/// them.
static constexpr int64_t maxContents = 64;

/// Values that are sizes lie within this, so that sums of them are exact.
static constexpr int64_t largestValue = int64_t(1) << 47;

static RankedTensorType tensorType(Value value) {
  return dyn_cast<RankedTensorType>(value.getType());
}

SymbolicShapes::SymbolicShapes(func::FuncOp function) {
  for (auto symbol : function.getOps<SymbolOp>())
    least[symbol.getName().str()] = symbol.getMin();
  for (BlockArgument argument : function.getArguments()) {
    auto dims = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                     "tenon.dims");
    RankedTensorType type = tensorType(argument);
    if (!type)
      continue;
    SymbolicSizes exprs;
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      if (!type.isDynamicDim(dim))
        exprs.push_back(type.getDimSize(dim));
      else if (!dims || dim >= static_cast<int64_t>(dims.size()))
        break; // It names too few.
      else if (auto name = dyn_cast<StringAttr>(dims[dim]))
        exprs.push_back(SymbolicExpr::symbol(name.getValue()));
      else if (auto size = dyn_cast<IntegerAttr>(dims[dim]))
        exprs.push_back(size.getInt());
    }
    if (static_cast<int64_t>(exprs.size()) == type.getRank())
      sizes[argument] = exprs;
    auto elements = function.getArgAttrOfType<ArrayAttr>(
        argument.getArgNumber(), "tenon.elements");
    if (elements)
      for (auto name : elements.getAsRange<StringAttr>())
        contents[argument].push_back(SymbolicExpr::value(name.getValue()));
  }
  visitBlock(function.getBody().front());
}

void SymbolicShapes::visitBlock(Block &block) {
  for (Operation &op : block)
    visit(op);
}

const SymbolicSizes *SymbolicShapes::getSizes(Value tensor) const {
  auto found = sizes.find(tensor);
  return found == sizes.end() ? nullptr : &found->second;
}

const SymbolicSizes *SymbolicShapes::getContents(Value tensor) const {
  auto found = contents.find(tensor);
  return found == contents.end() ? nullptr : &found->second;
}

std::optional<SymbolicExpr> SymbolicShapes::getIndex(Value index) const {
  auto found = indices.find(index);
  if (found == indices.end())
    return std::nullopt;
  return found->second;
}

std::optional<SymbolicExpr> SymbolicShapes::getIndex(OpFoldResult index) const {
  if (auto value = dyn_cast<Value>(index))
    return getIndex(value);
  return SymbolicExpr(cast<IntegerAttr>(cast<Attribute>(index)).getInt());
}

bool SymbolicShapes::isAtLeast(const SymbolicExpr &expr, int64_t bound) const {
  std::optional<int64_t> lower = expr.getLowerBound([&](StringRef symbol) {
    auto found = least.find(symbol.str());
    return found == least.end() ? 0 : found->second;
  });
  return lower && *lower >= bound;
}

/// No tensor has a negative size, whatever the values are that it comes from.
void SymbolicShapes::assumeSizes(Operation &op, const SymbolicSizes &inferred) {
  for (const SymbolicExpr &size : inferred)
    if (size.hasValues() && !isAtLeast(size, 0))
      assumeEqual(op, size, SymbolicExpr::max(size, 0));
}

void SymbolicShapes::visit(Operation &op) {
  if (auto branch = dyn_cast<scf::IfOp>(op))
    return visitIf(branch);
  if (auto loop = dyn_cast<scf::WhileOp>(op))
    return visitWhile(loop);
  if (op.getNumResults() != 1)
    return;
  // Another op may have had its place in memory.
  forget(op.getResult(0));
  if (op.getResult(0).getType().isIndex())
    return visitIndex(op);
  RankedTensorType type = tensorType(op.getResult(0));
  if (!type)
    return;
  std::optional<SymbolicSizes> inferred = inferSizes(op);
  if (!inferred && type.hasStaticShape())
    inferred = SymbolicSizes(type.getShape().begin(), type.getShape().end());
  if (inferred) {
    // What the type knows is at least as good as what was inferred.
    for (auto [expr, size] : llvm::zip(*inferred, type.getShape()))
      if (!ShapedType::isDynamic(size))
        expr = size;
    assumeSizes(op, *inferred);
    sizes[op.getResult(0)] = *inferred;
  }
  // Sizes are of these types; expressions know no sign and no overflow.
  Type element = type.getElementType();
  if (!element.isSignlessInteger() ||
      !llvm::is_contained({1u, 32u, 64u}, element.getIntOrFloatBitWidth()))
    return;
  if (std::optional<SymbolicSizes> elements = inferContents(op))
    contents[op.getResult(0)] = *elements;
}

//===-- control flow ------------------------------------------------------===//

void SymbolicShapes::visitIf(scf::IfOp branch) {
  for (Region *region : branch.getRegions())
    for (Block &block : *region)
      visitBlock(block);
  if (branch.getNumResults() == 0)
    return;
  for (auto [result, lhs, rhs] :
       llvm::zip(branch.getResults(), branch.thenYield().getOperands(),
                 branch.elseYield().getOperands())) {
    const SymbolicSizes *left = getSizes(lhs), *right = getSizes(rhs);
    if (left && right && *left == *right)
      sizes[result] = SymbolicSizes(*left);
  }
}

/// Takes every carried value to keep the sizes it starts with, and where the
/// body shows otherwise starts anew without that.
void SymbolicShapes::visitWhile(scf::WhileOp loop) {
  auto copySizes = [&](Value from, Value to) {
    if (const SymbolicSizes *known = getSizes(from))
      sizes[to] = SymbolicSizes(*known);
  };
  size_t assumptionsBefore = assumptions.size();
  llvm::SmallBitVector keeps(loop.getInits().size(), true);
  for (bool isConsistent = false; !isConsistent;) {
    forgetBodies(loop);
    assumptions.truncate(assumptionsBefore);
    for (unsigned i : keeps.set_bits())
      copySizes(loop.getInits()[i], loop.getBeforeArguments()[i]);
    visitBlock(*loop.getBeforeBody());
    for (auto [value, argument] :
         llvm::zip(loop.getConditionOp().getArgs(), loop.getAfterArguments()))
      copySizes(value, argument);
    visitBlock(*loop.getAfterBody());
    isConsistent = true;
    for (unsigned i : keeps.set_bits()) {
      const SymbolicSizes *first = getSizes(loop.getBeforeArguments()[i]);
      const SymbolicSizes *next = getSizes(loop.getYieldOp().getOperand(i));
      if (first && next && *first == *next)
        continue;
      isConsistent = false;
      keeps.reset(i);
    }
  }
  for (auto [value, result] :
       llvm::zip(loop.getConditionOp().getArgs(), loop.getResults()))
    copySizes(value, result);
}

void SymbolicShapes::forget(Value value) {
  sizes.erase(value);
  contents.erase(value);
  indices.erase(value);
}

void SymbolicShapes::forgetBodies(Operation *op) {
  for (Region &region : op->getRegions())
    for (Block &block : region) {
      for (BlockArgument argument : block.getArguments())
        forget(argument);
      for (Operation &nested : block) {
        for (Value result : nested.getResults())
          forget(result);
        forgetBodies(&nested);
      }
    }
}

LogicalResult verifyControlSizes(func::FuncOp function) {
  SymbolicShapes shapes(function);
  bool allKnown = true;
  auto require = [&](Operation *op, Value value, StringRef what) {
    if (!isa<RankedTensorType>(value.getType()) || shapes.getSizes(value))
      return;
    allKnown = false;
    op->emitError() << what << " a tensor of type " << value.getType()
                    << " whose sizes depend on data or differ from one "
                    << (isa<scf::WhileOp>(op) ? "iteration" : "branch")
                    << " to the other, which is unsupported";
  };
  function.walk([&](Operation *op) {
    // A branch without ops is a select.
    if (isa<scf::IfOp, arith::SelectOp>(op)) {
      for (Value result : op->getResults())
        require(op, result, "gives");
    } else if (auto loop = dyn_cast<scf::WhileOp>(op)) {
      for (Value argument : loop.getBeforeArguments())
        require(op, argument, "carries");
      for (Value value : loop.getConditionOp().getArgs())
        if (!llvm::is_contained(loop.getBeforeArguments(), value))
          require(op, value, "carries");
    }
  });
  return success(allKnown);
}

//===-- indices -----------------------------------------------------------===//

void SymbolicShapes::visitIndex(Operation &op) {
  std::optional<SymbolicExpr> expr =
      TypeSwitch<Operation *, std::optional<SymbolicExpr>>(&op)
          .Case([&](SymbolOp symbol) {
            return symbol.getMin() < 0 ? SymbolicExpr::value(symbol.getName())
                                       : SymbolicExpr::symbol(symbol.getName());
          })
          .Case([&](DimOp dim) -> std::optional<SymbolicExpr> {
            if (const SymbolicSizes *known = getSizes(dim.getInput()))
              return (*known)[dim.getDim()];
            int64_t size = tensorType(dim.getInput()).getDimSize(dim.getDim());
            if (ShapedType::isDynamic(size))
              return std::nullopt;
            return SymbolicExpr(size);
          })
          .Case([&](CountOp count) {
            return SymbolicExpr::symbol(count.getName());
          })
          .Case([&](ExtractOp extract) -> std::optional<SymbolicExpr> {
            const SymbolicSizes *known = getContents(extract.getInput());
            if (!known || extract.getPosition() >= int64_t(known->size()))
              return std::nullopt;
            return (*known)[extract.getPosition()];
          })
          .Default([&](Operation *other) {
            return evaluateIndexOp(
                *other, [&](Value value) { return getIndex(value); });
          });
  if (expr)
    indices[op.getResult(0)] = *expr;
}

//===-- sizes -------------------------------------------------------------===//

SymbolicExpr SymbolicShapes::clampBound(SymbolicExpr bound,
                                        const SymbolicExpr &size, int64_t step,
                                        bool isStart) const {
  SymbolicExpr low = step > 0 || isStart ? 0 : -1;
  SymbolicExpr high = step > 0 ? size : size - 1;
  if (std::optional<int64_t> constant = bound.getConstant()) {
    if (*constant > (INT64_MAX >> 1))
      return high;
    if (*constant < -(INT64_MAX >> 1))
      bound = low;
    else if (*constant < 0)
      bound = bound + size;
  } else if (!isAtLeast(bound, 0)) {
    bound = SymbolicExpr::select(SymbolicExpr::isLess(bound, 0), bound + size,
                                 bound);
  }
  if (!isAtLeast(bound - low, 0))
    bound = SymbolicExpr::max(bound, low);
  if (!isAtLeast(high - bound, 0))
    bound = SymbolicExpr::min(bound, high);
  return bound;
}

SymbolicExpr SymbolicShapes::countWindows(const SymbolicExpr &size,
                                          int64_t kernel, int64_t stride,
                                          int64_t dilation) const {
  int64_t span = (kernel - 1) * dilation + 1;
  SymbolicExpr count =
      SymbolicExpr::floorDiv(size + SymbolicExpr(stride - span), stride);
  return isAtLeast(count, 0) ? count : SymbolicExpr::max(count, 0);
}

void SymbolicShapes::assumeEqual(Operation &op, const SymbolicExpr &lhs,
                                 const SymbolicExpr &rhs) {
  if (lhs != rhs)
    assumptions.push_back({lhs, rhs, op.getLoc()});
}

SymbolicSizes SymbolicShapes::broadcast(Operation &op, const SymbolicSizes &lhs,
                                        const SymbolicSizes &rhs) {
  SymbolicSizes result;
  size_t rank = std::max(lhs.size(), rhs.size());
  for (size_t i = 0; i < rank; ++i) {
    bool hasLhs = i + lhs.size() >= rank, hasRhs = i + rhs.size() >= rank;
    if (!hasLhs || !hasRhs) {
      result.push_back(hasLhs ? lhs[i + lhs.size() - rank]
                              : rhs[i + rhs.size() - rank]);
      continue;
    }
    const SymbolicExpr &left = lhs[i + lhs.size() - rank];
    const SymbolicExpr &right = rhs[i + rhs.size() - rank];
    if (left == right || right == SymbolicExpr(1)) {
      result.push_back(left);
    } else if (left == SymbolicExpr(1)) {
      result.push_back(right);
    } else if (right.hasValues() && left.getConstant()) {
      // A value that is 1 lets the other size stand.
      result.push_back(left);
      assumeEqual(
          op,
          SymbolicExpr::select(SymbolicExpr::isEqual(right, 1), left, right),
          left);
    } else {
      // Neither is known to be 1: the model is taken to mean equal sizes.
      bool takeRight = right.getConstant().has_value();
      result.push_back(takeRight ? right : left);
      assumeEqual(op, left, right);
    }
  }
  return result;
}

/// The function's arguments that `value` is computed from element by element,
/// where a look-up or a slice takes a part of them, whatever their sizes.
static llvm::SetVector<BlockArgument> getLookedUp(Value value) {
  llvm::SetVector<BlockArgument> found;
  llvm::SetVector<std::pair<Value, int>> reached; // 1: through a look-up
  reached.insert({value, 0});
  for (size_t i = 0; i < reached.size(); ++i) {
    auto [current, isLookedUp] = reached[i];
    if (auto argument = dyn_cast<BlockArgument>(current)) {
      if (isLookedUp && isa<func::FuncOp>(argument.getOwner()->getParentOp()))
        found.insert(argument);
      continue;
    }
    Operation *op = current.getDefiningOp();
    if (isa<GatherOp, GatherNDOp, SliceOp>(op))
      reached.insert({op->getOperand(0), 1});
    else if (isa<CastOp, ReshapeOp, BroadcastOp>(op))
      reached.insert({op->getOperand(0), isLookedUp});
    else if (isa<NotOp, AndOp, OrOp, WhereOp, AddOp, SubOp, MulOp, EqualOp,
                 LessOp, LessEqualOp, GreaterOp, GreaterEqualOp>(op))
      for (Value operand : op->getOperands())
        reached.insert({operand, isLookedUp});
  }
  return found;
}

void SymbolicShapes::assumeMaskLength(AttentionOp op) {
  const SymbolicExpr &batch = (*getSizes(op.getQuery()))[0];
  const SymbolicExpr &keys = (*getSizes(op.getKey()))[2];
  for (BlockArgument mask : getLookedUp(op.getMask())) {
    const SymbolicSizes *known = getSizes(mask);
    if (!known || known->size() != 2 || known->front() != batch)
      continue;
    // What other inputs have too is no length of this one's own.
    const SymbolicExpr &length = known->back();
    bool isOwn =
        llvm::none_of(mask.getOwner()->getArguments(), [&](Value other) {
          const SymbolicSizes *others = getSizes(other);
          return other != mask && others && llvm::is_contained(*others, length);
        });
    if (isOwn && !length.getConstant())
      assumeEqual(*op, length, keys);
  }
}

/// Product of sizes[from..to).
static SymbolicExpr product(ArrayRef<SymbolicExpr> sizes) {
  SymbolicExpr result = 1;
  for (const SymbolicExpr &size : sizes)
    result = result * size;
  return result;
}

std::optional<SymbolicSizes> SymbolicShapes::inferReshape(ReshapeOp op) {
  const SymbolicSizes *input = getSizes(op.getInput());
  SymbolicSizes result;
  std::optional<size_t> rest;
  for (auto [i, mixed] : llvm::enumerate(op.getMixedSizes())) {
    std::optional<SymbolicExpr> size = getIndex(mixed);
    if (!size)
      return std::nullopt;
    std::optional<int64_t> constant = size->getConstant();
    if (constant && *constant == -1) {
      rest = i;
      size = SymbolicExpr(1);
    } else if (constant && *constant == 0 && !op.getAllowZero()) {
      if (!input || i >= input->size())
        return std::nullopt;
      size = (*input)[i];
    }
    result.push_back(*size);
  }
  if (!input)
    return rest ? std::nullopt : std::optional(result);
  SymbolicExpr count = product(*input);
  if (rest)
    result[*rest] = SymbolicExpr::floorDiv(count, product(result));
  // An exporter may have fixed a size, or what remains may be no multiple.
  assumeEqual(*op, count, product(result));
  return result;
}

std::optional<SymbolicSizes> SymbolicShapes::inferSizes(Operation &op) {
  auto of = [&](Value value) { return getSizes(value); };
  auto broadcastOperands = [&]() -> std::optional<SymbolicSizes> {
    SymbolicSizes result;
    for (Value operand : op.getOperands()) {
      const SymbolicSizes *known = of(operand);
      if (!known)
        return std::nullopt;
      result = broadcast(op, result, *known);
    }
    return result;
  };
  auto same = [&](Value value) -> std::optional<SymbolicSizes> {
    const SymbolicSizes *known = of(value);
    if (!known)
      return std::nullopt;
    return *known;
  };
  return TypeSwitch<Operation *, std::optional<SymbolicSizes>>(&op)
      .Case<AbsOp, NegOp, ExpOp, LogOp, SqrtOp, ReciprocalOp, SinOp, CosOp,
            TanhOp, ErfOp, SigmoidOp, ReluOp, FloorOp, CeilOp, RoundOp, NotOp,
            IsNaNOp, CastOp, BitcastOp, GeluOp, CumulativeSumOp,
            CumulativeProductOp, SoftmaxOp, NormOp>(
          [&](auto) { return same(op.getOperand(0)); })
      .Case<AddOp, SubOp, MulOp, DivOp, ModOp, PowOp, MaxOp, MinOp, AndOp, OrOp,
            XorOp, ShiftLeftOp, ShiftRightOp, EqualOp, LessOp, LessEqualOp,
            GreaterOp, GreaterEqualOp, WhereOp>(
          [&](auto) { return broadcastOperands(); })
      .Case([&](ReshapeOp reshape) { return inferReshape(reshape); })
      .Case([&](BroadcastOp broadcast) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(broadcast.getInput());
        SymbolicSizes wanted;
        for (OpFoldResult size : broadcast.getMixedSizes()) {
          std::optional<SymbolicExpr> expr = getIndex(size);
          if (!expr)
            return std::nullopt;
          wanted.push_back(*expr);
        }
        if (!input)
          return std::nullopt;
        return this->broadcast(*broadcast, *input, wanted);
      })
      .Case([&](IotaOp iota) -> std::optional<SymbolicSizes> {
        std::optional<SymbolicExpr> size = getIndex(iota.getSize());
        if (!size)
          return std::nullopt;
        if (!isAtLeast(*size, 0))
          size = SymbolicExpr::max(*size, 0);
        return SymbolicSizes{*size};
      })
      .Case([&](TransposeOp transpose) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(transpose.getInput());
        if (!input)
          return std::nullopt;
        SymbolicSizes result;
        for (int64_t dim : transpose.getPermutation())
          result.push_back((*input)[dim]);
        return result;
      })
      .Case([&](ConcatOp concat) -> std::optional<SymbolicSizes> {
        std::optional<SymbolicSizes> result;
        for (Value value : concat.getInputs()) {
          const SymbolicSizes *input = of(value);
          if (!input)
            return std::nullopt;
          if (!result) {
            result = *input;
            continue;
          }
          for (auto [dim, size] : llvm::enumerate(*input))
            if (int64_t(dim) == concat.getAxis())
              (*result)[dim] = (*result)[dim] + size;
            else
              assumeEqual(op, (*result)[dim], size);
        }
        return result;
      })
      .Case([&](SliceOp slice) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(slice.getInput());
        if (!input)
          return std::nullopt;
        SymbolicSizes result;
        auto starts = slice.getMixedStarts(), ends = slice.getMixedEnds();
        for (auto [dim, size] : llvm::enumerate(*input)) {
          std::optional<SymbolicExpr> start = getIndex(starts[dim]);
          std::optional<SymbolicExpr> end = getIndex(ends[dim]);
          int64_t step = slice.getSteps()[dim];
          if (!start || !end)
            return std::nullopt;
          SymbolicExpr from = clampBound(*start, size, step, true);
          SymbolicExpr to = clampBound(*end, size, step, false);
          SymbolicExpr length = step > 0 ? to - from : from - to;
          if (!isAtLeast(length, 0))
            length = SymbolicExpr::max(length, 0);
          result.push_back(SymbolicExpr::ceilDiv(length, std::abs(step)));
        }
        return result;
      })
      .Case([&](PadOp pad) -> std::optional<SymbolicSizes> {
        std::optional<SymbolicSizes> result = same(pad.getInput());
        if (!result)
          return std::nullopt;
        auto lows = pad.getMixedLows(), highs = pad.getMixedHighs();
        for (auto [dim, size] : llvm::enumerate(*result)) {
          std::optional<SymbolicExpr> low = getIndex(lows[dim]);
          std::optional<SymbolicExpr> high = getIndex(highs[dim]);
          if (!low || !high)
            return std::nullopt;
          size = size + *low + *high;
          if (!isAtLeast(size, 0))
            size = SymbolicExpr::max(size, 0);
        }
        return result;
      })
      .Case([&](WindowOp window) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(window.getInput());
        if (!input)
          return std::nullopt;
        size_t leading = input->size() - window.getKernel().size();
        SymbolicSizes result(input->begin(), input->begin() + leading);
        for (auto [i, kernel] : llvm::enumerate(window.getKernel()))
          result.push_back(countWindows((*input)[leading + i], kernel,
                                        window.getStrides()[i],
                                        window.getDilations()[i]));
        result.append(window.getKernel().begin(), window.getKernel().end());
        return result;
      })
      .Case([&](OverlapAddOp overlap) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(overlap.getInput());
        if (!input)
          return std::nullopt;
        size_t leading = input->size() - 2 * overlap.getStrides().size();
        SymbolicSizes result(input->begin(), input->begin() + leading);
        for (auto [i, size] : llvm::enumerate(overlap.getMixedSizes())) {
          std::optional<SymbolicExpr> expr = getIndex(size);
          if (!expr)
            return std::nullopt;
          assumeEqual(op, (*input)[leading + i],
                      countWindows(*expr, overlap.getKernel()[i],
                                   overlap.getStrides()[i],
                                   overlap.getDilations()[i]));
          result.push_back(*expr);
        }
        return result;
      })
      .Case([&](GatherOp gather) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(gather.getInput());
        const SymbolicSizes *index = of(gather.getIndices());
        if (!input || !index)
          return std::nullopt;
        SymbolicSizes result(input->begin(), input->begin() + gather.getAxis());
        llvm::append_range(result, *index);
        result.append(input->begin() + gather.getAxis() + 1, input->end());
        return result;
      })
      .Case([&](GatherNDOp gather) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(gather.getInput());
        const SymbolicSizes *index = of(gather.getIndices());
        if (!input || !index)
          return std::nullopt;
        int64_t tuple = tensorType(gather.getIndices()).getShape().back();
        for (int64_t dim = 0; dim < gather.getBatchDims(); ++dim)
          assumeEqual(op, (*index)[dim], (*input)[dim]);
        SymbolicSizes result(index->begin(), index->end() - 1);
        result.append(input->begin() + gather.getBatchDims() + tuple,
                      input->end());
        return result;
      })
      .Case([&](GatherElementsOp gather) { return same(gather.getIndices()); })
      .Case([&](ScatterElementsOp scatter) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *indices = of(scatter.getIndices());
        const SymbolicSizes *updates = of(scatter.getUpdates());
        if (!indices || !updates)
          return std::nullopt;
        for (auto [count, given] : llvm::zip(*indices, *updates))
          assumeEqual(op, count, given);
        return same(scatter.getInput());
      })
      .Case([&](ScatterNDOp scatter) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(scatter.getInput());
        const SymbolicSizes *indices = of(scatter.getIndices());
        const SymbolicSizes *updates = of(scatter.getUpdates());
        int64_t length = tensorType(scatter.getIndices()).getShape().back();
        if (!input || !indices || !updates || ShapedType::isDynamic(length))
          return std::nullopt;
        SymbolicSizes expected(indices->begin(), indices->end() - 1);
        expected.append(input->begin() + length, input->end());
        for (auto [size, given] : llvm::zip(expected, *updates))
          assumeEqual(op, size, given);
        return *input;
      })
      .Case([&](TopKOp topK) -> std::optional<SymbolicSizes> {
        std::optional<SymbolicSizes> result = same(topK.getInput());
        std::optional<SymbolicExpr> k = getIndex(topK.getK());
        if (!result || !k)
          return std::nullopt;
        SymbolicExpr &size = (*result)[topK.getAxis()];
        assumeEqual(op, *k, SymbolicExpr::min(*k, size));
        size = *k;
        return result;
      })
      .Case([&](MatmulOp matmul) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *lhs = of(matmul.getLhs());
        const SymbolicSizes *rhs = of(matmul.getRhs());
        if (!lhs || !rhs)
          return std::nullopt;
        SymbolicSizes result =
            broadcast(op, SymbolicSizes(lhs->begin(), lhs->end() - 2),
                      SymbolicSizes(rhs->begin(), rhs->end() - 2));
        bool left = matmul.getTransposeLhs(), right = matmul.getTransposeRhs();
        assumeEqual(op, lhs->end()[left ? -2 : -1],
                    rhs->end()[right ? -1 : -2]);
        result.push_back(lhs->end()[left ? -1 : -2]);
        result.push_back(rhs->end()[right ? -2 : -1]);
        return result;
      })
      .Case([&](RotaryOp rotary) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *input = of(rotary.getInput());
        if (!input)
          return std::nullopt;
        for (Value table : {rotary.getCosine(), rotary.getSine()}) {
          const SymbolicSizes *known = of(table);
          if (!known)
            return std::nullopt;
          // Rank 3 stands for batch×S×D/2: the heads have no dimension.
          int64_t rank = known->size();
          for (int64_t dim = 0; dim < rank - 1; ++dim)
            if ((*known)[dim] != SymbolicExpr(1))
              assumeEqual(op, (*known)[dim],
                          rank == 3 && dim == 0 ? input->front()
                                                : input->end()[dim - rank]);
        }
        return *input;
      })
      .Case([&](AttentionOp attention) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *query = of(attention.getQuery());
        const SymbolicSizes *key = of(attention.getKey());
        const SymbolicSizes *value = of(attention.getValue());
        if (!query || !key || !value)
          return std::nullopt;
        assumeEqual(op, (*query)[0], (*key)[0]);
        assumeEqual(op, (*key)[0], (*value)[0]);
        assumeEqual(op, (*key)[2], (*value)[2]);
        if (Value mask = attention.getMask()) {
          const SymbolicSizes *known = of(mask);
          if (!known)
            return std::nullopt;
          // The scores have these sizes, which no mask widens.
          SymbolicSizes scores{(*query)[0], (*query)[1], (*query)[2],
                               (*key)[2]};
          for (auto [size, wanted] :
               llvm::zip(llvm::reverse(*known), llvm::reverse(scores)))
            if (size != SymbolicExpr(1))
              assumeEqual(op, size, wanted);
          assumeMaskLength(attention);
        }
        SymbolicSizes result = *query;
        result.back() = value->back();
        return result;
      })
      .Case([&](arith::SelectOp select) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *lhs = of(select.getTrueValue());
        const SymbolicSizes *rhs = of(select.getFalseValue());
        if (!lhs || !rhs || *lhs != *rhs)
          return std::nullopt;
        return *lhs;
      })
      .Case([&](ReduceOp reduce) -> std::optional<SymbolicSizes> {
        std::optional<SymbolicSizes> result = same(reduce.getInput());
        if (result)
          for (int64_t axis : reduce.getAxes())
            (*result)[axis] = 1;
        return result;
      })
      .Default([](Operation *) { return std::nullopt; });
}

//===-- contents ----------------------------------------------------------===//

/// Row-major position of each element of `output` in an input that broadcasts
/// to it.
static SmallVector<int64_t> broadcastPositions(ArrayRef<int64_t> input,
                                               ArrayRef<int64_t> output) {
  int64_t count = 1;
  for (int64_t size : output)
    count *= size;
  SmallVector<int64_t> positions(count, 0);
  for (int64_t element = 0; element < count; ++element) {
    int64_t rest = element, stride = 1, position = 0;
    for (size_t i = 0; i < output.size(); ++i) {
      int64_t dim = output.size() - 1 - i, index = rest % output[dim];
      rest /= output[dim];
      if (i < input.size()) {
        int64_t size = input[input.size() - 1 - i];
        position += (size == 1 ? 0 : index) * stride;
        stride *= size;
      }
    }
    positions[element] = position;
  }
  return positions;
}

std::optional<SymbolicSizes> SymbolicShapes::inferContents(Operation &op) {
  const SymbolicSizes *resultSizes = getSizes(op.getResult(0));
  if (!resultSizes)
    return std::nullopt;
  RankedTensorType type = tensorType(op.getResult(0));
  SmallVector<int64_t> shape;
  int64_t count = 1;
  for (const SymbolicExpr &size : *resultSizes) {
    std::optional<int64_t> constant = size.getConstant();
    if (!constant)
      return std::nullopt;
    shape.push_back(*constant);
    count *= *constant;
  }
  if (count > maxContents)
    return std::nullopt;
  auto shapeOf = [&](Value value) -> std::optional<SmallVector<int64_t>> {
    const SymbolicSizes *known = getSizes(value);
    if (!known)
      return std::nullopt;
    SmallVector<int64_t> result;
    for (const SymbolicExpr &size : *known) {
      if (!size.getConstant())
        return std::nullopt;
      result.push_back(*size.getConstant());
    }
    return result;
  };
  // The contents of all operands, each broadcast to the result.
  auto elementwise = [&](llvm::function_ref<std::optional<SymbolicExpr>(
                             ArrayRef<SymbolicExpr>)>
                             compute) -> std::optional<SymbolicSizes> {
    SmallVector<SymbolicSizes> operands;
    for (Value operand : op.getOperands()) {
      const SymbolicSizes *known = getContents(operand);
      std::optional<SmallVector<int64_t>> operandShape = shapeOf(operand);
      if (!known || !operandShape)
        return std::nullopt;
      SymbolicSizes spread;
      for (int64_t position : broadcastPositions(*operandShape, shape))
        spread.push_back((*known)[position]);
      operands.push_back(spread);
    }
    SymbolicSizes result;
    for (int64_t i = 0; i < count; ++i) {
      SymbolicSizes values;
      for (const SymbolicSizes &operand : operands)
        values.push_back(operand[i]);
      std::optional<SymbolicExpr> value = compute(values);
      if (!value)
        return std::nullopt;
      result.push_back(*value);
    }
    return result;
  };
  auto sameOrder = [&](Value input) -> std::optional<SymbolicSizes> {
    const SymbolicSizes *known = getContents(input);
    if (!known)
      return std::nullopt;
    return *known;
  };
  using Args = ArrayRef<SymbolicExpr>;
  using Result = std::optional<SymbolicExpr>;
  // What is decided by a value of the model is an expression over it.
  auto isEqual = [&](const SymbolicExpr &lhs,
                     const SymbolicExpr &rhs) -> Result {
    SymbolicExpr difference = lhs - rhs;
    if (std::optional<int64_t> constant = difference.getConstant())
      return *constant == 0 ? 1 : 0;
    if (isAtLeast(difference, 1) || isAtLeast(rhs - lhs, 1))
      return 0;
    if (difference.hasValues())
      return SymbolicExpr::isEqual(lhs, rhs);
    return std::nullopt;
  };
  auto isLess = [&](const SymbolicExpr &lhs,
                    const SymbolicExpr &rhs) -> Result {
    if (isAtLeast(rhs - lhs, 1))
      return 1;
    if (isAtLeast(lhs - rhs, 0))
      return 0;
    if ((lhs - rhs).hasValues())
      return SymbolicExpr::isLess(lhs, rhs);
    return std::nullopt;
  };
  auto negate = [](Result truth) -> Result {
    return truth ? Result(SymbolicExpr(1) - *truth) : std::nullopt;
  };
  return TypeSwitch<Operation *, std::optional<SymbolicSizes>>(&op)
      .Case([&](ConstantOp constant) -> std::optional<SymbolicSizes> {
        auto elements = dyn_cast<DenseIntElementsAttr>(constant.getValue());
        if (!elements)
          return std::nullopt;
        Type element = elements.getElementType();
        bool isUnsigned = element.isInteger(1) || element.isUnsignedInteger();
        SymbolicSizes result;
        for (const APInt &value : elements.getValues<APInt>())
          result.push_back(isUnsigned ? int64_t(value.getZExtValue())
                                      : value.getSExtValue());
        return result;
      })
      .Case([&](FromIndicesOp from) -> std::optional<SymbolicSizes> {
        SymbolicSizes result;
        for (Value value : from.getValues()) {
          std::optional<SymbolicExpr> expr = getIndex(value);
          if (!expr)
            return std::nullopt;
          result.push_back(*expr);
        }
        return result;
      })
      .Case<ReshapeOp>([&](auto) { return sameOrder(op.getOperand(0)); })
      .Case([&](CastOp cast) -> std::optional<SymbolicSizes> {
        Type from = tensorType(cast.getInput()).getElementType();
        Type to = tensorType(cast.getOutput()).getElementType();
        if (!from.isInteger() || !to.isInteger() || to.isInteger(1))
          return std::nullopt;
        return sameOrder(cast.getInput());
      })
      .Case([&](BroadcastOp broadcast) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *known = getContents(broadcast.getInput());
        std::optional<SmallVector<int64_t>> input =
            shapeOf(broadcast.getInput());
        if (!known || !input)
          return std::nullopt;
        SymbolicSizes result;
        for (int64_t position : broadcastPositions(*input, shape))
          result.push_back((*known)[position]);
        return result;
      })
      .Case([&](IotaOp iota) -> std::optional<SymbolicSizes> {
        std::optional<SymbolicExpr> start = getIndex(iota.getStart());
        if (!start)
          return std::nullopt;
        SymbolicSizes result;
        for (int64_t i = 0; i < count; ++i)
          result.push_back(*start + SymbolicExpr(i * iota.getStep()));
        return result;
      })
      .Case([&](ConcatOp concat) -> std::optional<SymbolicSizes> {
        if (shape.size() != 1)
          return std::nullopt;
        SymbolicSizes result;
        for (Value input : concat.getInputs()) {
          const SymbolicSizes *known = getContents(input);
          if (!known)
            return std::nullopt;
          llvm::append_range(result, *known);
        }
        return result;
      })
      .Case([&](GatherOp gather) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *known = getContents(gather.getInput());
        const SymbolicSizes *index = getContents(gather.getIndices());
        if (!known || !index || tensorType(gather.getInput()).getRank() != 1)
          return std::nullopt;
        SymbolicSizes result;
        for (const SymbolicExpr &position : *index) {
          std::optional<int64_t> constant = position.getConstant();
          if (!constant)
            return std::nullopt;
          int64_t at =
              *constant < 0 ? *constant + int64_t(known->size()) : *constant;
          if (at < 0 || at >= int64_t(known->size()))
            return std::nullopt;
          result.push_back((*known)[at]);
        }
        return result;
      })
      .Case([&](SliceOp slice) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *known = getContents(slice.getInput());
        if (!known || shape.size() != 1)
          return std::nullopt;
        std::optional<SymbolicExpr> start = getIndex(slice.getMixedStarts()[0]);
        if (!start || !start->getConstant())
          return std::nullopt;
        int64_t size = known->size(), step = slice.getSteps()[0];
        int64_t at = *start->getConstant();
        at = at < 0 ? at + size : at;
        at = std::clamp<int64_t>(at, 0, step > 0 ? size : size - 1);
        SymbolicSizes result;
        for (int64_t i = 0; i < count; ++i)
          result.push_back((*known)[at + i * step]);
        return result;
      })
      .Case([&](AddOp) {
        return elementwise([](Args a) -> Result { return a[0] + a[1]; });
      })
      .Case([&](SubOp) {
        return elementwise([](Args a) -> Result { return a[0] - a[1]; });
      })
      .Case([&](MulOp) {
        return elementwise([](Args a) -> Result { return a[0] * a[1]; });
      })
      .Case([&](NegOp) {
        return elementwise(
            [](Args a) -> Result { return SymbolicExpr(0) - a[0]; });
      })
      .Case([&](DivOp) {
        return elementwise([&](Args a) -> Result {
          // b·s / b is s; for b = 0 the model itself divides by zero.
          if (std::optional<SymbolicExpr> exact = a[0].divideExactly(a[1]))
            return *exact;
          // Truncation is rounding down only where nothing is negative.
          if (!isAtLeast(a[0], 0) || !isAtLeast(a[1], 1))
            return std::nullopt;
          return SymbolicExpr::floorDiv(a[0], a[1]);
        });
      })
      .Case([&](MaxOp) {
        return elementwise([&](Args a) -> Result {
          if (isAtLeast(a[0] - a[1], 0))
            return a[0];
          if (isAtLeast(a[1] - a[0], 0))
            return a[1];
          return SymbolicExpr::max(a[0], a[1]);
        });
      })
      .Case([&](MinOp) {
        return elementwise([&](Args a) -> Result {
          if (isAtLeast(a[0] - a[1], 0))
            return a[1];
          if (isAtLeast(a[1] - a[0], 0))
            return a[0];
          return SymbolicExpr::min(a[0], a[1]);
        });
      })
      .Case([&](ModOp) {
        return elementwise([&](Args a) -> Result {
          // With and without fmod the same only where nothing is negative.
          if (!isAtLeast(a[0], 0) || !isAtLeast(a[1], 1))
            return std::nullopt;
          return SymbolicExpr::mod(a[0], a[1]);
        });
      })
      .Case([&](EqualOp) {
        return elementwise([&](Args a) { return isEqual(a[0], a[1]); });
      })
      .Case([&](LessOp) {
        return elementwise([&](Args a) { return isLess(a[0], a[1]); });
      })
      .Case([&](GreaterOp) {
        return elementwise([&](Args a) { return isLess(a[1], a[0]); });
      })
      .Case([&](LessEqualOp) {
        return elementwise([&](Args a) { return negate(isLess(a[1], a[0])); });
      })
      .Case([&](GreaterEqualOp) {
        return elementwise([&](Args a) { return negate(isLess(a[0], a[1])); });
      })
      .Case([&](NotOp) {
        return elementwise([&](Args a) { return negate(a[0]); });
      })
      .Case<AndOp, OrOp>([&](auto) -> std::optional<SymbolicSizes> {
        // Of numbers these work bit by bit.
        if (!type.getElementType().isInteger(1))
          return std::nullopt;
        return elementwise([&](Args a) -> Result {
          SymbolicExpr both = a[0] * a[1];
          return isa<AndOp>(op) ? both : a[0] + a[1] - both;
        });
      })
      .Case([&](ReduceOp reduce) -> std::optional<SymbolicSizes> {
        const SymbolicSizes *known = getContents(reduce.getInput());
        if (!known || known->empty() ||
            tensorType(reduce.getInput()).getRank() != 1 ||
            reduce.getAxes().size() != 1)
          return std::nullopt;
        SymbolicExpr result = known->front();
        for (const SymbolicExpr &element : llvm::drop_begin(*known)) {
          if (reduce.getKind() == ReductionKind::Sum)
            result = result + element;
          else if (reduce.getKind() == ReductionKind::Prod)
            result = result * element;
          else
            return std::nullopt;
        }
        return SymbolicSizes{result};
      })
      .Case([&](WhereOp) {
        return elementwise([&](Args a) -> Result {
          std::optional<int64_t> condition = a[0].getConstant();
          if (condition)
            return *condition ? a[1] : a[2];
          if (a[1] == a[2])
            return a[1];
          if (a[0].hasValues())
            return SymbolicExpr::select(a[0], a[1], a[2]);
          return std::nullopt;
        });
      })
      .Default([](Operation *) { return std::nullopt; });
}

//===-- building expressions ----------------------------------------------===//

SymbolicMaterializer::SymbolicMaterializer(func::FuncOp function)
    : builder(function.getContext()), loc(function.getLoc()) {
  Block &body = function.getBody().front();
  Operation *last = nullptr;
  for (auto symbol : llvm::make_early_inc_range(body.getOps<SymbolOp>())) {
    if (last)
      symbol->moveAfter(last);
    else
      symbol->moveBefore(&body, body.begin());
    last = symbol;
    known[symbol.getName().str()] = symbol.getValue();
  }
  if (last)
    builder.setInsertionPointAfter(last);
  else
    builder.setInsertionPointToStart(&body);
  start = builder.saveInsertionPoint();
  function.walk([&](CountOp count) {
    known[count.getName().str()] = count.getSize();
    lastBehind[count] = count;
  });
}

/// Whether `lhs` is computed before `rhs` wherever both are.
static bool isBefore(Operation *lhs, Operation *rhs) {
  Operation *around = lhs->getBlock()->findAncestorOpInBlock(*rhs);
  return around && around != lhs && lhs->isBeforeInBlock(around);
}

Operation *SymbolicMaterializer::findLastCount(const SymbolicExpr &expr) {
  Operation *last = nullptr;
  auto take = [&](Operation *count) {
    if (count && (!last || isBefore(last, count)))
      last = count;
  };
  for (const auto &[monomial, coefficient] : expr.getTerms())
    for (const SymbolicExpr::AtomRef &atom : monomial) {
      if (atom->kind == AtomKind::Symbol) {
        auto found = known.find(atom->text);
        if (found != known.end())
          take(found->second.getDefiningOp<CountOp>());
      }
      for (const auto &part : {atom->lhs, atom->rhs, atom->other})
        if (part)
          take(findLastCount(*part));
    }
  return last;
}

void SymbolicMaterializer::setInsertionPointBehind(ArrayRef<SymbolicExpr> exprs,
                                                   OpBuilder &other) {
  Operation *last = nullptr;
  for (const SymbolicExpr &expr : exprs) {
    (void)getValue(expr);
    Operation *count = findLastCount(expr);
    if (count && (!last || isBefore(last, count)))
      last = count;
  }
  if (last)
    other.setInsertionPointAfter(lastBehind[last]);
}

OpFoldResult SymbolicMaterializer::getFoldResult(const SymbolicExpr &expr) {
  if (std::optional<int64_t> constant = expr.getConstant())
    return builder.getIndexAttr(*constant);
  return getValue(expr);
}

Value SymbolicMaterializer::getAtom(const SymbolicAtom &atom) {
  auto found = known.find(atom.text);
  if (found != known.end())
    return found->second;
  if (!atom.lhs) {
    // Named in tenon.dims or tenon.elements, but declared by no op.
    bool isSize = atom.kind == AtomKind::Symbol;
    return known[atom.text] = buildBehind(nullptr, [&] {
             auto symbol = graph::SymbolOp::create(
                 builder, loc, builder.getIndexType(),
                 builder.getStringAttr(atom.text),
                 builder.getI64IntegerAttr(isSize ? 0 : -largestValue),
                 builder.getI64IntegerAttr(isSize ? INT64_MAX : largestValue),
                 IntegerAttr());
             return symbol.getValue();
           });
  }
  Value lhs = getValue(*atom.lhs), rhs = getValue(*atom.rhs), value;
  auto choose = [&](arith::CmpIPredicate predicate, Value left, Value right,
                    Value then, Value otherwise) {
    Value condition =
        arith::CmpIOp::create(builder, loc, predicate, left, right);
    return arith::SelectOp::create(builder, loc, condition, then, otherwise);
  };
  bool divides = atom.kind == AtomKind::FloorDiv ||
                 atom.kind == AtomKind::CeilDiv || atom.kind == AtomKind::Mod;
  if (divides && !atom.rhs->getConstant()) {
    // The rest of no elements in dimensions of size 0 is any number of them.
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    rhs = arith::MaxSIOp::create(builder, loc, rhs, one);
  }
  switch (atom.kind) {
  case AtomKind::FloorDiv:
    value = arith::FloorDivSIOp::create(builder, loc, lhs, rhs);
    break;
  case AtomKind::CeilDiv:
    value = arith::CeilDivSIOp::create(builder, loc, lhs, rhs);
    break;
  case AtomKind::Mod:
    value = arith::RemSIOp::create(builder, loc, lhs, rhs);
    break;
  case AtomKind::Min:
    value = arith::MinSIOp::create(builder, loc, lhs, rhs);
    break;
  case AtomKind::Max:
    value = arith::MaxSIOp::create(builder, loc, lhs, rhs);
    break;
  case AtomKind::Equal:
    value =
        choose(arith::CmpIPredicate::eq, lhs, rhs, getValue(1), getValue(0));
    break;
  case AtomKind::Less:
    value =
        choose(arith::CmpIPredicate::slt, lhs, rhs, getValue(1), getValue(0));
    break;
  case AtomKind::Select:
    value = choose(arith::CmpIPredicate::ne, lhs, getValue(0), rhs,
                   getValue(*atom.other));
    break;
  case AtomKind::Symbol:
  case AtomKind::Value:
    llvm_unreachable("found above");
  }
  known[atom.text] = value;
  return value;
}

Value SymbolicMaterializer::getValue(const SymbolicExpr &expr) {
  std::string key = expr.str();
  auto found = known.find(key);
  if (found != known.end())
    return found->second;
  Value value = buildBehind(findLastCount(expr), [&] { return build(expr); });
  return known[key] = value;
}

Value SymbolicMaterializer::buildBehind(Operation *count,
                                        function_ref<Value()> make) {
  if (count == behind)
    return make();
  OpBuilder::InsertionGuard guard(builder);
  llvm::SaveAndRestore now(behind, count);
  if (count)
    builder.setInsertionPointAfter(lastBehind[count]);
  else
    builder.restoreInsertionPoint(start);
  Value value = make();
  if (count)
    lastBehind[count] = &*std::prev(builder.getInsertionPoint());
  return value;
}

Value SymbolicMaterializer::build(const SymbolicExpr &expr) {
  Value sum;
  for (const auto &[monomial, coefficient] : expr.getTerms()) {
    Value term;
    for (const SymbolicExpr::AtomRef &atom : monomial) {
      Value factor = getAtom(*atom);
      term = term
                 ? arith::MulIOp::create(builder, loc, term, factor).getResult()
                 : factor;
    }
    if (!term || coefficient != 1) {
      Value constant =
          arith::ConstantIndexOp::create(builder, loc, coefficient);
      term =
          term ? arith::MulIOp::create(builder, loc, term, constant).getResult()
               : constant;
    }
    sum =
        sum ? arith::AddIOp::create(builder, loc, sum, term).getResult() : term;
  }
  return sum ? sum : arith::ConstantIndexOp::create(builder, loc, 0);
}

} // namespace tenon
