// Element types: their names in a description and their sizes.
#ifndef TENON_RUNTIME_ELEMENTTYPE_H
#define TENON_RUNTIME_ELEMENTTYPE_H

#include "tenon-c/Runtime.h"
#include <optional>
#include <string>

namespace tenon::runtime {

/// The type that a description calls `name`, as MLIR spells it ("i1", "ui8").
std::optional<tn_type> parseElementType(const std::string &name);

/// Bytes of one element, or 0 when `type` is none.
int64_t elementBytes(int32_t type);

/// Of a tensor of these sizes, or -1 when there are too many.
int64_t tensorBytes(int32_t type, const int64_t *dims, int rank);

/// "f32", or nullptr when `type` is none.
const char *elementName(int32_t type);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_ELEMENTTYPE_H
