// plan: what each launch costs and should take, before anything runs.
#include "Commands.h"
#include "Costs.h"
#include "Json.h"
#include "Pictures.h"
#include "TensorProto.h"

#include <cstdio>

using namespace tenon::runtime;

static void printJson(const Description &description,
                      const std::vector<int64_t> &sizes, int threads,
                      const std::vector<LaunchCosts> &costs) {
  std::printf("{\"threads\": %d, \"sizes\": {", threads);
  for (size_t i = 0; i < sizes.size(); ++i)
    std::printf("%s%s: %lld", i ? ", " : "",
                jsonString(description.symbols[i].name).c_str(),
                (long long)sizes[i]);
  std::printf("},\n \"launches\": [");
  for (size_t i = 0; i < costs.size(); ++i) {
    const Launch &launch = description.launches[i];
    std::printf("%s\n  {\"kernel\": %s, \"nodes\": %s", i ? "," : "",
                jsonString(launch.kernel).c_str(),
                jsonString(launch.nodes).c_str());
    if (!launch.kind.empty())
      std::printf(", \"kind\": %s", jsonString(launch.kind).c_str());
    if (costs[i].known)
      std::printf(
          ", \"flops\": %lld, \"bf16_flops\": %lld, \"int8_ops\": %lld, "
          "\"bytes\": %lld, \"grid\": %lld, "
          "\"predicted_us\": %.3f, \"bound_by\": \"%s\"",
          (long long)costs[i].flops, (long long)costs[i].bf16,
          (long long)costs[i].int8, (long long)costs[i].bytes,
          (long long)costs[i].grid, costs[i].seconds * 1e6,
          costs[i].seconds > 0 ? boundName(costs[i].bound) : "");
    std::printf("}");
  }
  LaunchCosts sum = sumCosts(costs);
  std::printf("\n ],\n \"flops\": %lld, \"bytes\": %lld, \"predicted_us\": "
              "%.3f}\n",
              (long long)sum.flops, (long long)sum.bytes, sum.seconds * 1e6);
}

static void printRow(const LaunchCosts &costs, const std::string &kernel,
                     const std::string &nodes) {
  if (!costs.known) {
    std::printf("%10s %10s %10s %12s %8s  %-28s %s\n", "?", "?", "?", "?", "",
                kernel.c_str(), nodes.c_str());
    return;
  }
  double bytes = double(costs.bytes);
  std::printf("%10.3f %10.3f %10.1f %12.2f %8s  %-28s %s\n",
              double(costs.flops) * 1e-6, bytes * 1e-6,
              bytes > 0 ? double(costs.flops) / bytes : 0, costs.seconds * 1e6,
              costs.seconds > 0 ? boundName(costs.bound) : "", kernel.c_str(),
              nodes.c_str());
}

int tenon::runtime::planCommand(const Arguments &arguments) {
  Description description = readDescriptionFile(arguments.artifact);
  std::vector<int64_t> sizes = chooseSizes(description, arguments.shape);
  if (!arguments.memory.empty()) {
    std::string picture = drawMemoryMap(description, sizes);
    writeFile(arguments.memory, {picture.begin(), picture.end()});
  }
  int threads = threadCount(arguments);
  std::vector<LaunchCosts> costs =
      launchCosts(description, sizes, threads, limitsOf(description));
  if (arguments.json) {
    printJson(description, sizes, threads, costs);
    return 0;
  }
  std::printf("%s, %d thread%s, facts of %s\n",
              describeSizes(description, sizes).c_str(), threads,
              threads == 1 ? "" : "s",
              description.target ? description.target->name.c_str()
                                 : "no target: nothing is predicted");
  std::printf("%10s %10s %10s %12s %8s  %-28s %s\n", "MFLOP", "MB", "FLOP/byte",
              "predicted us", "bound by", "kernel", "nodes");
  for (size_t i = 0; i < costs.size(); ++i)
    printRow(costs[i], description.launches[i].kernel,
             description.launches[i].nodes);
  LaunchCosts sum = sumCosts(costs);
  std::printf("%10.3f %10.3f %10.1f %12.2f %8s  %zu launches\n",
              double(sum.flops) * 1e-6, double(sum.bytes) * 1e-6,
              sum.bytes ? double(sum.flops) / double(sum.bytes) : 0,
              sum.seconds * 1e6, "", costs.size());
  return 0;
}
