// One table of all element types.
#include "ElementType.h"

using namespace tenon::runtime;

namespace {
struct Entry {
  tn_type type;
  const char *name;   // what users read
  const char *inMlir; // what a description may say, too
  int64_t bytes;
};
} // namespace

static constexpr Entry table[] = {
    {TN_F32, "f32", "f32", 4},
    {TN_U8, "u8", "ui8", 1},
    {TN_I8, "i8", "si8", 1},
    {TN_U16, "u16", "ui16", 2},
    {TN_I16, "i16", "si16", 2},
    {TN_I32, "i32", "si32", 4},
    {TN_I64, "i64", "si64", 8},
    {TN_BOOL, "bool", "i1", 1},
    {TN_F16, "f16", "f16", 2},
    {TN_F64, "f64", "f64", 8},
    {TN_U32, "u32", "ui32", 4},
    {TN_U64, "u64", "ui64", 8},
    {TN_BF16, "bf16", "bf16", 2},
    {TN_F8E4M3FN, "f8E4M3FN", "f8E4M3FN", 1},
    {TN_F8E4M3FNUZ, "f8E4M3FNUZ", "f8E4M3FNUZ", 1},
    {TN_F8E5M2, "f8E5M2", "f8E5M2", 1},
    {TN_F8E5M2FNUZ, "f8E5M2FNUZ", "f8E5M2FNUZ", 1},
    {TN_U4, "u4", "ui4", 1},
    {TN_I4, "i4", "si4", 1},
    {TN_F4E2M1, "f4E2M1FN", "f4E2M1FN", 1},
    {TN_U2, "u2", "ui2", 1},
    {TN_I2, "i2", "si2", 1},
};

std::optional<tn_type>
tenon::runtime::parseElementType(const std::string &name) {
  for (const Entry &entry : table)
    if (name == entry.name || name == entry.inMlir)
      return entry.type;
  return std::nullopt;
}

int64_t tenon::runtime::elementBytes(int32_t type) {
  for (const Entry &entry : table)
    if (entry.type == type)
      return entry.bytes;
  return 0;
}

const char *tenon::runtime::elementName(int32_t type) {
  for (const Entry &entry : table)
    if (entry.type == type)
      return entry.name;
  return nullptr;
}

int64_t tenon::runtime::tensorBytes(int32_t type, const int64_t *dims,
                                    int rank) {
  int64_t bytes = elementBytes(type);
  for (int i = 0; i < rank; ++i)
    if (dims[i] < 0 || __builtin_mul_overflow(bytes, dims[i], &bytes))
      return -1;
  return bytes;
}
