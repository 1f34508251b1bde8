// Asks CPUID and XGETBV; see TN_X86_FEATURES in ModuleAbi.h.
#include "Processor.h"
#include "tenon-c/ModuleAbi.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

using namespace tenon::runtime;

#if defined(__x86_64__)
/// The registers that the operating system keeps; 0 where it does not say.
static uint64_t keptState() {
  unsigned eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE))
    return 0;
  asm volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return uint64_t(edx) << 32 | eax;
}

uint64_t tenon::runtime::processorFeatures() {
  uint64_t kept = keptState(), result = 0;
  unsigned eax, ebx, ecx, edx;
#define FEATURE(BIT, NAME, LEAF, SUBLEAF, REGISTER, PLACE, STATE)              \
  if (__get_cpuid_count(LEAF, SUBLEAF, &eax, &ebx, &ecx, &edx) &&              \
      (REGISTER >> PLACE & 1) && (kept & (STATE)) == (STATE))                  \
    result |= uint64_t(1) << BIT;
  TN_X86_FEATURES(FEATURE)
#undef FEATURE
  return result;
}

/// The features whose registers the system keeps as `state`.
static constexpr uint64_t featuresWith(uint64_t state) {
  uint64_t result = 0;
#define FEATURE(BIT, NAME, LEAF, SUBLEAF, REGISTER, PLACE, STATE)              \
  if ((STATE) & state)                                                         \
    result |= uint64_t(1) << BIT;
  TN_X86_FEATURES(FEATURE)
#undef FEATURE
  return result;
}

uint64_t tenon::runtime::usableFeatures(uint64_t needed) {
  // Of XCR0: the data of matrix registers.
  constexpr long tileData = 18, requestPermission = 0x1023;
  constexpr uint64_t withTiles = featuresWith(uint64_t(1) << tileData);
  uint64_t usable = needed & processorFeatures();
  if ((usable & withTiles) &&
      syscall(SYS_arch_prctl, requestPermission, tileData) != 0)
    usable &= ~withTiles;
  return usable;
}
#else
uint64_t tenon::runtime::processorFeatures() { return 0; }
uint64_t tenon::runtime::usableFeatures(uint64_t) { return 0; }
#endif

std::string tenon::runtime::missingFeatures(uint64_t needed, uint64_t present) {
  uint64_t missing = needed & ~present;
  std::string names;
  auto add = [&](const std::string &name) {
    names += (names.empty() ? "" : ", ") + name;
  };
#define FEATURE(BIT, NAME, ...)                                                \
  if (missing >> BIT & 1)                                                      \
    add(NAME);                                                                 \
  missing &= ~(uint64_t(1) << BIT);
  TN_X86_FEATURES(FEATURE)
#undef FEATURE
  if (missing)
    add("features that this runtime does not know");
  return names;
}
