// Parts are handed out by one atomic ticket; see ThreadPool.h.
#include "ThreadPool.h"
#include "Failure.h"

#include <algorithm>
#include <chrono>
#include <pthread.h>
#include <system_error>

using namespace tenon::runtime;

using Clock = std::chrono::steady_clock;

// A thread that waits looks again and again for the time between two launches
// of a model that keeps all threads busy, then lets other threads of its core
// go first, and sleeps after about the time that waking it takes.
static constexpr std::chrono::microseconds spinTime(10), yieldTime(50);

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

/// Waits awake until `done` or until the time is over. Returns whether it is
/// done.
template <typename Predicate> static bool spin(Predicate done) {
  Clock::time_point begin = Clock::now();
  Clock::duration waited(0);
  do {
    for (int i = 0; i < 32; ++i) {
      if (done())
        return true;
      pause();
    }
    waited = Clock::now() - begin;
    if (waited > spinTime)
      std::this_thread::yield();
  } while (waited < yieldTime);
  return done();
}

/// Workers run on any core of the session but the caller's, which is busy: a
/// scheduler may put who is woken beside who wakes it, where it waits for a
/// tick while another core idles.
void ThreadPool::avoidCallersCore() {
  int core = sched_getcpu();
  if (core < 0 || core >= CPU_SETSIZE || core == callersCore)
    return;
  callersCore = core;
  cpu_set_t others = cores;
  CPU_CLR(core, &others);
  if (CPU_COUNT(&others) == 0)
    return;
  for (std::thread &worker : workers)
    pthread_setaffinity_np(worker.native_handle(), sizeof(others), &others);
}

ThreadPool::ThreadPool(int threads) {
  CPU_ZERO(&cores);
  sched_getaffinity(0, sizeof(cores), &cores);
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
    // both are sequentially consistent. Who was woken stays awake for a while
    // although others have taken all parts: the next launch follows.
    sleeping.fetch_add(1);
    if (!hasWork())
      wake.wait(lock);
    sleeping.fetch_sub(1);
  }
}

void ThreadPool::run(tn_kernel launched, void *const *launchBuffers,
                     const int64_t *launchSizes, int64_t launchGrid) {
  if (launchGrid <= 0)
    return;
  if (workers.empty() || launchGrid == 1)
    return launched(launchBuffers, launchSizes, 0, launchGrid);
  avoidCallersCore();
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
