// Weights whose values are read and changed.
#ifndef TENON_LIB_DIALECT_GRAPH_TRANSFORMS_DERIVEDWEIGHTS_H
#define TENON_LIB_DIALECT_GRAPH_TRANSFORMS_DERIVEDWEIGHTS_H

#include "tenon/Dialect/Graph/IR/GraphOps.h"

namespace tenon::graph {

/// The bytes of a weight, row-major. Files are looked up in the folder that the
/// module's `tenon.folder` names.
mlir::FailureOr<std::string> readBytes(WeightOp weight);

/// The same of a weight of f32, f16 or bf16, as values.
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

/// The same with a name of its own, at the location of `origin`.
mlir::FailureOr<WeightOp> createDerived(mlir::OpBuilder &builder,
                                        mlir::Operation *origin,
                                        const llvm::Twine &name,
                                        mlir::RankedTensorType type,
                                        llvm::ArrayRef<char> bytes);

/// The same of floats: in f16 if that is exact for all, else in f32.
mlir::FailureOr<WeightOp> createDerivedFloats(mlir::OpBuilder &builder,
                                              mlir::Operation *origin,
                                              const llvm::Twine &name,
                                              llvm::ArrayRef<int64_t> shape,
                                              const std::vector<float> &values);

/// A number of f16 or bf16.
float widenHalf(uint16_t bits, mlir::FloatType type);

/// The bits of a number in f16, if that is exact.
std::optional<uint16_t> toHalf(float number);

} // namespace tenon::graph

#endif // TENON_LIB_DIALECT_GRAPH_TRANSFORMS_DERIVEDWEIGHTS_H
