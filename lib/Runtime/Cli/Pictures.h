// Pictures of what an artifact says of itself, as SVG.
#ifndef TENON_RUNTIME_CLI_PICTURES_H
#define TENON_RUNTIME_CLI_PICTURES_H

#include "Costs.h"

namespace tenon::runtime {

/// The launches in their order and the tensors between them. Throws
/// CommandError where the artifact does not say what they read and write.
std::string drawLaunchGraph(const Description &description,
                            const std::vector<int64_t> &sizes, int threads);

/// Which buffer lies where in the arena while which launch runs. Throws
/// CommandError where the artifact does not say when its launches run.
std::string drawMemoryMap(const Description &description,
                          const std::vector<int64_t> &sizes);

/// A measured run for a picture; a number for each launch.
struct Roofline {
  std::string title;
  const Description &description;
  const std::vector<LaunchCosts> &costs; ///< under `limits`
  const std::vector<double> &seconds;    ///< 0 for what did not run
  const Limits &limits;
  int threads;
};

/// Each kernel under the limits of the machine.
std::string drawRoofline(const Roofline &roofline);

/// Where the launches run, as the artifact names it.
std::string deviceOf(const Description &description);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_PICTURES_H
