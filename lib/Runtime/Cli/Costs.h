// What the launches of a model cost at given sizes, and how long that should
// take.
#ifndef TENON_RUNTIME_CLI_COSTS_H
#define TENON_RUNTIME_CLI_COSTS_H

#include "../Description.h"
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

struct LaunchCosts {
  int64_t flops = 0, bytes = 0, grid = 0;
  bool known = false;    ///< else it depends on data
  double seconds = 0;    ///< predicted; 0 without facts of the target
  bool byMemory = false; ///< what the prediction is bound by
};

/// One for each launch. The prediction is a roofline: the longer of computing
/// at the peak and of moving the compulsory bytes, and the cost of a launch.
std::vector<LaunchCosts> launchCosts(const Description &description,
                                     const std::vector<int64_t> &sizes,
                                     int threads);

/// The sums over all launches.
LaunchCosts sumCosts(const std::vector<LaunchCosts> &launches);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_COSTS_H
