// The wire format of protobuf, as far as a TensorProto uses it.
#include "TensorProto.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sys/stat.h>

using namespace tenon::runtime;

std::vector<char> tenon::runtime::readFile(const std::string &path) {
  struct stat state;
  std::ifstream stream(path, std::ios::binary);
  if (!stream || stat(path.c_str(), &state) != 0)
    throw CommandError("cannot read '" + path + "': " + std::strerror(errno));
  if (!S_ISREG(state.st_mode))
    throw CommandError("cannot read '" + path + "': it is not a file");
  std::vector<char> bytes(size_t(state.st_size));
  if (!stream.read(bytes.data(), std::streamsize(bytes.size())))
    throw CommandError("cannot read '" + path + "'");
  return bytes;
}

void tenon::runtime::writeFile(const std::string &path,
                               const std::vector<char> &bytes) {
  std::ofstream stream(path, std::ios::binary);
  bool isOpen = stream.is_open();
  stream.write(bytes.data(), std::streamsize(bytes.size()));
  stream.close();
  if (stream)
    return;
  int why = errno;
  // A part of a file is worse than none. What is no file is not ours.
  struct stat state;
  if (isOpen && stat(path.c_str(), &state) == 0 && S_ISREG(state.st_mode))
    std::remove(path.c_str());
  throw CommandError("cannot write '" + path + "': " + std::strerror(why));
}

namespace {
// Fields of TensorProto in onnx.proto.
enum Field {
  Dims = 1,
  DataType = 2,
  FloatData = 4,
  Int32Data = 5,
  Int64Data = 7,
  Name = 8,
  RawData = 9,
  DoubleData = 10,
  Uint64Data = 11,
  DataLocation = 14,
};

enum Wire { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

class WireReader {
public:
  WireReader(const char *begin, const char *end, const std::string &path)
      : at(begin), end(end), path(path) {}

  bool atEnd() const { return at == end; }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at == end)
        damaged();
      uint8_t byte = uint8_t(*at++);
      value |= uint64_t(byte & 0x7f) << shift;
      if (!(byte & 0x80))
        return value;
    }
    damaged();
  }

  template <typename T> T fixed() {
    T value;
    if (size_t(end - at) < sizeof(T))
      damaged();
    std::memcpy(&value, at, sizeof(T));
    at += sizeof(T);
    return value;
  }

  WireReader bytes() {
    uint64_t length = varint();
    if (length > uint64_t(end - at))
      damaged();
    at += length;
    return WireReader(at - length, at, path);
  }

  void skip(int wire) {
    switch (wire) {
    case Varint:
      varint();
      return;
    case Fixed64:
      fixed<uint64_t>();
      return;
    case Bytes:
      bytes();
      return;
    case Fixed32:
      fixed<uint32_t>();
      return;
    }
    damaged();
  }

  [[noreturn]] void damaged() {
    throw CommandError("'" + path +
                       "' is no TensorProto: it ends or changes "
                       "in the middle of a field");
  }

  const char *at, *end;
  const std::string &path;
};

/// Appends the low `bytes` of a number.
void append(std::vector<char> &data, uint64_t value, int64_t bytes) {
  const char *start = reinterpret_cast<const char *>(&value);
  data.insert(data.end(), start, start + bytes);
}

/// A file packs elements of fewer than 8 bits, the first in the lowest bits; in
/// memory each has a byte.
int64_t bitsInFile(int32_t type) {
  switch (type) {
  case TN_U4:
  case TN_I4:
  case TN_F4E2M1:
    return 4;
  case TN_U2:
  case TN_I2:
    return 2;
  }
  return 8 * tn_type_bytes(type, 1);
}

std::vector<char> unpack(const std::vector<char> &packed, int32_t type,
                         int64_t count) {
  int64_t bits = bitsInFile(type);
  bool isSigned = type == TN_I4 || type == TN_I2;
  std::vector<char> elements;
  for (int64_t i = 0; i < count; ++i) {
    int element = uint8_t(packed[size_t(i * bits / 8)]) >> (i * bits % 8) &
                  ((1 << bits) - 1);
    if (isSigned && element >> (bits - 1))
      element -= 1 << bits;
    elements.push_back(char(element));
  }
  return elements;
}

std::vector<char> pack(const char *elements, int32_t type, int64_t count) {
  int64_t bits = bitsInFile(type);
  std::vector<char> packed(size_t((count * bits + 7) / 8), 0);
  for (int64_t i = 0; i < count; ++i)
    packed[size_t(i * bits / 8)] |=
        char((elements[i] & ((1 << bits) - 1)) << (i * bits % 8));
  return packed;
}
} // namespace

Tensor tenon::runtime::readTensorProto(const std::string &path) {
  std::vector<char> file = readFile(path);
  WireReader reader(file.data(), file.data() + file.size(), path);
  Tensor tensor;
  std::vector<uint64_t> numbers; // varint fields, whose width the type decides
  while (!reader.atEnd()) {
    uint64_t key = reader.varint();
    int field = int(key >> 3), wire = int(key & 7);
    switch (field) {
    case Dims:
    case Int32Data:
    case Int64Data:
    case Uint64Data: {
      auto take = [&](uint64_t value) {
        if (field == Dims)
          tensor.dims.push_back(int64_t(value));
        else
          numbers.push_back(value);
      };
      if (wire == Bytes) {
        WireReader packed = reader.bytes();
        while (!packed.atEnd())
          take(packed.varint());
      } else {
        take(reader.varint());
      }
      break;
    }
    case FloatData:
    case DoubleData: {
      if (wire == Bytes) {
        WireReader packed = reader.bytes();
        tensor.data.insert(tensor.data.end(), packed.at, packed.end);
      } else if (field == FloatData) {
        append(tensor.data, reader.fixed<uint32_t>(), 4);
      } else {
        append(tensor.data, reader.fixed<uint64_t>(), 8);
      }
      break;
    }
    case DataType:
      tensor.type = int32_t(reader.varint());
      break;
    case Name: {
      WireReader text = reader.bytes();
      tensor.name.assign(text.at, text.end);
      break;
    }
    case RawData: {
      WireReader raw = reader.bytes();
      tensor.data.assign(raw.at, raw.end);
      break;
    }
    case DataLocation:
      if (reader.varint() == 1)
        throw CommandError("'" + path +
                           "' keeps its data in another file, "
                           "which a data set cannot do");
      break;
    default:
      reader.skip(wire);
    }
  }
  int64_t size = tn_type_bytes(tensor.type, 1);
  if (size < 0)
    throw CommandError("'" + path + "' has ONNX element type " +
                       std::to_string(tensor.type) +
                       ", which the runtime does not know");
  for (uint64_t number : numbers)
    append(tensor.data, number, size);
  int64_t bits = bitsInFile(tensor.type), count = 1, inFile;
  for (int64_t dim : tensor.dims)
    if (dim < 0 || __builtin_mul_overflow(count, dim, &count) ||
        __builtin_mul_overflow(count, bits, &inFile))
      throw CommandError("'" + path + "' has a size of " + std::to_string(dim));
  int64_t bytes = count * bits / 8 + (count * bits % 8 != 0);
  if (int64_t(tensor.data.size()) != bytes)
    throw CommandError(
        "'" + path + "' has " + std::to_string(tensor.data.size()) +
        " bytes of data, its dimensions need " + std::to_string(bytes));
  if (bits < 8)
    tensor.data = unpack(tensor.data, tensor.type, count);
  return tensor;
}

static void appendVarint(std::vector<char> &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out.push_back(char(value | 0x80));
  out.push_back(char(value));
}

static void appendBytes(std::vector<char> &out, Field field, const char *data,
                        size_t size) {
  appendVarint(out, uint64_t(field) << 3 | Bytes);
  appendVarint(out, size);
  out.insert(out.end(), data, data + size);
}

void tenon::runtime::writeTensorProto(const std::string &path, const char *name,
                                      const tn_tensor &tensor) {
  std::vector<char> out;
  for (int i = 0; i < tensor.rank; ++i) {
    appendVarint(out, uint64_t(Dims) << 3 | Varint);
    appendVarint(out, uint64_t(tensor.dims[i]));
  }
  appendVarint(out, uint64_t(DataType) << 3 | Varint);
  appendVarint(out, uint64_t(tensor.type));
  appendBytes(out, Name, name, std::strlen(name));
  auto *data = static_cast<const char *>(tensor.data);
  if (bitsInFile(tensor.type) < 8) {
    std::vector<char> packed = pack(data, tensor.type, tensor.bytes);
    appendBytes(out, RawData, packed.data(), packed.size());
  } else {
    appendBytes(out, RawData, data, size_t(tensor.bytes));
  }
  writeFile(path, out);
}
