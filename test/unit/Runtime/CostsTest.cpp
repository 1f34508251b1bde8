#include "Runtime/Cli/Costs.h"
#include "gtest/gtest.h"

using namespace tenon::runtime;

/// One launch of `flops` operations, of which some are narrow.
static LaunchCosts costsOf(const std::string &records,
                           const std::string &facts = "", int threads = 1) {
  Description description = parseDescription(
      "launch 0 a\n" + records +
      "target here f32_gflops=1 bf16_gflops=2 int8_gops=4 read_gbs=1 "
      "read_gbs_all=1 launch_us=10 " +
      facts + "\n");
  return launchCosts(description, {}, threads, limitsOf(description)).front();
}

TEST(Costs, AreWhatIsMultipliedAtItsOwnPeak) {
  LaunchCosts costs = costsOf("facts 0 1000000000 0 0 1\n");
  EXPECT_DOUBLE_EQ(costs.seconds, 1);
  EXPECT_EQ(costs.bound, Bound::F32);
  costs =
      costsOf("facts 0 1000000000 0 0 1\nwork 0 1000000000 1000000000 0 0\n");
  EXPECT_DOUBLE_EQ(costs.seconds, 0.5);
  EXPECT_EQ(costs.bound, Bound::Bf16);
  costs =
      costsOf("facts 0 1000000000 0 0 1\nwork 0 1000000000 0 1000000000 0\n");
  EXPECT_DOUBLE_EQ(costs.seconds, 0.25);
  EXPECT_EQ(costs.bound, Bound::Int8);
  // Two kinds in one launch: 0.5 in bf16 at 2, 0.5 in f32 at 1.
  costs =
      costsOf("facts 0 1000000000 0 0 1\nwork 0 1000000000 500000000 0 0\n");
  EXPECT_DOUBLE_EQ(costs.seconds, 0.75);
  EXPECT_EQ(costs.bound, Bound::F32);
  // Instructions beside products, each as long as a multiply-add.
  costs = costsOf("facts 0 1000000000 0 0 1\nwork 0 0 0 0 1000000000\n");
  EXPECT_DOUBLE_EQ(costs.seconds, 2);
  EXPECT_EQ(costs.bound, Bound::Elements);
}

TEST(Costs, AreTwiceF32ForBytesWithoutAnInstruction) {
  Description description =
      parseDescription("launch 0 a\nfacts 0 1000000000 0 0 1\n"
                       "work 0 1000000000 0 1000000000 0\n"
                       "target old f32_gflops=1 bf16_gflops=0 int8_gops=0 "
                       "read_gbs=1 read_gbs_all=1 launch_us=0\n");
  EXPECT_DOUBLE_EQ(
      launchCosts(description, {}, 1, limitsOf(description)).front().seconds,
      0.5);
}

TEST(Costs, AreThoseOfMemoryCacheOrLaunch) {
  LaunchCosts costs = costsOf("facts 0 1000 1000000000 0 1\n");
  EXPECT_DOUBLE_EQ(costs.seconds, 1);
  EXPECT_EQ(costs.bound, Bound::Memory);
  // A model that fits the cache is read from there.
  costs = costsOf("facts 0 1000 1000000 0 1\n", "l2_bytes=2000000 l2_gbs=10");
  EXPECT_DOUBLE_EQ(costs.seconds, 1e-4);
  EXPECT_EQ(costs.bound, Bound::Cache);
  costs = costsOf("weights 3000000\nfacts 0 1000 1000000 0 1\n",
                  "l2_bytes=2000000 l2_gbs=10");
  EXPECT_EQ(costs.bound, Bound::Memory);
  // Only what several threads take part in has to be handed to them.
  EXPECT_EQ(costsOf("facts 0 2000 0 0 2\n", "", 2).bound, Bound::Launch);
  EXPECT_DOUBLE_EQ(costsOf("facts 0 2000 0 0 2\n", "", 2).seconds, 11e-6);
  EXPECT_DOUBLE_EQ(costsOf("facts 0 2000 0 0 1\n", "", 2).seconds, 2e-6);
}

TEST(Costs, AreUnknownWithoutFacts) {
  Description description = parseDescription("launch 0 a\n");
  EXPECT_FALSE(limitsOf(description));
  EXPECT_FALSE(launchCosts(description, {}, 1, std::nullopt).front().known);
}
