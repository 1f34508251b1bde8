// Multiplies by a weight from the right where the product with it on the left
// is transposed. See Passes.td.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_SWAPTRANSPOSEDPRODUCTPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

RankedTensorType swapLast(RankedTensorType type) {
  SmallVector<int64_t> sizes(type.getShape());
  std::swap(sizes[sizes.size() - 1], sizes[sizes.size() - 2]);
  return type.clone(sizes);
}

RankedTensorType tensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

bool swapsLast(TransposeOp transpose) {
  SmallVector<int64_t> permutation(transpose.getPermutation());
  int64_t rank = permutation.size();
  if (rank < 2)
    return false;
  std::swap(permutation[rank - 1], permutation[rank - 2]);
  return llvm::equal(permutation, llvm::seq<int64_t>(0, rank));
}

/// Whether an operand is one number, or one for each row of matrices.
bool isColumn(Value operand) {
  RankedTensorType type = tensorType(operand);
  if (!type.hasStaticShape())
    return false;
  return type.getNumElements() == 1 ||
         (type.getRank() >= 2 && type.getShape().back() == 1 &&
          type.getNumElements() == type.getShape()[type.getRank() - 2]);
}

/// The operand of an elementwise op that has the sizes of its result, if all
/// others are columns; else null.
Value getWhole(Operation *op) {
  if (!isa<AbsOp, AddOp, CastOp, DivOp, ErfOp, GeluOp, MaxOp, MinOp, MulOp,
           NegOp, ReluOp, SigmoidOp, SubOp, TanhOp>(op))
    return nullptr;
  Value whole;
  for (Value operand : op->getOperands()) {
    if (isColumn(operand))
      continue;
    if (whole || tensorType(operand).getShape() !=
                     tensorType(op->getResult(0)).getShape())
      return nullptr;
    whole = operand;
  }
  return whole;
}

/// [N, A, B], where A stands for the dimensions of the first group in a result
/// of a transpose [N, first group, second group]: the same with the groups in
/// the other order, as [N, B, A]. Null if `columns` is nothing of the kind.
Value swapGroups(OpBuilder &builder, Value columns,
                 const SymbolicShapes &shapes) {
  auto merge = columns.getDefiningOp<ReshapeOp>();
  auto transpose =
      merge ? merge.getInput().getDefiningOp<TransposeOp>() : nullptr;
  if (!transpose || !merge->hasOneUse() || !transpose->hasOneUse() ||
      tensorType(columns).getRank() != 3)
    return nullptr;
  const SymbolicSizes *apart = shapes.getSizes(transpose.getOutput());
  const SymbolicSizes *merged = shapes.getSizes(columns);
  if (!apart || !merged || apart->empty() || apart->front() != merged->front())
    return nullptr;
  size_t split = 1, rank = apart->size();
  SymbolicExpr rows = 1, places = 1;
  while (split < rank && rows != (*merged)[1])
    rows = rows * (*apart)[split++];
  for (size_t dim = split; dim < rank; ++dim)
    places = places * (*apart)[dim];
  if (rows != (*merged)[1] || places != (*merged)[2])
    return nullptr;
  ArrayRef<int64_t> old = transpose.getPermutation();
  SmallVector<int64_t> permutation{old.front()};
  llvm::append_range(permutation, old.drop_front(split));
  llvm::append_range(permutation, old.slice(1, split - 1));
  SmallVector<int64_t> sizes;
  for (int64_t dim : permutation)
    sizes.push_back(tensorType(transpose.getInput()).getDimSize(dim));
  Location loc = columns.getLoc();
  RankedTensorType type = tensorType(columns);
  Value moved = TransposeOp::create(builder, loc, type.clone(sizes),
                                    transpose.getInput(), permutation);
  moved.getDefiningOp()->setDiscardableAttrs(
      transpose->getDiscardableAttrDictionary());
  SmallVector<OpFoldResult> wanted = merge.getMixedSizes();
  std::swap(wanted[1], wanted[2]);
  SmallVector<Value> values;
  SmallVector<int64_t> known;
  dispatchIndexOpFoldResults(wanted, values, known);
  auto result = ReshapeOp::create(builder, loc, swapLast(type), moved, values,
                                  known, merge.getAllowZero());
  result->setDiscardableAttrs(merge->getDiscardableAttrDictionary());
  return result;
}

/// transpose(f(matmul(weight, x)))  ->  f(matmul(xᵀ, weightᵀ))
void swap(TransposeOp transpose, const SymbolicShapes &shapes) {
  if (!swapsLast(transpose))
    return;
  SmallVector<Operation *> chain;
  Value value = transpose.getInput();
  MatmulOp product;
  while (!product) {
    Operation *op = value.getDefiningOp();
    if (!op || !op->hasOneUse())
      return;
    product = dyn_cast<MatmulOp>(op);
    if (product)
      break;
    value = getWhole(op);
    if (!value)
      return;
    chain.push_back(op);
  }
  Value weight = product.getLhs(), columns = product.getRhs();
  if (!weight.getDefiningOp<WeightOp>() || tensorType(weight).getRank() != 2 ||
      columns.getDefiningOp<WeightOp>())
    return;
  // Unsigned bytes are multiplied from the left alone.
  if (tensorType(weight).getElementType() !=
      tensorType(columns).getElementType())
    return;
  OpBuilder builder(transpose);
  bool isTransposed = !product.getTransposeRhs();
  if (isTransposed)
    if (Value swapped = swapGroups(builder, columns, shapes)) {
      columns = swapped;
      isTransposed = false;
    }
  auto swapped = MatmulOp::create(
      builder, product.getLoc(), swapLast(tensorType(product)), columns, weight,
      isTransposed, !product.getTransposeLhs());
  swapped->setDiscardableAttrs(product->getDiscardableAttrDictionary());
  Value result = swapped;
  for (Operation *op : llvm::reverse(chain)) {
    Value whole = getWhole(op);
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      RankedTensorType type = tensorType(operand);
      if (operand == whole)
        operand = result;
      else if (type.getRank() >= 2 && type.getNumElements() != 1)
        operand =
            ReshapeOp::create(builder, op->getLoc(), swapLast(type), operand,
                              ValueRange(), swapLast(type).getShape(),
                              /*allow_zero=*/true);
      operands.push_back(operand);
    }
    Operation *clone = builder.clone(*op);
    clone->setOperands(operands);
    clone->getResult(0).setType(swapLast(tensorType(op->getResult(0))));
    result = clone->getResult(0);
  }
  transpose.getOutput().replaceAllUsesWith(result);
  transpose.erase();
  for (Operation *op : chain)
    op->erase();
  product.erase();
}

struct SwapTransposedProductPass
    : impl::SwapTransposedProductPassBase<SwapTransposedProductPass> {
  void runOnOperation() override {
    SymbolicShapes shapes(getOperation());
    SmallVector<TransposeOp> transposes(
        getOperation().getBody().front().getOps<TransposeOp>());
    for (TransposeOp transpose : transposes)
      swap(transpose, shapes);
  }
};

} // namespace
} // namespace tenon::graph
