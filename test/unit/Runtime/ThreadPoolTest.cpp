#include "Runtime/ThreadPool.h"
#include "gtest/gtest.h"
#include <chrono>
#include <thread>

using tenon::runtime::ThreadPool;

/// A launch of which nobody knows how long it takes.
static void run(ThreadPool &pool, tn_kernel kernel, void *const *buffers,
                int64_t size) {
  tn_grid grid = {kernel, buffers, nullptr, size};
  pool.run(&grid, nullptr, 1);
}

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
      run(pool, count, buffers, grid);
      for (int64_t i = 0; i < grid; ++i)
        ASSERT_EQ(counts[i], 1) << "launch " << launch << " element " << i;
      ASSERT_EQ(counts[grid], 0);
    }
  }
}

TEST(ThreadPool, RunsAllLaunchesOfASection) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (int section = 0; section < 2000; ++section) {
      constexpr int launches = 5;
      std::vector<int32_t> counts[launches];
      void *buffers[launches][1];
      tn_grid grids[launches];
      // Long, short, of unknown length, without elements and of one.
      const int64_t times[launches] = {100000, 300, -1, 5000, 5000};
      for (int i = 0; i < launches; ++i) {
        int64_t size = i < 3 ? section % 61 : i - 3;
        counts[i].resize(size + 1);
        buffers[i][0] = counts[i].data();
        grids[i] = {count, buffers[i], nullptr, size};
      }
      pool.run(grids, times, launches);
      for (int i = 0; i < launches; ++i) {
        for (int64_t element = 0; element < grids[i].size; ++element)
          ASSERT_EQ(counts[i][element], 1) << "launch " << i;
        ASSERT_EQ(counts[i][grids[i].size], 0);
      }
    }
  }
}

/// Notes that a thread other than the caller ran a part, or a part was run that
/// is not all of the grid.
static void watch(void *const *buffers, const int64_t *, int64_t begin,
                  int64_t end) {
  auto &wrong = *static_cast<std::atomic<int> *>(buffers[0]);
  auto caller = *static_cast<std::thread::id *>(buffers[1]);
  if (std::this_thread::get_id() != caller || begin != 0 || end != 100)
    ++wrong;
}

TEST(ThreadPool, LeavesShortSectionsToTheCaller) {
  ThreadPool pool(2);
  std::atomic<int> wrong{0};
  std::thread::id caller = std::this_thread::get_id();
  void *buffers[] = {&wrong, &caller};
  tn_grid grid = {watch, buffers, nullptr, 100};
  tn_grid grids[] = {grid, grid};
  const int64_t shorts[] = {700, 700}, longs[] = {70000, 700};
  for (int section = 0; section < 100; ++section)
    pool.run(grids, shorts, 2);
  EXPECT_EQ(wrong, 0);
  pool.run(grids, longs, 2);
  EXPECT_GT(wrong, 0);
}

TEST(ThreadPool, WakesThreadsThatSleep) {
  ThreadPool pool(4);
  for (int launch = 0; launch < 50; ++launch) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    int32_t counts[64] = {};
    void *buffers[] = {counts};
    run(pool, count, buffers, 64);
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
      run(pool, look, buffers, 8);
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
      run(pool, look, buffers, 8);
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
      run(pool, count, buffers, 64);
      for (int32_t times : counts)
        ASSERT_EQ(times, 1);
    }
  }
  sched_setaffinity(0, sizeof(all), &all);
}
