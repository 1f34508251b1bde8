// Tells safetensors from GGUF, and takes blocks of GGUF apart.
#include "tenon/Weights/TensorFile.h"
#include "Formats.h"
#include "HalfPrecision.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cstring>

using llvm::StringRef;
using namespace tenon;

unsigned tenon::elementBytes(StringRef type) {
  return llvm::StringSwitch<unsigned>(type)
      .Cases({"BOOL", "I8", "U8"}, 1)
      .Cases({"F16", "BF16", "I16", "U16"}, 2)
      .Cases({"F32", "I32", "U32"}, 4)
      .Cases({"F64", "I64", "U64"}, 8)
      .Default(0);
}

unsigned tenon::blockBytes(StringRef type) {
  return llvm::StringSwitch<unsigned>(type)
      .Case("Q4_0", 18)
      .Case("Q4_1", 20)
      .Case("Q8_0", 34)
      .Default(0);
}

std::optional<uint64_t> tenon::bytesOfShape(StringRef type,
                                            llvm::ArrayRef<int64_t> shape) {
  unsigned block = blockBytes(type);
  if (block && (shape.empty() || shape.back() % elementsOfBlock))
    return std::nullopt;
  uint64_t bytes = block ? block : elementBytes(type);
  for (auto [i, size] : llvm::enumerate(shape)) {
    bool isLast = i + 1 == shape.size(), overflow = false;
    bytes = llvm::SaturatingMultiply<uint64_t>(
        bytes, block && isLast ? size / elementsOfBlock : size, &overflow);
    if (size < 0 || overflow)
      return std::nullopt;
  }
  return bytes;
}

llvm::Expected<StoredTensors> tenon::readTensorFile(StringRef path) {
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false);
  if (!file)
    return llvm::createStringError("cannot read weights '" + path +
                                   "': " + file.getError().message());
  StringRef bytes = (*file)->getBuffer();
  llvm::Expected<StoredTensors> tensors =
      isGguf(bytes) ? readGguf(bytes)
      : isSafetensors(bytes)
          ? readSafetensors(bytes)
          : llvm::createStringError("is neither safetensors nor GGUF");
  if (!tensors)
    return llvm::createStringError("weights '" + path +
                                   "': " + llvm::toString(tensors.takeError()));
  return tensors;
}

SplitBlocks tenon::splitBlocks(StringRef type, StringRef bytes) {
  constexpr unsigned half = elementsOfBlock / 2;
  unsigned size = blockBytes(type);
  bool hasMinimum = type == "Q4_1";
  SplitBlocks split;
  split.bits = type == "Q8_0" ? 8 : 4;
  split.zero = type == "Q8_0" ? 128 : 8;
  for (; !bytes.empty(); bytes = bytes.drop_front(size)) {
    auto readHalf = [&](unsigned at) {
      uint16_t bits;
      std::memcpy(&bits, bytes.data() + at, sizeof(bits));
      return bits;
    };
    uint16_t scale = readHalf(0);
    StringRef values = bytes.take_front(size).drop_front(hasMinimum ? 4 : 2);
    if (split.bits == 8) {
      for (char value : values)
        split.values.push_back(value ^ char(0x80));
      split.scales.append(bytes.data(), sizeof(scale));
      continue;
    }
    // The first half of a block lies in the low halves of its bytes.
    char packed[half];
    for (unsigned i = 0; i < half; ++i) {
      unsigned shift = i < half / 2 ? 0 : 4, from = 2 * i % half;
      packed[i] = char((uint8_t(values[from]) >> shift & 15) |
                       (uint8_t(values[from + 1]) >> shift & 15) << 4);
    }
    if (hasMinimum) {
      // scale · q + minimum. Without a scale all are the minimum.
      float minimum = widenHalf(readHalf(2)), step = widenHalf(scale);
      if (step == 0) {
        std::memset(packed, 0, half);
        step = 1;
        scale = 0x3c00;
      }
      split.zeros.push_back(-minimum / step);
    }
    split.values.append(packed, half);
    split.scales.append(reinterpret_cast<const char *>(&scale), sizeof(scale));
  }
  return split;
}

std::string tenon::unpermuteRows(StringRef bytes, int64_t rows, int64_t heads) {
  std::string result;
  result.reserve(bytes.size());
  int64_t width = int64_t(bytes.size()) / rows, half = rows / heads / 2;
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t part = 0; part < 2; ++part)
      for (int64_t i = 0; i < half; ++i)
        result += bytes.substr(((head * half + i) * 2 + part) * width, width);
  return result;
}
