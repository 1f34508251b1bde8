// Turns tensors of the model into constants and references to weights.
#ifndef TENON_LIB_IMPORT_ONNX_INITIALIZERS_H
#define TENON_LIB_IMPORT_ONNX_INITIALIZERS_H

#include "ImportContext.h"
#include "llvm/ADT/StringMap.h"

namespace tenon {

/// Bytes up to which a tensor becomes a constant; more for integers and bools,
/// which models use as axes, shapes and tables of positions.
constexpr uint64_t constantLimit = 1 << 10, integerConstantLimit = 8 << 10;

class Initializers {
public:
  /// External data is relative to the folder of the file `model`.
  Initializers(llvm::StringRef model, Problems &problems);

  /// Emits the tensor where the builder stands. Fails after an error at `loc`.
  mlir::FailureOr<mlir::Value> emit(mlir::OpBuilder &builder,
                                    mlir::Location loc,
                                    const onnx::TensorProto &tensor);

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
  mlir::InFlightDiagnostic invalid(mlir::Location loc,
                                   const onnx::TensorProto &tensor);

  llvm::StringRef folder;
  /// Without links: of the model's name, and of the file that it leads to.
  llvm::SmallVector<std::string, 2> realFolders;
  Problems &problems;
  llvm::StringMap<uint64_t> fileSizes;
  unsigned unnamed = 0;
};

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_INITIALIZERS_H
