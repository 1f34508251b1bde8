// Small tensors become graph.constant, large ones graph.weight: the bytes stay
// in their file.
#include "Initializers.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using onnx::TensorProto;

namespace tenon {

Type Initializers::elementType(MLIRContext *context, int32_t dataType) {
  Builder builder(context);
  auto unsignedType = [&](unsigned width) {
    return IntegerType::get(context, width, IntegerType::Unsigned);
  };
  switch (dataType) {
  case TensorProto::FLOAT:
    return builder.getF32Type();
  case TensorProto::DOUBLE:
    return builder.getF64Type();
  case TensorProto::FLOAT16:
    return builder.getF16Type();
  case TensorProto::BFLOAT16:
    return builder.getBF16Type();
  case TensorProto::BOOL:
    return builder.getI1Type();
  case TensorProto::INT8:
    return builder.getI8Type();
  case TensorProto::INT16:
    return builder.getIntegerType(16);
  case TensorProto::INT32:
    return builder.getI32Type();
  case TensorProto::INT64:
    return builder.getI64Type();
  case TensorProto::UINT8:
    return unsignedType(8);
  case TensorProto::UINT16:
    return unsignedType(16);
  case TensorProto::UINT32:
    return unsignedType(32);
  case TensorProto::UINT64:
    return unsignedType(64);
  default:
    return {};
  }
}

InFlightDiagnostic Initializers::invalid(Location loc,
                                         const TensorProto &tensor) {
  problems.invalid = true;
  return emitError(loc) << "tensor '" << tensor.name() << "': ";
}

FailureOr<Initializers::Place>
Initializers::findExternal(Location loc, const TensorProto &tensor,
                           uint64_t bytes) {
  Place place;
  uint64_t length = bytes;
  for (const onnx::StringStringEntryProto &entry : tensor.external_data()) {
    StringRef value(entry.value());
    if (entry.key() == "location")
      place.file = value.str();
    uint64_t *number = entry.key() == "offset"   ? &place.offset
                       : entry.key() == "length" ? &length
                                                 : nullptr;
    if (number && value.getAsInteger(10, *number)) {
      invalid(loc, tensor) << "external data has " << entry.key() << " '"
                           << value << "', which is no number";
      return failure();
    }
  }
  StringRef file = place.file;
  if (file.empty() || llvm::sys::path::is_absolute(file) ||
      llvm::is_contained(llvm::make_range(llvm::sys::path::begin(file),
                                          llvm::sys::path::end(file)),
                         "..")) {
    invalid(loc, tensor) << "external data lies in '" << file
                         << "', which must be a path below the model's folder";
    return failure();
  }
  auto [known, isNew] = fileSizes.try_emplace(file, 0);
  SmallString<256> path(folder);
  llvm::sys::path::append(path, file);
  if (isNew) {
    if (std::error_code error = llvm::sys::fs::file_size(path, known->second)) {
      invalid(loc, tensor) << "cannot read external data " << path << ": "
                           << error.message();
      fileSizes.erase(known);
      return failure();
    }
  }
  if (length != bytes) {
    invalid(loc, tensor) << "external data has " << length
                         << " bytes, but the tensor has " << bytes;
    return failure();
  }
  if (place.offset > known->second || known->second - place.offset < bytes) {
    invalid(loc, tensor) << "external data needs " << bytes << " bytes at "
                         << place.offset << ", but " << path << " has "
                         << known->second;
    return failure();
  }
  return place;
}

/// Little-endian bytes, as in raw data, as an attribute.
static DenseElementsAttr fromBytes(RankedTensorType type, StringRef bytes) {
  if (type.getNumElements() == 0)
    return DenseElementsAttr::get(type, ArrayRef<Attribute>());
  if (type.getElementType().isInteger(1)) {
    SmallVector<bool> values(
        llvm::map_range(bytes, [](char byte) { return byte != 0; }));
    return DenseElementsAttr::get(type, values);
  }
  return DenseElementsAttr::getFromRawBuffer(
      type, ArrayRef<char>(bytes.data(), bytes.size()));
}

/// The typed data of a tensor as raw data. ONNX keeps narrow integers, bools
/// and half floats' bits in int32_data.
static std::string typedBytes(const TensorProto &tensor, unsigned width) {
  std::string bytes;
  auto append = [&](const auto &values) {
    for (auto value : values)
      bytes.append(reinterpret_cast<const char *>(&value), width);
  };
  switch (tensor.data_type()) {
  case TensorProto::FLOAT:
    append(tensor.float_data());
    break;
  case TensorProto::DOUBLE:
    append(tensor.double_data());
    break;
  case TensorProto::INT64:
    append(tensor.int64_data());
    break;
  case TensorProto::UINT32:
  case TensorProto::UINT64:
    append(tensor.uint64_data());
    break;
  default:
    append(tensor.int32_data());
  }
  return bytes;
}

FailureOr<Value> Initializers::emit(OpBuilder &builder, Location loc,
                                    const TensorProto &tensor) {
  Type element = elementType(builder.getContext(), tensor.data_type());
  if (!element) {
    problems.unsupported = true;
    emitError(loc) << "tensor '" << tensor.name() << "': unsupported element "
                   << "type "
                   << onnx::TensorProto_DataType_Name(
                          static_cast<TensorProto::DataType>(
                              tensor.data_type()));
    return failure();
  }
  unsigned width = std::max(1u, element.getIntOrFloatBitWidth() / 8);
  uint64_t bytes = width;
  for (int64_t size : tensor.dims()) {
    bool overflow = false;
    bytes = llvm::SaturatingMultiply<uint64_t>(bytes, size, &overflow);
    if (size < 0 || overflow) {
      invalid(loc, tensor) << "has a size of " << size;
      return failure();
    }
  }
  auto type = RankedTensorType::get(
      SmallVector<int64_t>(tensor.dims().begin(), tensor.dims().end()),
      element);
  uint64_t limit =
      isa<IntegerType>(element) ? integerConstantLimit : constantLimit;

  std::string text;
  if (tensor.data_location() == TensorProto::EXTERNAL) {
    FailureOr<Place> place = findExternal(loc, tensor, bytes);
    if (failed(place))
      return failure();
    if (bytes > limit) {
      std::string name = tensor.name();
      if (name.empty())
        name = "constant_" + std::to_string(unnamed++);
      return graph::WeightOp::create(builder, loc, type, name, place->file,
                                     place->offset)
          .getResult();
    }
    if (bytes > 0) {
      SmallString<256> path(folder);
      llvm::sys::path::append(path, place->file);
      auto buffer =
          llvm::MemoryBuffer::getFileSlice(path, bytes, place->offset);
      if (!buffer) {
        invalid(loc, tensor) << "cannot read external data " << path << ": "
                             << buffer.getError().message();
        return failure();
      }
      text = (*buffer)->getBuffer().str();
    }
  } else {
    text =
        tensor.has_raw_data() ? tensor.raw_data() : typedBytes(tensor, width);
  }
  if (text.size() != bytes) {
    invalid(loc, tensor) << "has " << text.size() << " bytes, but its type "
                         << type << " needs " << bytes;
    return failure();
  }
  return graph::ConstantOp::create(builder, loc, type, fromBytes(type, text))
      .getResult();
}

} // namespace tenon
