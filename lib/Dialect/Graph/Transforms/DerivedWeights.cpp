// Reads weights from the model's files and writes what is made of them.
#include "DerivedWeights.h"
#include "tenon/Weights/DerivedFile.h"
#include "tenon/Weights/Weights.h"
#include "llvm/ADT/APFloat.h"

using namespace mlir;

namespace tenon::graph {

static FailureOr<StringRef> findAttribute(Operation *op, StringRef attribute) {
  auto module = op->getParentOfType<ModuleOp>();
  auto name = module->getAttrOfType<StringAttr>(attribute);
  if (!name)
    return op->emitOpError("needs the folder that the module's attribute '")
           << attribute << "' names, but there is none";
  return name.getValue();
}

FailureOr<std::string> readBytes(WeightOp weight) {
  auto type = cast<RankedTensorType>(weight.getOutput().getType());
  FailureOr<StringRef> folder = findAttribute(weight, "tenon.folder");
  if (failed(folder))
    return failure();
  return readWeight(weight, *folder, weight.getFile(), weight.getOffset(),
                    type.getNumElements() *
                        llvm::divideCeil(type.getElementTypeBitWidth(), 8));
}

FailureOr<std::vector<float>> readValues(WeightOp weight) {
  auto type = cast<RankedTensorType>(weight.getOutput().getType());
  Type element = type.getElementType();
  if (!isa<Float32Type, Float16Type, BFloat16Type>(element))
    return weight.emitOpError("has type ")
           << type << ", but only f32, f16 and bf16 can be compressed";
  FailureOr<std::string> bytes = readBytes(weight);
  if (failed(bytes))
    return failure();
  std::vector<float> values(type.getNumElements());
  if (element.isF32()) {
    std::memcpy(values.data(), bytes->data(), bytes->size());
    return values;
  }
  for (auto [i, value] : llvm::enumerate(values)) {
    uint16_t bits;
    std::memcpy(&bits, bytes->data() + i * sizeof(bits), sizeof(bits));
    value = widenHalf(bits, cast<FloatType>(element));
  }
  return values;
}

float widenHalf(uint16_t bits, FloatType type) {
  return APFloat(type.getFloatSemantics(), APInt(16, bits)).convertToDouble();
}

std::optional<uint16_t> toHalf(float number) {
  APFloat half(number);
  bool isInexact = false;
  half.convert(APFloat::IEEEhalf(), APFloat::rmNearestTiesToEven, &isInexact);
  if (isInexact || !half.isFinite())
    return std::nullopt;
  return half.bitcastToAPInt().getZExtValue();
}

FailureOr<WeightOp> createDerivedFloats(OpBuilder &builder, Operation *origin,
                                        const Twine &name,
                                        ArrayRef<int64_t> shape,
                                        const std::vector<float> &values) {
  std::vector<uint16_t> halves;
  for (float value : values) {
    std::optional<uint16_t> half = toHalf(value);
    if (!half)
      return createDerived(builder, origin, name,
                           RankedTensorType::get(shape, builder.getF32Type()),
                           bytesOf(values));
    halves.push_back(*half);
  }
  return createDerived(builder, origin, name,
                       RankedTensorType::get(shape, builder.getF16Type()),
                       bytesOf(halves));
}

FailureOr<std::vector<float>> readMatrix(WeightOp weight, bool transposed) {
  FailureOr<std::vector<float>> values = readValues(weight);
  if (failed(values) || !transposed)
    return values;
  auto type = cast<RankedTensorType>(weight.getOutput().getType());
  int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
  std::vector<float> result(values->size());
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      result[column * rows + row] = (*values)[row * columns + column];
  return result;
}

FailureOr<WeightOp> createDerived(OpBuilder &builder, WeightOp origin,
                                  StringRef suffix, RankedTensorType type,
                                  ArrayRef<char> bytes) {
  return createDerived(builder, origin.getOperation(),
                       origin.getName() + suffix, type, bytes);
}

FailureOr<WeightOp> createDerived(OpBuilder &builder, Operation *origin,
                                  const Twine &name, RankedTensorType type,
                                  ArrayRef<char> bytes) {
  FailureOr<StringRef> prefix = findAttribute(origin, "tenon.derived_prefix");
  if (failed(prefix))
    return failure();
  llvm::Expected<std::string> path = writeDerivedFile(*prefix, bytes);
  if (!path)
    return origin->emitOpError(llvm::toString(path.takeError()));
  return WeightOp::create(
      builder, origin->getLoc(), type, builder.getStringAttr(name),
      builder.getStringAttr(*path), builder.getI64IntegerAttr(0));
}

} // namespace tenon::graph
