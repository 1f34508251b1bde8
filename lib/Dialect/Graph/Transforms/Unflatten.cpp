// Lets transposes and products work on all dimensions where an exporter merged
// some before them and split them behind. See Passes.td.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
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

/// Products of merged batch and heads, and what is done to each element behind
/// them.
class MergedScores {
public:
  MergedScores(ReshapeOp split, const SymbolicShapes &shapes)
      : split(split), shapes(shapes) {}

  /// Notes the steps that end in `split`, each without another use.
  bool match() {
    const SymbolicSizes *output = shapes.getSizes(split.getOutput());
    if (!output || output->size() != 4)
      return false;
    batch = (*output)[0];
    heads = (*output)[1];
    Value value = split.getInput();
    while (isa_and_nonnull<AddOp, DivOp, MulOp, SubOp>(value.getDefiningOp())) {
      Operation *op = value.getDefiningOp();
      unsigned number = comesFromProduct(op->getOperand(0)) ? 0 : 1;
      if (!value.hasOneUse() || !canSplit(op->getOperand(1 - number)))
        return false;
      steps.push_back({op, number});
      value = op->getOperand(number);
    }
    product = value.getDefiningOp<MatmulOp>();
    if (!product || !value.hasOneUse() || product.getTransposeLhs() ||
        product.getTransposeRhs() || !isMerged(value))
      return false;
    return findUnmerged(product.getLhs()) && findUnmerged(product.getRhs());
  }

  void rewrite() {
    OpBuilder builder(split);
    Value lhs = unmerge(builder, product.getLhs()),
          rhs = unmerge(builder, product.getRhs());
    auto sizesOf = [](Value value) {
      return cast<RankedTensorType>(value.getType()).getShape();
    };
    SmallVector<int64_t> sizes(sizesOf(split.getOutput()));
    sizes[2] = sizesOf(lhs)[2];
    sizes[3] = sizesOf(rhs)[3];
    auto typed = [&](Operation *op) {
      return RankedTensorType::get(sizes,
                                   getElementTypeOrSelf(op->getResult(0)));
    };
    auto whole =
        MatmulOp::create(builder, product.getLoc(), typed(product), lhs, rhs,
                         /*transpose_lhs=*/false, /*transpose_rhs=*/false);
    whole->setDiscardableAttrs(product->getDiscardableAttrDictionary());
    Value value = whole.getOutput();
    for (auto [op, number] : llvm::reverse(steps)) {
      IRMapping map;
      map.map(op->getOperand(number), value);
      Value other = op->getOperand(1 - number);
      map.map(other, isMerged(other) ? splitRows(builder, other) : other);
      Operation *clone = builder.clone(*op, map);
      clone->getResult(0).setType(typed(op));
      value = clone->getResult(0);
    }
    split.getOutput().replaceAllUsesWith(value);
    split.erase();
    for (auto [op, number] : steps)
      op->erase();
    product.erase();
  }

private:
  struct Step {
    Operation *op;
    unsigned number; ///< of the operand that the product is
  };

  static bool comesFromProduct(Value value) {
    Operation *op = value.getDefiningOp();
    while (isa_and_nonnull<AddOp, DivOp, MulOp, SubOp>(op))
      op = op->getOperand(0).getDefiningOp();
    return isa_and_nonnull<MatmulOp>(op);
  }
  /// Is it of rank three, with rows of batch and heads?
  bool isMerged(Value value) {
    const SymbolicSizes *sizes = shapes.getSizes(value);
    return sizes && sizes->size() == 3 && sizes->front() == batch * heads;
  }
  /// Does the operand of a step broadcast to what is split, as it is or split?
  bool canSplit(Value value) {
    const SymbolicSizes *sizes = shapes.getSizes(value);
    if (!sizes || !isMerged(value))
      return sizes && (sizes->size() < 3 || sizes->front() == SymbolicExpr(1));
    auto type = cast<RankedTensorType>(value.getType());
    const SymbolicSizes &output = *shapes.getSizes(split.getOutput());
    return llvm::all_of(llvm::seq<int64_t>(1, 3), [&](int64_t dim) {
      return type.getDimSize(dim) == 1 || (*sizes)[dim] == output[dim + 1];
    });
  }
  /// The reshape of batch×heads×… that an operand of the product is, itself or
  /// transposed.
  ReshapeOp findUnmerged(Value operand) {
    if (auto transpose = operand.getDefiningOp<TransposeOp>())
      operand = transpose.getInput();
    auto merge = operand.getDefiningOp<ReshapeOp>();
    const SymbolicSizes *sizes =
        merge ? shapes.getSizes(merge.getInput()) : nullptr;
    const SymbolicSizes *merged =
        merge ? shapes.getSizes(merge.getOutput()) : nullptr;
    bool isUnmerged =
        sizes && merged && sizes->size() == 4 && isMerged(merge.getOutput()) &&
        (*sizes)[0] == batch && (*sizes)[1] == heads &&
        ArrayRef(*sizes).drop_front(2) == ArrayRef(*merged).drop_front();
    return isUnmerged ? merge : nullptr;
  }
  Value unmerge(OpBuilder &builder, Value operand) {
    Value input = findUnmerged(operand).getInput();
    auto transpose = operand.getDefiningOp<TransposeOp>();
    if (!transpose)
      return input;
    SmallVector<int64_t> permutation = {0};
    for (int64_t dim : transpose.getPermutation())
      permutation.push_back(dim + 1);
    auto type = cast<RankedTensorType>(input.getType());
    SmallVector<int64_t> sizes;
    for (int64_t dim : permutation)
      sizes.push_back(type.getDimSize(dim));
    auto whole = TransposeOp::create(builder, transpose.getLoc(),
                                     type.clone(sizes), input, permutation);
    whole->setDiscardableAttrs(transpose->getDiscardableAttrDictionary());
    return whole;
  }
  /// The same with batch and heads as dimensions of their own.
  Value splitRows(OpBuilder &builder, Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    SmallVector<OpFoldResult> mixed = split.getMixedSizes();
    for (int64_t dim : {1, 2})
      if (type.getDimSize(dim) == 1)
        mixed[dim + 1] = builder.getIndexAttr(1);
    SmallVector<Value> dynamic;
    SmallVector<int64_t> sizes;
    dispatchIndexOpFoldResults(mixed, dynamic, sizes);
    return ReshapeOp::create(builder, value.getLoc(), type.clone(sizes), value,
                             dynamic, sizes, /*allow_zero=*/true);
  }

  ReshapeOp split;
  const SymbolicShapes &shapes;
  SymbolicExpr batch, heads;
  MatmulOp product;
  SmallVector<Step> steps; ///< the last first
};

struct UnflattenPass : impl::UnflattenPassBase<UnflattenPass> {
  void runOnOperation() override {
    SymbolicShapes shapes(getOperation());
    SmallVector<ReshapeOp> reshapes(
        getOperation().getBody().front().getOps<ReshapeOp>());
    for (ReshapeOp reshape : reshapes) {
      MergedScores scores(reshape, shapes);
      if (reshape.getInput().getDefiningOp<TransposeOp>())
        unflattenTranspose(reshape, shapes);
      else if (scores.match())
        scores.rewrite();
      else
        unflattenProduct(reshape, shapes);
    }
  }
};

} // namespace
} // namespace tenon::graph
