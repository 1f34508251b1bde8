// Reads every element type of ModuleAbi.h.
#include "Elements.h"
#include "tenon-c/Runtime.h"

#include <cmath>
#include <cstring>

using namespace tenon::runtime;

/// A float with `exponent` and `mantissa` bits, as IEEE lays them out. The
/// ONNX float8 types differ in their special values only.
static double decodeFloat(uint32_t bits, int exponentBits, int mantissaBits,
                          int bias, bool hasInfinity) {
  int exponentMask = (1 << exponentBits) - 1;
  int exponent = int(bits >> mantissaBits) & exponentMask;
  uint32_t mantissa = bits & ((1u << mantissaBits) - 1);
  double sign = bits >> (exponentBits + mantissaBits) & 1 ? -1 : 1;
  if (exponent == exponentMask && hasInfinity)
    return mantissa ? NAN : sign * INFINITY;
  double fraction = std::ldexp(double(mantissa), -mantissaBits);
  return exponent ? sign * std::ldexp(1 + fraction, exponent - bias)
                  : sign * std::ldexp(fraction, 1 - bias);
}

template <typename T> static double load(const char *at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return double(value);
}

double tenon::runtime::elementValue(int32_t type, const char *at) {
  uint8_t byte;
  uint16_t half;
  std::memcpy(&byte, at, 1);
  switch (type) {
  case TN_F32:
    return load<float>(at);
  case TN_F64:
    return load<double>(at);
  case TN_I64:
    return load<int64_t>(at);
  case TN_I32:
    return load<int32_t>(at);
  case TN_I16:
    return load<int16_t>(at);
  case TN_I8:
    return load<int8_t>(at);
  case TN_U64:
    return load<uint64_t>(at);
  case TN_U32:
    return load<uint32_t>(at);
  case TN_U16:
    return load<uint16_t>(at);
  case TN_U8:
  case TN_BOOL:
    return byte;
  case TN_F16:
    std::memcpy(&half, at, 2);
    return decodeFloat(half, 5, 10, 15, true);
  case TN_BF16:
    std::memcpy(&half, at, 2);
    return decodeFloat(half, 8, 7, 127, true);
  case TN_F8E4M3FN:
    return (byte & 0x7f) == 0x7f ? NAN : decodeFloat(byte, 4, 3, 7, false);
  case TN_F8E4M3FNUZ:
    return byte == 0x80 ? NAN : decodeFloat(byte, 4, 3, 8, false);
  case TN_F8E5M2:
    return decodeFloat(byte, 5, 2, 15, true);
  case TN_F8E5M2FNUZ:
    return byte == 0x80 ? NAN : decodeFloat(byte, 5, 2, 16, false);
  case TN_F4E2M1:
    return decodeFloat(byte & 15, 2, 1, 1, false);
  case TN_U4:
    return byte & 15;
  case TN_U2:
    return byte & 3;
  case TN_I4:
    return (byte & 15) - (byte & 8 ? 16 : 0);
  case TN_I2:
    return (byte & 3) - (byte & 2 ? 4 : 0);
  }
  return NAN;
}
