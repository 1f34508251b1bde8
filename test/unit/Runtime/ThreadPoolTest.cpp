#include "Runtime/ThreadPool.h"
#include "gtest/gtest.h"
#include <chrono>
#include <thread>

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

namespace {

/// What a part finds out about the thread that runs it.
struct Seen {
  std::thread::id caller;
  std::atomic<int> byWorkers{0}, onCallersCore{0};
  int callersCore = -1;
};

} // namespace

/// About ten microseconds.
static void look(void *const *buffers, const int64_t *, int64_t, int64_t) {
  auto &seen = *static_cast<Seen *>(buffers[0]);
  auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(10);
  while (std::chrono::steady_clock::now() < end) {
  }
  if (std::this_thread::get_id() == seen.caller)
    return;
  ++seen.byWorkers;
  if (sched_getcpu() == seen.callersCore)
    ++seen.onCallersCore;
}

TEST(ThreadPool, UsesThreadsThatWereWokenInLaterLaunches) {
  ThreadPool pool(2);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    Seen seen;
    seen.caller = std::this_thread::get_id();
    void *buffers[] = {&seen};
    for (int launch = 0; launch < 10000 && seen.byWorkers == 0; ++launch)
      pool.run(look, buffers, nullptr, 8);
    EXPECT_GT(seen.byWorkers, 0) << "round " << round;
  }
}

TEST(ThreadPool, KeepsWorkersOffTheCallersCore) {
  cpu_set_t all, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
  if (CPU_COUNT(&all) < 2)
    GTEST_SKIP() << "this machine has one core";
  ThreadPool pool(2);
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &all))
      continue;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    Seen seen;
    seen.caller = std::this_thread::get_id();
    seen.callersCore = core;
    void *buffers[] = {&seen};
    for (int launch = 0; launch < 10000 && seen.byWorkers < 10; ++launch)
      pool.run(look, buffers, nullptr, 8);
    EXPECT_GE(seen.byWorkers, 10);
    EXPECT_EQ(seen.onCallersCore, 0);
  }
  sched_setaffinity(0, sizeof(all), &all);
}

TEST(ThreadPool, WorksWhereThereIsOneCore) {
  cpu_set_t all, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  {
    ThreadPool pool(3);
    for (int launch = 0; launch < 100; ++launch) {
      int32_t counts[64] = {};
      void *buffers[] = {counts};
      pool.run(count, buffers, nullptr, 64);
      for (int32_t times : counts)
        ASSERT_EQ(times, 1);
    }
  }
  sched_setaffinity(0, sizeof(all), &all);
}
