// A rectangle for each slice of the arena: launches to the right, offsets
// upwards.
#include "Pictures.h"
#include "Svg.h"
#include "Tensor.h"

#include <algorithm>
#include <cstdio>

using namespace tenon::runtime;

namespace {

constexpr double left = 110, top = 96, height = 640, lineHeight = 16;

class MemoryMap {
public:
  MemoryMap(const Description &description, const std::vector<int64_t> &sizes)
      : description(description), sizes(sizes),
        offsets(description.sliceOffsets(sizes)),
        arena(description.arenaBytes(sizes)),
        live(description.liveBytes(sizes)) {}

  std::string draw() {
    if (description.launches.empty() || description.slices.empty())
      throw CommandError("the artifact has no launch or nothing in its arena, "
                         "so there is no memory to draw");
    makeColumns();
    double columns = double(steps.size());
    columnWidth = std::clamp(1400 / columns, 44.0, 90.0);
    double width = columns * columnWidth;
    drawHead();
    for (size_t i = 0; i < description.slices.size(); ++i)
      drawSlice(i);
    drawLive();
    drawAxes(width);
    drawColumns();
    drawMark(width, arena, "high");
    drawMark(width, live, "bound");
    return svg.finish(left + width + 40, top + height + 60, "memory map");
  }

private:
  /// The steps at which something happens, in order; most run a launch, those
  /// of sections several.
  void makeColumns() {
    for (size_t i = 0; i < description.launches.size(); ++i) {
      const Launch &launch = description.launches[i];
      if (launch.step < 0)
        throw CommandError("the artifact does not say when launch " +
                           std::to_string(i) +
                           " runs, so its memory cannot be drawn; compile the "
                           "model again");
      launchesAt[launch.step].push_back(i);
      steps.push_back(launch.step);
    }
    for (const Slice &slice : description.slices) {
      steps.push_back(slice.first);
      steps.push_back(slice.last);
    }
    std::sort(steps.begin(), steps.end());
    steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  }

  double x(int64_t step) const {
    return left + columnWidth * double(std::lower_bound(steps.begin(),
                                                        steps.end(), step) -
                                       steps.begin());
  }
  double y(int64_t offset) const {
    return top + height -
           height * double(offset) / double(std::max<int64_t>(arena, 1));
  }

  std::string whenText(int64_t step) const {
    auto found = launchesAt.find(step);
    if (found == launchesAt.end())
      return "a copy";
    const std::vector<size_t> &launches = found->second;
    std::string first = std::to_string(launches.front());
    return launches.size() == 1
               ? "launch " + first
               : "launches " + first + " to " + std::to_string(launches.back());
  }

  /// Whether the launch writes the slice; also where it does not say.
  bool writes(const Launch &launch, size_t slice) const {
    if (!launch.writes)
      return true;
    return std::any_of(
        launch.writes->begin(), launch.writes->end(), [&](int64_t number) {
          const Buffer &buffer = description.buffers[size_t(number)];
          return buffer.place == Buffer::Slice &&
                 buffer.name == std::to_string(slice);
        });
  }

  /// The node that is computed into it, last where there are several.
  std::string nameOf(const Slice &slice, size_t number) const {
    auto launches = launchesAt.find(slice.first);
    std::string nodes;
    if (launches != launchesAt.end())
      for (size_t launch : launches->second)
        if (writes(description.launches[launch], number))
          nodes = description.launches[launch].nodes;
    if (nodes.empty())
      return "slice " + std::to_string(number);
    return nodes.substr(nodes.rfind(',') + 1);
  }

  void drawHead() {
    svg.text(left, 28, "head", describeSizes(description, sizes));
    svg.text(left, 28 + lineHeight * 1.4, "fact",
             std::to_string(description.slices.size()) +
                 " buffers in the arena of " + deviceOf(description) +
                 " while " + std::to_string(description.launches.size()) +
                 " launches run");
    double gap = live > 0 ? 100 * double(arena - live) / double(live) : 0;
    char text[64];
    std::snprintf(text, sizeof(text), "%.2f %%", gap);
    svg.text(left, 28 + lineHeight * 2.6, "name",
             "high-water mark " + std::to_string(arena) +
                 " bytes, lower bound " + std::to_string(live) +
                 " bytes (dashed), gap " + text);
  }

  void drawSlice(size_t number) {
    const Slice &slice = description.slices[number];
    int64_t bytes = slice.bytes.evaluate(sizes);
    if (bytes <= 0 || slice.first > slice.last)
      return;
    std::string name = nameOf(slice, number);
    svg.begin("slice",
              name + "\n" + std::to_string(bytes) + " bytes at offset " +
                  std::to_string(offsets[number]) + ", from " +
                  whenText(slice.first) + " to " + whenText(slice.last));
    double begin = x(slice.first), end = x(slice.last) + columnWidth;
    double low = y(offsets[number]), high = y(offsets[number] + bytes);
    svg.rectangle(begin, high, end - begin, low - high,
                  "c" + std::to_string(number % 6));
    size_t characters = size_t((end - begin - 6) / 6.8);
    if (end - begin > 30 && low - high >= 14) {
      svg.text(begin + 4, high + 12, "name", shortened(name, characters));
      if (low - high >= 28)
        svg.text(begin + 4, high + 24, "fact", bytesText(double(bytes)));
    }
    svg.end();
  }

  /// What is alive at each step, which no packing can be lower than.
  void drawLive() {
    std::vector<std::pair<double, double>> points;
    int64_t most = 0;
    for (int64_t step : steps) {
      int64_t alive = 0;
      for (const Slice &slice : description.slices)
        if (slice.first <= step && step <= slice.last)
          alive += (std::max<int64_t>(slice.bytes.evaluate(sizes), 0) + 63) /
                   64 * 64;
      points.push_back({x(step), y(alive)});
      points.push_back({x(step) + columnWidth, y(alive)});
      most = std::max(most, alive);
    }
    svg.begin("lines", "bytes alive, at most " + std::to_string(most));
    svg.line(points, "live");
    svg.end();
  }

  void drawAxes(double width) {
    svg.line({{left, top}, {left, top + height}, {left + width, top + height}},
             "axis");
    for (int i = 0; i <= 4; ++i) {
      double at = top + height - height * i / 4;
      svg.line({{left - 5, at}, {left, at}}, "axis");
      svg.text(left - 8, at + 4, "fact right",
               bytesText(double(arena) * i / 4));
    }
    svg.text(left, top + height + 44, "fact",
             "launches, in the order in which they run");
  }

  /// Numbers under every column that has room, and what runs there.
  void drawColumns() {
    double behind = 0;
    for (int64_t step : steps) {
      auto launches = launchesAt.find(step);
      std::string title;
      if (launches != launchesAt.end())
        for (size_t launch : launches->second) {
          const Launch &what = description.launches[launch];
          title += (title.empty() ? "launch " : "\nlaunch ") +
                   std::to_string(launch) + "\n" + what.kernel + "\n" +
                   what.nodes;
        }
      svg.begin("column", title.empty() ? "a copy" : title);
      svg.rectangle(x(step), top + height, columnWidth, 26, "run");
      if (launches != launchesAt.end() && x(step) >= behind) {
        svg.text(x(step) + 1, top + height + 18, "fact",
                 std::to_string(launches->second.front()));
        behind = x(step) + 30;
      }
      svg.end();
    }
  }

  void drawMark(double width, int64_t bytes, const std::string &kind) {
    svg.begin("lines", (kind == "high" ? "high-water mark " : "lower bound ") +
                           std::to_string(bytes) + " bytes");
    svg.line({{left, y(bytes)}, {left + width, y(bytes)}}, kind);
    svg.end();
  }

  const Description &description;
  const std::vector<int64_t> &sizes;
  std::vector<int64_t> offsets;
  int64_t arena, live;
  std::vector<int64_t> steps;
  std::map<int64_t, std::vector<size_t>> launchesAt;
  double columnWidth = 0;
  Svg svg;
};

} // namespace

std::string tenon::runtime::drawMemoryMap(const Description &description,
                                          const std::vector<int64_t> &sizes) {
  return MemoryMap(description, sizes).draw();
}
