// Parts are handed out by one atomic ticket; see ThreadPool.h.
#include "ThreadPool.h"
#include "Failure.h"

#include <algorithm>
#include <chrono>
#include <system_error>

using namespace tenon::runtime;

using Clock = std::chrono::steady_clock;

// About the time between two launches of a model that keeps all threads busy;
// waking a sleeping thread costs more than that.
static constexpr std::chrono::microseconds spinTime(20);

// Several parts per thread even out a thread that was interrupted.
static constexpr int64_t partsPerThread = 4;

static uint32_t partsLeft(uint64_t ticket) { return uint32_t(ticket); }

static void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Spins until `done` or until the time is over. Returns whether it is done.
template <typename Predicate> static bool spin(Predicate done) {
  Clock::time_point end = Clock::now() + spinTime;
  do {
    for (int i = 0; i < 32; ++i) {
      if (done())
        return true;
      pause();
    }
  } while (Clock::now() < end);
  return done();
}

ThreadPool::ThreadPool(int threads) {
  // A destructor does not run for a half-built pool: stop what has started.
  try {
    for (int i = 1; i < threads; ++i)
      workers.emplace_back([this] { work(); });
  } catch (const std::system_error &error) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      stopping = true;
    }
    wake.notify_all();
    for (std::thread &worker : workers)
      worker.join();
    fail(TN_ERROR_MEMORY, "cannot start ", threads, " threads, only ",
         workers.size() + 1, ": ", error.code().message());
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    stopping = true;
  }
  wake.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

bool ThreadPool::takePart() {
  uint64_t seen = ticket.load(std::memory_order_acquire);
  do {
    if (partsLeft(seen) == 0)
      return false;
  } while (!ticket.compare_exchange_weak(
      seen, seen - 1, std::memory_order_acq_rel, std::memory_order_acquire));
  int64_t part = parts - partsLeft(seen);
  // The first `longer` parts have one element more.
  int64_t length = grid / parts, longer = grid % parts;
  int64_t begin = part * length + std::min(part, longer);
  int64_t end = begin + length + (part < longer ? 1 : 0);
  kernel(buffers, sizes, begin, end);
  finished.fetch_add(1, std::memory_order_release);
  return true;
}

void ThreadPool::work() {
  auto hasWork = [this] {
    return stopping.load(std::memory_order_relaxed) ||
           partsLeft(ticket.load()) != 0;
  };
  while (!stopping.load(std::memory_order_relaxed)) {
    while (takePart()) {
    }
    if (spin(hasWork))
      continue;
    std::unique_lock<std::mutex> lock(mutex);
    // Either `run` sees this thread sleeping, or this thread sees its parts:
    // both are sequentially consistent.
    sleeping.fetch_add(1);
    wake.wait(lock, hasWork);
    sleeping.fetch_sub(1);
  }
}

void ThreadPool::run(tn_kernel launched, void *const *launchBuffers,
                     const int64_t *launchSizes, int64_t launchGrid) {
  if (launchGrid <= 0)
    return;
  if (workers.empty() || launchGrid == 1)
    return launched(launchBuffers, launchSizes, 0, launchGrid);
  kernel = launched;
  buffers = launchBuffers;
  sizes = launchSizes;
  grid = launchGrid;
  parts = std::min(launchGrid, threadCount() * partsPerThread);
  finished.store(0, std::memory_order_relaxed);
  uint64_t launch = (ticket.load(std::memory_order_relaxed) >> 32) + 1;
  ticket.store(launch << 32 | uint64_t(parts));
  if (sleeping.load() != 0) {
    {
      std::lock_guard<std::mutex> lock(mutex);
    }
    wake.notify_all();
  }
  while (takePart()) {
  }
  auto isDone = [this] {
    return finished.load(std::memory_order_acquire) == parts;
  };
  // The rest is being computed right now; only a thread that lost its core
  // takes long, and it needs one.
  while (!spin(isDone))
    std::this_thread::yield();
}
