// What the fuzzers of files share: damage to bytes, and processes that may die.
#ifndef TENON_TEST_FUZZ_MUTANTS_H
#define TENON_TEST_FUZZ_MUTANTS_H

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace tenon::fuzz {

using Bytes = std::vector<char>;
using Random = std::mt19937_64;

/// From 0 up to, without, `n`; 0 if `n` is.
inline size_t below(size_t n, Random &random) {
  return n ? size_t(random() % n) : 0;
}

/// A number where programs have their limits.
int64_t oddNumber(Random &random);

/// Changes, cuts, doubles, moves and overwrites some bytes from `begin` to
/// `end`. Their number stays where `isFixed`.
void damage(Bytes &bytes, size_t begin, size_t end, bool isFixed,
            Random &random);

struct Outcome {
  int code;          ///< of exit, or -1 - the signal
  double seconds;    ///< of processors
  int64_t megabytes; ///< of resident memory, at its highest
};

/// Runs `body` in a process of its own, which says nothing, ends with what
/// `body` returns, and is killed after 20 s.
Outcome isolated(const std::function<int()> &body);

/// Code that ends a process in which a sanitizer finds something.
constexpr int kSanitizerCode = 99;

/// A new empty folder, in memory where there is one. Ends the program if there
/// is none to be had.
std::string makeFolder();

/// What many runs came to.
class Tally {
public:
  /// `slowest` is the time of a whole file.
  Tally(std::string what, double slowest)
      : what(std::move(what)), slowest(slowest) {}

  /// Counts a run. One is fine that ends by itself with 0 (taken), 1 or 3
  /// (refused), in less than 2 s more than the whole file takes, in less than
  /// 1 GB. Keeps the file and says so if it is not.
  void add(uint64_t seed, const Outcome &outcome, const Bytes &bytes,
           const std::string &suffix);

  /// Prints the numbers; returns the code to exit with.
  int report() const;

private:
  std::string what;
  double slowest, longest = 0;
  int64_t largest = 0;
  uint64_t taken = 0, refused = 0, bad = 0;
};

} // namespace tenon::fuzz

#endif // TENON_TEST_FUZZ_MUTANTS_H
