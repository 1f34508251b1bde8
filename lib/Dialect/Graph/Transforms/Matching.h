// What the recognisers share: reading constants and products off the graph.
#ifndef TENON_LIB_DIALECT_GRAPH_TRANSFORMS_MATCHING_H
#define TENON_LIB_DIALECT_GRAPH_TRANSFORMS_MATCHING_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include <optional>

namespace tenon::graph {

/// The value of a float constant whose elements are all equal.
std::optional<double> getSplat(mlir::Value value);

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

/// Gives the function the types of what it returns, which a pass refined.
void updateFunctionType(mlir::func::FuncOp function);

} // namespace tenon::graph

#endif // TENON_LIB_DIALECT_GRAPH_TRANSFORMS_MATCHING_H
