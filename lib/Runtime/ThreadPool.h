// The threads of one session: runs the parts of a grid on all of them.
#ifndef TENON_RUNTIME_THREADPOOL_H
#define TENON_RUNTIME_THREADPOOL_H

#include "tenon-c/ModuleAbi.h"
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <sched.h>
#include <thread>
#include <vector>

namespace tenon::runtime {

/// `threads` includes the caller of `run`. Workers stay awake for a moment
/// after a launch, since the next one follows at once, and then sleep.
class ThreadPool {
public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  /// Runs all of `grid` and returns when it is done. One caller at a time.
  void run(tn_kernel kernel, void *const *buffers, const int64_t *sizes,
           int64_t grid);

  int threadCount() const { return int(workers.size()) + 1; }

private:
  bool takePart();
  void work();
  void avoidCallersCore();

  // The high half counts launches, the low half the parts that nobody has
  // taken. A worker takes a part by one compare-exchange of both, so a late one
  // cannot take a part of a launch that it knows nothing of, and nobody waits
  // for a worker that has taken nothing.
  std::atomic<uint64_t> ticket{0};
  std::atomic<uint32_t> finished{0};

  // The launch. Written while no part is left, read after a part was taken.
  tn_kernel kernel = nullptr;
  void *const *buffers = nullptr;
  const int64_t *sizes = nullptr;
  int64_t grid = 0;
  int64_t parts = 0;

  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<int> sleeping{0};
  std::atomic<bool> stopping{false};
  std::vector<std::thread> workers;
  cpu_set_t cores;      ///< of the thread that made the pool
  int callersCore = -1; ///< where workers do not run
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_THREADPOOL_H
