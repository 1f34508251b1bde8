// Evaluates a description at given sizes.
#include "Costs.h"
#include "../ArtifactFile.h"
#include "../Failure.h"
#include "Tensor.h"

#include <algorithm>

using namespace tenon::runtime;

Description tenon::runtime::readDescriptionFile(const std::string &path) {
  try {
    return parseDescription(readDescription(path));
  } catch (const Failure &failure) {
    throw CommandError(failure.what());
  }
}

std::vector<int64_t>
tenon::runtime::chooseSizes(const Description &description,
                            const std::map<std::string, int64_t> &shape) {
  std::map<std::string, int64_t> left = shape;
  std::vector<int64_t> sizes;
  for (const Symbol &symbol : description.symbols) {
    auto given = left.find(symbol.name);
    if (given != left.end()) {
      sizes.push_back(given->second);
      left.erase(given);
    } else {
      sizes.push_back(symbol.hint >= 0 ? symbol.hint
                                       : std::max<int64_t>(1, symbol.min));
    }
  }
  if (left.empty())
    return sizes;
  std::string names;
  for (const Symbol &symbol : description.symbols)
    names += (names.empty() ? "'" : ", '") + symbol.name + "'";
  throw CommandError("the model has no symbol '" + left.begin()->first +
                     "', it has " + (names.empty() ? "none" : names));
}

std::string tenon::runtime::describeSizes(const Description &description,
                                          const std::vector<int64_t> &sizes) {
  std::string text;
  for (size_t i = 0; i < sizes.size(); ++i)
    text += (i ? ", " : "") + description.symbols[i].name + "=" +
            std::to_string(sizes[i]);
  return text.empty() ? "fixed sizes" : text;
}

static void predict(LaunchCosts &costs, const Target &target, int threads) {
  auto fact = [&](const char *name) {
    auto found = target.facts.find(name);
    return found == target.facts.end() ? 0.0 : found->second;
  };
  // Parts of a grid run whole: seven parts on four threads take two rounds.
  int64_t grid = std::max<int64_t>(costs.grid, 1);
  int64_t rounds = (grid + threads - 1) / threads;
  double speedup = double(grid) / double(rounds);
  double peak = fact("f32_gflops") * 1e9 * speedup;
  double all = fact("read_gbs_all");
  double rate = fact("read_gbs") * std::min<double>(speedup, threads) * 1e9;
  if (all > 0)
    rate = std::min(rate, all * 1e9);
  if (peak <= 0 || rate <= 0)
    return;
  double computing = double(costs.flops) / peak;
  double moving = double(costs.bytes) / rate;
  costs.byMemory = moving > computing;
  costs.seconds = std::max(computing, moving) + fact("launch_us") * 1e-6;
}

std::vector<LaunchCosts>
tenon::runtime::launchCosts(const Description &description,
                            const std::vector<int64_t> &sizes, int threads) {
  std::vector<LaunchCosts> result;
  for (const Launch &launch : description.launches) {
    LaunchCosts costs;
    if (launch.costs) {
      costs.known = true;
      costs.flops = launch.costs->flops.evaluate(sizes);
      costs.bytes = launch.costs->readBytes.evaluate(sizes) +
                    launch.costs->writtenBytes.evaluate(sizes);
      costs.grid = launch.costs->grid.evaluate(sizes);
      if (description.target)
        predict(costs, *description.target, std::max(threads, 1));
    }
    result.push_back(costs);
  }
  return result;
}

LaunchCosts tenon::runtime::sumCosts(const std::vector<LaunchCosts> &launches) {
  LaunchCosts sum;
  sum.known = true;
  for (const LaunchCosts &costs : launches) {
    sum.flops += costs.flops;
    sum.bytes += costs.bytes;
    sum.seconds += costs.seconds;
    sum.known &= costs.known;
  }
  return sum;
}
