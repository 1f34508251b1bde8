// Turns tensors of the model into constants and references to weights.
#ifndef TENON_LIB_IMPORT_ONNX_INITIALIZERS_H
#define TENON_LIB_IMPORT_ONNX_INITIALIZERS_H

#include "GivenWeights.h"
#include "ImportContext.h"
#include "llvm/ADT/StringMap.h"

namespace tenon {

/// Bytes up to which a tensor becomes a constant; more for integers and bools,
/// which models use as axes, shapes and tables of positions.
constexpr uint64_t constantLimit = 1 << 10, integerConstantLimit = 8 << 10;

class Initializers {
public:
  /// External data is relative to the folder of the file `model`.
  Initializers(llvm::StringRef model, const GivenWeights &given,
               Problems &problems);

  /// Emits the tensor where the builder stands. Fails after an error at `loc`.
  mlir::FailureOr<mlir::Value> emit(mlir::OpBuilder &builder,
                                    mlir::Location loc,
                                    const onnx::TensorProto &tensor);

  /// The same with values from `source`: of the tensor only what the model says
  /// of its type is read. GivenWeights.cpp.
  mlir::FailureOr<mlir::Value> emitGiven(mlir::OpBuilder &builder,
                                         mlir::Location loc,
                                         const onnx::TensorProto &tensor,
                                         const GivenWeights::Source &source);

  /// MLIR's type for a TensorProto.DataType; null if Tenon does not have it.
  static mlir::Type elementType(mlir::MLIRContext *context, int64_t dataType);

private:
  /// Where a tensor's bytes lie.
  struct Place {
    std::string file;
    uint64_t offset = 0;
  };
  /// Whether links lead to a place outside of the model's folder.
  bool leavesFolder(llvm::StringRef path) const;
  mlir::FailureOr<Place> findExternal(mlir::Location loc,
                                      const onnx::TensorProto &tensor,
                                      uint64_t bytes);
  /// `bytes` of elements of `width` bytes each.
  mlir::FailureOr<mlir::Value> emitStored(mlir::OpBuilder &builder,
                                          mlir::Location loc,
                                          const onnx::TensorProto &tensor,
                                          mlir::RankedTensorType type,
                                          unsigned width, uint64_t bytes);
  /// `bytes` that lie in a file.
  mlir::FailureOr<mlir::Value> emitPlaced(mlir::OpBuilder &builder,
                                          mlir::Location loc,
                                          const onnx::TensorProto &tensor,
                                          mlir::RankedTensorType type,
                                          uint64_t bytes, const Place &place);
  mlir::FailureOr<mlir::Value>
  emitGivenBlocks(mlir::OpBuilder &builder, mlir::Location loc,
                  const onnx::TensorProto &tensor,
                  const GivenWeights::Source &source);
  /// The bytes of a given tensor, rows in their final order.
  mlir::FailureOr<std::string> readGiven(mlir::Location loc,
                                         const onnx::TensorProto &tensor,
                                         const GivenWeights::Source &source);
  /// A weight with these bytes, which go into a file of their own.
  mlir::FailureOr<mlir::Value>
  derive(mlir::OpBuilder &builder, mlir::Location loc,
         const onnx::TensorProto &tensor, const llvm::Twine &suffix,
         mlir::RankedTensorType type, llvm::ArrayRef<char> bytes);
  /// What is said of a tensor without data.
  llvm::StringRef missingHint() const {
    return given.empty() ? ""
                         : ", and no file of weights has a tensor of its name";
  }
  mlir::InFlightDiagnostic invalid(mlir::Location loc,
                                   const onnx::TensorProto &tensor);

  const GivenWeights &given;
  llvm::StringRef folder;
  /// Without links: of the model's name, and of the file that it leads to.
  llvm::SmallVector<std::string, 2> realFolders;
  Problems &problems;
  llvm::StringMap<uint64_t> fileSizes;
  unsigned unnamed = 0;
};

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_INITIALIZERS_H
