// Problems, operands, sizes and result types for the handlers.
#include "ImportContext.h"
#include "Initializers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace tenon {

InFlightDiagnostic ImportContext::report(bool &kind) {
  kind = true;
  InFlightDiagnostic error = emitError(loc) << "node '" << name << "' ("
                                            << node.op_type() << "): ";
  // What comes of an attribute that is wrong is not another problem.
  if (hasWrongAttribute)
    error.abandon();
  return error;
}

InFlightDiagnostic ImportContext::invalid() { return report(problems.invalid); }

InFlightDiagnostic ImportContext::unsupported() {
  return report(problems.unsupported);
}

Value ImportContext::getOperand(unsigned i) const {
  if (i >= operands.size())
    return {};
  lookedAt.set(i);
  return operands[i];
}

LogicalResult ImportContext::requireOperands(unsigned count) {
  for (unsigned i = 0; i < count; ++i)
    if (!getOperand(i))
      return invalid() << "has no operand " << i << ", but needs " << count;
  return success();
}

LogicalResult ImportContext::requireRank(unsigned i, int64_t rank) {
  Value operand = getOperand(i);
  if (operand && typeOf(operand).getRank() != rank)
    return invalid() << "operand " << i << " must have rank " << rank
                     << ", but has type " << operand.getType();
  return success();
}

LogicalResult ImportContext::checkLeftovers() {
  if (hasWrongAttribute)
    return failure();
  bool isRead = true;
  for (const onnx::AttributeProto &attribute : node.attribute())
    if (!read.contains(attribute.name())) {
      unsupported() << "attribute '" << attribute.name() << "' is unsupported";
      isRead = false;
    }
  if (!isRead)
    return failure();
  for (auto [i, operand] : llvm::enumerate(operands)) {
    if (!operand || lookedAt.test(i))
      continue;
    unsigned taken = lookedAt.find_last() + 1;
    if (taken > i)
      return unsupported() << "operand " << i << " is unsupported";
    return invalid() << "has " << operands.size() << " operands, but takes "
                     << taken;
  }
  for (auto [i, result] : llvm::enumerate(results))
    if (!result && usedResults[i])
      return invalid() << "has no result " << i << ", which the model uses";
  return success();
}

FailureOr<Value> ImportContext::makeTensor(const onnx::TensorProto &tensor) {
  return initializers.emit(builder, loc, tensor);
}

Value ImportContext::makeConstant(DenseElementsAttr value) {
  return graph::ConstantOp::create(builder, loc, value.getType(), value);
}

Value ImportContext::makeScalar(double value, Type type) {
  auto tensor = RankedTensorType::get({}, type);
  Attribute element =
      isa<FloatType>(type)
          ? Attribute(builder.getFloatAttr(type, value))
          : builder.getIntegerAttr(type, static_cast<int64_t>(value));
  return makeConstant(DenseElementsAttr::get(tensor, element));
}

Type ImportContext::getElementType(int64_t dataType) {
  return Initializers::elementType(builder.getContext(), dataType);
}

std::string elementTypeName(int64_t dataType) {
  return onnx::TensorProto_DataType_IsValid(static_cast<int>(dataType))
             ? onnx::TensorProto_DataType_Name(
                   static_cast<onnx::TensorProto::DataType>(dataType))
             : std::to_string(dataType);
}

int64_t staticSize(OpFoldResult size) {
  return getConstantIntValue(size).value_or(ShapedType::kDynamic);
}

SmallVector<int64_t> staticSizes(ArrayRef<OpFoldResult> sizes) {
  return llvm::map_to_vector(sizes, staticSize);
}

/// The elements if the tensor is a constant of integers.
static std::optional<SmallVector<int64_t>> constantInts(Value tensor) {
  auto constant = tensor.getDefiningOp<graph::ConstantOp>();
  if (!constant)
    return std::nullopt;
  auto elements = dyn_cast<DenseIntElementsAttr>(constant.getValue());
  if (!elements)
    return std::nullopt;
  bool isUnsigned = elements.getElementType().isUnsignedInteger() ||
                    elements.getElementType().isInteger(1);
  SmallVector<int64_t> values;
  for (const APInt &value : elements.getValues<APInt>())
    values.push_back(isUnsigned ? static_cast<int64_t>(value.getZExtValue())
                                : value.getSExtValue());
  return values;
}

std::optional<SmallVector<int64_t>>
ImportContext::getConstantInts(Value tensor) {
  if (std::optional<SmallVector<int64_t>> values = constantInts(tensor))
    return values;
  const SymbolicSizes *contents = shapes.getContents(tensor);
  if (!contents)
    return std::nullopt;
  SmallVector<int64_t> values;
  for (const SymbolicExpr &element : *contents) {
    std::optional<int64_t> value = element.getConstant();
    if (!value)
      return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

OpFoldResult ImportContext::getSize(Value tensor, int64_t dim) {
  int64_t size = typeOf(tensor).getDimSize(dim);
  if (!ShapedType::isDynamic(size))
    return makeSize(size);
  if (const SymbolicSizes *sizes = shapes.getSizes(tensor))
    if (std::optional<int64_t> known = (*sizes)[dim].getConstant())
      return makeSize(*known);
  return graph::DimOp::create(builder, loc, builder.getIndexType(), tensor, dim)
      .getResult();
}

Sizes ImportContext::getSizes(Value tensor) {
  Sizes sizes;
  for (int64_t dim = 0, rank = typeOf(tensor).getRank(); dim < rank; ++dim)
    sizes.push_back(getSize(tensor, dim));
  return sizes;
}

std::optional<SymbolicExpr> ImportContext::getSizeExpr(Value operand,
                                                       int64_t dim) {
  const SymbolicSizes *sizes = shapes.getSizes(operand);
  return sizes ? std::optional((*sizes)[dim]) : std::nullopt;
}

Value ImportContext::materialize(OpFoldResult size) {
  if (auto value = dyn_cast<Value>(size))
    return value;
  return arith::ConstantIndexOp::create(builder, loc,
                                        *getConstantIntValue(size));
}

OpFoldResult ImportContext::extract(Value tensor, int64_t position) {
  // Looks through what models build shapes with, so that the sizes which are
  // written in the model are in the types from the start.
  if (std::optional<SmallVector<int64_t>> values = getConstantInts(tensor))
    return makeSize((*values)[position]);
  if (const SymbolicSizes *contents = shapes.getContents(tensor))
    if (std::optional<int64_t> known = (*contents)[position].getConstant())
      return makeSize(*known);
  Operation *op = tensor.getDefiningOp();
  if (auto sizes = dyn_cast_if_present<graph::FromIndicesOp>(op)) {
    Value size = sizes.getValues()[position];
    if (std::optional<int64_t> value = getConstantIntValue(size))
      return makeSize(*value);
    return size;
  }
  if (auto reshape = dyn_cast_if_present<graph::ReshapeOp>(op))
    return extract(reshape.getInput(), position);
  if (auto concat = dyn_cast_if_present<graph::ConcatOp>(op);
      concat && typeOf(tensor).getRank() == 1) {
    int64_t rest = position;
    for (Value input : concat.getInputs()) {
      int64_t count = typeOf(input).getDimSize(0);
      if (ShapedType::isDynamic(count))
        break;
      if (rest < count)
        return extract(input, rest);
      rest -= count;
    }
  }
  if (auto gather = dyn_cast_if_present<graph::GatherOp>(op);
      gather && typeOf(gather.getInput()).getRank() == 1) {
    int64_t count = typeOf(gather.getInput()).getDimSize(0);
    std::optional<SmallVector<int64_t>> indices =
        getConstantInts(gather.getIndices());
    if (indices && !ShapedType::isDynamic(count)) {
      int64_t index = (*indices)[position];
      index = index < 0 ? index + count : index;
      if (index >= 0 && index < count)
        return extract(gather.getInput(), index);
    }
  }
  return graph::ExtractOp::create(builder, loc, builder.getIndexType(), tensor,
                                  position)
      .getResult();
}

bool ImportContext::isRunTimeValue(Value tensor, int64_t position) {
  const SymbolicSizes *contents = shapes.getContents(tensor);
  return contents && (*contents)[position].hasValues();
}

FailureOr<Sizes> ImportContext::extractAll(Value tensor, int64_t least) {
  RankedTensorType type = typeOf(tensor);
  if (!isa<IntegerType>(type.getElementType())) {
    invalid() << "takes integers from a tensor of type " << type;
    return failure();
  }
  std::optional<int64_t> count = getConstantIntValue(product(getSizes(tensor)));
  if (!count) {
    unsupported() << "the number of elements of the tensor of sizes, of type "
                  << type << ", must be known";
    return failure();
  }
  // No tensor has as many dimensions, and none is split into as many.
  constexpr int64_t mostSizes = 4096;
  if (*count > mostSizes) {
    unsupported() << "has a tensor of " << *count << " sizes, more than "
                  << mostSizes;
    return failure();
  }
  Sizes sizes;
  for (int64_t i = 0; i < *count; ++i)
    sizes.push_back(extract(tensor, i));
  for (OpFoldResult size : sizes)
    if (std::optional<int64_t> known = getConstantIntValue(size);
        known && *known < least) {
      invalid() << "has size " << *known << ", but must have at least "
                << least;
      return failure();
    }
  return sizes;
}

Value ImportContext::reshape(Value input, ArrayRef<OpFoldResult> sizes) {
  SmallVector<Value> values;
  SmallVector<int64_t> known;
  dispatchIndexOpFoldResults(sizes, values, known);
  auto type = RankedTensorType::get(known, typeOf(input).getElementType());
  return graph::ReshapeOp::create(builder, loc, type, input, values, known,
                                  /*allow_zero=*/true);
}

Value ImportContext::transpose(Value input, ArrayRef<int64_t> permutation) {
  SmallVector<int64_t> sizes;
  for (int64_t dim : permutation)
    sizes.push_back(typeOf(input).getDimSize(dim));
  auto type = RankedTensorType::get(sizes, typeOf(input).getElementType());
  return graph::TransposeOp::create(builder, loc, type, input, permutation);
}

Value ImportContext::concat(ArrayRef<Value> inputs, int64_t axis) {
  RankedTensorType first = typeOf(inputs.front());
  SmallVector<int64_t> sizes(first.getShape());
  sizes[axis] = 0;
  for (Value input : inputs)
    for (auto [dim, size] : llvm::enumerate(typeOf(input).getShape())) {
      if (static_cast<int64_t>(dim) != axis)
        sizes[dim] = ShapedType::isDynamic(sizes[dim]) ? size : sizes[dim];
      else if (ShapedType::isDynamic(size) || ShapedType::isDynamic(sizes[dim]))
        sizes[dim] = ShapedType::kDynamic;
      else
        sizes[dim] += size;
    }
  auto type = RankedTensorType::get(sizes, first.getElementType());
  return graph::ConcatOp::create(builder, loc, type, inputs, axis);
}

Value ImportContext::slice(Value input, int64_t axis, OpFoldResult start,
                           OpFoldResult end) {
  RankedTensorType type = typeOf(input);
  Sizes starts(type.getRank(), makeSize(0));
  Sizes ends(type.getRank(), makeSize(INT64_MAX));
  SmallVector<int64_t> steps(type.getRank(), 1), sizes(type.getShape());
  starts[axis] = start;
  ends[axis] = end;
  int64_t from = staticSize(start), to = staticSize(end);
  sizes[axis] = ShapedType::isDynamic(from) || ShapedType::isDynamic(to)
                    ? ShapedType::kDynamic
                    : to - from;
  SmallVector<Value> startValues, endValues;
  SmallVector<int64_t> knownStarts, knownEnds;
  dispatchIndexOpFoldResults(starts, startValues, knownStarts);
  dispatchIndexOpFoldResults(ends, endValues, knownEnds);
  return graph::SliceOp::create(
      builder, loc, RankedTensorType::get(sizes, type.getElementType()), input,
      startValues, knownStarts, endValues, knownEnds, steps);
}

Value ImportContext::gather(Value input, Value indices, int64_t axis) {
  RankedTensorType type = typeOf(input);
  SmallVector<int64_t> sizes(type.getShape().take_front(axis));
  llvm::append_range(sizes, typeOf(indices).getShape());
  llvm::append_range(sizes, type.getShape().drop_front(axis + 1));
  return graph::GatherOp::create(
      builder, loc, RankedTensorType::get(sizes, type.getElementType()), input,
      indices, axis);
}

Value ImportContext::cast(Value input, Type elementType) {
  RankedTensorType type = typeOf(input);
  if (type.getElementType() == elementType)
    return input;
  return graph::CastOp::create(builder, loc, type.clone(elementType), input);
}

Value ImportContext::castSaturated(Value input, FloatType elementType) {
  Type from = typeOf(input).getElementType();
  if (!isa<FloatType>(from) || isNarrowFloat(from)) {
    from = builder.getF32Type();
    input = cast(input, from);
  }
  double largest =
      APFloat::getLargest(elementType.getFloatSemantics()).convertToDouble();
  input = binary<graph::MaxOp>(input, makeScalar(-largest, from));
  input = binary<graph::MinOp>(input, makeScalar(largest, from));
  return cast(input, elementType);
}

FailureOr<Value> ImportContext::splitHeads(Value input, StringRef name,
                                           int64_t otherwise) {
  RankedTensorType type = typeOf(input);
  int64_t heads = getInt(name, 0);
  heads = heads ? heads : otherwise;
  if (heads <= 0 || type.getRank() != 3) {
    invalid() << "needs a positive " << name
              << " and an input of rank 3, but has " << heads << " and "
              << type;
    return failure();
  }
  int64_t width = type.getDimSize(2);
  if (ShapedType::isDynamic(width)) {
    unsupported() << "the size of a head must be known, but the input is "
                  << type;
    return failure();
  }
  if (width % heads) {
    invalid() << "cannot split " << type << " into " << heads
              << " heads of one size";
    return failure();
  }
  Value split = reshape(input, {getSize(input, 0), getSize(input, 1),
                                makeSize(heads), makeSize(width / heads)});
  return transpose(split, {0, 2, 1, 3});
}

Value ImportContext::joinHeads(Value input) {
  Value joined = transpose(input, {0, 2, 1, 3});
  Sizes sizes = getSizes(joined);
  return reshape(joined, {sizes[0], sizes[1], multiply(sizes[2], sizes[3])});
}

Value ImportContext::matmul(Value lhs, Value rhs, bool transposeLhs,
                            bool transposeRhs) {
  RankedTensorType left = typeOf(lhs), right = typeOf(rhs);
  FailureOr<SmallVector<int64_t>> sizes = graph::broadcastSizes(
      left.getShape().drop_back(2), right.getShape().drop_back(2));
  if (failed(sizes)) {
    invalid() << "cannot broadcast the leading dimensions of " << left
              << " and " << right;
    return {};
  }
  sizes->push_back(left.getDimSize(left.getRank() - (transposeLhs ? 1 : 2)));
  sizes->push_back(right.getDimSize(right.getRank() - (transposeRhs ? 2 : 1)));
  return graph::MatmulOp::create(
      builder, loc, RankedTensorType::get(*sizes, left.getElementType()), lhs,
      rhs, transposeLhs, transposeRhs);
}

Value ImportContext::reduce(graph::ReductionKind kind, Value input,
                            ArrayRef<int64_t> axes) {
  if (axes.empty()) // of a scalar
    return input;
  RankedTensorType type = typeOf(input);
  SmallVector<int64_t> sizes(type.getShape());
  for (int64_t axis : axes)
    sizes[axis] = 1;
  return graph::ReduceOp::create(builder, loc, type.clone(sizes), kind, input,
                                 axes);
}

Value ImportContext::pad(Value input, Value value, ArrayRef<OpFoldResult> lows,
                         ArrayRef<OpFoldResult> highs) {
  RankedTensorType type = typeOf(input);
  bool isPadded = false;
  SmallVector<int64_t> sizes;
  for (auto [size, low, high] : llvm::zip(type.getShape(), lows, highs)) {
    int64_t before = staticSize(low), behind = staticSize(high);
    bool isKnown = !ShapedType::isDynamic(size) &&
                   !ShapedType::isDynamic(before) &&
                   !ShapedType::isDynamic(behind);
    isPadded |= before != 0 || behind != 0;
    sizes.push_back(before == 0 && behind == 0 ? size
                    : isKnown ? std::max<int64_t>(size + before + behind, 0)
                              : ShapedType::kDynamic);
  }
  if (!isPadded)
    return input;
  SmallVector<Value> lowValues, highValues;
  SmallVector<int64_t> knownLows, knownHighs;
  dispatchIndexOpFoldResults(lows, lowValues, knownLows);
  dispatchIndexOpFoldResults(highs, highValues, knownHighs);
  return graph::PadOp::create(builder, loc, type.clone(sizes),
                              graph::PadKind::Constant, input, value, lowValues,
                              knownLows, highValues, knownHighs);
}

Value ImportContext::numpyMatmul(Value lhs, Value rhs) {
  bool row = typeOf(lhs).getRank() == 1, column = typeOf(rhs).getRank() == 1;
  if (typeOf(lhs).getRank() == 0 || typeOf(rhs).getRank() == 0) {
    invalid() << "multiplies " << lhs.getType() << " and " << rhs.getType()
              << ", of which one is a scalar";
    return {};
  }
  if (row)
    lhs = reshape(lhs, {makeSize(1), getSize(lhs, 0)});
  if (column)
    rhs = reshape(rhs, {getSize(rhs, 0), makeSize(1)});
  Value result = matmul(lhs, rhs);
  if (!result || (!row && !column))
    return result;
  Sizes sizes = getSizes(result);
  if (row)
    sizes.erase(sizes.end() - 2);
  if (column)
    sizes.pop_back();
  return reshape(result, sizes);
}

Value ImportContext::iota(OpFoldResult start, OpFoldResult size) {
  auto type = RankedTensorType::get(staticSize(size), builder.getI64Type());
  return graph::IotaOp::create(builder, loc, type, materialize(start),
                               /*step=*/1, materialize(size));
}

Value ImportContext::broadcast(Value input, ArrayRef<OpFoldResult> sizes) {
  SmallVector<Value> values;
  SmallVector<int64_t> known;
  dispatchIndexOpFoldResults(sizes, values, known);
  return graph::BroadcastOp::create(
      builder, loc,
      RankedTensorType::get(known, typeOf(input).getElementType()), input,
      values, known);
}

RankedTensorType ImportContext::broadcastType(ArrayRef<Value> operands,
                                              Type elementType) {
  SmallVector<int64_t> sizes;
  for (Value operand : operands) {
    FailureOr<SmallVector<int64_t>> both =
        graph::broadcastSizes(sizes, typeOf(operand).getShape());
    if (failed(both)) {
      invalid() << "cannot broadcast operand of type " << operand.getType()
                << " with the operands before it";
      return {};
    }
    sizes = *both;
  }
  return RankedTensorType::get(
      sizes,
      elementType ? elementType : typeOf(operands.front()).getElementType());
}

} // namespace tenon
