// bench: the time of a run, for people or for a benchmark that asks.
#include "Machine.h"
#include "Pictures.h"
#include "ProfiledRuns.h"
#include "TensorProto.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <unistd.h>

using namespace tenon::runtime;

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Operations a second, beside what the threads could do of this mixture.
static void printRate(const LaunchCosts &costs, int threads, double seconds) {
  double f32 = measureF32Peak(threads) * 1e9;
  std::string peaks;
  double least = 0; // seconds of the operations alone
  auto add = [&](const char *type, int64_t operations, double peak) {
    if (operations <= 0 || peak <= 0)
      return;
    char text[64];
    std::snprintf(text, sizeof(text), "%s%s %.1f", peaks.empty() ? "" : ", ",
                  type, peak * 1e-9);
    peaks += text;
    least += double(operations) / peak;
  };
  add("f32", costs.f32 + 2 * costs.steps, f32);
  add("bf16", costs.bf16, costs.bf16 ? measureBf16Peak(threads) * 1e9 : 0);
  // Without an instruction, pairs of 16 bits are multiplied.
  double int8 = costs.int8 ? measureInt8Peak(threads) * 1e9 : 0;
  add("int8", costs.int8, int8 > 0 ? int8 : 2 * f32);
  std::printf("%.1f GOP/s%s, %.1f %% of the peak of %d thread%s measured now, "
              "%s GOP/s\n",
              double(costs.flops) / seconds * 1e-9,
              costs.known ? "" : " without what depends on data",
              100 * least / seconds, threads, threads == 1 ? "" : "s",
              peaks.c_str());
}

/// "model.so, batch=1, sequence=128, 2 threads, 2026-11-26"
static std::string titleOf(const Arguments &arguments,
                           const Description &description,
                           const std::vector<int64_t> &sizes, int threads) {
  std::string name = arguments.artifact;
  // A model that was compiled on the way has no other name left.
  char target[4096];
  ssize_t length = readlink(name.c_str(), target, sizeof(target));
  if (length > 0)
    name.assign(target, size_t(length));
  name = name.substr(name.rfind('/') + 1);
  name = name.substr(0, name.find(" (deleted)"));
  std::time_t now = std::time(nullptr);
  char date[32];
  std::strftime(date, sizeof(date), "%Y-%m-%d", std::localtime(&now));
  return name + ", " + describeSizes(description, sizes) + ", " +
         std::to_string(threads) + (threads == 1 ? " thread, " : " threads, ") +
         date;
}

static void writeRoofline(const Arguments &arguments,
                          const Description &description,
                          const std::vector<int64_t> &sizes, int threads) {
  tn_session_options options = arguments.session;
  options.profile = 1;
  Model model(arguments.artifact, options);
  model.inventInputs(arguments.shape);
  ProfiledRuns profiled = profileRuns(model, arguments.seconds);
  std::vector<double> seconds;
  for (size_t i = 0; i < profiled.launches.size(); ++i)
    seconds.push_back(profiled.seconds(i));
  std::optional<Limits> limits = chooseLimits(description, threads);
  std::vector<LaunchCosts> costs =
      profiled.perRun(launchCosts(description, sizes, threads, limits));
  std::string picture =
      drawRoofline({titleOf(arguments, description, sizes, threads),
                    description, costs, seconds, *limits, threads});
  writeFile(arguments.roofline, {picture.begin(), picture.end()});
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
  LaunchCosts costs =
      sumCosts(launchCosts(description, sizes, threads, limitsOf(description)));
  if (!description.target && (arguments.predict || !arguments.roofline.empty()))
    throw CommandError("the artifact does not say for which machine it is, so "
                       "nothing can be predicted and no roofline drawn");
  if (arguments.predict) {
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
  printRate(costs, threads, quantile(0.5) * 1e-3);
  if (!arguments.roofline.empty())
    writeRoofline(arguments, description, sizes, threads);
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
