// Each thread has a share of the parts and takes from others when it is done;
// see ThreadPool.h.
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

// Of one launch; those of a section must fit in 16 bits.
static constexpr int64_t mostParts = 4095;

// Nanoseconds of work that make a part: what handing it to another thread
// costs, with what the thread then reads from the caller's caches.
static constexpr int64_t shortestPart = 1000;

static int64_t firstOf(uint64_t share) { return (share >> 16) & 0xffff; }
static int64_t endOf(uint64_t share) { return share & 0xffff; }

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

ThreadPool::ThreadPool(int wanted)
    : threads(size_t(std::max(wanted, 1))),
      shares(std::make_unique<Share[]>(threads)) {
  CPU_ZERO(&cores);
  sched_getaffinity(0, sizeof(cores), &cores);
  // A destructor does not run for a half-built pool: stop what has started.
  try {
    for (size_t i = 1; i < threads; ++i)
      workers.emplace_back([this, i] { work(i); });
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

/// Takes a part that nobody has: the first of a thread's own, the last of
/// another's. Returns whether there was one.
static bool take(std::atomic<uint64_t> &share, bool isOwn, int64_t &part) {
  uint64_t seen = share.load(std::memory_order_acquire), left;
  do {
    if (firstOf(seen) == endOf(seen))
      return false;
    part = isOwn ? firstOf(seen) : endOf(seen) - 1;
    left = isOwn ? seen + (1 << 16) : seen - 1;
  } while (!share.compare_exchange_weak(seen, left, std::memory_order_acq_rel,
                                        std::memory_order_acquire));
  return true;
}

void ThreadPool::runPart(int64_t part) const {
  size_t launch = 0;
  int64_t before = 0;
  for (; part >= partEnds[launch]; ++launch)
    before = partEnds[launch];
  const tn_grid &grid = grids[launch];
  int64_t parts = partEnds[launch] - before, number = part - before;
  // The first `longer` parts have one element more.
  int64_t length = grid.size / parts, longer = grid.size % parts;
  int64_t begin = number * length + std::min(number, longer);
  int64_t end = begin + length + (number < longer ? 1 : 0);
  grid.kernel(grid.buffers, grid.sizes, begin, end);
}

/// Runs a thread's own parts, then what others have not begun. Returns how
/// many.
int64_t ThreadPool::runParts(size_t self) {
  int64_t all = 0;
  for (size_t i = 0; i < threads; ++i) {
    int64_t part, done = 0;
    while (take(shares[(self + i) % threads].parts, i == 0, part)) {
      runPart(part);
      ++done;
    }
    if (done != 0 && self != 0)
      finished.fetch_add(done, std::memory_order_release);
    all += done;
  }
  return all;
}

void ThreadPool::work(size_t self) {
  auto hasWork = [this, self] {
    uint64_t share = shares[self].parts.load();
    return firstOf(share) != endOf(share) ||
           stopping.load(std::memory_order_relaxed);
  };
  while (!stopping.load(std::memory_order_relaxed)) {
    runParts(self);
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

/// Decides into how many parts each grid is split. Returns whether there is
/// more than one.
bool ThreadPool::split(const tn_grid *section, const int64_t *nanoseconds,
                       int64_t launches) {
  if (threads == 1 || launches > TN_MAX_SECTION)
    return false;
  int64_t known = 0;
  bool allKnown = nanoseconds != nullptr;
  for (int64_t i = 0; i < launches && allKnown; ++i) {
    known += std::max<int64_t>(nanoseconds[i], 0);
    allKnown = nanoseconds[i] >= 0;
  }
  if (allKnown && known < 2 * shortestPart)
    return false;
  int64_t most = std::min<int64_t>(threadCount() * partsPerThread, mostParts);
  int64_t length = std::max(shortestPart, known / most);
  grids = section;
  count = launches;
  int64_t parts = 0;
  for (int64_t i = 0; i < count; ++i) {
    int64_t wanted =
        nanoseconds && nanoseconds[i] >= 0 ? nanoseconds[i] / length + 1 : most;
    wanted = std::min(std::min(wanted, most), grids[i].size);
    parts += std::max<int64_t>(wanted, 0);
    partEnds[i] = parts;
  }
  return parts > 1;
}

/// Gives each thread its share of the parts.
void ThreadPool::publish() {
  ++sections;
  uint64_t parts = uint64_t(partEnds[count - 1]);
  for (size_t i = threads; i-- > 0;) {
    uint64_t first = parts * i / threads, end = parts * (i + 1) / threads;
    shares[i].parts.store(sections << 32 | first << 16 | end);
  }
  if (sleeping.load() == 0)
    return;
  {
    std::lock_guard<std::mutex> lock(mutex);
  }
  wake.notify_all();
}

void ThreadPool::run(const tn_grid *section, const int64_t *nanoseconds,
                     int64_t launches) {
  if (!split(section, nanoseconds, launches)) {
    for (int64_t i = 0; i < launches; ++i)
      if (section[i].size > 0)
        section[i].kernel(section[i].buffers, section[i].sizes, 0,
                          section[i].size);
    return;
  }
  avoidCallersCore();
  finished.store(0, std::memory_order_relaxed);
  publish();
  int64_t left = partEnds[count - 1] - runParts(0);
  auto isDone = [this, left] {
    return finished.load(std::memory_order_acquire) == left;
  };
  // The rest is being computed right now; only a thread that lost its core
  // takes long, and it needs one.
  while (!spin(isDone))
    std::this_thread::yield();
}
