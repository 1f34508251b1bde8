// Reads weights from the model's files, packs them and writes them in order.
#include "tenon/Weights/Weights.h"
#include "tenon/Dialect/Plan/IR/PlanOps.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;

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

FailureOr<uint64_t> tenon::writeWeights(ModuleOp module, StringRef modelDir,
                                        llvm::raw_ostream &os) {
  SmallVector<plan::WeightOp> weights;
  module.walk([&](plan::WeightOp weight) { weights.push_back(weight); });
  llvm::stable_sort(weights, [](plan::WeightOp lhs, plan::WeightOp rhs) {
    return lhs.getPosition() < rhs.getPosition();
  });
  uint64_t written = 0;
  std::optional<uint64_t> last;
  for (plan::WeightOp weight : weights) {
    uint64_t position = weight.getPosition();
    if (last == position)
      continue;
    last = position;
    if (position < written)
      return weight.emitOpError("lies at ")
             << position << ", before the end of its predecessor at "
             << written;
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
      return weight.emitOpError("has ") << data->size() << " bytes, but type "
                                        << target << " of " << wanted;
    os.write_zeros(position - written);
    os << *data;
    written = position + wanted;
  }
  return written;
}
