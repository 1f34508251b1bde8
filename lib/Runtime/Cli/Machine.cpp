// Measures with vector loops; the best of several passes counts, since what
// disturbs a pass only makes it slower.
#include "Machine.h"
#include "../ThreadPool.h"
#include "tenon-c/CommandLine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <immintrin.h>
#include <thread>
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

/// Operations, 10^9 a second, of a loop whose instruction does `each`.
static double measurePeak(int threads, void (*loop)(), int each) {
  double operations = double(each) * accumulators * double(rounds) * threads;
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

/// Of one core; 0 without the instruction.
static double measureBf16Peak() {
  return __builtin_cpu_supports("avx512bf16") ? measurePeak(1, dotBf16, 64) : 0;
}

static double measureInt8Peak() {
  if (__builtin_cpu_supports("avx512vnni"))
    return measurePeak(1, dotBytes512, 128);
  return __builtin_cpu_supports("avxvnni") ? measurePeak(1, dotBytes256, 64)
                                           : 0;
}

double tenon::runtime::measureReadRate(int threads) {
  // Larger than the last cache of any server of today, for each thread.
  constexpr size_t words = size_t(256) << 17; // 256 MiB
  std::vector<std::vector<uint64_t>> memory(threads);
  std::atomic<uint64_t> sink{0};
  timeThreads(threads, [&](int number) { memory[number].assign(words, 1); });
  double best = 0;
  Clock::time_point begin = Clock::now();
  while (secondsSince(begin) < 0.5) {
    double seconds = timeThreads(threads, [&](int number) {
      const uint64_t *data = memory[number].data();
      uint64_t sums[8] = {};
      for (size_t i = 0; i < words; i += 8)
        for (size_t lane = 0; lane < 8; ++lane)
          sums[lane] += data[i + lane];
      for (uint64_t sum : sums)
        sink += sum;
    });
    best = std::max(best, double(words) * 8 * threads / seconds * 1e-9);
  }
  return best;
}

/// Microseconds that a launch on all threads takes beside its work.
static double measureLaunch(int threads) {
  tenon::runtime::ThreadPool pool(threads);
  auto nothing = [](void *const *, const int64_t *, int64_t, int64_t) {};
  constexpr int launches = 10000;
  double best = 0;
  for (int pass = 0; pass < 5; ++pass) {
    Clock::time_point begin = Clock::now();
    for (int i = 0; i < launches; ++i)
      pool.run(nothing, nullptr, nullptr, threads);
    double each = secondsSince(begin) / launches * 1e6;
    best = pass ? std::min(best, each) : each;
  }
  return best;
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
  machine->bf16_gflops = measureBf16Peak();
  machine->int8_gops = measureInt8Peak();
  tell("memory read by one core");
  machine->read_gbs = tenon::runtime::measureReadRate(1);
  tell("memory read by all cores");
  machine->read_gbs_all = tenon::runtime::measureReadRate(cores);
  tell("launches");
  machine->launch_us = measureLaunch(cores);
}
