// Weights of a model that lie in files of their own, by name.
#ifndef TENON_LIB_IMPORT_ONNX_GIVENWEIGHTS_H
#define TENON_LIB_IMPORT_ONNX_GIVENWEIGHTS_H

#include "tenon/Import/Onnx/Import.h"
#include "tenon/Weights/TensorFile.h"
#include <optional>

namespace tenon {

class GivenWeights {
public:
  /// A tensor of one of the files, and what is done to it.
  struct Source {
    llvm::StringRef file;
    llvm::StringRef name;
    const StoredTensor *tensor;
    bool transpose = false;
    int64_t unpermuteHeads = 0;
  };

  /// Reads what the files hold, and none of their weights. Returns what is
  /// wrong.
  llvm::Error open(const GivenWeightFiles &given);

  bool empty() const { return files.empty(); }
  /// What the weight's values are; nothing if they are not given.
  std::optional<Source> find(llvm::StringRef weight) const;
  /// The first of the files, for messages.
  llvm::StringRef firstFile() const { return files.front().first; }
  const llvm::StringMap<NamedTensor> &getNames() const { return names; }
  llvm::StringRef getDerivedPrefix() const { return derivedPrefix; }

private:
  std::optional<Source> findTensor(llvm::StringRef name) const;

  std::vector<std::pair<std::string, StoredTensors>> files; ///< by full path
  llvm::StringMap<NamedTensor> names;
  std::string derivedPrefix;
};

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_GIVENWEIGHTS_H
