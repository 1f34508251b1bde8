// Serialized onnx.TensorProto, read and written without protobuf.
#ifndef TENON_RUNTIME_CLI_TENSORPROTO_H
#define TENON_RUNTIME_CLI_TENSORPROTO_H

#include "Tensor.h"

namespace tenon::runtime {

/// The whole file. Throws CommandError.
std::vector<char> readFile(const std::string &path);
void writeFile(const std::string &path, const std::vector<char> &bytes);

/// Throws CommandError naming `path`.
Tensor readTensorProto(const std::string &path);

/// Writes with raw_data.
void writeTensorProto(const std::string &path, const char *name,
                      const tn_tensor &tensor);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_TENSORPROTO_H
