// One row for each launch, in the order in which they run, and a line for each
// tensor, from what writes it to what reads it.
#include "Pictures.h"
#include "Svg.h"
#include "Tensor.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace tenon::runtime;

namespace {

constexpr double margin = 24, lineHeight = 16, boxWidth = 700, gap = 18;
constexpr double laneWidth = 9, padding = 5;
constexpr size_t lineCharacters = 92;

/// A box with its lines of text; the first is a name.
struct Row {
  const char *kind;
  int64_t step;
  std::vector<std::string> lines;
  std::string title;
  std::vector<int64_t> reads, writes;
  double top = 0;
  int ports = 0; ///< lines that begin or end at its side

  double height() const {
    return double(lines.size()) * lineHeight + 2 * padding;
  }
};

/// From the first to the last row that uses a buffer.
struct Edge {
  int64_t buffer;
  std::vector<size_t> writers, readers;
  size_t lane = 0;

  size_t first() const {
    return std::min(*std::min_element(writers.begin(), writers.end()),
                    *std::min_element(readers.begin(), readers.end()));
  }
  size_t last() const {
    return std::max(*std::max_element(writers.begin(), writers.end()),
                    *std::max_element(readers.begin(), readers.end()));
  }
  /// Needs no lane beside the rows.
  bool isStraight() const { return last() == first() + 1; }
};

class LaunchGraph {
public:
  LaunchGraph(const Description &description, const std::vector<int64_t> &sizes,
              int threads)
      : description(description), sizes(sizes), threads(threads) {}

  std::string draw() {
    makeRows();
    makeEdges();
    double top = margin + 3 * lineHeight;
    for (Row &row : rows) {
      row.top = top;
      top += row.height() + gap;
    }
    drawHead();
    for (const Row &row : rows)
      drawRow(row);
    for (size_t i = 0; i < edges.size(); ++i)
      drawEdge(edges[i], "c" + std::to_string(i % 6));
    double width = 2 * margin + boxWidth + laneWidth * double(lanes + 2);
    return svg.finish(width, top + margin, "launches and tensors");
  }

private:
  void makeRows() {
    std::vector<LaunchCosts> costs =
        launchCosts(description, sizes, threads, limitsOf(description));
    for (size_t i = 0; i < description.launches.size(); ++i)
      rows.push_back(launchRow(i, costs[i]));
    for (const Transfer &transfer : description.transfers)
      rows.push_back(transferRow(transfer));
    std::stable_sort(
        rows.begin(), rows.end(),
        [](const Row &lhs, const Row &rhs) { return lhs.step < rhs.step; });
    placeModelTensors();
  }

  /// Inputs before what first reads them, outputs behind what last writes them,
  /// so that lines are short.
  void placeModelTensors() {
    std::vector<std::vector<Row>> before(rows.size() + 1),
        behind(rows.size() + 1);
    for (size_t i = 0; i < description.buffers.size(); ++i) {
      const Buffer &buffer = description.buffers[i];
      if (buffer.place != Buffer::Input && buffer.place != Buffer::Output)
        continue;
      bool isInput = buffer.place == Buffer::Input;
      size_t at = 0;
      for (size_t k = rows.size(); isInput && k-- > 0;)
        at = contains(rows[k].reads, i) ? k : at;
      for (size_t k = 0; !isInput && k < rows.size(); ++k)
        at = contains(rows[k].writes, i) ? k : at;
      Row row{isInput ? "input" : "output", 0, {}, "", {}, {}};
      row.lines = {std::string(isInput ? "input " : "output ") +
                   shortened(nameOf(buffer), lineCharacters - 8)};
      row.lines.push_back(tensorText(buffer));
      row.title = row.lines[1] + " " + nameOf(buffer);
      (isInput ? row.writes : row.reads).push_back(int64_t(i));
      (isInput ? before : behind)[at].push_back(std::move(row));
    }
    std::vector<Row> all;
    auto take = [&](std::vector<Row> &part) {
      std::move(part.begin(), part.end(), std::back_inserter(all));
    };
    for (size_t k = 0; k < rows.size(); ++k) {
      take(before[k]);
      all.push_back(std::move(rows[k]));
      take(behind[k]);
    }
    rows = std::move(all);
  }

  static bool contains(const std::vector<int64_t> &numbers, size_t number) {
    return std::find(numbers.begin(), numbers.end(), int64_t(number)) !=
           numbers.end();
  }

  Row launchRow(size_t number, const LaunchCosts &costs) {
    const Launch &launch = description.launches[number];
    if (!launch.reads || !launch.writes || launch.step < 0)
      throw CommandError("the artifact does not say what launch " +
                         std::to_string(number) +
                         " reads and writes and when, so no graph can be "
                         "drawn; compile the model again");
    Row row{"launch", launch.step, {}, "", *launch.reads, *launch.writes};
    std::string name = "#" + std::to_string(number) + " " + launch.kernel;
    row.title = name + " on " + deviceOf(description) + "\n";
    if (costs.known) {
      char text[128];
      std::snprintf(text, sizeof(text), ": %.3f MFLOP, %s",
                    double(costs.flops) * 1e-6,
                    bytesText(double(costs.bytes)).c_str());
      name += text;
      if (costs.seconds > 0) {
        std::snprintf(text, sizeof(text), ", predicted %.1f us",
                      costs.seconds * 1e6);
        name += text;
      }
    }
    row.lines = {name};
    if (!launch.nodes.empty())
      row.lines.push_back(shortened(launch.nodes, lineCharacters));
    for (char c : launch.nodes)
      row.title += c == ',' ? '\n' : c;
    for (int64_t buffer : row.reads)
      if (description.buffers[buffer].place == Buffer::Weight)
        row.lines.push_back(bufferLine("weight ", buffer));
    for (int64_t buffer : row.writes)
      row.lines.push_back(bufferLine("writes ", buffer));
    return row;
  }

  Row transferRow(const Transfer &transfer) {
    Row row{transfer.target < 0 ? "read" : "copy",
            transfer.step,
            {},
            "",
            {transfer.source},
            {}};
    row.lines = {bufferLine(transfer.target < 0 ? "the host reads " : "copy ",
                            transfer.source)};
    if (transfer.target >= 0)
      row.writes.push_back(transfer.target);
    row.title = row.lines.front();
    return row;
  }

  std::string bufferLine(const char *what, int64_t number) {
    const Buffer &buffer = description.buffers[number];
    std::string line = what + tensorText(buffer);
    if (buffer.place == Buffer::Weight)
      line += " " + nameOf(buffer);
    return shortened(line, lineCharacters);
  }

  /// What the model calls it, or "" for what lies in the arena.
  std::string nameOf(const Buffer &buffer) {
    if (buffer.place == Buffer::Weight)
      return buffer.name;
    if (buffer.place != Buffer::Input && buffer.place != Buffer::Output)
      return "";
    const std::vector<Value> &values = buffer.place == Buffer::Input
                                           ? description.inputs
                                           : description.outputs;
    for (size_t i = 0; i < values.size(); ++i)
      if (std::to_string(i) == buffer.name)
        return values[i].name;
    return buffer.name;
  }

  /// "f32 [1, 128, 384], 196.6 kB"
  std::string tensorText(const Buffer &buffer) {
    std::string text = buffer.type + " [";
    for (size_t i = 0; i < buffer.dims.size(); ++i)
      text += (i ? ", " : "") +
              (buffer.dims[i] ? std::to_string(buffer.dims[i]->evaluate(sizes))
                              : "?");
    return text + "], " +
           (buffer.bytes ? bytesText(double(buffer.bytes->evaluate(sizes)))
                         : "? bytes");
  }

  /// Of each buffer that something writes and something reads.
  void makeEdges() {
    std::vector<Edge> all(description.buffers.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      for (int64_t buffer : rows[i].writes)
        all[buffer].writers.push_back(i);
      for (int64_t buffer : rows[i].reads)
        all[buffer].readers.push_back(i);
    }
    for (size_t i = 0; i < all.size(); ++i) {
      all[i].buffer = int64_t(i);
      if (!all[i].writers.empty() && !all[i].readers.empty())
        edges.push_back(std::move(all[i]));
    }
    // Short ones next to the rows, so that few lines cross.
    std::stable_sort(
        edges.begin(), edges.end(), [](const Edge &lhs, const Edge &rhs) {
          return lhs.last() - lhs.first() < rhs.last() - rhs.first();
        });
    std::vector<std::vector<bool>> taken;
    for (Edge &edge : edges) {
      if (edge.isStraight())
        continue;
      auto isFree = [&](const std::vector<bool> &lane) {
        return std::find(lane.begin() + edge.first(),
                         lane.begin() + edge.last() + 1,
                         true) == lane.begin() + edge.last() + 1;
      };
      size_t lane = 0;
      while (lane < taken.size() && !isFree(taken[lane]))
        ++lane;
      if (lane == taken.size())
        taken.emplace_back(rows.size());
      std::fill(taken[lane].begin() + edge.first(),
                taken[lane].begin() + edge.last() + 1, true);
      edge.lane = lane;
    }
    lanes = taken.size();
  }

  void drawHead() {
    svg.text(margin, margin, "head", describeSizes(description, sizes));
    LaunchCosts sum = sumCosts(
        launchCosts(description, sizes, threads, limitsOf(description)));
    char text[128];
    std::snprintf(text, sizeof(text), "%zu launches, %.6f GFLOP, weights ",
                  description.launches.size(), double(sum.flops) * 1e-9);
    svg.text(margin, margin + lineHeight * 1.4, "fact",
             text + bytesText(double(description.weightBytes)) +
                 ", device: " + deviceOf(description));
  }

  void drawRow(const Row &row) {
    svg.begin(row.kind, row.title);
    svg.rectangle(margin, row.top, boxWidth, row.height(), "box");
    for (size_t i = 0; i < row.lines.size(); ++i)
      svg.text(margin + 8, row.top + padding + lineHeight * (double(i) + 0.75),
               i ? "fact" : "name", row.lines[i]);
    svg.end();
  }

  void drawEdge(const Edge &edge, const std::string &color) {
    std::string title = tensorText(description.buffers[edge.buffer]);
    for (size_t writer : edge.writers)
      title += "\nfrom " + rows[writer].lines.front();
    for (size_t reader : edge.readers)
      title += "\nto " + rows[reader].lines.front();
    svg.begin("edge", title);
    if (edge.isStraight()) {
      const Row &upper = rows[edge.first()], &lower = rows[edge.last()];
      // Several may join the same two rows.
      double x = margin + 40 + 12 * double(straight[edge.first()]++ % 50);
      svg.line({{x, upper.top + upper.height()}, {x, lower.top}}, color);
      double tip = edge.readers.back() == edge.last()
                       ? lower.top
                       : upper.top + upper.height();
      double back = tip == lower.top ? -6 : 6;
      svg.line({{x - 4, tip + back}, {x, tip}, {x + 4, tip + back}}, color);
    } else {
      double right = margin + boxWidth;
      double x = right + laneWidth * double(edge.lane + 2);
      double top = 1e18, bottom = 0;
      auto join = [&](size_t number, bool isReader) {
        Row &row = rows[number];
        double y =
            row.top + 8 +
            std::fmod(7.0 * row.ports++, std::max(row.height() - 12, 1.0));
        top = std::min(top, y);
        bottom = std::max(bottom, y);
        svg.line({{x, y}, {right, y}}, color);
        if (isReader)
          svg.line({{right + 6, y - 4}, {right, y}, {right + 6, y + 4}}, color);
      };
      for (size_t writer : edge.writers)
        join(writer, false);
      for (size_t reader : edge.readers)
        join(reader, true);
      svg.line({{x, top}, {x, bottom}}, color);
    }
    svg.end();
  }

  const Description &description;
  const std::vector<int64_t> &sizes;
  int threads;
  std::vector<Row> rows;
  std::vector<Edge> edges;
  std::map<size_t, int> straight; ///< lines from a row to the next, drawn
  size_t lanes = 0;
  Svg svg;
};

} // namespace

std::string tenon::runtime::deviceOf(const Description &description) {
  return description.target ? description.target->name : "not named";
}

std::string tenon::runtime::drawLaunchGraph(const Description &description,
                                            const std::vector<int64_t> &sizes,
                                            int threads) {
  return LaunchGraph(description, sizes, threads).draw();
}
