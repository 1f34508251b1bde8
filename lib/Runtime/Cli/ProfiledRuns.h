// Runs with the time of every launch: what profile and rooflines share.
#ifndef TENON_RUNTIME_CLI_PROFILEDRUNS_H
#define TENON_RUNTIME_CLI_PROFILEDRUNS_H

#include "Commands.h"
#include "Costs.h"

namespace tenon::runtime {

struct ProfiledRuns {
  std::vector<tn_launch> launches; ///< in order; names live as long as `model`
  int64_t runs = 0;
  double nanoseconds = 1; ///< of all runs together, at least 1

  /// Seconds of a launch in one run.
  double seconds(size_t launch) const {
    return double(launches[launch].nanoseconds) / double(runs) * 1e-9;
  }

  /// What the launches cost in one run: more than once in a loop, and nothing
  /// in a branch that was not taken.
  std::vector<LaunchCosts> perRun(std::vector<LaunchCosts> costs) const;
};

/// Runs `model`, whose session has the option `profile`, for `seconds`.
ProfiledRuns profileRuns(Model &model, double seconds);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_PROFILEDRUNS_H
