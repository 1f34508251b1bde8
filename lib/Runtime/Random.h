// The random numbers that tokens are drawn with.
#ifndef TENON_RUNTIME_RANDOM_H
#define TENON_RUNTIME_RANDOM_H

#include <cstdint>

namespace tenon::runtime {

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers for a seed on
/// every machine.
class Random {
public:
  explicit Random(uint64_t seed = 0) : state(seed) {}

  uint64_t next() {
    uint64_t mixed = state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
  }

  /// A multiple of 2^-53, from 0 to below 1.
  double uniform() { return double(next() >> 11) * 0x1p-53; }

private:
  uint64_t state;
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_RANDOM_H
