// The threads of one session: runs the parts of a grid on all of them.
#ifndef TENON_RUNTIME_THREADPOOL_H
#define TENON_RUNTIME_THREADPOOL_H

#include "tenon-c/ModuleAbi.h"
#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <sched.h>
#include <thread>
#include <vector>

namespace tenon::runtime {

/// `threads` includes the caller of `run`. Workers stay awake for a moment
/// after a launch, since the next one follows at once, and then sleep. Nobody
/// waits for a worker that has taken nothing.
class ThreadPool {
public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  /// Runs all of `count` grids, in any order, and returns when they are done.
  /// `nanoseconds` says about how long one thread takes for each, or a negative
  /// number where nobody knows; null if for none. What is short is run by the
  /// caller alone. One caller at a time.
  void run(const tn_grid *grids, const int64_t *nanoseconds, int64_t count);

  int threadCount() const { return int(threads); }

private:
  /// Parts that a thread runs before it helps others. The high half counts
  /// sections; the quarters below are the first part that nobody has taken and
  /// the end. A part is taken by one compare-exchange of all, so that who is
  /// late cannot take a part of a section that it knows nothing of.
  struct alignas(128) Share {
    std::atomic<uint64_t> parts{0};
  };

  bool split(const tn_grid *section, const int64_t *nanoseconds, int64_t count);
  void publish();
  int64_t runParts(size_t self);
  void runPart(int64_t part) const;
  void work(size_t self);
  void avoidCallersCore();

  const size_t threads;
  std::unique_ptr<Share[]> shares; ///< the caller's first

  // The launches. Written while no part is left, read after a part was taken.
  alignas(128) const tn_grid *grids = nullptr;
  int64_t count = 0;
  std::array<int64_t, TN_MAX_SECTION> partEnds; ///< of all launches up to each

  alignas(128) std::atomic<int64_t> finished{0}; ///< parts, by workers
  alignas(128) std::atomic<int> sleeping{0};
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<std::thread> workers;
  uint64_t sections = 0;
  cpu_set_t cores;      ///< of the thread that made the pool
  int callersCore = -1; ///< where workers do not run
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_THREADPOOL_H
