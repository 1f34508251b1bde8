// Takes the values of initializers from files of weights.
#include "GivenWeights.h"
#include "Initializers.h"
#include "tenon/Weights/DerivedFile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using onnx::TensorProto;

namespace tenon {

llvm::Error GivenWeights::open(const GivenWeightFiles &given) {
  derivedPrefix = given.derivedPrefix;
  for (const std::string &file : given.files) {
    llvm::Expected<StoredTensors> tensors = readTensorFile(file);
    if (!tensors)
      return tensors.takeError();
    for (const auto &entry : *tensors)
      if (std::optional<Source> other = findTensor(entry.getKey()))
        return llvm::createStringError("weights '" + file + "': tensor '" +
                                       entry.getKey() + "' is in '" +
                                       other->file + "', too");
    SmallString<256> path(file);
    llvm::sys::fs::make_absolute(path);
    files.emplace_back(path.str(), std::move(*tensors));
  }
  if (given.names.empty())
    return llvm::Error::success();
  auto found = readWeightNames(given.names);
  if (!found)
    return found.takeError();
  names = std::move(*found);
  for (const auto &entry : names)
    if (!findTensor(entry.second.tensor))
      return llvm::createStringError("names of weights '" + given.names +
                                     "': '" + entry.getKey() + "' is tensor '" +
                                     entry.second.tensor +
                                     "', which no file of weights has");
  return llvm::Error::success();
}

std::optional<GivenWeights::Source>
GivenWeights::findTensor(StringRef name) const {
  for (const auto &[path, tensors] : files)
    if (auto found = tensors.find(name); found != tensors.end())
      return Source{path, found->getKey(), &found->second};
  return std::nullopt;
}

std::optional<GivenWeights::Source> GivenWeights::find(StringRef weight) const {
  auto named = names.find(weight);
  if (named == names.end())
    return findTensor(weight);
  std::optional<Source> source = findTensor(named->second.tensor);
  source->transpose = named->second.transpose;
  source->unpermuteHeads = named->second.unpermuteHeads;
  return source;
}

/// MLIR's type for a type of elements that files have; null for others.
static Type storedElement(MLIRContext *context, StringRef type) {
  int64_t dataType = llvm::StringSwitch<int64_t>(type)
                         .Case("F64", TensorProto::DOUBLE)
                         .Case("F32", TensorProto::FLOAT)
                         .Case("F16", TensorProto::FLOAT16)
                         .Case("BF16", TensorProto::BFLOAT16)
                         .Case("I64", TensorProto::INT64)
                         .Case("I32", TensorProto::INT32)
                         .Case("I16", TensorProto::INT16)
                         .Case("I8", TensorProto::INT8)
                         .Case("U64", TensorProto::UINT64)
                         .Case("U32", TensorProto::UINT32)
                         .Case("U16", TensorProto::UINT16)
                         .Case("U8", TensorProto::UINT8)
                         .Case("BOOL", TensorProto::BOOL)
                         .Default(TensorProto::UNDEFINED);
  return Initializers::elementType(context, dataType);
}

FailureOr<std::string>
Initializers::readGiven(Location loc, const TensorProto &tensor,
                        const GivenWeights::Source &source) {
  // An empty slice is no file.
  std::string bytes;
  if (source.tensor->bytes > 0) {
    auto buffer = llvm::MemoryBuffer::getFileSlice(
        source.file, source.tensor->bytes, source.tensor->offset);
    if (!buffer) {
      invalid(loc, tensor) << "cannot read weights '" << source.file
                           << "': " << buffer.getError().message();
      return failure();
    }
    bytes = (*buffer)->getBuffer().str();
  }
  if (source.unpermuteHeads)
    return unpermuteRows(bytes, source.tensor->shape.front(),
                         source.unpermuteHeads);
  return bytes;
}

FailureOr<Value> Initializers::derive(OpBuilder &builder, Location loc,
                                      const TensorProto &tensor,
                                      const Twine &suffix,
                                      RankedTensorType type,
                                      ArrayRef<char> bytes) {
  auto path = writeDerivedFile(given.getDerivedPrefix(), bytes);
  if (!path) {
    invalid(loc, tensor) << llvm::toString(path.takeError());
    return failure();
  }
  return graph::WeightOp::create(builder, loc, type,
                                 (tensor.name() + suffix).str(), *path, 0)
      .getOutput();
}

/// Rows of blocks  ->  dequantize_blocks values, scales, zero points
FailureOr<Value>
Initializers::emitGivenBlocks(OpBuilder &builder, Location loc,
                              const TensorProto &tensor,
                              const GivenWeights::Source &source) {
  FailureOr<std::string> bytes = readGiven(loc, tensor, source);
  if (failed(bytes))
    return failure();
  SplitBlocks split = splitBlocks(source.tensor->type, *bytes);
  ArrayRef<int64_t> shape = source.tensor->shape;
  int64_t columns = shape.back(), rows = 1, blocks = columns / elementsOfBlock;
  for (int64_t size : shape.drop_back())
    rows *= size;
  auto byte = builder.getIntegerType(8, /*isSigned=*/false);
  auto derived = [&](StringRef suffix, int64_t width, Type element,
                     ArrayRef<char> bytes) {
    return derive(builder, loc, tensor, suffix,
                  RankedTensorType::get({rows, width}, element), bytes);
  };
  FailureOr<Value> values = derived(".blocks", columns * split.bits / 8, byte,
                                    split.values),
                   scales = derived(".scales", blocks, builder.getF16Type(),
                                    split.scales),
                   zeros;
  if (split.zeros.empty()) {
    auto type = RankedTensorType::get({}, byte);
    zeros = graph::ConstantOp::create(
                builder, loc, type,
                DenseElementsAttr::get(type, APInt(8, split.zero)))
                .getResult();
  } else {
    zeros = derived("", blocks, builder.getF32Type(),
                    {reinterpret_cast<const char *>(split.zeros.data()),
                     split.zeros.size() * sizeof(float)});
  }
  if (failed(values) || failed(scales) || failed(zeros))
    return failure();
  Value result = graph::DequantizeBlocksOp::create(
      builder, loc,
      RankedTensorType::get({rows, columns}, builder.getF32Type()), *values,
      *scales, *zeros, elementsOfBlock, split.bits);
  if (shape.size() != 2)
    result = graph::ReshapeOp::create(
        builder, loc, RankedTensorType::get(shape, builder.getF32Type()),
        result, ValueRange(), shape, /*allow_zero=*/true);
  return result;
}

FailureOr<Value> Initializers::emitGiven(OpBuilder &builder, Location loc,
                                         const TensorProto &tensor,
                                         const GivenWeights::Source &source) {
  const StoredTensor &stored = *source.tensor;
  auto refuse = [&]() -> InFlightDiagnostic {
    return std::move(invalid(loc, tensor) << "tensor '" << source.name
                                          << "' of '" << source.file << "' ");
  };
  // As messages have it.
  auto sizes = [](ArrayRef<int64_t> shape) {
    return shape.empty()
               ? std::string("no dimensions")
               : llvm::join(llvm::map_range(shape,
                                            [](int64_t size) {
                                              return std::to_string(size);
                                            }),
                            "x");
  };
  SmallVector<int64_t> shape(stored.shape),
      wanted(tensor.dims().begin(), tensor.dims().end());
  if (source.unpermuteHeads && (shape.empty() || shape.front() == 0 ||
                                shape.front() % source.unpermuteHeads ||
                                shape.front() / source.unpermuteHeads % 2)) {
    refuse() << "is " << sizes(shape) << ", of which the rows are not those of "
             << source.unpermuteHeads << " heads of even size";
    return failure();
  }
  if (source.transpose && shape.size() != 2) {
    refuse() << "is " << sizes(shape) << ", but \"transpose\" needs a matrix";
    return failure();
  }
  SmallVector<int64_t> reversed(llvm::reverse(shape));
  if (source.transpose)
    std::swap(shape, reversed);
  if (shape != wanted) {
    auto error = refuse() << "is " << sizes(shape)
                          << (source.transpose ? " when transposed" : "")
                          << ", but the model needs " << sizes(wanted);
    if (reversed == wanted && shape.size() == 2)
      error << (source.transpose ? ", as it is without \"transpose\""
                                 : ", as it is with \"transpose\": true");
    return failure();
  }
  bool isInBlocks = blockBytes(stored.type);
  Type element = isInBlocks ? builder.getF32Type()
                            : storedElement(builder.getContext(), stored.type);
  if (!element) {
    problems.unsupported = true;
    emitError(loc) << "tensor '" << source.name << "' of '" << source.file
                   << "': unsupported type " << stored.type;
    return failure();
  }
  // Widening is exact, and what blocks hold is rounded already.
  Type wantedElement = elementType(builder.getContext(), tensor.data_type());
  bool isWidened = wantedElement && wantedElement.isF32() &&
                   isa<Float16Type, BFloat16Type>(element);
  bool isOfBlocks = wantedElement && isInBlocks &&
                    isa<Float16Type, BFloat16Type>(wantedElement);
  if (element != wantedElement && !isWidened && !isOfBlocks) {
    refuse() << "has type " << stored.type << ", but the model needs "
             << elementTypeName(tensor.data_type());
    return failure();
  }
  auto type = RankedTensorType::get(stored.shape, element);
  FailureOr<Value> value;
  if (isInBlocks) {
    value = emitGivenBlocks(builder, loc, tensor, source);
  } else if (source.unpermuteHeads) {
    FailureOr<std::string> bytes = readGiven(loc, tensor, source);
    if (failed(bytes))
      return failure();
    value = derive(builder, loc, tensor, ".rows", type, *bytes);
  } else {
    value = emitPlaced(builder, loc, tensor, type, stored.bytes,
                       {source.file.str(), stored.offset});
  }
  if (failed(value))
    return failure();
  // The cast first: passes look for it right behind the weight.
  if (element != wantedElement)
    value =
        graph::CastOp::create(builder, loc, type.clone(wantedElement), *value)
            .getResult();
  if (source.transpose)
    value = graph::TransposeOp::create(
                builder, loc, RankedTensorType::get(wanted, wantedElement),
                *value, ArrayRef<int64_t>{1, 0})
                .getResult();
  return value;
}

} // namespace tenon
