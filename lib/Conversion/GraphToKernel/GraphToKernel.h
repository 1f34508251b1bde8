// The state of the conversion graph -> kernel, shared by the op families: which
// value replaces which, and the sizes of what is converted.
#ifndef TENON_CONVERSION_GRAPHTOKERNEL_GRAPHTOKERNEL_H
#define TENON_CONVERSION_GRAPHTOKERNEL_GRAPHTOKERNEL_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "tenon/Analysis/SymbolicMaterializer.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"

namespace tenon {

class GraphToKernel {
public:
  /// What the scalar body of a generic sees: the elements of its inputs, whole
  /// tensors to extract from, and sizes.
  struct Scalars {
    llvm::SmallVector<mlir::Value> elements, tensors, indices;
  };
  using BuildAnchor =
      llvm::function_ref<mlir::Value(mlir::OpBuilder &, Scalars)>;
  using BuildScalar = BuildAnchor;
  /// `place` has the coordinates of the line and, at the axis, a null value to
  /// fill in; the line holds nothing yet. Returns it when it is complete.
  using BuildLine = llvm::function_ref<mlir::Value(
      mlir::OpBuilder &, Scalars, llvm::SmallVector<mlir::Value> place,
      mlir::Value line)>;

  explicit GraphToKernel(mlir::func::FuncOp function)
      : builder(function.getContext()), shapes(function),
        materializer(function) {}

  mlir::OpBuilder builder;
  const SymbolicShapes shapes;

  /// The value that replaces `value` of the graph.
  mlir::Value get(mlir::Value value) { return values.lookup(value); }
  /// The sizes of a tensor of the graph; `convert` has seen that they are
  /// known.
  const SymbolicSizes &sizesOf(mlir::Value value) {
    return *shapes.getSizes(value);
  }
  /// Declares that `by` replaces `value`, which has the same sizes.
  void replace(mlir::Value value, mlir::Value by) { values[value] = by; }

  /// The op of the function's block around where the builder stands; null if it
  /// stands in that block.
  mlir::Operation *outermostOp();

  /// A size as an index value, computed where the function starts, since memory
  /// for the bodies of loops is planned before they run, or behind a count.
  mlir::Value index(const SymbolicExpr &size) {
    return materializer.getValue(size);
  }
  /// See SymbolicMaterializer.
  void setInsertionPointBehind(llvm::ArrayRef<SymbolicExpr> sizes,
                               mlir::OpBuilder &other) {
    materializer.setInsertionPointBehind(sizes, other);
  }
  /// The value of an index of the graph.
  mlir::Value index(mlir::OpFoldResult value);

  /// A region whose body is what `build` makes of its inputs (`tensors`) and
  /// indices. Has `op`'s location and id.
  mlir::Value createRegion(mlir::Operation *op, llvm::StringRef name,
                           mlir::RankedTensorType type,
                           const SymbolicSizes &sizes, mlir::ValueRange inputs,
                           mlir::ValueRange indices, BuildAnchor build);

  /// A region with one linalg.generic over its result: `elements` are read
  /// through `maps`, `tensors` and `indices` are for the body to use.
  mlir::Value createGeneric(mlir::Operation *op, llvm::StringRef name,
                            mlir::RankedTensorType type,
                            const SymbolicSizes &sizes,
                            mlir::ValueRange elements,
                            llvm::ArrayRef<mlir::AffineMap> maps,
                            mlir::ValueRange tensors, mlir::ValueRange indices,
                            BuildScalar build);

  /// A region with one kernel.lines along `axis`; as createGeneric otherwise.
  mlir::Value createLines(mlir::Operation *op, llvm::StringRef name,
                          mlir::RankedTensorType type,
                          const SymbolicSizes &sizes, int64_t axis,
                          mlir::ValueRange tensors, mlir::ValueRange indices,
                          BuildLine build);

  mlir::Value createTranspose(mlir::Operation *op, mlir::Value input,
                              const SymbolicSizes &sizes,
                              llvm::ArrayRef<int64_t> permutation);
  /// The elements of `input` from `starts` on, `steps` apart.
  mlir::Value createSlice(mlir::Operation *op, mlir::Value input,
                          mlir::RankedTensorType type,
                          const SymbolicSizes &sizes,
                          const SymbolicSizes &starts,
                          llvm::ArrayRef<int64_t> steps);
  /// Where a slice of known sizes begins in each dimension.
  SymbolicSizes startsOf(graph::SliceOp op);
  mlir::Value createView(mlir::Operation *op, mlir::Value input,
                         const SymbolicSizes &sizes);
  mlir::Value createView(mlir::Operation *op, mlir::Value input,
                         mlir::RankedTensorType type,
                         const SymbolicSizes &sizes);

  /// Where the look-ups of an op say that an index is out of range.
  mlir::Value createIndexError(mlir::Location loc);

  /// Converts one op. Emits a diagnostic on failure.
  mlir::LogicalResult convert(mlir::Operation *op);
  /// Converts all ops of a block in place.
  mlir::LogicalResult convertBlock(mlir::Block &block);

private:
  /// `input`, read through `map` for a result of `type` with these sizes, in
  /// the type that has the sizes which `type` knows: patterns of linalg would
  /// cast it in the body, where nothing takes a cast.
  mlir::Value refine(mlir::Operation *op, mlir::Value input,
                     mlir::AffineMap map, mlir::RankedTensorType type,
                     const SymbolicSizes &sizes);
  /// A region whose body is what `build` makes of its inputs, indices, and an
  /// empty tensor with the sizes of the result.
  mlir::Value createFilledRegion(
      mlir::Operation *op, llvm::StringRef name, mlir::RankedTensorType type,
      const SymbolicSizes &sizes, mlir::ValueRange inputs,
      mlir::ValueRange indices,
      llvm::function_ref<mlir::Value(mlir::OpBuilder &, Scalars, mlir::Value)>
          build);
  /// Converts the bodies of an scf.if or scf.while, which stays.
  mlir::LogicalResult convertControl(mlir::Operation *op);
  /// Each converts the ops of its file; fails silently at others.
  mlir::FailureOr<bool> convertElementwise(mlir::Operation *op);
  mlir::FailureOr<bool> convertShape(mlir::Operation *op);
  mlir::FailureOr<bool> convertData(mlir::Operation *op);
  mlir::FailureOr<bool> convertContraction(mlir::Operation *op);
  mlir::FailureOr<bool> convertReduction(mlir::Operation *op);
  mlir::FailureOr<bool> convertWindows(mlir::Operation *op);

  SymbolicMaterializer materializer;
  llvm::DenseMap<mlir::Value, mlir::Value> values;
  int64_t indexErrors = 0;
};

/// The map of an operand of `type` that broadcasts to `output`, numpy's way.
mlir::AffineMap broadcastMap(mlir::RankedTensorType type,
                             mlir::RankedTensorType output);

/// The type that elements of `element` are computed in: f32 for the floats of
/// 16 bits, which are only how values are stored (docs/decisions/0007).
mlir::Type computeType(mlir::Type element);
/// `value` in the type that it is computed in.
mlir::Value widen(mlir::OpBuilder &builder, mlir::Location loc,
                  mlir::Value value);
/// What was computed for elements of `element`, as one. A `widen` of it in the
/// same region folds both.
mlir::Value narrow(mlir::OpBuilder &builder, mlir::Location loc,
                   mlir::Value value, mlir::Type element);

} // namespace tenon

#endif // TENON_CONVERSION_GRAPHTOKERNEL_GRAPHTOKERNEL_H
