// What the launches of a model cost at given sizes, and how long that should
// take.
#ifndef TENON_RUNTIME_CLI_COSTS_H
#define TENON_RUNTIME_CLI_COSTS_H

#include "../Description.h"
#include <algorithm>
#include <map>

namespace tenon::runtime {

/// Reads the description of an artifact without running any of its code, or a
/// file that is nothing but a description. Throws CommandError.
Description readDescriptionFile(const std::string &path);

/// A size for every symbol: from `shape`, else its hint, else the smallest that
/// is not 0. Throws CommandError for a name that the model does not have.
std::vector<int64_t> chooseSizes(const Description &description,
                                 const std::map<std::string, int64_t> &shape);

/// "batch=1, sequence=128"
std::string describeSizes(const Description &description,
                          const std::vector<int64_t> &sizes);

/// What a machine can do, which no launch can beat.
struct Limits {
  /// Operations a second of one thread, by what products multiply. 0 where
  /// there is no instruction for it.
  double f32 = 0, bf16 = 0, int8 = 0;
  double read = 0;    ///< bytes a second from memory, of one thread
  double readAll = 0; ///< and of all threads together
  double l2Bytes = 0; ///< cache of one core
  double l2 = 0;      ///< bytes a second from it, of one thread
  double launch = 0;  ///< seconds of a launch on several threads, without work
  std::string source; ///< where these numbers come from, for people

  /// The limits of `threads` threads. Bytes without an instruction are
  /// multiplied as pairs of 16 bits, at twice the rate of f32.
  double peakF32(double threads) const { return f32 * threads; }
  double peakBf16(double threads) const {
    return (bf16 > 0 ? bf16 : f32) * threads;
  }
  /// An instruction does for an element what half a multiply-add would.
  double peakSteps(double threads) const { return f32 * threads / 2; }
  double peakInt8(double threads) const {
    return (int8 > 0 ? int8 : 2 * f32) * threads;
  }
  double readRate(double threads) const {
    return readAll > 0 ? std::min(read * threads, readAll) : read * threads;
  }
};

/// The facts that the artifact was compiled for, if it has them.
std::optional<Limits> limitsOf(const Description &description);

/// One line: the limits of `threads` threads and where they come from.
std::string limitsText(const Limits &limits, int threads);

/// What decides how long a launch takes at the least.
enum class Bound { F32, Bf16, Int8, Elements, Memory, Cache, Launch };

/// "f32", "bf16", "int8", "elements", "memory", "cache", "launch"
const char *boundName(Bound bound);

struct LaunchCosts {
  int64_t flops = 0, bytes = 0, grid = 0;
  int64_t cached = 0; ///< bytes that the cache of the cores holds
  int64_t f32 = 0, bf16 = 0, int8 = 0; ///< flops of products, by operands
  int64_t steps = 0;        ///< instructions on elements beside products
  bool known = false;       ///< else it depends on data
  double seconds = 0;       ///< predicted; 0 without limits
  Bound bound = Bound::F32; ///< of the prediction
};

/// One for each launch. The prediction is a roofline: the longer of computing
/// at the peak of what is multiplied and of moving the compulsory bytes, and
/// the cost of a launch. Weights come from memory unless all of the model fits
/// the caches of the threads, what other launches have written from the caches
/// where it fits.
std::vector<LaunchCosts> launchCosts(const Description &description,
                                     const std::vector<int64_t> &sizes,
                                     int threads,
                                     const std::optional<Limits> &limits);

/// The sums over all launches.
LaunchCosts sumCosts(const std::vector<LaunchCosts> &launches);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_COSTS_H
