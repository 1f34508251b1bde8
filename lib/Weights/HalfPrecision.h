// Floats of 16 bits.
#ifndef TENON_LIB_WEIGHTS_HALFPRECISION_H
#define TENON_LIB_WEIGHTS_HALFPRECISION_H

#include "llvm/ADT/bit.h"

namespace tenon {

/// f16 -> f32: an f32 whose exponents are counted from another bias.
inline float widenHalf(uint16_t half) {
  uint32_t magnitude = half & 0x7fff;
  float number = llvm::bit_cast<float>(magnitude << 13) * 0x1p112f;
  uint32_t bits = llvm::bit_cast<uint32_t>(number);
  if (magnitude >= 0x7c00) // infinite, or no number
    bits |= 0x7f800000;
  return llvm::bit_cast<float>(bits | uint32_t(half & 0x8000) << 16);
}

} // namespace tenon

#endif // TENON_LIB_WEIGHTS_HALFPRECISION_H
