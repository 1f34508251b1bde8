// safetensors: the length of a header, the header in JSON, bytes of tensors.
#include "Formats.h"
#include "llvm/Support/Endian.h"

using llvm::createStringError;
using llvm::StringRef;
using llvm::Twine;
namespace json = llvm::json;

namespace tenon {

/// As the reference implementation allows.
static constexpr uint64_t longestHeader = 100'000'000;
static constexpr size_t lengthBytes = 8;

bool isSafetensors(StringRef file) {
  return file.size() > lengthBytes && file[lengthBytes] == '{';
}

/// One entry of the header. Its bytes begin at `start`.
static llvm::Expected<StoredTensor> readEntry(const json::Value &value,
                                              StringRef file, uint64_t start) {
  const json::Object *entry = value.getAsObject();
  std::optional<StringRef> type =
      entry ? entry->getString("dtype") : std::nullopt;
  const json::Array *shape = entry ? entry->getArray("shape") : nullptr;
  const json::Array *offsets =
      entry ? entry->getArray("data_offsets") : nullptr;
  if (!type || !shape || !offsets || offsets->size() != 2)
    return createStringError("needs \"dtype\", \"shape\" and two "
                             "\"data_offsets\"");
  StoredTensor tensor;
  tensor.type = type->str();
  for (const json::Value &size : *shape) {
    std::optional<int64_t> number = size.getAsInteger();
    if (!number || *number < 0)
      return createStringError("has a size that is no whole number");
    tensor.shape.push_back(*number);
  }
  std::optional<uint64_t> begin = (*offsets)[0].getAsUINT64(),
                          end = (*offsets)[1].getAsUINT64();
  uint64_t room = file.size() - start;
  if (!begin || !end || *begin > *end || *end > room)
    return createStringError("has offsets outside of the file, which has " +
                             Twine(room) + " bytes behind its header");
  tensor.offset = start + *begin;
  tensor.bytes = *end - *begin;
  if (elementBytes(tensor.type) &&
      bytesOfShape(tensor.type, tensor.shape) != tensor.bytes)
    return createStringError("has " + Twine(tensor.bytes) +
                             " bytes, which is not what its shape needs");
  // A name that is one of GGUF's blocks means nothing here.
  if (blockBytes(tensor.type))
    return createStringError("has type " + tensor.type +
                             ", which safetensors does not have");
  return tensor;
}

llvm::Expected<StoredTensors> readSafetensors(StringRef file) {
  uint64_t length = llvm::support::endian::read64le(file.data());
  if (length > longestHeader)
    return createStringError("its header is said to have " + Twine(length) +
                             " bytes, more than the " + Twine(longestHeader) +
                             " of the longest");
  if (length > file.size() - lengthBytes)
    return createStringError("its header is said to have " + Twine(length) +
                             " bytes, but " + Twine(file.size() - lengthBytes) +
                             " follow");
  llvm::Expected<json::Value> header =
      parseStrictJson(file.substr(lengthBytes, length));
  if (!header)
    return createStringError("its header: " +
                             llvm::toString(header.takeError()));
  StoredTensors tensors;
  const json::Object *entries = header->getAsObject();
  if (!entries)
    return createStringError("its header is no object");
  for (const auto &[name, value] : *entries) {
    if (name == "__metadata__")
      continue;
    llvm::Expected<StoredTensor> tensor =
        readEntry(value, file, lengthBytes + length);
    if (!tensor)
      return createStringError("tensor '" + StringRef(name) + "' " +
                               llvm::toString(tensor.takeError()));
    tensors[StringRef(name)] = std::move(*tensor);
  }
  return tensors;
}

} // namespace tenon
