// What files of weights are written in.
#ifndef TENON_LIB_WEIGHTS_FORMATS_H
#define TENON_LIB_WEIGHTS_FORMATS_H

#include "tenon/Weights/TensorFile.h"
#include "llvm/Support/JSON.h"

namespace tenon {

/// By the first bytes.
bool isGguf(llvm::StringRef file);
bool isSafetensors(llvm::StringRef file);

llvm::Expected<StoredTensors> readGguf(llvm::StringRef file);
llvm::Expected<StoredTensors> readSafetensors(llvm::StringRef file);

/// Bytes of `count` sizes of a type that elementBytes or blockBytes knows, or
/// nothing if they are none or too many.
std::optional<uint64_t> bytesOfShape(llvm::StringRef type,
                                     llvm::ArrayRef<int64_t> shape);

/// Parses text of any origin: fails where a key comes twice in an object, of
/// which LLVM's parser would take one, or where it would recurse too deep.
llvm::Expected<llvm::json::Value> parseStrictJson(llvm::StringRef text);

} // namespace tenon

#endif // TENON_LIB_WEIGHTS_FORMATS_H
