// Measures with vector loops; the best of several passes counts, since what
// disturbs a pass only makes it slower.
#include "Machine.h"
#include "../Processor.h"
#include "../ThreadPool.h"
#include "tenon-c/CommandLine.h"
#include "tenon-c/ModuleAbi.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <immintrin.h>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Runs `work` in `threads` threads at once and returns the seconds it took.
static double timeThreads(int threads, const std::function<void(int)> &work) {
  std::atomic<int> waiting{threads};
  std::vector<std::thread> others;
  Clock::time_point begin;
  auto start = [&](int number) {
    --waiting;
    while (waiting > 0)
      ;
    if (number == 0)
      begin = Clock::now();
    work(number);
  };
  for (int i = 1; i < threads; ++i)
    others.emplace_back(start, i);
  start(0);
  for (std::thread &other : others)
    other.join();
  return secondsSince(begin);
}

static constexpr int64_t rounds = 1000000;
/// Enough to hide the latency of a multiply-add on two units. Loops over them
/// are unrolled, so that they are in registers.
static constexpr int accumulators = 12;

__attribute__((target("avx512f"))) static void multiplyAdd512() {
  __m512 sums[accumulators], factor = _mm512_set1_ps(0.5f);
  for (__m512 &sum : sums)
    sum = _mm512_set1_ps(1);
  for (int64_t round = 0; round < rounds; ++round)
    for (__m512 &sum : sums) {
      sum = _mm512_fmadd_ps(sum, factor, factor);
      __asm__ volatile("" : "+v"(sum)); // neither folded nor left out
    }
}

__attribute__((target("avx2,fma"))) static void multiplyAdd256() {
  __m256 sums[accumulators], factor = _mm256_set1_ps(0.5f);
  for (__m256 &sum : sums)
    sum = _mm256_set1_ps(1);
  for (int64_t round = 0; round < rounds; ++round)
    for (__m256 &sum : sums) {
      sum = _mm256_fmadd_ps(sum, factor, factor);
      __asm__ volatile("" : "+x"(sum));
    }
}

__attribute__((target("avx512bf16"))) static void dotBf16() {
  __m512 sums[accumulators] = {};
  __m512bh factor = (__m512bh)_mm512_set1_epi32(0x3f003f00);
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 12
    for (__m512 &sum : sums) {
      sum = _mm512_dpbf16_ps(sum, factor, factor);
      __asm__ volatile("" : "+v"(sum));
    }
}

__attribute__((target("avx512vnni"))) static void dotBytes512() {
  __m512i sums[accumulators] = {}, factor = _mm512_set1_epi8(1);
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 12
    for (__m512i &sum : sums) {
      sum = _mm512_dpbusd_epi32(sum, factor, factor);
      __asm__ volatile("" : "+v"(sum));
    }
}

__attribute__((target("avx2,avxvnni"))) static void dotBytes256() {
  __m256i sums[accumulators] = {}, factor = _mm256_set1_epi8(1);
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 12
    for (__m256i &sum : sums) {
      sum = _mm256_dpbusd_avx_epi32(sum, factor, factor);
      __asm__ volatile("" : "+x"(sum));
    }
}

/// Matrix registers that are multiplied in turn hide the latency.
static constexpr int matrices = 4;
static constexpr int64_t matrixRounds = rounds / 8;

/// Sixteen rows of 64 bytes in each of the eight matrix registers (Intel SDM,
/// volume 2, LDTILECFG).
__attribute__((target("amx-tile"))) static void configureTiles() {
  struct {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t rowBytes[16] = {};
    uint8_t rows[16] = {};
  } configuration;
  for (int i = 0; i < 8; ++i) {
    configuration.rowBytes[i] = 64;
    configuration.rows[i] = 16;
  }
  // GCC 12 takes it for a read of the first eight bytes.
  __asm__ volatile("" : : "m"(configuration));
  _tile_loadconfig(&configuration);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
}

__attribute__((target("amx-tile,amx-bf16"))) static void multiplyBf16Tiles() {
  configureTiles();
  for (int64_t round = 0; round < matrixRounds; ++round) {
    _tile_dpbf16ps(0, 4, 5);
    _tile_dpbf16ps(1, 4, 5);
    _tile_dpbf16ps(2, 4, 5);
    _tile_dpbf16ps(3, 4, 5);
  }
  _tile_release();
}

__attribute__((target("amx-tile,amx-int8"))) static void multiplyByteTiles() {
  configureTiles();
  for (int64_t round = 0; round < matrixRounds; ++round) {
    _tile_dpbusd(0, 4, 5);
    _tile_dpbusd(1, 4, 5);
    _tile_dpbusd(2, 4, 5);
    _tile_dpbusd(3, 4, 5);
  }
  _tile_release();
}

static bool mayUse(const char *feature) {
  uint64_t bit = 0;
#define FEATURE(BIT, NAME, ...)                                                \
  if (std::string_view(feature) == NAME)                                       \
    bit = uint64_t(1) << BIT;
  TN_X86_FEATURES(FEATURE)
#undef FEATURE
  return tenon::runtime::usableFeatures(bit) != 0;
}

/// Operations, 10^9 a second, of a loop that runs an instruction which does
/// `each` so many times.
static double measurePeak(int threads, void (*loop)(), int each,
                          int64_t times = accumulators * rounds) {
  double operations = double(each) * double(times) * threads;
  double best = 0;
  Clock::time_point begin = Clock::now();
  while (secondsSince(begin) < 0.2) {
    double seconds = timeThreads(threads, [&](int) { loop(); });
    best = std::max(best, operations / seconds * 1e-9);
  }
  return best;
}

double tenon::runtime::measureF32Peak(int threads) {
  if (__builtin_cpu_supports("avx512f"))
    return measurePeak(threads, multiplyAdd512, 32);
  if (__builtin_cpu_supports("fma"))
    return measurePeak(threads, multiplyAdd256, 16);
  return 0;
}

double tenon::runtime::measureBf16Peak(int threads) {
  if (mayUse("amx-bf16"))
    return measurePeak(threads, multiplyBf16Tiles, 2 * 16 * 16 * 32,
                       matrices * matrixRounds);
  return __builtin_cpu_supports("avx512bf16")
             ? measurePeak(threads, dotBf16, 64)
             : 0;
}

double tenon::runtime::measureInt8Peak(int threads) {
  if (mayUse("amx-int8"))
    return measurePeak(threads, multiplyByteTiles, 2 * 16 * 16 * 64,
                       matrices * matrixRounds);
  if (__builtin_cpu_supports("avx512vnni"))
    return measurePeak(threads, dotBytes512, 128);
  return __builtin_cpu_supports("avxvnni")
             ? measurePeak(threads, dotBytes256, 64)
             : 0;
}

/// Adds up `words` words again and again.
__attribute__((target_clones("avx512f", "avx2", "default"))) static uint64_t
readWords(const uint64_t *data, size_t words, int times) {
  uint64_t sums[64] = {};
  for (int time = 0; time < times; ++time)
    for (size_t i = 0; i < words; i += 64)
      for (size_t lane = 0; lane < 64; ++lane)
        sums[lane] += data[i + lane];
  uint64_t all = 0;
  for (uint64_t sum : sums)
    all += sum;
  return all;
}

/// Bytes that `threads` threads read, each the same `words` words `times`
/// times, 10^9 a second, measured for `seconds`.
static double measureReading(int threads, size_t words, int times,
                             double seconds) {
  std::vector<std::vector<uint64_t>> memory(threads);
  std::atomic<uint64_t> sink{0};
  timeThreads(threads, [&](int number) { memory[number].assign(words, 1); });
  double best = 0;
  Clock::time_point begin = Clock::now();
  while (secondsSince(begin) < seconds) {
    double taken = timeThreads(threads, [&](int number) {
      sink += readWords(memory[number].data(), words, times);
    });
    best = std::max(best, double(words) * 8 * times * threads / taken * 1e-9);
  }
  return best;
}

double tenon::runtime::measureReadRate(int threads) {
  // Larger than the last cache of any server of today, for each thread.
  return measureReading(threads, size_t(256) << 17, 1, 0.5);
}

double tenon::runtime::cacheBytes() {
  // Zero or less where the system does not say.
  long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return bytes > 0 ? double(bytes) : 256 << 10;
}

double tenon::runtime::measureCacheRate(int threads) {
  size_t words = size_t(cacheBytes() / 2) / 8 / 64 * 64;
  return measureReading(threads, words, 200, 0.1);
}

/// Seconds of each part of a measured launch.
static constexpr double partTime = 3e-6;

double tenon::runtime::measureLaunch(int threads) {
  tenon::runtime::ThreadPool pool(threads);
  // Without work the thread that launches would take all parts before another
  // has seen the first.
  auto part = [](void *const *, const int64_t *, int64_t, int64_t) {
    Clock::time_point begin = Clock::now();
    while (secondsSince(begin) < partTime)
      ;
  };
  tn_grid grid = {part, nullptr, nullptr, threads};
  constexpr int launches = 3000;
  double best = 0;
  for (int pass = 0; pass < 5; ++pass) {
    Clock::time_point begin = Clock::now();
    for (int i = 0; i < launches; ++i)
      pool.run(&grid, nullptr, 1);
    double each = (secondsSince(begin) / launches - partTime) * 1e6;
    best = pass ? std::min(best, each) : each;
  }
  return std::max(best, 0.0);
}

tenon::runtime::Limits tenon::runtime::measureLimits(int threads) {
  Limits limits;
  limits.f32 = measureF32Peak(threads) / threads * 1e9;
  limits.bf16 = measureBf16Peak(threads) / threads * 1e9;
  limits.int8 = measureInt8Peak(threads) / threads * 1e9;
  limits.readAll = measureReadRate(threads) * 1e9;
  limits.read = threads > 1 ? measureReadRate(1) * 1e9 : limits.readAll;
  limits.l2Bytes = cacheBytes();
  limits.l2 = measureCacheRate(threads) / threads * 1e9;
  limits.launch = threads > 1 ? measureLaunch(threads) * 1e-6 : 0;
  limits.source = "measured now";
  return limits;
}

std::optional<tenon::runtime::Limits>
tenon::runtime::chooseLimits(const Description &description, int threads) {
  std::optional<Limits> facts = limitsOf(description);
  if (!description.target)
    return std::nullopt;
  if (!facts || !description.target->facts.count("measured"))
    return measureLimits(threads);
  facts->source = "from the facts file that it was compiled for, " +
                  description.target->name;
  return facts;
}

void tn_cli_measure(tn_machine *machine, void (*progress)(const char *what)) {
  int cores = std::max(1, int(std::thread::hardware_concurrency()));
  auto tell = [&](const char *what) {
    if (progress)
      progress(what);
  };
  tell("multiply-adds of one core");
  machine->f32_gflops = tenon::runtime::measureF32Peak(1);
  tell("dot products of one core");
  machine->bf16_gflops = tenon::runtime::measureBf16Peak(1);
  machine->int8_gops = tenon::runtime::measureInt8Peak(1);
  tell("memory read by one core");
  machine->read_gbs = tenon::runtime::measureReadRate(1);
  tell("memory read by all cores");
  machine->read_gbs_all = tenon::runtime::measureReadRate(cores);
  tell("cache read by one core");
  machine->l2_gbs = tenon::runtime::measureCacheRate(1);
  tell("launches");
  machine->launch_us = tenon::runtime::measureLaunch(cores);
}
