// profile: where the time of a run goes, launch by launch.
#include "Commands.h"
#include "Costs.h"
#include "Json.h"
#include "Machine.h"
#include "TensorProto.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>

using namespace tenon::runtime;

/// Writes the last run in the trace event format that browsers show.
static void writeTrace(const std::string &path,
                       const std::vector<tn_launch> &launches) {
  std::string text = "{\"traceEvents\": [";
  bool isFirst = true;
  for (const tn_launch &launch : launches) {
    if (!launch.calls)
      continue;
    char times[96];
    std::snprintf(times, sizeof(times), "\"ts\": %.3f, \"dur\": %.3f",
                  double(launch.last_begin) / 1e3,
                  double(launch.last_nanoseconds) / 1e3);
    text += std::string(isFirst ? "\n" : ",\n") +
            "  {\"ph\": \"X\", \"pid\": 1, \"tid\": 1, " + times +
            ", \"name\": " + jsonString(launch.kernel) +
            ", \"args\": {\"nodes\": " + jsonString(launch.nodes) + "}}";
    isFirst = false;
  }
  text += "\n]}\n";
  writeFile(path, std::vector<char>(text.begin(), text.end()));
}

static std::vector<tn_launch> readLaunches(const Model &model) {
  std::vector<tn_launch> launches;
  for (int i = 0; i < tn_session_profile_count(model.session); ++i) {
    launches.emplace_back();
    if (tn_session_profile(model.session, i, &launches.back()) != TN_OK)
      throw CommandError(tn_last_error());
  }
  return launches;
}

int tenon::runtime::profileCommand(const Arguments &arguments) {
  tn_session_options options = arguments.session;
  options.profile = 1;
  Model model(arguments.artifact, options);
  model.inventInputs(arguments.shape);
  model.run();
  tn_session_profile_reset(model.session);
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin = Clock::now();
  int64_t runs = 0;
  do {
    model.run();
    ++runs;
  } while (std::chrono::duration<double>(Clock::now() - begin).count() <
           arguments.seconds);
  std::vector<tn_launch> launches = readLaunches(model);
  double inLaunches = 0;
  for (const tn_launch &launch : launches)
    inLaunches += double(launch.nanoseconds);
  double total =
      std::max(double(tn_session_run_nanoseconds(model.session)), 1.0);
  if (!arguments.trace.empty())
    writeTrace(arguments.trace, launches);

  Description description = readDescriptionFile(arguments.artifact);
  std::vector<int64_t> sizes = chooseSizes(description, arguments.shape);
  int threads = threadCount(arguments);
  std::vector<LaunchCosts> costs = launchCosts(description, sizes, threads);
  double peak = measureF32Peak(threads), rate = measureReadRate(threads);
  std::vector<size_t> order(launches.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t lhs, size_t rhs) {
    return launches[lhs].nanoseconds > launches[rhs].nanoseconds;
  });
  std::printf("this machine, %d thread%s: %.1f GFLOP/s, %.1f GB/s\n", threads,
              threads == 1 ? "" : "s", peak, rate);
  std::printf("%12s %8s %10s %10s %9s %8s  %-28s %s\n", "us per run", "share",
              "MFLOP", "MB", "GFLOP/s", "of limit", "kernel", "nodes");
  for (size_t i : order) {
    double time = double(launches[i].nanoseconds) / double(runs);
    std::printf("%12.2f %6.1f %% ", time / 1e3,
                100 * double(launches[i].nanoseconds) / total);
    if (costs[i].known) {
      double flops = double(costs[i].flops), bytes = double(costs[i].bytes);
      // Nanoseconds that the machine needs for the work at the least.
      double least = std::max(flops / peak, bytes / rate);
      std::printf("%10.3f %10.3f %9.1f %6.0f %%  ", flops * 1e-6, bytes * 1e-6,
                  flops / time, 100 * least / time);
    } else {
      std::printf("%10s %10s %9s %8s  ", "?", "?", "?", "?");
    }
    std::printf("%-28s %s\n", launches[i].kernel, launches[i].nodes);
  }
  auto row = [&](double time, const char *name) {
    std::printf("%12.2f %6.1f %%  %s\n", time / double(runs) / 1e3,
                100 * time / total, name);
  };
  row(total - inLaunches, "between launches");
  row(total, "all");
  return 0;
}
