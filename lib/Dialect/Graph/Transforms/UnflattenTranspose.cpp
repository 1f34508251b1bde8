// Lets a transpose work on all dimensions where an exporter merged some before
// it and split them behind it. See Passes.td.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_UNFLATTENTRANSPOSEPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// reshape(transpose(reshape(x)))  ->  transpose(x)
void unflatten(ReshapeOp split, const SymbolicShapes &shapes) {
  auto transpose = split.getInput().getDefiningOp<TransposeOp>();
  auto merge =
      transpose ? transpose.getInput().getDefiningOp<ReshapeOp>() : nullptr;
  if (!merge)
    return;
  const SymbolicSizes *input = shapes.getSizes(merge.getInput());
  const SymbolicSizes *merged = shapes.getSizes(merge.getOutput());
  const SymbolicSizes *output = shapes.getSizes(split.getOutput());
  ArrayRef<int64_t> permutation = transpose.getPermutation();
  if (!input || !merged || !output || input->size() != output->size() ||
      input->size() <= merged->size() || permutation[0] != 0)
    return;
  // The first `leading` dimensions of the input are the first of `merged`.
  int64_t added = input->size() - merged->size(), leading = added + 1;
  ArrayRef<SymbolicExpr> from(*input), flat(*merged), to(*output);
  if (from.drop_front(leading) != flat.drop_front(1) ||
      from.take_front(leading) != to.take_front(leading))
    return;
  SmallVector<int64_t> full = llvm::to_vector(llvm::seq<int64_t>(0, leading));
  for (int64_t dim : permutation.drop_front())
    full.push_back(dim + added);
  for (int64_t dim = leading; dim < int64_t(to.size()); ++dim)
    if (to[dim] != from[full[dim]])
      return;

  OpBuilder builder(split);
  auto replacement = TransposeOp::create(
      builder, split.getLoc(), split.getType(), merge.getInput(), full);
  replacement->setDiscardableAttrs(split->getDiscardableAttrDictionary());
  split.getOutput().replaceAllUsesWith(replacement.getOutput());
  split.erase();
}

struct UnflattenTransposePass
    : impl::UnflattenTransposePassBase<UnflattenTransposePass> {
  void runOnOperation() override {
    SymbolicShapes shapes(getOperation());
    SmallVector<ReshapeOp> reshapes(
        getOperation().getBody().front().getOps<ReshapeOp>());
    for (ReshapeOp reshape : reshapes)
      unflatten(reshape, shapes);
  }
};

} // namespace
} // namespace tenon::graph
