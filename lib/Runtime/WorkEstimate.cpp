// Evaluates the facts of launches; see WorkEstimate.h.
#include "WorkEstimate.h"
#include "Failure.h"

#include <algorithm>
#include <map>
#include <string>

using namespace tenon::runtime;

/// A fact of the machine that the artifact was compiled for.
static double factOf(const Description &description, const char *name,
                     double otherwise) {
  if (!description.target)
    return otherwise;
  auto found = description.target->facts.find(name);
  bool isKnown = found != description.target->facts.end() && found->second > 0;
  return isKnown ? found->second : otherwise;
}

WorkEstimate::WorkEstimate(const Description &description)
    : flopsPerNanosecond(factOf(description, "f32_gflops", 50)),
      bytesPerNanosecond(factOf(description, "read_gbs", 10)) {
  std::map<std::string, size_t> known;
  for (const Launch &launch : description.launches) {
    const Costs *costs = launch.costs ? &*launch.costs : nullptr;
    std::string text;
    if (costs)
      text = costs->flops.text() + "," + costs->readBytes.text() + "," +
             costs->writtenBytes.text();
    auto [entry, isNew] = known.try_emplace(text, kinds.size());
    if (isNew)
      kinds.push_back(costs);
    kindOf.push_back(entry->second);
  }
  times.assign(kindOf.size(), unknown);
}

int64_t WorkEstimate::estimate(const Costs &costs,
                               const std::vector<int64_t> &symbols) const {
  try {
    double flops = double(costs.flops.evaluate(symbols));
    double bytes = double(costs.readBytes.evaluate(symbols)) +
                   double(costs.writtenBytes.evaluate(symbols));
    double time = flops / flopsPerNanosecond + bytes / bytesPerNanosecond;
    // Whatever takes an hour is long enough to be split.
    return int64_t(std::clamp(time, 0.0, 3.6e12));
  } catch (const Failure &) {
    return unknown; // A number has more than 64 bits.
  }
}

void WorkEstimate::update(const std::vector<int64_t> &symbols) {
  if (last == symbols)
    return;
  last = symbols;
  timeOf.clear();
  for (const Costs *costs : kinds)
    timeOf.push_back(costs ? estimate(*costs, symbols) : unknown);
  for (size_t i = 0; i < times.size(); ++i)
    times[i] = timeOf[kindOf[i]];
}
