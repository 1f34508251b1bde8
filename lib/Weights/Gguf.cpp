// GGUF 2 and 3: metadata, of which only the alignment is wanted, what tensors
// there are, their bytes.
#include "Formats.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

using llvm::createStringError;
using llvm::StringRef;
using llvm::Twine;

namespace tenon {
namespace {

constexpr llvm::StringLiteral magic = "GGUF";
/// Types of metadata that are no numbers, and of the alignment.
constexpr uint32_t uint32Type = 4, stringType = 8, arrayType = 9;

/// Reads from the front. Every read fails at the end of the file.
class Cursor {
public:
  explicit Cursor(StringRef file) : file(file) {}

  template <typename T> bool read(T &value) {
    if (file.size() - at < sizeof(T))
      return false;
    value = llvm::support::endian::read<T, llvm::endianness::little>(
        file.data() + at);
    at += sizeof(T);
    return true;
  }
  bool skip(uint64_t bytes) {
    if (file.size() - at < bytes)
      return false;
    at += bytes;
    return true;
  }
  bool read(StringRef &text) {
    uint64_t length;
    if (!read(length) || file.size() - at < length)
      return false;
    text = file.substr(at, length);
    at += length;
    return true;
  }
  /// A value of the metadata. However many there are said to be in an array,
  /// each takes bytes of the file.
  bool skipValue(uint32_t type, unsigned depth = 0) {
    constexpr unsigned deepest = 4;
    StringRef text;
    if (type == stringType)
      return read(text);
    if (type != arrayType) {
      unsigned bytes = bytesOf(type);
      return bytes && skip(bytes);
    }
    uint32_t element;
    uint64_t count;
    if (depth == deepest || !read(element) || !read(count))
      return false;
    if (unsigned bytes = bytesOf(element))
      return skip(llvm::SaturatingMultiply<uint64_t>(count, bytes));
    for (uint64_t i = 0; i < count; ++i)
      if (!skipValue(element, depth + 1))
        return false;
    return true;
  }
  uint64_t position() const { return at; }

private:
  /// Of a number of the metadata.
  static unsigned bytesOf(uint32_t type) {
    constexpr unsigned bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < std::size(bytes) ? bytes[type] : 0;
  }

  StringRef file;
  size_t at = 0;
};

std::string typeName(uint32_t type) {
  constexpr const char *names[] = {
      "F32",   "F16",   "Q4_0",    "Q4_1",   "",        "",      "Q5_0",
      "Q5_1",  "Q8_0",  "Q8_1",    "Q2_K",   "Q3_K",    "Q4_K",  "Q5_K",
      "Q6_K",  "Q8_K",  "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL",
      "IQ3_S", "IQ2_S", "IQ4_XS",  "I8",     "I16",     "I32",   "I64",
      "F64",   "IQ1_M", "BF16"};
  if (type < std::size(names) && *names[type])
    return names[type];
  return "number " + std::to_string(type);
}

llvm::Error truncated(StringRef where) {
  return createStringError("it ends or is damaged in its " + where);
}

} // namespace

bool isGguf(StringRef file) { return file.starts_with(magic); }

llvm::Expected<StoredTensors> readGguf(StringRef file) {
  Cursor cursor(file);
  uint32_t version;
  uint64_t tensorCount, valueCount;
  cursor.skip(magic.size());
  if (!cursor.read(version) || !cursor.read(tensorCount) ||
      !cursor.read(valueCount))
    return truncated("header");
  if (version != 2 && version != 3)
    return createStringError("is GGUF of version " + Twine(version) +
                             ", but only 2 and 3, little endian, are "
                             "supported");
  uint32_t alignment = 32;
  for (uint64_t i = 0; i < valueCount; ++i) {
    StringRef key;
    uint32_t type;
    if (!cursor.read(key) || !cursor.read(type))
      return truncated("metadata");
    bool isAlignment = key == "general.alignment" && type == uint32Type;
    if (isAlignment ? !cursor.read(alignment) : !cursor.skipValue(type))
      return truncated("metadata");
  }
  if (!llvm::isPowerOf2_32(alignment))
    return createStringError("its alignment is " + Twine(alignment) +
                             ", which is no power of two");
  StoredTensors tensors;
  for (uint64_t i = 0; i < tensorCount; ++i) {
    constexpr uint32_t highestRank = 4;
    StringRef name;
    uint32_t rank, type;
    StoredTensor tensor;
    if (!cursor.read(name) || !cursor.read(rank) || rank > highestRank)
      return truncated("list of tensors");
    tensor.shape.resize(rank);
    // The dimension that lies together comes first.
    for (int64_t &size : llvm::reverse(tensor.shape))
      if (!cursor.read(size) || size < 0)
        return truncated("list of tensors");
    if (!cursor.read(type) || !cursor.read(tensor.offset))
      return truncated("list of tensors");
    tensor.type = typeName(type);
    if (!tensors.try_emplace(name, std::move(tensor)).second)
      return createStringError("tensor '" + name + "' comes twice");
  }
  uint64_t start = llvm::alignTo(cursor.position(), alignment);
  uint64_t room = file.size() - std::min<uint64_t>(start, file.size());
  for (auto &[name, tensor] : tensors) {
    bool isKnown = elementBytes(tensor.type) || blockBytes(tensor.type);
    std::optional<uint64_t> bytes = bytesOfShape(tensor.type, tensor.shape);
    if (isKnown && !bytes)
      return createStringError("tensor '" + name + "' has a shape that " +
                               tensor.type + " cannot have");
    tensor.bytes = isKnown ? *bytes : 0;
    if (tensor.offset > room || tensor.bytes > room - tensor.offset)
      return createStringError("tensor '" + name + "' has " +
                               Twine(tensor.bytes) + " bytes at " +
                               Twine(tensor.offset) + ", outside of the " +
                               Twine(room) + " behind the list of tensors");
    tensor.offset += start;
  }
  return tensors;
}

} // namespace tenon
