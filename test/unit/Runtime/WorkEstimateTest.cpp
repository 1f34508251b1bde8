#include "Runtime/WorkEstimate.h"
#include "gtest/gtest.h"

using namespace tenon::runtime;

TEST(WorkEstimate, FollowsFactsAndSizes) {
  Description text = parseDescription("symbol n 0 100 -1\n"
                                      "launch 0 product\n"
                                      "launch 1 copy\n"
                                      "launch 2 copy\n"
                                      "launch 3 look_up\n"
                                      "facts 0 20000*n 0 0 n\n"
                                      "facts 1 0 100*n 100*n n\n"
                                      "facts 2 0 100*n 100*n n\n"
                                      "target t f32_gflops=200 read_gbs=20\n");
  WorkEstimate work(text);
  EXPECT_EQ(work.of(0, 4)[0], WorkEstimate::unknown);
  work.update({3});
  EXPECT_EQ(work.of(0, 4)[0], 300);
  EXPECT_EQ(work.of(0, 4)[1], 30);
  EXPECT_EQ(work.of(2, 1)[0], 30);
  EXPECT_EQ(work.of(3, 1)[0], WorkEstimate::unknown);
  work.update({5});
  EXPECT_EQ(work.of(0, 4)[0], 500);
  EXPECT_EQ(work.of(3, 2), nullptr);
}

TEST(WorkEstimate, DoesNotKnowWhatOverflows) {
  Description text = parseDescription("symbol n 0 9223372036854775807 -1\n"
                                      "launch 0 product\n"
                                      "facts 0 n*n 0 0 n\n");
  WorkEstimate work(text);
  work.update({int64_t(1) << 40});
  EXPECT_EQ(work.of(0, 1)[0], WorkEstimate::unknown);
}
