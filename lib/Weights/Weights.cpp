// Reads weights from the model's files, packs them and writes them in order.
#include "tenon/Weights/Weights.h"
#include "HalfPrecision.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace tenon;

namespace {

/// A matrix as it lies in the model's file: element (r, c) is at
/// data[r * rowStride + c * columnStride], strides in elements.
struct MatrixView {
  const char *data;
  int64_t rows, columns, rowStride, columnStride;
};

} // namespace

/// Copies rows [row, row + rows) and columns [column, column + columns) to
/// `to`, whose rows are `toStride` elements apart.
template <typename Element>
static void copyBlock(const MatrixView &from, int64_t row, int64_t rows,
                      int64_t column, int64_t columns, char *toBytes,
                      int64_t toStride) {
  auto *to = reinterpret_cast<Element *>(toBytes);
  auto *source = reinterpret_cast<const Element *>(from.data) +
                 row * from.rowStride + column * from.columnStride;
  if (from.columnStride == 1) {
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(to + r * toStride, source + r * from.rowStride,
                  columns * sizeof(Element));
    return;
  }
  // Rows are next to each other in a transposed matrix. A block of them keeps
  // what is read and what is written in the cache.
  constexpr int64_t block = 16;
  for (int64_t first = 0; first < rows; first += block)
    for (int64_t c = 0; c < columns; ++c)
      for (int64_t r = first; r < std::min(first + block, rows); ++r)
        to[r * toStride + c] =
            source[r * from.rowStride + c * from.columnStride];
}

static void copyBlock(int64_t elementBytes, const MatrixView &from, int64_t row,
                      int64_t rows, int64_t column, int64_t columns, char *to,
                      int64_t toStride) {
  auto copy = elementBytes == 1   ? copyBlock<uint8_t>
              : elementBytes == 2 ? copyBlock<uint16_t>
              : elementBytes == 4 ? copyBlock<uint32_t>
                                  : copyBlock<uint64_t>;
  copy(from, row, rows, column, columns, to, toStride);
}

/// Copies all rows of columns [column, column + columns) to a panel in which
/// `group` rows lie together for each column.
template <typename Element>
static void copyGroups(const MatrixView &from, int64_t column, int64_t columns,
                       int64_t group, char *toBytes) {
  auto *to = reinterpret_cast<Element *>(toBytes);
  auto *source =
      reinterpret_cast<const Element *>(from.data) + column * from.columnStride;
  for (int64_t row = 0; row < from.rows; ++row)
    for (int64_t c = 0; c < columns; ++c)
      to[(row / group * 32 + c) * group + row % group] =
          source[row * from.rowStride + c * from.columnStride];
}

/// Writes K x N as ceil(N/32) x ceil(K/group) x 32 x group, filled with zeros.
static void writePanels32(const MatrixView &matrix, int64_t group,
                          int64_t elementBytes, llvm::raw_ostream &os) {
  std::string panel(llvm::alignTo(matrix.rows, group) * 32 * elementBytes,
                    '\0');
  for (int64_t column = 0; column < matrix.columns; column += 32) {
    int64_t width = std::min<int64_t>(32, matrix.columns - column);
    if (width < 32)
      llvm::fill(panel, '\0');
    if (group == 4)
      copyGroups<uint8_t>(matrix, column, width, group, panel.data());
    else if (group == 2)
      copyGroups<uint16_t>(matrix, column, width, group, panel.data());
    else
      copyBlock(elementBytes, matrix, 0, matrix.rows, column, width,
                panel.data(), 32);
    os << panel;
  }
}

/// Writes the columns of a matrix, of which each byte holds two elements, as
/// ceil(N/32) x 4*ceil(K/32) x 32 x 4 bytes: byte t of column n in group 4u + g
/// holds k = 32u + 4g + t in its low half, and k + 16 in the other.
static void writeHalfPanels32(const MatrixView &bytes, llvm::raw_ostream &os) {
  auto half = [&](int64_t k, int64_t n) -> uint8_t {
    if (k / 2 >= bytes.rows)
      return 0;
    uint8_t both = bytes.data[k / 2 * bytes.rowStride + n * bytes.columnStride];
    return k % 2 ? both >> 4 : both & 15;
  };
  int64_t depth = llvm::alignTo(bytes.rows * 2, 32);
  std::string panel(depth * 16, '\0');
  for (int64_t column = 0; column < bytes.columns; column += 32) {
    int64_t width = std::min<int64_t>(32, bytes.columns - column);
    if (width < 32)
      llvm::fill(panel, '\0');
    for (int64_t n = 0; n < width; ++n)
      for (int64_t unit = 0; unit < depth; unit += 32)
        for (int64_t i = 0; i < 16; ++i)
          panel[((unit / 8 + i / 4) * 32 + n) * 4 + i % 4] =
              half(unit + i, column + n) | half(unit + 16 + i, column + n) << 4;
    os << panel;
  }
}

/// Rounds to nearest and to even, as kernels do.
static uint16_t roundToBf16(float number) {
  uint32_t bits = llvm::bit_cast<uint32_t>(number);
  if (number != number)
    return 0x7fc0;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/// The floats of type `from` in `data` as bf16.
static std::string roundToBf16(StringRef data, Type from) {
  std::string rounded;
  auto round = [&](auto element, auto widen) {
    for (size_t at = 0; at < data.size(); at += sizeof(element)) {
      std::memcpy(&element, data.data() + at, sizeof(element));
      uint16_t bits = roundToBf16(widen(element));
      rounded.append(reinterpret_cast<const char *>(&bits), sizeof(bits));
    }
  };
  if (from.isF16())
    round(uint16_t(), widenHalf);
  else
    round(float(), [](float number) { return number; });
  return rounded;
}

/// Writes K x N row by row.
static void writeRows(const MatrixView &matrix, int64_t elementBytes,
                      llvm::raw_ostream &os) {
  constexpr int64_t band = 64;
  std::string rows(band * matrix.columns * elementBytes, '\0');
  for (int64_t row = 0; row < matrix.rows; row += band) {
    int64_t count = std::min(band, matrix.rows - row);
    copyBlock(elementBytes, matrix, row, count, 0, matrix.columns, rows.data(),
              matrix.columns);
    os.write(rows.data(), count * matrix.columns * elementBytes);
  }
}

FailureOr<std::string> tenon::readWeight(Operation *op, StringRef modelDir,
                                         StringRef name, uint64_t offset,
                                         size_t bytes) {
  SmallString<256> path(name);
  if (!llvm::sys::path::is_absolute(path)) {
    path = modelDir;
    llvm::sys::path::append(path, name);
  }
  auto file = llvm::sys::fs::openNativeFileForRead(path);
  if (!file)
    return op->emitOpError("cannot open '")
           << path << "': " << llvm::toString(file.takeError());
  std::string data(bytes, '\0');
  size_t done = 0;
  while (done < bytes) {
    size_t chunk = std::min<size_t>(bytes - done, 16 << 20);
    auto got = llvm::sys::fs::readNativeFileSlice(
        *file, MutableArrayRef<char>(&data[done], chunk), offset + done);
    if (!got || *got == 0) {
      if (!got)
        llvm::consumeError(got.takeError());
      llvm::sys::fs::closeFile(*file);
      return op->emitOpError("needs ")
             << bytes << " bytes at " << offset << " of '" << path
             << "', which gives " << done;
    }
    done += *got;
  }
  llvm::sys::fs::closeFile(*file);
  return data;
}

/// Of weights of four bits: each byte holds two.
constexpr llvm::StringLiteral halfPanels = "panel32x8";

/// Rows that fill a panel's groups, 0 without panels; nothing if there is no
/// such layout. Rows of bytes that hold two elements each fill groups of 32.
static std::optional<int64_t> groupOf(StringRef layout) {
  return llvm::StringSwitch<std::optional<int64_t>>(layout)
      .Case("rows", 0)
      .Case("panel32", 1)
      .Case("panel32x2", 2)
      .Case("panel32x4", 4)
      .Case(halfPanels, 16)
      .Default(std::nullopt);
}

/// Writes the bytes of a weight as they lie in the artifact and returns how
/// many they are. Holds little more than the weight in memory.
static FailureOr<uint64_t>
writeWeight(plan::WeightOp weight, StringRef modelDir, llvm::raw_ostream &os) {
  auto source = cast<RankedTensorType>(weight.getSource());
  auto target = cast<MemRefType>(weight.getBuffer().getType());
  std::optional<int64_t> group = groupOf(weight.getLayout());
  if (!group)
    return weight.emitOpError("has layout '")
           << weight.getLayout() << "', which is none that emit knows";
  bool isPanel = *group > 0;
  int64_t rank = source.getRank();
  if (isPanel && rank != 2)
    return weight.emitOpError("has layout ")
           << weight.getLayout() << ", which needs a matrix, but source "
           << source;
  int64_t element = (target.getElementTypeBitWidth() + 7) / 8;
  int64_t rows = rank > 1 ? source.getDimSize(rank - 2) : 1;
  int64_t columns = rank > 0 ? source.getDimSize(rank - 1) : 1;
  MatrixView matrix{nullptr, rows, columns, columns, 1};
  if (weight.getTransposed())
    matrix = {nullptr, columns, rows, 1, columns};
  uint64_t count = source.getNumElements();
  uint64_t written = element * (isPanel ? llvm::alignTo(matrix.columns, 32) *
                                              llvm::alignTo(matrix.rows, *group)
                                        : count);
  if (uint64_t wanted = target.getNumElements() * element; written != wanted)
    return weight.emitOpError("has ")
           << written << " bytes, but type " << target << " needs " << wanted;
  FailureOr<std::string> data =
      readWeight(weight, modelDir, weight.getFile(), weight.getOffset(),
                 count * ((source.getElementTypeBitWidth() + 7) / 8));
  if (failed(data))
    return failure();
  if (source.getElementType() != target.getElementType())
    *data = roundToBf16(*data, source.getElementType());
  if (!isPanel && !weight.getTransposed()) {
    os << *data;
    return written;
  }
  // A weight of rank 3 and more is a stack of matrices.
  uint64_t step = rows * columns * element;
  for (uint64_t at = 0; at < data->size(); at += step) {
    matrix.data = data->data() + at;
    if (weight.getLayout() == halfPanels)
      writeHalfPanels32(matrix, os);
    else if (isPanel)
      writePanels32(matrix, *group, element, os);
    else
      writeRows(matrix, element, os);
  }
  return written;
}

FailureOr<std::string> tenon::readConstant(plan::ConstantOp op) {
  auto type = cast<MemRefType>(op.getBuffer().getType());
  size_t bytes =
      type.getNumElements() * ((type.getElementTypeBitWidth() + 7) / 8);
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(op.getValue())) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob || blob->getData().size() != bytes)
      return op.emitOpError("has no data of ") << bytes << " bytes";
    return std::string(blob->getData().data(), bytes);
  }
  auto dense = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!dense)
    return op.emitOpError("has a value that is not dense");
  std::string result;
  if (type.getElementType().isInteger(1)) {
    for (bool bit : dense.getValues<bool>())
      result += char(bit);
    return result;
  }
  ArrayRef<char> raw = dense.getRawData();
  if (!dense.isSplat())
    return std::string(raw.data(), raw.size());
  while (result.size() < bytes)
    result.append(raw.data(), raw.size());
  return result;
}

FailureOr<uint64_t> tenon::writeWeights(ModuleOp module, StringRef modelDir,
                                        llvm::raw_ostream &os,
                                        WeightProgress progress) {
  SmallVector<std::pair<uint64_t, Operation *>> pieces;
  module.walk([&](Operation *op) {
    if (auto weight = dyn_cast<plan::WeightOp>(op))
      pieces.push_back({weight.getPosition(), op});
    else if (auto constant = dyn_cast<plan::ConstantOp>(op);
             constant && constant.getPosition())
      pieces.push_back({*constant.getPosition(), op});
  });
  llvm::stable_sort(pieces, llvm::less_first());
  uint64_t written = 0, total = pieces.empty() ? 0 : pieces.back().first;
  std::optional<uint64_t> last;
  for (auto [position, op] : pieces) {
    if (last == position)
      continue;
    last = position;
    if (position < written)
      return op->emitOpError("lies at ")
             << position << ", before the end of its predecessor at "
             << written;
    os.write_zeros(position - written);
    if (auto weight = dyn_cast<plan::WeightOp>(op)) {
      FailureOr<uint64_t> bytes = writeWeight(weight, modelDir, os);
      if (failed(bytes))
        return failure();
      written = position + *bytes;
    } else {
      FailureOr<std::string> data = readConstant(cast<plan::ConstantOp>(op));
      if (failed(data))
        return failure();
      os << *data;
      written = position + data->size();
    }
    progress(written, total);
  }
  return written;
}
