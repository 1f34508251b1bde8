#include "Runtime/MemoryCheck.h"
#include "Runtime/Failure.h"
#include "gtest/gtest.h"
#include <algorithm>

using namespace tenon::runtime;

// Slice 2 takes the place of slice 0; launches 0 to 2 run at steps 3, 5 and 7.
static const std::string chain = "symbol n 1 64 -1\n"
                                 "launch 0 a\nstep 0 3\n"
                                 "launch 1 b\nstep 1 5\n"
                                 "launch 2 c\nstep 2 7\n"
                                 "slice 0 3 5 64*n\n"
                                 "slice 1 5 7 32 0\n"
                                 "slice 2 6 7 64\n";

/// What is free of an arena of ones when a launch begins, in blocks of 32
/// bytes: 'x' where all of it was filled, '.' where nothing was.
static std::string freeBlocks(int64_t launch) {
  Description description = parseDescription(chain);
  std::vector<uint8_t> arena(size_t(description.arenaBytes({2})), 1);
  MemoryCheck check(description, {2}, int64_t(arena.size()));
  check.fillFree(arena.data(), launch);
  std::string result;
  for (auto at = arena.begin(); at != arena.end(); at += 32) {
    auto filled = std::count(at, at + 32, uint8_t(unsetByte));
    result += filled == 32 ? 'x' : filled == 0 ? '.' : '?';
  }
  return result;
}

TEST(MemoryCheck, KeepsWhatALaunchMayRead) {
  // At first nothing is written. Then slice 0 is; slice 1 is about to be.
  EXPECT_EQ(freeBlocks(0), "xxxxxx");
  EXPECT_EQ(freeBlocks(1), "....xx");
  // Slice 0 is free, a copy at step 6 has written slice 2.
  EXPECT_EQ(freeBlocks(2), "..xx.x");
}

TEST(MemoryCheck, RefusesAnArenaThatIsNotDescribed) {
  try {
    MemoryCheck(parseDescription(chain), {2}, 256);
    FAIL();
  } catch (const Failure &failure) {
    EXPECT_STREQ(failure.what(), "memory cannot be checked: the slices "
                                 "described take 192 bytes, the arena 256");
  }
  try {
    MemoryCheck(parseDescription("launch 0 a\n"), {}, 0);
    FAIL();
  } catch (const Failure &failure) {
    EXPECT_STREQ(failure.what(), "memory cannot be checked: the artifact does "
                                 "not say at which steps its launches run");
  }
}
