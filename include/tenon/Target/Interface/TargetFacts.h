// What decisions may know of a machine. Read from a facts file or built in;
// never measured while compiling.
#ifndef TENON_TARGET_INTERFACE_TARGETFACTS_H
#define TENON_TARGET_INTERFACE_TARGETFACTS_H

#include <cstdint>
#include <string>

namespace tenon {

struct TargetFacts {
  std::string name;    ///< of these facts, recorded in the recipe
  std::string cpu;     ///< what LLVM calls the processor, e.g. "x86-64-v4"
  int64_t vectorBytes; ///< 64 with AVX-512, 32 with AVX2
  int64_t registers;   ///< vector registers: 32 or 16
  int64_t l1Bytes;     ///< data cache of one core
  int64_t l2Bytes;     ///< cache of one core
  double f32Gflops;    ///< multiply-add peak of one core, 10^9 flop/s
  double readGBs;      ///< memory read rate of one core, 10^9 byte/s

  int64_t lanes(int64_t elementBytes) const {
    return vectorBytes / elementBytes;
  }
};

/// x86-64-v3 (AVX2, FMA): what every x86 server since 2015 has.
inline TargetFacts avx2Facts() {
  return {"x86-64-v3", "x86-64-v3", 32, 16, 32 << 10, 256 << 10, 50, 10};
}

/// x86-64-v4 (AVX-512 F, BW, CD, DQ, VL).
inline TargetFacts avx512Facts() {
  return {"x86-64-v4", "x86-64-v4", 64, 32, 32 << 10, 1 << 20, 100, 12};
}

} // namespace tenon

#endif // TENON_TARGET_INTERFACE_TARGETFACTS_H
