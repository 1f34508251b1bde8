// Reads format versions 1 to 3.
#include "NpyFile.h"
#include "TensorProto.h"

#include <cstring>

using namespace tenon::runtime;

namespace {
struct NumpyType {
  const char *code;
  int32_t type;
};
} // namespace

static constexpr NumpyType numpyTypes[] = {
    {"f4", TN_F32}, {"f8", TN_F64}, {"f2", TN_F16}, {"i1", TN_I8},
    {"i2", TN_I16}, {"i4", TN_I32}, {"i8", TN_I64}, {"u1", TN_U8},
    {"u2", TN_U16}, {"u4", TN_U32}, {"u8", TN_U64}, {"b1", TN_BOOL},
};

/// What follows `'key':` in the header, without leading spaces.
static std::string valueOf(const std::string &header, const char *key,
                           const std::string &path) {
  size_t at = header.find("'" + std::string(key) + "'");
  at = at == std::string::npos ? at : header.find(':', at);
  if (at == std::string::npos)
    throw CommandError("'" + path + "' has no '" + key + "' in its header");
  at = header.find_first_not_of(' ', at + 1);
  return at == std::string::npos ? "" : header.substr(at);
}

Tensor tenon::runtime::readNpy(const std::string &path, int32_t expected) {
  std::vector<char> file = readFile(path);
  if (file.size() < 12 || std::memcmp(file.data(), "\x93NUMPY", 6) != 0)
    throw CommandError("'" + path + "' is no .npy file");
  auto byte = [&](size_t at) { return uint64_t(uint8_t(file[at])); };
  bool isLong = file[6] >= 2;
  size_t start = isLong ? 12 : 10;
  uint64_t length = byte(8) | byte(9) << 8;
  if (isLong)
    length |= byte(10) << 16 | byte(11) << 24;
  if (length > file.size() - start)
    throw CommandError("'" + path + "' is truncated");
  std::string header(file.data() + start, length);

  Tensor tensor;
  std::string code = valueOf(header, "descr", path);
  if (!code.empty())
    code = code.substr(1, code.find('\'', 1) - 1);
  if (code.size() < 3 || code[0] == '>')
    throw CommandError("'" + path + "' has element type '" + code +
                       "', which the runtime does not know");
  for (const NumpyType &known : numpyTypes)
    if (code.substr(1) == known.code)
      tensor.type = known.type;
  if (code[1] == 'V')
    tensor.type = expected;
  if (tn_type_bytes(tensor.type, 1) < 0)
    throw CommandError("'" + path + "' has element type '" + code +
                       "', which the runtime does not know");
  std::string shape = valueOf(header, "shape", path);
  if (shape.empty() || shape[0] != '(')
    throw CommandError("'" + path + "' has no list of sizes as 'shape'");
  for (size_t i = 1; i < shape.size() && shape[i] != ')'; ++i) {
    if (shape[i] < '0' || shape[i] > '9')
      continue;
    bool isFirst = shape[i - 1] < '0' || shape[i - 1] > '9';
    if (isFirst)
      tensor.dims.push_back(0);
    int64_t &dim = tensor.dims.back();
    if (__builtin_mul_overflow(dim, 10, &dim) ||
        __builtin_add_overflow(dim, shape[i] - '0', &dim))
      throw CommandError("'" + path + "' is too large");
  }
  if (valueOf(header, "fortran_order", path).compare(0, 4, "True") == 0 &&
      tensor.dims.size() > 1)
    throw CommandError("'" + path +
                       "' is in Fortran order: save it with "
                       "numpy.ascontiguousarray");
  int64_t bytes = tn_type_bytes(tensor.type, 1);
  for (int64_t dim : tensor.dims)
    if (__builtin_mul_overflow(bytes, dim, &bytes))
      throw CommandError("'" + path + "' is too large");
  size_t data = start + length;
  if (uint64_t(bytes) != file.size() - data)
    throw CommandError(
        "'" + path + "' has " + std::to_string(file.size() - data) +
        " bytes of data, its shape needs " + std::to_string(bytes));
  tensor.data.assign(file.begin() + int64_t(data), file.end());
  return tensor;
}
