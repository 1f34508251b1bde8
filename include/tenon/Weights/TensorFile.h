// Tensors of a file that holds weights by name: safetensors or GGUF.
#ifndef TENON_WEIGHTS_TENSORFILE_H
#define TENON_WEIGHTS_TENSORFILE_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace tenon {

/// Where a tensor lies and how.
struct StoredTensor {
  std::string type;                 ///< as the formats call it: F32, BF16, Q4_0
  llvm::SmallVector<int64_t> shape; ///< row-major, as ONNX counts
  uint64_t offset = 0;              ///< from the beginning of the file
  uint64_t bytes = 0;
};

using StoredTensors = llvm::StringMap<StoredTensor>;

/// Reads what the file says of its tensors, and none of their bytes. All of
/// types that `elementBytes` or `blockBytes` know lie inside the file and have
/// as many bytes as their shapes need.
llvm::Expected<StoredTensors> readTensorFile(llvm::StringRef path);

/// Bytes of an element; 0 of what is no type of one element.
unsigned elementBytes(llvm::StringRef type);

/// Bytes of `elementsOfBlock` elements that share a scale; 0 of other types.
unsigned blockBytes(llvm::StringRef type);
constexpr int64_t elementsOfBlock = 32;

/// Elements in blocks as graph.dequantize_blocks reads them:
/// (value - zero point) · scale.
struct SplitBlocks {
  unsigned bits = 8;
  std::string values;       ///< of 4 bits two in a byte, low half first
  std::string scales;       ///< f16
  std::vector<float> zeros; ///< of each block, unless all have `zero`
  unsigned zero = 0;
};

/// Takes a tensor in blocks of `type`, which blockBytes knows, apart.
SplitBlocks splitBlocks(llvm::StringRef type, llvm::StringRef bytes);

/// Undoes the order that GGUF files of the Llama family have for the rows of
/// query and key projections: row (h, i, s) of heads × half × 2 becomes row
/// (h, s, i). `rows` is a multiple of twice the heads.
std::string unpermuteRows(llvm::StringRef bytes, int64_t rows, int64_t heads);

/// What a weight of the model is called in a file, and what is done to it.
struct NamedTensor {
  std::string tensor;
  bool transpose = false;
  int64_t unpermuteHeads = 0; ///< 0: rows stay in their order
};

/// Reads the names of weights: {"WEIGHT": "TENSOR"}, or an object with "tensor"
/// and what is done to it instead of the tensor's name.
llvm::Expected<llvm::StringMap<NamedTensor>>
readWeightNames(llvm::StringRef path);

} // namespace tenon

#endif // TENON_WEIGHTS_TENSORFILE_H
