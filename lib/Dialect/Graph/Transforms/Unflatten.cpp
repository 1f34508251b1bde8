// Lets transposes and products work on all dimensions where an exporter merged
// some before them and split them behind. See Passes.td.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_UNFLATTENPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// reshape(transpose(reshape(x)))  ->  transpose(x)
void unflattenTranspose(ReshapeOp split, const SymbolicShapes &shapes) {
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

/// A product of merged rows, and what is added to it.
struct MergedProduct {
  ReshapeOp merge;
  MatmulOp product;
  SmallVector<std::pair<AddOp, Value>> sums; ///< the last first
};

/// What `value` ends, where each step has no other use.
std::optional<MergedProduct> matchMergedProduct(Value value) {
  MergedProduct merged;
  auto isVector = [](Value added) {
    return cast<RankedTensorType>(added.getType()).getRank() <= 1;
  };
  while (auto add = value.getDefiningOp<AddOp>()) {
    Value added = isVector(add.getLhs()) ? add.getLhs() : add.getRhs();
    if (!value.hasOneUse() || !isVector(added))
      return std::nullopt;
    merged.sums.push_back({add, added});
    value = added == add.getLhs() ? add.getRhs() : add.getLhs();
  }
  merged.product = value.getDefiningOp<MatmulOp>();
  if (!merged.product || !value.hasOneUse() ||
      merged.product.getTransposeLhs() ||
      cast<RankedTensorType>(merged.product.getRhs().getType()).getRank() != 2)
    return std::nullopt;
  merged.merge = merged.product.getLhs().getDefiningOp<ReshapeOp>();
  return merged.merge ? std::optional(merged) : std::nullopt;
}

/// reshape(reshape(x) · w + b)  ->  x · w + b
void unflattenProduct(ReshapeOp split, const SymbolicShapes &shapes) {
  std::optional<MergedProduct> match = matchMergedProduct(split.getInput());
  if (!match)
    return;
  const SymbolicSizes *input = shapes.getSizes(match->merge.getInput());
  const SymbolicSizes *merged = shapes.getSizes(match->merge.getOutput());
  const SymbolicSizes *flat = shapes.getSizes(split.getInput());
  const SymbolicSizes *output = shapes.getSizes(split.getOutput());
  if (!input || !merged || !flat || !output || merged->size() != 2 ||
      input->size() <= 2 || input->size() != output->size() ||
      input->back() != merged->back() || output->back() != flat->back() ||
      ArrayRef(*input).drop_back() != ArrayRef(*output).drop_back())
    return;
  OpBuilder builder(split);
  auto typed = [&](Operation *op) {
    return split.getType().clone(getElementTypeOrSelf(op->getResult(0)));
  };
  MatmulOp product = match->product;
  auto wide =
      MatmulOp::create(builder, product.getLoc(), typed(product),
                       match->merge.getInput(), product.getRhs(),
                       /*transpose_lhs=*/false, product.getTransposeRhs());
  wide->setDiscardableAttrs(product->getDiscardableAttrDictionary());
  Value value = wide.getOutput();
  for (auto [sum, added] : llvm::reverse(match->sums)) {
    auto wideSum =
        AddOp::create(builder, sum.getLoc(), typed(sum), value, added);
    wideSum->setDiscardableAttrs(sum->getDiscardableAttrDictionary());
    value = wideSum.getOutput();
  }
  split.getOutput().replaceAllUsesWith(value);
  split.erase();
  for (auto [sum, added] : match->sums)
    sum.erase();
  product.erase();
}

struct UnflattenPass : impl::UnflattenPassBase<UnflattenPass> {
  void runOnOperation() override {
    SymbolicShapes shapes(getOperation());
    SmallVector<ReshapeOp> reshapes(
        getOperation().getBody().front().getOps<ReshapeOp>());
    for (ReshapeOp reshape : reshapes) {
      if (reshape.getInput().getDefiningOp<TransposeOp>())
        unflattenTranspose(reshape, shapes);
      else
        unflattenProduct(reshape, shapes);
    }
  }
};

} // namespace
} // namespace tenon::graph
