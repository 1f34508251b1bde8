// Axes that no constant says: an operand holds them, known when the model runs.
#ifndef TENON_LIB_IMPORT_ONNX_RUNTIMEAXES_H
#define TENON_LIB_IMPORT_ONNX_RUNTIMEAXES_H

#include "ImportContext.h"

namespace tenon {

/// Which of `rank` dimensions an operand lists. A run ends where one is none of
/// them or is listed twice.
class RunTimeAxes {
public:
  /// Fails, after an error, if not even the number of axes is known.
  static mlir::FailureOr<RunTimeAxes> read(ImportContext &ctx, mlir::Value axes,
                                           int64_t rank);

  int64_t getCount() const { return axes.size(); }
  /// `then` where the dimension is listed, else `otherwise`.
  mlir::OpFoldResult select(int64_t dim, mlir::OpFoldResult then,
                            mlir::OpFoldResult otherwise);
  /// What `values` has, in the place of the dimension among the axes, or
  /// `otherwise` where it is not listed.
  mlir::OpFoldResult pick(int64_t dim,
                          llvm::ArrayRef<mlir::OpFoldResult> values,
                          mlir::OpFoldResult otherwise);
  /// The sizes of the dimensions that are not listed, in order.
  Sizes drop(llvm::ArrayRef<mlir::OpFoldResult> sizes);
  /// The sizes, in order, for the dimensions that are not listed, and 1.
  Sizes insert(llvm::ArrayRef<mlir::OpFoldResult> sizes);

private:
  RunTimeAxes(ImportContext &ctx, Sizes axes, int64_t rank)
      : ctx(&ctx), axes(std::move(axes)), rank(rank) {}
  /// How many dimensions before each are not listed, and of all.
  Sizes countKept();

  ImportContext *ctx;
  Sizes axes;
  int64_t rank;
};

/// Whether the axes that an operand holds, if there is one, are unknown.
bool areRunTimeAxes(ImportContext &ctx, mlir::Value axes);

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_RUNTIMEAXES_H
