// profile: where the time of a run goes, launch by launch.
#include "Commands.h"
#include "TensorProto.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

using namespace tenon::runtime;

static std::string jsonString(const char *text) {
  std::string result = "\"";
  for (; *text; ++text) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\')
      result += '\\';
    if (c < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", c);
      result += escape;
    } else {
      result += char(c);
    }
  }
  return result + "\"";
}

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
  std::vector<tn_launch> launches;
  double total = double(tn_session_run_nanoseconds(model.session));
  double inLaunches = 0;
  for (int i = 0; i < tn_session_profile_count(model.session); ++i) {
    tn_launch launch;
    if (tn_session_profile(model.session, i, &launch) != TN_OK)
      throw CommandError(tn_last_error());
    launches.push_back(launch);
    inLaunches += double(launch.nanoseconds);
  }
  if (!arguments.trace.empty())
    writeTrace(arguments.trace, launches);
  std::stable_sort(launches.begin(), launches.end(),
                   [](const tn_launch &lhs, const tn_launch &rhs) {
                     return lhs.nanoseconds > rhs.nanoseconds;
                   });
  total = std::max(total, 1.0);
  auto row = [&](double time, const char *kernel, const char *nodes) {
    std::printf("%12.2f %6.1f %%  %-32s %s\n", time / double(runs) / 1e3,
                100 * time / total, kernel, nodes);
  };
  std::printf("%12s %8s  %-32s %s\n", "us per run", "share", "kernel", "nodes");
  for (const tn_launch &launch : launches)
    row(double(launch.nanoseconds), launch.kernel, launch.nodes);
  row(total - inLaunches, "(between launches)", "");
  row(total, "(all)", "");
  return 0;
}
