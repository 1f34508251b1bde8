// Weights whose values are read and changed.
#ifndef TENON_LIB_DIALECT_GRAPH_TRANSFORMS_DERIVEDWEIGHTS_H
#define TENON_LIB_DIALECT_GRAPH_TRANSFORMS_DERIVEDWEIGHTS_H

#include "tenon/Dialect/Graph/IR/GraphOps.h"

namespace tenon::graph {

/// The bytes of a weight, row-major. Files are looked up in the folder that the
/// module's `tenon.folder` names.
mlir::FailureOr<std::string> readBytes(WeightOp weight);

/// The same of a weight of f32, as values.
mlir::FailureOr<std::vector<float>> readValues(WeightOp weight);

/// The values of a matrix as the product reads it: K x N.
mlir::FailureOr<std::vector<float>> readMatrix(WeightOp weight,
                                               bool transposed);

template <typename T>
llvm::ArrayRef<char> bytesOf(const std::vector<T> &values) {
  return {reinterpret_cast<const char *>(values.data()),
          values.size() * sizeof(T)};
}

/// A weight with these bytes, which are written to a file whose name starts
/// with the module's `tenon.derived_prefix`. A hash of what it holds follows,
/// so that the same choice writes the same file. A signal removes it.
mlir::FailureOr<WeightOp> createDerived(mlir::OpBuilder &builder,
                                        WeightOp origin, llvm::StringRef suffix,
                                        mlir::RankedTensorType type,
                                        llvm::ArrayRef<char> bytes);

} // namespace tenon::graph

#endif // TENON_LIB_DIALECT_GRAPH_TRANSFORMS_DERIVEDWEIGHTS_H
