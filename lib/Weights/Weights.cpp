// Reads weights from the model's files, packs them and writes them in order.
#include "tenon/Weights/Weights.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace tenon;

std::string tenon::packPanel32(StringRef matrix, int64_t rows, int64_t columns,
                               int64_t elementBytes) {
  int64_t panels = (columns + 31) / 32;
  std::string result(panels * rows * 32 * elementBytes, '\0');
  for (int64_t p = 0; p < panels; ++p) {
    int64_t width = std::min<int64_t>(32, columns - p * 32) * elementBytes;
    for (int64_t k = 0; k < rows; ++k)
      std::memcpy(&result[(p * rows + k) * 32 * elementBytes],
                  matrix.data() + (k * columns + p * 32) * elementBytes, width);
  }
  return result;
}

/// Swaps the last two dimensions, rows x columns, of each matrix.
static std::string transpose(StringRef data, int64_t rows, int64_t columns,
                             int64_t elementBytes) {
  std::string result(data.size(), '\0');
  int64_t matrix = rows * columns;
  int64_t count = data.size() / elementBytes;
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = i % matrix;
    int64_t to = i - at + at % columns * rows + at / columns;
    std::memcpy(&result[to * elementBytes], data.data() + i * elementBytes,
                elementBytes);
  }
  return result;
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

/// The bytes of a weight as they lie in the artifact.
static FailureOr<std::string> packWeight(plan::WeightOp weight,
                                         StringRef modelDir) {
  auto source = cast<RankedTensorType>(weight.getSource());
  auto target = cast<MemRefType>(weight.getBuffer().getType());
  int64_t element = (source.getElementTypeBitWidth() + 7) / 8;
  FailureOr<std::string> data =
      readWeight(weight, modelDir, weight.getFile(), weight.getOffset(),
                 source.getNumElements() * element);
  if (failed(data))
    return failure();
  int64_t rank = source.getRank();
  int64_t rows = rank > 1 ? source.getDimSize(rank - 2) : 1;
  int64_t columns = rank > 0 ? source.getDimSize(rank - 1) : 1;
  if (weight.getTransposed()) {
    data = transpose(*data, rows, columns, element);
    std::swap(rows, columns);
  }
  if (weight.getLayout() == "panel32") {
    if (rank != 2)
      return weight.emitOpError("has layout panel32, which needs a matrix, "
                                "but source ")
             << source;
    data = packPanel32(*data, rows, columns, element);
  } else if (weight.getLayout() != "rows") {
    return weight.emitOpError("has layout '")
           << weight.getLayout() << "', which is none that emit knows";
  }
  uint64_t wanted = target.getNumElements() * element;
  if (data->size() != wanted)
    return weight.emitOpError("has ")
           << data->size() << " bytes, but type " << target << " of " << wanted;
  return data;
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
                                        llvm::raw_ostream &os) {
  SmallVector<std::pair<uint64_t, Operation *>> pieces;
  module.walk([&](Operation *op) {
    if (auto weight = dyn_cast<plan::WeightOp>(op))
      pieces.push_back({weight.getPosition(), op});
    else if (auto constant = dyn_cast<plan::ConstantOp>(op);
             constant && constant.getPosition())
      pieces.push_back({*constant.getPosition(), op});
  });
  llvm::stable_sort(pieces, llvm::less_first());
  uint64_t written = 0;
  std::optional<uint64_t> last;
  for (auto [position, op] : pieces) {
    if (last == position)
      continue;
    last = position;
    if (position < written)
      return op->emitOpError("lies at ")
             << position << ", before the end of its predecessor at "
             << written;
    auto weight = dyn_cast<plan::WeightOp>(op);
    FailureOr<std::string> data =
        weight ? packWeight(weight, modelDir)
               : readConstant(cast<plan::ConstantOp>(op));
    if (failed(data))
      return failure();
    os.write_zeros(position - written);
    os << *data;
    written = position + data->size();
  }
  return written;
}
