// What the recognisers share: reading constants and products off the graph.
#ifndef TENON_LIB_DIALECT_GRAPH_TRANSFORMS_MATCHING_H
#define TENON_LIB_DIALECT_GRAPH_TRANSFORMS_MATCHING_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include <optional>

namespace tenon::graph {

/// The value of a float constant whose elements are all equal.
std::optional<double> getSplat(mlir::Value value);

/// The same of a constant of any type, where a double has it exactly.
std::optional<double> getScalar(mlir::Value value);

/// Whether two constants agree to the precision that exporters print.
bool isClose(double value, double wanted);

/// coefficient · factors[0] · factors[1] · …
struct Product {
  double coefficient = 1;
  llvm::SmallVector<mlir::Value> factors;
};

/// Takes apart products and quotients by constants, from `root` down. Values
/// with other uses stay whole, so no work is done twice.
Product getProduct(mlir::Value root);

/// The other operand of a sum of `root` and a constant near `constant`, or
/// null.
mlir::Value getAddend(mlir::Value root, double constant);

/// x where `root` is x², written as pow(x, 2) or x·x; else null.
mlir::Value getSquareRoot(mlir::Value root);

/// Scores that are hidden by a number: where(keep, shown, low), with what is
/// low so that beside it any other score counts nothing, at most -1e30 or, of
/// f16, its lowest number.
struct Hiding {
  mlir::Value keep, shown, low;
};

/// Takes apart `value` if it is where(keep, shown, low), or with the two in the
/// other order and `keep` negated.
std::optional<Hiding> getHiding(mlir::Value value);

/// The type of an elementwise op of these types.
mlir::RankedTensorType getBroadcastType(mlir::Value lhs, mlir::Value rhs,
                                        mlir::Type element);

/// where(is_nan(p), 0, p)  ->  p, and whether it was there.
mlir::Value stripNaNGuard(mlir::Value value, bool &found);

/// where(keep, 0, -inf)  ->  keep; other masks stay as they are.
mlir::Value getBooleanMask(mlir::Value mask);

/// Whether the mask does not widen the scores: they already have the sum's
/// type.
bool broadcastsTo(mlir::Value mask, mlir::RankedTensorType scores);

/// The key as batch×heads×T×D, from the matmul's operand, which is that or, if
/// not `isTransposed`, a transpose of it.
mlir::Value getKey(mlir::Value operand, bool isTransposed,
                   mlir::OpBuilder &builder);

/// Why ops that resemble a form with an op of its own are none of it.
class Obstacle {
public:
  /// Notes the reason, a literal. Always failure.
  llvm::LogicalResult refuse(llvm::StringLiteral reason) {
    why = reason;
    return llvm::failure();
  }
  /// Empty where nothing was refused: the ops are no such form at all.
  llvm::StringRef reason() const { return why; }

private:
  llvm::StringRef why;
};

/// Whether somebody reads remarks. What only they need is computed then.
bool hasRemarks(mlir::Operation *op);

/// The remark that `op` ends what is now a `form`.
void reportRecognized(mlir::Operation *op, llvm::StringRef form);

/// The remark that `op` ends what resembles a `form` and is none, and why.
void reportNotRecognized(mlir::Operation *op, llvm::StringRef form,
                         const Obstacle &obstacle);

/// Gives the function the types of what it returns, which a pass refined.
void updateFunctionType(mlir::func::FuncOp function);

} // namespace tenon::graph

#endif // TENON_LIB_DIALECT_GRAPH_TRANSFORMS_MATCHING_H
