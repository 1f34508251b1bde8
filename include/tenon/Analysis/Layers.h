// Which layer of a model an ONNX node belongs to, by its name.
#ifndef TENON_ANALYSIS_LAYERS_H
#define TENON_ANALYSIS_LAYERS_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/StringMap.h"
#include <set>
#include <string>

namespace tenon {

/// Layers are what names count: of "/encoder/layer.3/output/Add" the layer is
/// "/encoder/layer.3", if the same text stands before another number as well.
/// A number at the end of a name is the node's own.
class Layers {
public:
  /// Reads the names in the locations of all operations inside `root`.
  explicit Layers(mlir::Operation *root);

  /// The layer of the last node that `loc` names; empty if it has none.
  llvm::StringRef of(mlir::Location loc) const;

private:
  llvm::StringMap<std::set<std::string>> numbers; ///< by what stands before
};

} // namespace tenon

#endif // TENON_ANALYSIS_LAYERS_H
