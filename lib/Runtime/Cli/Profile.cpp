// profile: where the time of a run goes, launch by launch, and what bounds it.
#include "Json.h"
#include "Machine.h"
#include "ProfiledRuns.h"
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

ProfiledRuns tenon::runtime::profileRuns(Model &model, double seconds) {
  using Clock = std::chrono::steady_clock;
  // The first run touches memory for the first time and does not count.
  model.run();
  tn_session_profile_reset(model.session);
  ProfiledRuns result;
  Clock::time_point begin = Clock::now();
  do {
    model.run();
    ++result.runs;
  } while (std::chrono::duration<double>(Clock::now() - begin).count() <
           seconds);
  for (int i = 0; i < tn_session_profile_count(model.session); ++i) {
    result.launches.emplace_back();
    if (tn_session_profile(model.session, i, &result.launches.back()) != TN_OK)
      throw CommandError(tn_last_error());
  }
  result.nanoseconds =
      std::max(double(tn_session_run_nanoseconds(model.session)), 1.0);
  return result;
}

std::vector<LaunchCosts>
ProfiledRuns::perRun(std::vector<LaunchCosts> costs) const {
  for (size_t i = 0; i < launches.size(); ++i) {
    double calls = double(launches[i].calls) / double(runs);
    costs[i].flops = int64_t(double(costs[i].flops) * calls);
    costs[i].bytes = int64_t(double(costs[i].bytes) * calls);
    costs[i].seconds *= calls;
  }
  return costs;
}

namespace {

/// What launches of one kind take together.
struct KindSum {
  const char *title;
  int64_t launches = 0;
  double seconds = 0, limit = 0; ///< of those whose limit is known
  double unknown = 0;            ///< of the others
};

class ProfileTable {
public:
  ProfileTable(const Description &description, const ProfiledRuns &profiled,
               const std::vector<LaunchCosts> &costs)
      : description(description), profiled(profiled), costs(costs) {}

  void printLaunches() {
    std::vector<size_t> order(profiled.launches.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t lhs, size_t rhs) {
      return profiled.launches[lhs].nanoseconds >
             profiled.launches[rhs].nanoseconds;
    });
    std::printf("%12s %8s %10s %10s %9s %9s %9s  %-28s %s\n", "us per run",
                "share", "MOP", "MB", "GOP/s", "of limit", "bound by", "kernel",
                "nodes");
    for (size_t i : order)
      printLaunch(i);
  }

  void printKinds() {
    KindSum kinds[] = {{"products"},    {"attention"}, {"norms"},
                       {"elementwise"}, {"moves"},     {"other"}};
    for (size_t i = 0; i < profiled.launches.size(); ++i) {
      KindSum &kind = kinds[kindNumber(i)];
      ++kind.launches;
      (costs[i].known ? kind.seconds : kind.unknown) += profiled.seconds(i);
      kind.limit += costs[i].seconds;
    }
    std::printf("%12s %8s %9s %9s  %s\n", "us per run", "share", "of limit",
                "launches", "kind");
    for (const KindSum &kind : kinds) {
      if (!kind.launches)
        continue;
      printTime(kind.seconds + kind.unknown);
      printShare(kind.limit, kind.seconds);
      std::printf(" %9lld  %s\n", (long long)kind.launches, kind.title);
    }
    double inLaunches = 0;
    for (size_t i = 0; i < profiled.launches.size(); ++i)
      inLaunches += profiled.seconds(i);
    double whole = profiled.nanoseconds / double(profiled.runs) * 1e-9;
    for (auto [seconds, title] :
         {std::pair(whole - inLaunches, "between"), std::pair(whole, "all")}) {
      printTime(seconds);
      std::printf(" %9s %9s  %s\n", "", "",
                  title == std::string("between") ? "between launches" : title);
    }
  }

private:
  size_t kindNumber(size_t launch) const {
    static const char *const names[] = {"product", "attention", "norm",
                                        "elementwise", "move"};
    return size_t(std::find(std::begin(names), std::end(names),
                            description.launches[launch].kind) -
                  std::begin(names));
  }

  void printTime(double seconds) const {
    std::printf("%12.2f %6.1f %%", seconds * 1e6,
                100 * seconds * double(profiled.runs) * 1e9 /
                    profiled.nanoseconds);
  }

  static void printShare(double limit, double seconds) {
    if (limit > 0 && seconds > 0)
      std::printf(" %7.0f %%", 100 * limit / seconds);
    else
      std::printf(" %9s", "");
  }

  void printLaunch(size_t i) const {
    double seconds = profiled.seconds(i);
    printTime(seconds);
    if (costs[i].known) {
      std::printf(" %10.3f %10.3f %9.1f", double(costs[i].flops) * 1e-6,
                  double(costs[i].bytes) * 1e-6,
                  seconds > 0 ? double(costs[i].flops) / seconds * 1e-9 : 0);
      printShare(costs[i].seconds, seconds);
      std::printf(" %9s",
                  costs[i].seconds > 0 ? boundName(costs[i].bound) : "");
    } else {
      std::printf(" %10s %10s %9s %9s %9s", "?", "?", "?", "?", "?");
    }
    std::printf("  %-28s %s\n", profiled.launches[i].kernel,
                profiled.launches[i].nodes);
  }

  const Description &description;
  const ProfiledRuns &profiled;
  const std::vector<LaunchCosts> &costs;
};

} // namespace

int tenon::runtime::profileCommand(const Arguments &arguments) {
  tn_session_options options = arguments.session;
  options.profile = 1;
  Model model(arguments.artifact, options);
  model.inventInputs(arguments.shape);
  ProfiledRuns profiled = profileRuns(model, arguments.seconds);
  if (!arguments.trace.empty())
    writeTrace(arguments.trace, profiled.launches);

  Description description = readDescriptionFile(arguments.artifact);
  std::vector<int64_t> sizes = chooseSizes(description, arguments.shape);
  int threads = threadCount(arguments);
  std::optional<Limits> limits = chooseLimits(description, threads);
  std::vector<LaunchCosts> costs =
      profiled.perRun(launchCosts(description, sizes, threads, limits));
  std::printf("%s\n", limits ? limitsText(*limits, threads).c_str()
                             : "no limits: the artifact does not say for which "
                               "machine it is");
  ProfileTable table(description, profiled, costs);
  table.printLaunches();
  std::printf("\n");
  table.printKinds();
  return 0;
}
