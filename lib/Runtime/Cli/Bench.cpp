// bench: the time of a run, for people or for a benchmark that asks.
#include "Commands.h"
#include "Costs.h"
#include "Machine.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>

using namespace tenon::runtime;

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

int tenon::runtime::benchCommand(const Arguments &arguments) {
  if (arguments.worker) {
    if (arguments.words.empty())
      throw CommandError("--worker needs a folder with inputs");
    return benchWorker(arguments.artifact, arguments.words.front(),
                       arguments.session.threads);
  }
  Description description = readDescriptionFile(arguments.artifact);
  std::vector<int64_t> sizes = chooseSizes(description, arguments.shape);
  int threads = threadCount(arguments);
  LaunchCosts costs = sumCosts(launchCosts(description, sizes, threads));
  if (arguments.predict) {
    if (!description.target)
      throw CommandError(
          "the artifact does not say for which machine it is, so "
          "nothing can be predicted");
    // Before anything runs, so that nobody can say it was fitted.
    std::printf("predicted %.4f ms from the facts of %s\n", costs.seconds * 1e3,
                description.target->name.c_str());
    std::fflush(stdout);
  }
  Model model(arguments.artifact, arguments.session);
  model.inventInputs(arguments.shape);
  // The first run touches memory for the first time and does not count.
  model.run();
  std::vector<double> times;
  Clock::time_point begin = Clock::now();
  do {
    Clock::time_point start = Clock::now();
    model.run();
    times.push_back(secondsSince(start) * 1e3);
  } while (secondsSince(begin) < arguments.seconds);
  std::sort(times.begin(), times.end());
  auto quantile = [&](double q) {
    return times[size_t(q * double(times.size() - 1) + 0.5)];
  };
  std::printf("median %.4f ms, p10 %.4f ms, p90 %.4f ms, %zu runs\n",
              quantile(0.5), quantile(0.1), quantile(0.9), times.size());
  double peak = measureF32Peak(threads);
  double rate = double(costs.flops) / quantile(0.5) * 1e-6;
  std::printf(
      "%.1f GFLOP/s%s, %.1f %% of the peak of %d thread%s measured now, "
      "%.1f GFLOP/s\n",
      rate, costs.known ? "" : " without what depends on data",
      peak > 0 ? 100 * rate / peak : 0, threads, threads == 1 ? "" : "s", peak);
  if (arguments.predict)
    std::printf("predicted %.4f ms, measured %.4f ms, ratio %.3f\n",
                costs.seconds * 1e3, quantile(0.5),
                quantile(0.5) / (costs.seconds * 1e3));
  return 0;
}

int tenon::runtime::benchWorker(const std::string &artifact,
                                const std::string &inputs, int threads) {
  Clock::time_point begin = Clock::now();
  tn_session_options options = {};
  options.threads = std::max(0, threads);
  Model model(artifact, options);
  model.readDataSet(inputs);
  std::printf("info load_s %.4f\nready\n", secondsSince(begin));
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "quit")
      break;
    if (line == "run") {
      Clock::time_point start = Clock::now();
      model.run();
      auto time = std::chrono::duration_cast<std::chrono::nanoseconds>(
          Clock::now() - start);
      std::printf("%lld\n", (long long)time.count());
    } else if (line.compare(0, 5, "save ") == 0) {
      model.writeOutputs(line.substr(5));
      std::printf("saved\n");
    } else {
      throw CommandError("unknown request '" + line + "'");
    }
    std::fflush(stdout);
  }
  return 0;
}
