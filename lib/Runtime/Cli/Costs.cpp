// Evaluates a description at given sizes.
#include "Costs.h"
#include "../ArtifactFile.h"
#include "../Failure.h"
#include "Tensor.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <numeric>

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

std::optional<Limits> tenon::runtime::limitsOf(const Description &description) {
  if (!description.target)
    return std::nullopt;
  const std::map<std::string, double> &facts = description.target->facts;
  auto fact = [&](const char *name) {
    auto found = facts.find(name);
    return found == facts.end() ? 0.0 : found->second;
  };
  Limits limits;
  limits.f32 = fact("f32_gflops") * 1e9;
  limits.bf16 = fact("bf16_gflops") * 1e9;
  limits.int8 = fact("int8_gops") * 1e9;
  limits.read = fact("read_gbs") * 1e9;
  limits.readAll = fact("read_gbs_all") * 1e9;
  limits.l2Bytes = fact("l2_bytes");
  limits.l2 = fact("l2_gbs") * 1e9;
  limits.launch = fact("launch_us") * 1e-6;
  limits.source = "facts of " + description.target->name;
  if (limits.f32 <= 0 || limits.read <= 0)
    return std::nullopt;
  return limits;
}

std::string tenon::runtime::limitsText(const Limits &limits, int threads) {
  std::string text = "limits of " + std::to_string(threads) +
                     (threads == 1 ? " thread" : " threads");
  auto add = [&](const char *format, double value) {
    char part[64];
    std::snprintf(part, sizeof(part), format, value);
    text += part;
  };
  add(": f32 %.1f", limits.f32 * threads * 1e-9);
  if (limits.bf16 > 0)
    add(", bf16 %.1f", limits.bf16 * threads * 1e-9);
  if (limits.int8 > 0)
    add(", int8 %.1f", limits.int8 * threads * 1e-9);
  add(" GOP/s, memory %.1f", limits.readRate(threads) * 1e-9);
  if (limits.l2 > 0)
    add(", L2 %.1f", limits.l2 * threads * 1e-9);
  text += " GB/s";
  if (threads > 1)
    add(", launch %.2f us", limits.launch * 1e6);
  return text + ", " + limits.source;
}

const char *tenon::runtime::boundName(Bound bound) {
  static const char *const names[] = {"f32",    "bf16",  "int8",  "elements",
                                      "memory", "cache", "launch"};
  return names[int(bound)];
}

static void predict(LaunchCosts &costs, const Limits &limits, int threads) {
  // Parts of a grid run whole: seven parts on four threads take two rounds.
  int64_t grid = std::max<int64_t>(costs.grid, 1);
  int64_t rounds = (grid + threads - 1) / threads;
  double speedup = double(grid) / double(rounds);
  double times[] = {double(costs.f32) / limits.peakF32(speedup),
                    double(costs.bf16) / limits.peakBf16(speedup),
                    double(costs.int8) / limits.peakInt8(speedup),
                    double(costs.steps) / limits.peakSteps(speedup)};
  const double *longest = std::max_element(std::begin(times), std::end(times));
  // They use the same units of a core, one after the other.
  double computing = std::accumulate(std::begin(times), std::end(times), 0.0);
  double fromMemory =
      double(costs.bytes - costs.cached) / limits.readRate(speedup);
  double fromCache =
      limits.l2 > 0 ? double(costs.cached) / (limits.l2 * speedup) : 0;
  double moving = fromMemory + fromCache;
  double working = std::max(computing, moving);
  // One part runs in the thread that launches it.
  double launching = threads > 1 && grid > 1 ? limits.launch : 0;
  costs.bound = working < launching ? Bound::Launch
                : moving > computing
                    ? (fromCache > fromMemory ? Bound::Cache : Bound::Memory)
                    : Bound(longest - std::begin(times));
  costs.seconds = working + launching;
}

/// Bytes of a launch that need not come from memory.
static int64_t cachedBytes(const Description &description, const Launch &launch,
                           const std::vector<int64_t> &sizes,
                           const LaunchCosts &costs, double cache) {
  if (double(description.weightBytes + description.arenaBytes(sizes)) <= cache)
    return costs.bytes;
  if (!launch.reads)
    return 0;
  int64_t weights = 0;
  for (int64_t number : *launch.reads) {
    const Buffer &buffer = description.buffers[number];
    if (buffer.place == Buffer::Weight && buffer.bytes)
      weights += buffer.bytes->evaluate(sizes);
  }
  // Of a table only some rows are read.
  int64_t others =
      costs.bytes - std::min(weights, launch.costs->readBytes.evaluate(sizes));
  return double(others) <= cache ? others : 0;
}

std::vector<LaunchCosts>
tenon::runtime::launchCosts(const Description &description,
                            const std::vector<int64_t> &sizes, int threads,
                            const std::optional<Limits> &limits) {
  std::vector<LaunchCosts> result;
  for (const Launch &launch : description.launches) {
    LaunchCosts costs;
    if (launch.costs) {
      costs.known = true;
      costs.flops = launch.costs->flops.evaluate(sizes);
      costs.bytes = launch.costs->readBytes.evaluate(sizes) +
                    launch.costs->writtenBytes.evaluate(sizes);
      costs.grid = launch.costs->grid.evaluate(sizes);
      costs.f32 = costs.flops;
      if (launch.work) {
        costs.bf16 = launch.work->bf16.evaluate(sizes);
        costs.int8 = launch.work->int8.evaluate(sizes);
        costs.f32 =
            launch.work->products.evaluate(sizes) - costs.bf16 - costs.int8;
        costs.steps = launch.work->steps.evaluate(sizes);
      }
      if (limits && limits->l2 > 0)
        costs.cached = cachedBytes(description, launch, sizes, costs,
                                   limits->l2Bytes * std::max(threads, 1));
      if (limits)
        predict(costs, *limits, std::max(threads, 1));
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
    sum.f32 += costs.f32;
    sum.bf16 += costs.bf16;
    sum.int8 += costs.int8;
    sum.steps += costs.steps;
    sum.bytes += costs.bytes;
    sum.seconds += costs.seconds;
    sum.known &= costs.known;
  }
  return sum;
}
