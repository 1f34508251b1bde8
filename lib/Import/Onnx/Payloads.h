// Takes the bytes of large tensors out of a serialised model before it is
// parsed.
#ifndef TENON_LIB_IMPORT_ONNX_PAYLOADS_H
#define TENON_LIB_IMPORT_ONNX_PAYLOADS_H

#include "llvm/ADT/StringRef.h"
#include <string>

namespace tenon {

/// Damaged: it is no sequence of protobuf fields.
enum class WireFormat { Good, Damaged, TooDeep };

/// Makes `copy` one of `model`, a serialised ModelProto, in which each tensor's
/// raw data above `limit` bytes is replaced by external data: the file
/// `location`, at the offset where the bytes lie in `model`.
WireFormat withoutPayloads(llvm::StringRef model, llvm::StringRef location,
                           uint64_t limit, std::string &copy);

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_PAYLOADS_H
