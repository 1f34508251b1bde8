#include "Runtime/Processor.h"
#include "tenon-c/ModuleAbi.h"
#include "gtest/gtest.h"

#if defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

using namespace tenon::runtime;

static constexpr uint64_t avx = 1 << 9, fma = 1 << 10, avx2 = 1 << 12;

TEST(Processor, NamesWhatIsMissing) {
  EXPECT_EQ(missingFeatures(avx | fma | avx2, avx), "fma, avx2");
  EXPECT_EQ(missingFeatures(uint64_t(1) << 63 | avx2, avx2),
            "features that this runtime does not know");
}

TEST(Processor, MissesNothingThatIsThereOrNotNeeded) {
  EXPECT_EQ(missingFeatures(0, 0), "");
  EXPECT_EQ(missingFeatures(avx | avx2, avx | fma | avx2), "");
}

TEST(Processor, NumbersEveryFeatureOnce) {
  uint64_t seen = 0;
#define FEATURE(BIT, ...)                                                      \
  EXPECT_FALSE(seen >> BIT & 1) << BIT;                                        \
  seen |= uint64_t(1) << BIT;
  TN_X86_FEATURES(FEATURE)
#undef FEATURE
}

#if defined(__x86_64__)
// The compiler asks this machine in its own way.
TEST(Processor, SaysWhatTheCompilerSays) {
  __builtin_cpu_init();
  auto has = [](uint64_t feature) {
    return (processorFeatures() & feature) != 0;
  };
  EXPECT_EQ(has(1 << 3), bool(__builtin_cpu_supports("sse4.2")));
  EXPECT_EQ(has(1 << 8), bool(__builtin_cpu_supports("bmi2")));
  EXPECT_EQ(has(avx), bool(__builtin_cpu_supports("avx")));
  EXPECT_EQ(has(fma), bool(__builtin_cpu_supports("fma")));
  EXPECT_EQ(has(avx2), bool(__builtin_cpu_supports("avx2")));
  EXPECT_EQ(has(1 << 19), bool(__builtin_cpu_supports("avx512f")));
  EXPECT_EQ(has(1 << 23), bool(__builtin_cpu_supports("avx512vl")));
  EXPECT_EQ(has(1 << 27), bool(__builtin_cpu_supports("avx512vnni")));
  EXPECT_EQ(has(uint64_t(1) << 31), bool(__builtin_cpu_supports("avx512bf16")));
}

TEST(Processor, MayUseWhatIsNeededAndThere) {
  EXPECT_EQ(usableFeatures(0), 0u);
  EXPECT_EQ(usableFeatures(avx), processorFeatures() & avx);
  EXPECT_EQ(usableFeatures(uint64_t(1) << 63), 0u);
}

// The system keeps these registers only for a process that asked.
TEST(Processor, AsksForMatrixRegisters) {
  constexpr uint64_t tiles = uint64_t(1) << 34;
  if (!(processorFeatures() & tiles))
    GTEST_SKIP() << "this processor has no AMX";
  constexpr long getPermission = 0x1022;
  uint64_t permitted = 0;
  ASSERT_EQ(usableFeatures(tiles), tiles);
  ASSERT_EQ(syscall(SYS_arch_prctl, getPermission, &permitted), 0);
  EXPECT_TRUE(permitted >> 18 & 1);
}
#endif
