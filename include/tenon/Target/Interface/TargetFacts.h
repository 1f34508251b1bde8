// What decisions may know of a machine. Read from a facts file or built in;
// never measured while compiling.
#ifndef TENON_TARGET_INTERFACE_TARGETFACTS_H
#define TENON_TARGET_INTERFACE_TARGETFACTS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>

namespace tenon {

struct TargetFacts {
  std::string name;    ///< of these facts, recorded in the recipe
  std::string cpu;     ///< what LLVM calls the processor, e.g. "x86-64-v4"
  int64_t vectorBytes; ///< 64 with AVX-512, 32 with AVX2
  int64_t registers;   ///< vector registers: 32 or 16
  int64_t tileRows;    ///< of a matrix register: 16 with AMX, 0 without
  int64_t l1Bytes;     ///< data cache of one core
  int64_t l2Bytes;     ///< cache of one core
  double f32Gflops;    ///< multiply-add peak of one core, 10^9 flop/s
  double bf16Gflops;   ///< the same of pairs of bf16; 0 without an instruction
  double int8Gops;     ///< the same of groups of four bytes, as bf16Gflops of
                       ///< matrix registers where there are any
  double readGBs;      ///< memory read rate of one core, 10^9 byte/s
  double readGBsAll;   ///< of all cores together
  double l2GBs;        ///< read rate of one core from its L2
  double launchUs;     ///< microseconds that a launch costs beside its work

  int64_t lanes(int64_t elementBytes) const {
    return vectorBytes / elementBytes;
  }
};

/// The facts that come with Tenon: of machines that many people have, on the
/// careful side. A machine comes behind those whose code it can run.
llvm::ArrayRef<TargetFacts> knownTargets();

/// The least of those with AVX2, and with AVX-512.
const TargetFacts &avx2Facts();
const TargetFacts &avx512Facts();

/// Facts by name, or from a JSON file that `tenon target` wrote. An error says
/// what is missing or wrong, and for an unknown name which are known.
llvm::Expected<TargetFacts> readTargetFacts(llvm::StringRef nameOrFile);

/// The file that readTargetFacts reads.
void writeTargetFacts(const TargetFacts &facts, llvm::raw_ostream &os);

} // namespace tenon

#endif // TENON_TARGET_INTERFACE_TARGETFACTS_H
