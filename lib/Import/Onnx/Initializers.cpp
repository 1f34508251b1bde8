// Small tensors become graph.constant, large ones graph.weight: the bytes stay
// in their file.
#include "Initializers.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using onnx::TensorProto;

namespace tenon {

Type Initializers::elementType(MLIRContext *context, int64_t dataType) {
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
  case TensorProto::FLOAT8E4M3FN:
    return builder.getType<Float8E4M3FNType>();
  case TensorProto::FLOAT8E4M3FNUZ:
    return builder.getType<Float8E4M3FNUZType>();
  case TensorProto::FLOAT8E5M2:
    return builder.getType<Float8E5M2Type>();
  case TensorProto::FLOAT8E5M2FNUZ:
    return builder.getType<Float8E5M2FNUZType>();
  case TensorProto::FLOAT4E2M1:
    return builder.getType<Float4E2M1FNType>();
  case TensorProto::INT4:
    return builder.getIntegerType(4);
  case TensorProto::UINT4:
    return unsignedType(4);
  case TensorProto::INT2:
    return builder.getIntegerType(2);
  case TensorProto::UINT2:
    return unsignedType(2);
  default:
    return {};
  }
}

InFlightDiagnostic Initializers::invalid(Location loc,
                                         const TensorProto &tensor) {
  problems.invalid = true;
  return emitError(loc) << "tensor '" << tensor.name() << "': ";
}

Initializers::Initializers(StringRef model, const GivenWeights &given,
                           Problems &problems)
    : given(given), folder(llvm::sys::path::parent_path(model)),
      problems(problems) {
  // Stores of models link a model and its data by their names to files that lie
  // beside each other elsewhere.
  for (StringRef path : {folder.empty() ? StringRef(".") : folder, model}) {
    SmallString<256> real;
    if (!llvm::sys::fs::real_path(path, real))
      realFolders.push_back(
          (path == model ? llvm::sys::path::parent_path(real) : real.str())
              .str());
  }
}

bool Initializers::leavesFolder(StringRef path) const {
  SmallString<256> real;
  if (llvm::sys::fs::real_path(path, real))
    return false; // It cannot be read, either.
  return llvm::none_of(realFolders, [&](StringRef folder) {
    return real == folder ||
           (real.starts_with(folder) &&
            (folder.ends_with("/") || real[folder.size()] == '/'));
  });
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
                           << value << "', which is no number of bytes";
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
    if (leavesFolder(path)) {
      invalid(loc, tensor) << "external data " << path
                           << " is a link out of the model's folder";
      fileSizes.erase(known);
      return failure();
    }
    llvm::sys::fs::file_status status;
    std::error_code error = llvm::sys::fs::status(path, status);
    if (error || !llvm::sys::fs::is_regular_file(status)) {
      invalid(loc, tensor) << "cannot read external data " << path << ": "
                           << (error ? error.message() : "it is not a file")
                           << missingHint();
      fileSizes.erase(known);
      return failure();
    }
    known->second = status.getSize();
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

/// Elements below 8 bits, which lie in bytes from the lowest bits up: those of
/// a byte next to each other, without what is left over, in tensor `type`.
static Value unpack(OpBuilder &builder, Location loc, Value bytes,
                    RankedTensorType type) {
  Type byte = getElementTypeOrSelf(bytes.getType());
  int64_t width = type.getElementTypeBitWidth(), parts = 8 / width;
  int64_t count = cast<RankedTensorType>(bytes.getType()).getNumElements();
  auto reshape = [&](Value value, ArrayRef<int64_t> shape) -> Value {
    auto result =
        RankedTensorType::get(shape, getElementTypeOrSelf(value.getType()));
    return graph::ReshapeOp::create(builder, loc, result, value, ValueRange(),
                                    shape, /*allow_zero=*/true);
  };
  Value column = reshape(bytes, {count, 1});
  SmallVector<Value> columns;
  auto scalar = RankedTensorType::get({}, byte);
  for (int64_t part = 0; part < parts; ++part) {
    auto shift = DenseElementsAttr::get(
        scalar, builder.getIntegerAttr(byte, part * width));
    Value amount = graph::ConstantOp::create(builder, loc, scalar, shift);
    columns.push_back(graph::ShiftRightOp::create(
        builder, loc, column.getType(), column, amount));
  }
  Value all = graph::ConcatOp::create(
      builder, loc, RankedTensorType::get({count, parts}, byte), columns, 1);
  all = reshape(all, {count * parts});
  int64_t wanted = type.getNumElements();
  all = graph::SliceOp::create(builder, loc,
                               RankedTensorType::get(wanted, byte), all,
                               ValueRange(), ArrayRef<int64_t>{0}, ValueRange(),
                               ArrayRef<int64_t>{wanted}, ArrayRef<int64_t>{1});
  all = reshape(all, type.getShape());
  // The cast takes the lowest bits.
  auto bits =
      IntegerType::get(builder.getContext(), width, IntegerType::Unsigned);
  Value result = graph::CastOp::create(builder, loc, type.clone(bits), all);
  return type.getElementType() == bits
             ? result
             : graph::BitcastOp::create(builder, loc, type, result).getResult();
}

FailureOr<Value> Initializers::emit(OpBuilder &builder, Location loc,
                                    const TensorProto &tensor) {
  Type element = elementType(builder.getContext(), tensor.data_type());
  if (!element) {
    problems.unsupported = true;
    emitError(loc) << "tensor '" << tensor.name() << "': unsupported element "
                   << "type " << elementTypeName(tensor.data_type());
    return failure();
  }
  unsigned bits = element.getIntOrFloatBitWidth();
  unsigned width = std::max(1u, bits / 8);
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
  if (bits > 1 && bits < 8) {
    bytes = llvm::divideCeil(bytes, 8 / bits);
    auto byte =
        IntegerType::get(builder.getContext(), 8, IntegerType::Unsigned);
    FailureOr<Value> packed = emitStored(
        builder, loc, tensor,
        RankedTensorType::get(static_cast<int64_t>(bytes), byte), 1, bytes);
    if (failed(packed))
      return failure();
    return unpack(builder, loc, *packed, type);
  }
  return emitStored(builder, loc, tensor, type, width, bytes);
}

FailureOr<Value> Initializers::emitStored(OpBuilder &builder, Location loc,
                                          const TensorProto &tensor,
                                          RankedTensorType type, unsigned width,
                                          uint64_t bytes) {
  if (tensor.data_location() == TensorProto::EXTERNAL) {
    FailureOr<Place> place = findExternal(loc, tensor, bytes);
    if (failed(place))
      return failure();
    return emitPlaced(builder, loc, tensor, type, bytes, *place);
  }
  std::string text =
      tensor.has_raw_data() ? tensor.raw_data() : typedBytes(tensor, width);
  if (text.size() != bytes) {
    invalid(loc, tensor) << "has " << text.size() << " bytes, but its type "
                         << type << " needs " << bytes
                         << (text.empty() ? missingHint() : "");
    return failure();
  }
  return graph::ConstantOp::create(builder, loc, type, fromBytes(type, text))
      .getResult();
}

FailureOr<Value> Initializers::emitPlaced(OpBuilder &builder, Location loc,
                                          const TensorProto &tensor,
                                          RankedTensorType type, uint64_t bytes,
                                          const Place &place) {
  // Of 8 bits it is no list of sizes, but may be a weight.
  Type element = type.getElementType();
  uint64_t limit = isa<IntegerType>(element) && !element.isInteger(8)
                       ? integerConstantLimit
                       : constantLimit;
  if (bytes > limit) {
    std::string name = tensor.name();
    if (name.empty())
      name = "constant_" + std::to_string(unnamed++);
    return graph::WeightOp::create(builder, loc, type, name, place.file,
                                   place.offset)
        .getResult();
  }
  std::string text;
  if (bytes > 0) {
    SmallString<256> path(place.file);
    if (!llvm::sys::path::is_absolute(path)) {
      path = folder;
      llvm::sys::path::append(path, place.file);
    }
    auto buffer = llvm::MemoryBuffer::getFileSlice(path, bytes, place.offset);
    if (!buffer) {
      invalid(loc, tensor) << "cannot read external data " << path << ": "
                           << buffer.getError().message();
      return failure();
    }
    text = (*buffer)->getBuffer().str();
  }
  return graph::ConstantOp::create(builder, loc, type, fromBytes(type, text))
      .getResult();
}

} // namespace tenon
