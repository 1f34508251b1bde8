// Attribute look-ups for the handlers.
#include "ImportContext.h"

using namespace mlir;
using onnx::AttributeProto;

namespace tenon {

const AttributeProto *ImportContext::find(StringRef name) {
  read.insert(name);
  for (const AttributeProto &attribute : node.attribute()) {
    if (attribute.name() != name)
      continue;
    if (attribute.ref_attr_name().empty())
      return &attribute;
    return callAttributes ? callAttributes->lookup(attribute.ref_attr_name())
                          : nullptr;
  }
  return nullptr;
}

/// The oldest models do not write the type, but the value tells.
static AttributeProto::AttributeType typeOf(const AttributeProto &attribute) {
  if (attribute.type() != AttributeProto::UNDEFINED)
    return attribute.type();
  return attribute.has_f()          ? AttributeProto::FLOAT
         : attribute.has_i()        ? AttributeProto::INT
         : attribute.has_s()        ? AttributeProto::STRING
         : attribute.has_t()        ? AttributeProto::TENSOR
         : attribute.floats_size()  ? AttributeProto::FLOATS
         : attribute.ints_size()    ? AttributeProto::INTS
         : attribute.strings_size() ? AttributeProto::STRINGS
                                    : AttributeProto::UNDEFINED;
}

const AttributeProto *
ImportContext::getAttribute(StringRef name,
                            AttributeProto::AttributeType type) {
  const AttributeProto *attribute = find(name);
  if (!attribute || typeOf(*attribute) == type)
    return attribute;
  invalid() << "attribute '" << name << "' must be "
            << AttributeProto::AttributeType_Name(type) << ", but is "
            << AttributeProto::AttributeType_Name(typeOf(*attribute));
  hasWrongAttribute = true;
  return nullptr;
}

LogicalResult ImportContext::requireAttribute(StringRef name) {
  if (hasAttribute(name))
    return success();
  return invalid() << "needs attribute '" << name << "'";
}

int64_t ImportContext::getInt(StringRef name, int64_t otherwise) {
  const AttributeProto *attribute = getAttribute(name, AttributeProto::INT);
  return attribute ? attribute->i() : otherwise;
}

float ImportContext::getFloat(StringRef name, float otherwise) {
  const AttributeProto *attribute = getAttribute(name, AttributeProto::FLOAT);
  return attribute ? attribute->f() : otherwise;
}

StringRef ImportContext::getString(StringRef name, StringRef otherwise) {
  const AttributeProto *attribute = getAttribute(name, AttributeProto::STRING);
  return attribute ? StringRef(attribute->s()) : otherwise;
}

const onnx::TensorProto *ImportContext::getTensor(StringRef name) {
  const AttributeProto *attribute = getAttribute(name, AttributeProto::TENSOR);
  return attribute ? &attribute->t() : nullptr;
}

std::optional<SmallVector<int64_t>> ImportContext::getInts(StringRef name) {
  const AttributeProto *attribute = getAttribute(name, AttributeProto::INTS);
  if (!attribute)
    return std::nullopt;
  return SmallVector<int64_t>(attribute->ints().begin(),
                              attribute->ints().end());
}

std::optional<SmallVector<float>> ImportContext::getFloats(StringRef name) {
  const AttributeProto *attribute = getAttribute(name, AttributeProto::FLOATS);
  if (!attribute)
    return std::nullopt;
  return SmallVector<float>(attribute->floats().begin(),
                            attribute->floats().end());
}

SmallVector<StringRef> ImportContext::getStrings(StringRef name) {
  const AttributeProto *attribute = getAttribute(name, AttributeProto::STRINGS);
  SmallVector<StringRef> strings;
  if (attribute)
    llvm::append_range(strings, attribute->strings());
  return strings;
}

FailureOr<int64_t> ImportContext::getAxis(int64_t otherwise, int64_t rank) {
  return normalizeAxis(getInt("axis", otherwise), rank);
}

FailureOr<int64_t> ImportContext::normalizeAxis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    invalid() << "has axis " << axis << " for a tensor of rank " << rank;
    return failure();
  }
  return axis < 0 ? axis + rank : axis;
}

LogicalResult ImportContext::normalizeAxes(SmallVectorImpl<int64_t> &axes,
                                           int64_t rank) {
  for (int64_t &axis : axes) {
    FailureOr<int64_t> normalized = normalizeAxis(axis, rank);
    if (failed(normalized))
      return failure();
    axis = *normalized;
  }
  return success();
}

std::optional<SmallVector<int64_t>>
ImportContext::getIntsOrOperand(StringRef name, unsigned i, int64_t since) {
  if (opset < since)
    return getInts(name);
  return getOperand(i) ? getConstantInts(getOperand(i)) : std::nullopt;
}

} // namespace tenon
