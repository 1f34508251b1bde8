// Decides which slices of the arena lie below which. See Passes.td.
#include "Packing.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"
#include "tenon/Dialect/Plan/IR/PlanOps.h"
#include "tenon/Dialect/Plan/Transforms/Passes.h"
#include <algorithm>
#include <limits>
#include <numeric>

using namespace mlir;

namespace tenon::plan {
#define GEN_PASS_DEF_ASSIGNOFFSETSPASS
#include "tenon/Dialect/Plan/Transforms/Passes.h.inc"

namespace {

constexpr int64_t unhintedSize = 128;

/// Values of sizes when every symbol is as its hint says.
class HintedSizes {
public:
  /// Fails, with a diagnostic, on what is no expression over symbols.
  FailureOr<int64_t> evaluate(Value value) {
    FailureOr<Attribute> result = evaluateAttribute(value);
    if (failed(result))
      return failure();
    return cast<IntegerAttr>(*result).getValue().getSExtValue();
  }

private:
  FailureOr<Attribute> evaluateAttribute(Value value) {
    if (auto found = known.find(value); found != known.end())
      return found->second;
    Operation *op = value.getDefiningOp();
    Attribute result;
    if (!op)
      return emitError(value.getLoc(), "a size must be an expression over "
                                       "symbols, but is an argument");
    if (auto symbol = dyn_cast<SymbolOp>(op)) {
      int64_t size = symbol.getHint() ? static_cast<int64_t>(*symbol.getHint())
                                      : unhintedSize;
      size = std::clamp<int64_t>(size, symbol.getMin(), symbol.getMax());
      result = IntegerAttr::get(value.getType(), size);
    } else if (!matchPattern(value, m_Constant(&result))) {
      SmallVector<Attribute> operands;
      for (Value operand : op->getOperands()) {
        FailureOr<Attribute> attribute = evaluateAttribute(operand);
        if (failed(attribute))
          return failure();
        operands.push_back(*attribute);
      }
      SmallVector<OpFoldResult> results;
      if (succeeded(op->fold(operands, results)) && results.size() == 1) {
        result = dyn_cast<Attribute>(results.front());
        if (!result) // Folded to one of its operands, as x + 0 does.
          return evaluateAttribute(cast<Value>(results.front()));
      }
    }
    // What is undefined, as a shift by 64, folds to an attribute that is none.
    if (!isa_and_nonnull<IntegerAttr, FloatAttr>(result))
      return op->emitOpError("is part of a size, but has no value at the "
                             "hinted sizes");
    known[value] = result;
    return result;
  }

  DenseMap<Value, Attribute> known;
};

FailureOr<int64_t> bytesAtHint(AllocOp alloc, HintedSizes &sizes) {
  auto type = cast<MemRefType>(alloc.getBuffer().getType());
  int64_t bytes = (type.getElementTypeBitWidth() + 7) / 8;
  for (int64_t size : type.getShape())
    if (!ShapedType::isDynamic(size))
      bytes *= size;
  for (Value size : alloc.getSizes()) {
    FailureOr<int64_t> value = sizes.evaluate(size);
    if (failed(value))
      return failure();
    bytes *= std::max<int64_t>(*value, 0);
  }
  return bytes;
}

/// Numbers ops in the order they are written; an op with bodies goes on until
/// the last op in them, but a section is one step.
class Steps {
public:
  explicit Steps(Block &block) { number(block); }

  int64_t first(Operation *op) const { return spans.lookup(op).first; }
  int64_t last(Operation *op) const { return spans.lookup(op).second; }

private:
  void number(Block &block) {
    for (Operation &op : block) {
      int64_t begin = next++;
      if (!isa<SectionOp>(op))
        for (Region &region : op.getRegions())
          for (Block &nested : region)
            number(nested);
      spans[&op] = {begin, next - 1};
    }
  }

  DenseMap<Operation *, std::pair<int64_t, int64_t>> spans;
  int64_t next = 0;
};

/// The section that a launch belongs to, or the op itself.
Operation *stepOf(Operation *op) {
  auto section = dyn_cast<SectionOp>(op->getParentOp());
  return section ? section : op;
}

/// The ops that use the buffer or a view of it, sections for launches in them.
SmallVector<Operation *> usersOf(AllocOp alloc) {
  SmallVector<Operation *> users;
  SmallVector<Value> buffers = {alloc.getBuffer()};
  while (!buffers.empty())
    for (Operation *user : buffers.pop_back_val().getUsers())
      if (auto view = dyn_cast<ViewOp>(user))
        buffers.push_back(view.getOutput());
      else
        users.push_back(stepOf(user));
  return users;
}

/// From the first to the last use, in the innermost block around all of them:
/// what only one iteration uses ends with it, and what a loop shares with ops
/// outside it is alive for all iterations.
Slice lifetimeOf(AllocOp alloc, const Steps &steps) {
  SmallVector<Operation *> users = usersOf(alloc);
  if (users.empty())
    return {steps.first(alloc), steps.last(alloc), 0};
  Block *around = users.front()->getBlock();
  for (Operation *user : users)
    while (!around->findAncestorOpInBlock(*user))
      around = around->getParentOp()->getBlock();
  Slice slice{std::numeric_limits<int64_t>::max(), 0, 0};
  for (Operation *user : users) {
    Operation *op = around->findAncestorOpInBlock(*user);
    slice.first = std::min(slice.first, steps.first(op));
    slice.last = std::max(slice.last, steps.last(op));
  }
  return slice;
}

LogicalResult assignOffsets(func::FuncOp function) {
  SmallVector<AllocOp> allocs;
  WalkResult nested = function.walk([&](AllocOp alloc) {
    allocs.push_back(alloc);
    if (alloc->getParentOp() == function)
      return WalkResult::advance();
    alloc.emitOpError("lies in a nested region; only slices of the function's "
                      "own block have offsets");
    return WalkResult::interrupt();
  });
  if (nested.wasInterrupted())
    return failure();

  Steps steps(function.front());
  HintedSizes sizes;
  SmallVector<Slice> slices;
  for (AllocOp alloc : allocs) {
    Slice slice = lifetimeOf(alloc, steps);
    FailureOr<int64_t> bytes = bytesAtHint(alloc, sizes);
    if (failed(bytes))
      return failure();
    slice.bytes = *bytes;
    slices.push_back(slice);
  }

  Packing packing = packSlices(slices);
  std::vector<std::vector<int64_t>> below = findSlicesBelow(slices, packing);
  // Ids ascend with offsets, so that a list names smaller ids only.
  SmallVector<size_t> order(allocs.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::stable_sort(order, [&](size_t a, size_t b) {
    return packing.offsets[a] < packing.offsets[b];
  });
  SmallVector<int64_t> ids(allocs.size());
  for (auto [id, index] : llvm::enumerate(order))
    ids[index] = id;
  Builder builder(function.getContext());
  for (auto [index, alloc] : llvm::enumerate(allocs)) {
    SmallVector<int64_t> belowIds;
    for (int64_t other : below[index])
      belowIds.push_back(ids[other]);
    llvm::sort(belowIds);
    alloc.setId(ids[index]);
    alloc.setBelow(ArrayRef<int64_t>(belowIds));
    // For whoever reports on the arena or checks it.
    alloc->setAttr("tenon.alive",
                   builder.getDenseI64ArrayAttr(
                       {slices[index].first, slices[index].last}));
  }
  function.walk([&](Operation *op) {
    if (isa<LaunchOp, CopyOp, ReadOp>(op))
      op->setAttr("tenon.step",
                  builder.getI64IntegerAttr(steps.first(stepOf(op))));
  });
  function->setAttr("tenon.arena_hint_bytes",
                    builder.getI64IntegerAttr(packing.height));
  function->setAttr("tenon.arena_lower_bound",
                    builder.getI64IntegerAttr(packing.lowerBound));
  return success();
}

struct AssignOffsetsPass : impl::AssignOffsetsPassBase<AssignOffsetsPass> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isDeclaration() && !function->hasAttr("tenon.kernel") &&
          failed(assignOffsets(function)))
        return signalPassFailure();
  }
};

} // namespace
} // namespace tenon::plan
