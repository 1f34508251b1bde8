// Replaces shape arithmetic by expressions over symbols. See Passes.td.
#include "Matching.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon/Analysis/SymbolicMaterializer.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_FOLDSHAPEARITHMETICPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// Rewrites one function; the analysis is of the function as it was.
class Folder {
public:
  Folder(func::FuncOp function)
      : function(function), shapes(function), materializer(function) {}

  void run() {
    // Collected first: folding adds ops at the function's start.
    SmallVector<Operation *> ops;
    function.walk<WalkOrder::PreOrder>(
        [&](Operation *op) { ops.push_back(op); });
    for (Operation *op : ops)
      fold(op);
    foldAssumptions();
    updateFunctionType(function);
  }

private:
  void fold(Operation *op) {
    if (op->getNumResults() != 1 || isa<SymbolOp, CountOp>(op))
      return;
    Value result = op->getResult(0);
    if (result.getType().isIndex()) {
      std::optional<SymbolicExpr> expr = shapes.getIndex(result);
      if (expr && !result.use_empty() && !isa<arith::ConstantOp>(op))
        result.replaceAllUsesWith(materializer.getValue(*expr));
      return;
    }
    if (foldContents(op))
      return;
    if (auto reshape = dyn_cast<ReshapeOp>(op))
      foldReshape(reshape);
    else if (auto broadcast = dyn_cast<BroadcastOp>(op))
      foldBroadcast(broadcast);
    else if (auto slice = dyn_cast<SliceOp>(op))
      foldSlice(slice);
  }

  /// A small integer tensor of known contents  ->  constant or from_indices
  bool foldContents(Operation *op) {
    const SymbolicSizes *contents = shapes.getContents(op->getResult(0));
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!contents || isa<ConstantOp, FromIndicesOp>(op) || op->use_empty())
      return false;
    // Values of the model that are no sizes stay with the kernels, which take
    // any number.
    if (llvm::any_of(*contents, [](const SymbolicExpr &element) {
          return element.hasValues();
        }))
      return false;
    SmallVector<int64_t> sizes;
    for (const SymbolicExpr &size : *shapes.getSizes(op->getResult(0)))
      sizes.push_back(*size.getConstant());
    type = RankedTensorType::get(sizes, type.getElementType());
    OpBuilder builder(op);
    SmallVector<APInt> constants;
    unsigned width = type.getElementTypeBitWidth();
    for (const SymbolicExpr &element : *contents)
      if (std::optional<int64_t> constant = element.getConstant())
        constants.emplace_back(width, *constant, /*isSigned=*/true,
                               /*implicitTrunc=*/true);
    Value folded;
    if (constants.size() == contents->size()) {
      folded = ConstantOp::create(builder, op->getLoc(), type,
                                  DenseElementsAttr::get(type, constants));
    } else {
      SmallVector<Value> values;
      for (const SymbolicExpr &element : *contents)
        values.push_back(materializer.getValue(element));
      folded = FromIndicesOp::create(builder, op->getLoc(), type, values);
    }
    op->getResult(0).replaceAllUsesWith(folded);
    return true;
  }

  /// Dynamic values and static sizes of `exprs`, as the ops' builders take
  /// them.
  std::pair<SmallVector<Value>, SmallVector<int64_t>>
  split(ArrayRef<SymbolicExpr> exprs) {
    SmallVector<Value> dynamic;
    SmallVector<int64_t> fixed;
    for (const SymbolicExpr &expr : exprs)
      if (std::optional<int64_t> constant = expr.getConstant()) {
        fixed.push_back(*constant);
      } else {
        fixed.push_back(ShapedType::kDynamic);
        dynamic.push_back(materializer.getValue(expr));
      }
    return {dynamic, fixed};
  }

  /// Replaces an op whose result has its input's sizes by the input.
  bool foldIdentity(Operation *op, Value input) {
    const SymbolicSizes *before = shapes.getSizes(input);
    const SymbolicSizes *after = shapes.getSizes(op->getResult(0));
    if (!before || !after || *before != *after)
      return false;
    // Loops and branches want the very type they have: not before types know
    // the sizes.
    if (input.getType() != op->getResult(0).getType() &&
        llvm::any_of(op->getUsers(), [](Operation *user) {
          return isa<scf::SCFDialect>(user->getDialect()) ||
                 isa<arith::SelectOp>(user);
        }))
      return false;
    op->getResult(0).replaceAllUsesWith(input);
    return true;
  }

  /// reshape %x to [%extracted, -1, 0]  ->  reshape %x to [%b, %s, 384]
  void foldReshape(ReshapeOp op) {
    const SymbolicSizes *sizes = shapes.getSizes(op.getOutput());
    if (!sizes || foldIdentity(op, op.getInput()))
      return;
    auto first = op.getInput().getDefiningOp<ReshapeOp>();
    if (first && foldIdentity(op, first.getInput()))
      return;
    auto [dynamic, fixed] = split(*sizes);
    op.getSizesMutable().assign(dynamic);
    op.setStaticSizes(fixed);
    op.setAllowZero(true);
  }

  void foldBroadcast(BroadcastOp op) {
    const SymbolicSizes *sizes = shapes.getSizes(op.getOutput());
    if (!sizes || foldIdentity(op, op.getInput()))
      return;
    auto [dynamic, fixed] = split(*sizes);
    op.getSizesMutable().assign(dynamic);
    op.setStaticSizes(fixed);
  }

  /// Bounds from the end or beyond it  ->  where they lie
  void foldSlice(SliceOp op) {
    const SymbolicSizes *input = shapes.getSizes(op.getInput());
    const SymbolicSizes *output = shapes.getSizes(op.getOutput());
    if (!input || !output)
      return;
    bool forward =
        llvm::all_of(op.getSteps(), [](int64_t step) { return step > 0; });
    if (!forward ||
        (llvm::all_of(op.getSteps(), [](int64_t step) { return step == 1; }) &&
         foldIdentity(op, op.getInput())))
      return;
    SymbolicSizes starts, ends;
    for (auto [dim, mixed] : llvm::enumerate(op.getMixedStarts())) {
      std::optional<SymbolicExpr> known = shapes.getIndex(mixed);
      if (!known)
        return;
      SymbolicExpr start =
          shapes.clampBound(*known, (*input)[dim], op.getSteps()[dim], true);
      starts.push_back(start);
      ends.push_back(start + (*output)[dim] * SymbolicExpr(op.getSteps()[dim]));
    }
    auto [dynamicStarts, fixedStarts] = split(starts);
    auto [dynamicEnds, fixedEnds] = split(ends);
    op.getStartsMutable().assign(dynamicStarts);
    op.setStaticStarts(fixedStarts);
    op.getEndsMutable().assign(dynamicEnds);
    op.setStaticEnds(fixedEnds);
  }

  /// One assume_equal for each pair of sizes that a broadcast takes for equal.
  void foldAssumptions() {
    llvm::StringSet<> seen;
    function.walk([&](AssumeEqualOp assumed) {
      if (auto lhs = shapes.getIndex(assumed.getLhs()))
        if (auto rhs = shapes.getIndex(assumed.getRhs()))
          seen.insert(lhs->str() + "=" + rhs->str());
    });
    Operation *terminator = function.getBody().front().getTerminator();
    for (const auto &[lhs, rhs, loc] : shapes.getAssumptions())
      if (seen.insert(lhs.str() + "=" + rhs.str()).second) {
        OpBuilder builder(terminator);
        materializer.setInsertionPointBehind({lhs, rhs}, builder);
        AssumeEqualOp::create(builder, loc, materializer.getValue(lhs),
                              materializer.getValue(rhs));
      }
  }

  func::FuncOp function;
  SymbolicShapes shapes;
  SymbolicMaterializer materializer;
};

struct FoldShapeArithmeticPass
    : impl::FoldShapeArithmeticPassBase<FoldShapeArithmeticPass> {
  void runOnOperation() override { Folder(getOperation()).run(); }
};

} // namespace
} // namespace tenon::graph
