// What a decoder adds to its scores, where sequences stand at different
// positions.
#ifndef TENON_LIB_DIALECT_GRAPH_TRANSFORMS_POSITIONBIAS_H
#define TENON_LIB_DIALECT_GRAPH_TRANSFORMS_POSITIONBIAS_H

#include "mlir/IR/IRMapping.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

namespace tenon::graph {

/// The sizes of a decoder's step, as the model has them.
struct StepSizes {
  SymbolOp batch, sequence, past; ///< past: what the caches hold
};

/// How the elements of a tensor depend on where queries and keys stand.
/// Dimensions are counted from the last, which is 1.
struct PositionDependence {
  enum Kind {
    Unknown,
    Uniform,  ///< not at all
    Size,     ///< one element, which is `offset`
    Index,    ///< the index along `dim`, plus `offset`
    Along,    ///< any function of the index along `dim`
    Linear,   ///< a multiple of it, plus something that is the same along `dim`
    Distance, ///< any function of the index along `dim` less that along
              ///< `queryDim` less `offset`
  };
  Kind kind = Unknown;
  int64_t dim = 0, queryDim = 0;
  SymbolicExpr offset = 0;
};

/// Finds how masks depend on positions, and computes them for all that a step
/// may have.
class PositionBias {
public:
  PositionBias(const SymbolicShapes &shapes, StepSizes sizes, SymbolOp context);

  struct Formed {
    mlir::Value mask; ///< 1×heads×1×context, or what broadcasts to it
    bool isRelative;
  };
  /// What is added to scores of batch×heads×sequence×(past + sequence), for the
  /// `context` keys of any sequence: by key, or by distance as in
  /// graph.attention. None where it is not known to depend on these alone. Each
  /// row of scores may become larger or smaller by a number, which no softmax
  /// sees.
  std::optional<Formed> form(mlir::Value bias);

  /// c where the elements of `value` are the positions of the queries of a
  /// step, which one dimension counts, plus c; all others repeat them. Else
  /// none.
  std::optional<int64_t> getPosition(mlir::Value value);

private:
  PositionDependence find(mlir::Value value);
  PositionDependence make(mlir::Operation *op);
  PositionDependence makeSum(mlir::Operation *op);
  PositionDependence makeProduct(mlir::Operation *op);
  PositionDependence makeElementwise(mlir::Operation *op);
  PositionDependence makeCast(CastOp op);
  PositionDependence makeReshape(ReshapeOp op);
  PositionDependence makeTranspose(TransposeOp op);
  PositionDependence makeGather(GatherOp op);
  PositionDependence makeSlice(SliceOp op);
  bool isRepeated(mlir::Value value, int64_t dim) const;
  mlir::Value compute(mlir::Value value);

  const SymbolicShapes &shapes;
  SymbolicExpr past, sequence;
  llvm::DenseMap<mlir::Value, PositionDependence> known;
  mlir::IRMapping
      computed; ///< for one query behind all other keys, and one row
};

} // namespace tenon::graph

#endif // TENON_LIB_DIALECT_GRAPH_TRANSFORMS_POSITIONBIAS_H
