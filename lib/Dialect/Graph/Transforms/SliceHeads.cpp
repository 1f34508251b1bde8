// Lets attention read heads where a packed projection has them. See Passes.td.
#include "Matching.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "tenon/Analysis/SymbolicMaterializer.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include <numeric>

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_SLICEHEADSPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

SymbolicExpr productOf(ArrayRef<SymbolicExpr> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), SymbolicExpr(1),
                         std::multiplies<>());
}

/// Elements of `root` that a tensor shows: its element (i, j, …) lies
/// offset + i · strides[0] + j · strides[1] + … behind the first.
struct StridedView {
  Value root;
  SymbolicExpr count; ///< of elements of the root
  SymbolicSizes sizes, strides;
  int64_t offset = 0;

  StridedView(Value root, const SymbolicSizes &sizes)
      : root(root), count(productOf(sizes)), sizes(sizes) {
    for (size_t dim = 0; dim < sizes.size(); ++dim)
      strides.push_back(productOf(ArrayRef(sizes).drop_front(dim + 1)));
  }

  /// Each is false, and the view then useless, where no strides say it.
  bool take(SliceOp slice, const SymbolicShapes &shapes);
  bool take(GatherOp gather);
  bool take(TransposeOp transpose);
  bool take(const SymbolicSizes &reshaped);
};

bool StridedView::take(SliceOp slice, const SymbolicShapes &shapes) {
  const SymbolicSizes *sliced = shapes.getSizes(slice.getOutput());
  if (!sliced ||
      llvm::any_of(slice.getSteps(), [](int64_t step) { return step != 1; }))
    return false;
  for (auto [dim, mixed] : llvm::enumerate(slice.getMixedStarts())) {
    std::optional<SymbolicExpr> start = shapes.getIndex(mixed);
    if (!start)
      return false;
    SymbolicExpr from =
        shapes.clampBound(*start, sizes[dim], /*step=*/1, /*isStart=*/true) *
        strides[dim];
    if (!from.getConstant())
      return false;
    offset += *from.getConstant();
  }
  sizes = *sliced;
  return true;
}

/// One place of a dimension, which goes. One that is out of range fails as it
/// is looked up.
bool StridedView::take(GatherOp gather) {
  std::optional<double> index = getScalar(gather.getIndices());
  int64_t axis = gather.getAxis();
  std::optional<int64_t> size = sizes[axis].getConstant();
  if (!index || !size || *index < -*size || *index >= *size ||
      cast<RankedTensorType>(gather.getIndices().getType()).getRank() != 0)
    return false;
  int64_t place = int64_t(*index) + (*index < 0 ? *size : 0);
  std::optional<int64_t> begin =
      (SymbolicExpr(place) * strides[axis]).getConstant();
  if (!begin)
    return false;
  offset += *begin;
  sizes.erase(sizes.begin() + axis);
  strides.erase(strides.begin() + axis);
  return true;
}

bool StridedView::take(TransposeOp transpose) {
  SymbolicSizes oldSizes = sizes, oldStrides = strides;
  for (auto [dim, from] : llvm::enumerate(transpose.getPermutation())) {
    sizes[dim] = oldSizes[from];
    strides[dim] = oldStrides[from];
  }
  return true;
}

/// Dimensions are merged and split in groups that hold as many elements before
/// and behind; those of a group that is one in the root's memory can be.
bool StridedView::take(const SymbolicSizes &reshaped) {
  SymbolicSizes newStrides(reshaped.size(), SymbolicExpr(0));
  size_t from = 0, to = 0; // where the group begins
  SymbolicExpr before = 1, behind = 1;
  for (size_t end = 0; end < sizes.size(); ++end) {
    before = before * sizes[end];
    SymbolicExpr reached = behind;
    size_t stop = to;
    while (reached != before && stop < reshaped.size())
      reached = reached * reshaped[stop++];
    if (reached != before)
      continue;
    // What follows of size one belongs here as well as anywhere.
    bool isLast = end + 1 == sizes.size();
    while (isLast && stop < reshaped.size())
      reached = reached * reshaped[stop++];
    if (reached != before)
      return false;
    for (size_t dim = from; dim < end; ++dim)
      if (sizes[dim] != SymbolicExpr(1) &&
          strides[dim] != strides[dim + 1] * sizes[dim + 1])
        return false;
    SymbolicExpr stride = strides[end];
    for (size_t dim = stop; dim-- > to;) {
      newStrides[dim] = stride;
      stride = stride * reshaped[dim];
    }
    from = end + 1;
    to = stop;
    behind = reached;
  }
  if (from != sizes.size() || to != reshaped.size())
    return false;
  sizes = reshaped;
  strides = newStrides;
  return true;
}

/// A view of rank four as a slice of its root: `stored` are sizes that the root
/// is given, dimension k of which is dimension order[k] of the view from
/// starts[k] on.
struct StoredHeads {
  SmallVector<int64_t> order{0, 1, 2, 3};
  SymbolicSizes stored;
  SmallVector<int64_t> starts;
  bool isSliced = false;
};

/// By the pitches that one order of the dimensions has; false where these are
/// not those of a tensor without gaps.
bool readOrder(const StridedView &view, StoredHeads &heads) {
  heads.stored.clear();
  heads.starts.clear();
  heads.isSliced = false;
  SymbolicExpr above = view.count;
  int64_t rest = view.offset;
  for (int64_t dim : heads.order) {
    const SymbolicExpr &pitch = view.strides[dim], &size = view.sizes[dim];
    if (pitch == SymbolicExpr(0))
      return false;
    std::optional<SymbolicExpr> stored = above.divideExactly(pitch);
    if (!stored)
      return false;
    int64_t start = 0;
    if (std::optional<int64_t> known = pitch.getConstant()) {
      start = rest / *known;
      rest %= *known;
    }
    if (start != 0 || *stored != size) {
      std::optional<int64_t> all = stored->getConstant(),
                             part = size.getConstant();
      if (!all || !part || start + *part > *all)
        return false;
      heads.isSliced = true;
    }
    heads.stored.push_back(*stored);
    heads.starts.push_back(start);
    above = pitch;
  }
  return above == SymbolicExpr(1) && rest == 0;
}

std::optional<StoredHeads> findStored(const StridedView &view) {
  StoredHeads heads;
  do {
    if (readOrder(view, heads))
      return heads;
  } while (std::next_permutation(heads.order.begin(), heads.order.end()));
  return std::nullopt;
}

class HeadSlicer {
public:
  explicit HeadSlicer(func::FuncOp function)
      : shapes(function), materializer(function) {}

  /// transpose(reshape(slice(x))) and the like  ->
  ///   transpose(slice(reshape(x)))
  void slice(OpOperand &operand) {
    std::optional<StridedView> view = findView(operand.get());
    if (!view || view->sizes.size() != 4)
      return;
    std::optional<StoredHeads> heads = findStored(*view);
    if (heads && heads->isSliced)
      rewrite(operand, *view, *heads);
  }

private:
  /// From as far up as strides say what is shown.
  std::optional<StridedView> findView(Value value) {
    SmallVector<Operation *> moves;
    Value root = value;
    while (Operation *op = root.getDefiningOp()) {
      if (!isa<GatherOp, ReshapeOp, SliceOp, TransposeOp>(op))
        break;
      moves.push_back(op);
      root = op->getOperand(0);
    }
    const SymbolicSizes *sizes = shapes.getSizes(root);
    if (moves.empty() || !sizes)
      return std::nullopt;
    StridedView view(root, *sizes);
    for (Operation *op : llvm::reverse(moves)) {
      const SymbolicSizes *moved = shapes.getSizes(op->getResult(0));
      if (!moved)
        return std::nullopt;
      bool isTaken = false;
      if (auto slice = dyn_cast<SliceOp>(op))
        isTaken = view.take(slice, shapes);
      else if (auto gather = dyn_cast<GatherOp>(op))
        isTaken = view.take(gather);
      else if (auto transpose = dyn_cast<TransposeOp>(op))
        isTaken = view.take(transpose);
      else
        isTaken = view.take(*moved);
      if (!isTaken)
        view = StridedView(op->getResult(0), *moved);
    }
    return view;
  }

  void rewrite(OpOperand &operand, const StridedView &view,
               const StoredHeads &heads) {
    OpBuilder builder(operand.getOwner());
    auto type = cast<RankedTensorType>(operand.get().getType());
    Location loc = operand.get().getLoc();
    SmallVector<int64_t> storedShape, slicedShape, ends, permutation(4);
    SmallVector<OpFoldResult> wanted;
    for (auto [k, dim] : llvm::enumerate(heads.order)) {
      int64_t size = type.getDimSize(dim);
      if (view.sizes[dim].getConstant().value_or(ShapedType::kDynamic) != size)
        return; // the type does not know what is known
      slicedShape.push_back(size);
      storedShape.push_back(
          ShapedType::isDynamic(size) ? size : *heads.stored[k].getConstant());
      ends.push_back(ShapedType::isDynamic(size)
                         ? std::numeric_limits<int64_t>::max()
                         : heads.starts[k] + size);
      wanted.push_back(materializer.getFoldResult(heads.stored[k]));
      permutation[dim] = k;
    }
    SmallVector<Value> sizes;
    SmallVector<int64_t> staticSizes;
    dispatchIndexOpFoldResults(wanted, sizes, staticSizes);
    Value stored =
        ReshapeOp::create(builder, loc, type.clone(storedShape), view.root,
                          sizes, staticSizes, /*allow_zero=*/true);
    Value sliced = SliceOp::create(
        builder, loc, type.clone(slicedShape), stored, ValueRange(),
        heads.starts, ValueRange(), ends, SmallVector<int64_t>(4, 1));
    operand.set(TransposeOp::create(builder, loc, type, sliced, permutation));
  }

  SymbolicShapes shapes;
  SymbolicMaterializer materializer;
};

struct SliceHeadsPass : impl::SliceHeadsPassBase<SliceHeadsPass> {
  void runOnOperation() override {
    HeadSlicer slicer(getOperation());
    for (Operation &op : getOperation().front()) {
      if (auto attention = dyn_cast<AttentionOp>(op)) {
        slicer.slice(attention.getQueryMutable());
        slicer.slice(attention.getKeyMutable());
        slicer.slice(attention.getValueMutable());
      } else if (auto append = dyn_cast<AppendOp>(op)) {
        slicer.slice(append.getInputMutable());
      } else if (auto rotary = dyn_cast<RotaryOp>(op)) {
        slicer.slice(rotary.getInputMutable());
      }
    }
  }
};

} // namespace
} // namespace tenon::graph
