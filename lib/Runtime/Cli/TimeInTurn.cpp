// Times artifacts of one model against each other.
#include "Model.h"
#include "tenon-c/CommandLine.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

using namespace tenon::runtime;

using Clock = std::chrono::steady_clock;

// One artifact runs a few times before the next does. The first of these finds
// the caches full of what others read, as no run does in use, and is not
// counted.
static constexpr int runsInTurn = 4, leastTurns = 3;

namespace {
/// An artifact, and what its runs took: the whole, then each launch.
class Candidate {
public:
  Candidate(const char *artifact, int launches)
      : model(artifact, {/*threads=*/0, /*profile=*/launches != 0, 0}),
        times(size_t(launches) + 1), sums(size_t(launches)) {
    int found = tn_session_profile_count(model.session);
    if (launches && found != launches)
      throw CommandError("'" + std::string(artifact) + "' has " +
                         std::to_string(found) + " launches, not " +
                         std::to_string(launches));
    model.inventInputs({});
    model.run();
  }

  void takeTurn() {
    for (int i = 0; i < runsInTurn; ++i)
      run(/*counts=*/i != 0);
  }

  double median(size_t number) {
    std::vector<double> &all = times[number];
    auto middle = all.begin() + std::ptrdiff_t(all.size() / 2);
    std::nth_element(all.begin(), middle, all.end());
    return *middle;
  }

private:
  void run(bool counts) {
    Clock::time_point begin = Clock::now();
    model.run();
    std::chrono::duration<double, std::nano> taken = Clock::now() - begin;
    if (counts)
      times[0].push_back(taken.count());
    for (size_t i = 0; i < sums.size(); ++i) {
      tn_launch launch;
      if (tn_session_profile(model.session, int32_t(i), &launch) != TN_OK)
        throw CommandError(tn_last_error());
      if (counts)
        times[i + 1].push_back(double(launch.nanoseconds - sums[i]));
      sums[i] = launch.nanoseconds;
    }
  }

  Model model;
  std::vector<std::vector<double>> times;
  std::vector<int64_t> sums; ///< of all runs so far, launch by launch
};
} // namespace

int tn_cli_time_in_turn(const char *const *artifacts, int count, int launches,
                        double seconds, double *times) {
  try {
    std::vector<std::unique_ptr<Candidate>> candidates;
    for (int i = 0; i < count; ++i)
      candidates.push_back(std::make_unique<Candidate>(artifacts[i], launches));
    Clock::time_point begin = Clock::now();
    auto isOver = [&] {
      return std::chrono::duration<double>(Clock::now() - begin).count() >=
             seconds;
    };
    for (int turn = 0; turn < leastTurns || !isOver(); ++turn)
      for (auto &candidate : candidates)
        candidate->takeTurn();
    for (auto &candidate : candidates)
      for (size_t i = 0; i <= size_t(launches); ++i)
        *times++ = candidate->median(i);
    return 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
