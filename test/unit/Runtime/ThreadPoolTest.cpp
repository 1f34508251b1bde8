#include "Runtime/ThreadPool.h"
#include "gtest/gtest.h"
#include <chrono>

using tenon::runtime::ThreadPool;

/// Counts how often each element of the grid was run.
static void count(void *const *buffers, const int64_t *, int64_t begin,
                  int64_t end) {
  auto *counts = static_cast<int32_t *>(buffers[0]);
  for (int64_t i = begin; i < end; ++i)
    ++counts[i];
}

TEST(ThreadPool, RunsEveryElementOnceInManyLaunches) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threadCount(), threads);
    for (int launch = 0; launch < 5000; ++launch) {
      int64_t grid = launch % 61;
      std::vector<int32_t> counts(grid + 1);
      void *buffers[] = {counts.data()};
      pool.run(count, buffers, nullptr, grid);
      for (int64_t i = 0; i < grid; ++i)
        ASSERT_EQ(counts[i], 1) << "launch " << launch << " element " << i;
      ASSERT_EQ(counts[grid], 0);
    }
  }
}

TEST(ThreadPool, WakesThreadsThatSleep) {
  ThreadPool pool(4);
  for (int launch = 0; launch < 50; ++launch) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    int32_t counts[64] = {};
    void *buffers[] = {counts};
    pool.run(count, buffers, nullptr, 64);
    for (int32_t times : counts)
      ASSERT_EQ(times, 1);
  }
}
