// Walks the protobuf wire format down to each tensor's raw data and replaces
// what is large by a reference to the file that it lies in.
#include "Payloads.h"
#include "llvm/ADT/StringExtras.h"

using llvm::StringRef;

namespace tenon {
namespace {

/// The messages on the way from a model to a tensor, and the tensor.
enum class Message { Model, Graph, Function, Node, Attribute, Tensor, Other };

/// The message in field `number` of `parent`; the numbers are onnx.proto's.
Message messageIn(Message parent, uint64_t number) {
  switch (parent) {
  case Message::Model:
    return number == 7    ? Message::Graph
           : number == 25 ? Message::Function
                          : Message::Other;
  case Message::Graph:
    return number == 1   ? Message::Node
           : number == 5 ? Message::Tensor
                         : Message::Other;
  case Message::Function:
    return number == 7    ? Message::Node
           : number == 11 ? Message::Attribute
                          : Message::Other;
  case Message::Node:
    return number == 5 ? Message::Attribute : Message::Other;
  case Message::Attribute:
    return number == 5 || number == 10   ? Message::Tensor
           : number == 6 || number == 11 ? Message::Graph
                                         : Message::Other;
  case Message::Tensor:
  case Message::Other:
    return Message::Other;
  }
  llvm_unreachable("all messages are handled");
}

// Fields of TensorProto.
constexpr uint64_t rawDataField = 9, externalDataField = 13,
                   dataLocationField = 14;
/// As deep as protobuf itself parses.
constexpr unsigned deepestMessage = 100;
// Wire types.
constexpr unsigned varintType = 0, fixed64Type = 1, bytesType = 2,
                   fixed32Type = 5;

void writeVarint(std::string &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void writeBytes(std::string &out, uint64_t field, StringRef bytes) {
  writeVarint(out, field << 3 | bytesType);
  writeVarint(out, bytes.size());
  out.append(bytes.begin(), bytes.end());
}

class Walker {
public:
  Walker(StringRef model, StringRef location, uint64_t limit)
      : model(model), location(location), limit(limit) {}

  WireFormat copy(Message kind, StringRef from, std::string &to,
                  unsigned depth = 0);

private:
  void writeReference(StringRef payload, std::string &to);

  StringRef model, location;
  uint64_t limit;
};

bool readVarint(StringRef bytes, size_t &at, uint64_t &value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && at < bytes.size(); shift += 7) {
    unsigned char byte = bytes[at++];
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

void Walker::writeReference(StringRef payload, std::string &to) {
  auto entry = [&](StringRef key, StringRef value) {
    std::string text;
    writeBytes(text, 1, key);
    writeBytes(text, 2, value);
    writeBytes(to, externalDataField, text);
  };
  entry("location", location);
  entry("offset", llvm::utostr(payload.data() - model.data()));
  entry("length", llvm::utostr(payload.size()));
  writeVarint(to, dataLocationField << 3 | varintType);
  writeVarint(to, 1);
}

WireFormat Walker::copy(Message kind, StringRef from, std::string &to,
                        unsigned depth) {
  if (depth > deepestMessage)
    return WireFormat::TooDeep;
  // Written last: of a field that comes twice, the last counts, and a tensor
  // with raw data may well say that it has no external data.
  StringRef payload;
  for (size_t at = 0; at < from.size();) {
    size_t begin = at;
    uint64_t tag, value;
    if (!readVarint(from, at, tag))
      return WireFormat::Damaged;
    switch (tag & 7) {
    case varintType:
      if (!readVarint(from, at, value))
        return WireFormat::Damaged;
      break;
    case fixed64Type:
    case fixed32Type:
      value = (tag & 7) == fixed64Type ? 8 : 4;
      if (from.size() - at < value)
        return WireFormat::Damaged;
      at += value;
      break;
    case bytesType: {
      if (!readVarint(from, at, value) || from.size() - at < value)
        return WireFormat::Damaged;
      StringRef bytes = from.substr(at, value);
      at += value;
      Message inner = messageIn(kind, tag >> 3);
      if (inner != Message::Other) {
        std::string text;
        WireFormat format = copy(inner, bytes, text, depth + 1);
        if (format != WireFormat::Good)
          return format;
        writeBytes(to, tag >> 3, text);
        continue;
      }
      if (kind == Message::Tensor && tag >> 3 == rawDataField &&
          bytes.size() > limit) {
        payload = bytes;
        continue;
      }
      break;
    }
    default:
      return WireFormat::Damaged;
    }
    to.append(from.data() + begin, at - begin);
  }
  if (!payload.empty())
    writeReference(payload, to);
  return WireFormat::Good;
}

} // namespace

WireFormat withoutPayloads(StringRef model, StringRef location, uint64_t limit,
                           std::string &copy) {
  return Walker(model, location, limit).copy(Message::Model, model, copy);
}

} // namespace tenon
