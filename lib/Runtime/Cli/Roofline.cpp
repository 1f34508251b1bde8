// Every kernel of a run under what the machine can do: operations for each byte
// to the right, operations a second upwards, both logarithmic.
#include "Pictures.h"
#include "Svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace tenon::runtime;

namespace {

constexpr double left = 84, top = 92, plotWidth = 600, plotHeight = 480;
constexpr double tableLeft = left + plotWidth + 120, tableWidth = 560;
constexpr double lineHeight = 18;
constexpr size_t mostRows = 20;

/// All launches of one kernel.
struct Point {
  std::string kernel, kind;
  int64_t launches = 0;
  double operations = 0, bytes = 0, seconds = 0, limit = 0;
  Bound bound = Bound::F32;

  double rate() const { return operations / seconds; }
  double intensity() const { return operations / std::max(bytes, 1.0); }
};

/// A logarithmic axis of the plot.
struct Axis {
  double low, high; ///< of what is shown
  double begin, length;

  double at(double value) const {
    double share =
        (std::log10(value) - std::log10(low)) / std::log10(high / low);
    return begin + length * share;
  }
};

std::string printed(const char *format, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

std::string rateText(double rate) {
  if (rate >= 1e12)
    return printed("%.3g TOP/s", rate * 1e-12);
  if (rate >= 1e9)
    return printed("%.3g GOP/s", rate * 1e-9);
  return printed("%.3g MOP/s", rate * 1e-6);
}

class RooflinePicture {
public:
  explicit RooflinePicture(const Roofline &roofline) : roofline(roofline) {}

  std::string draw() {
    makePoints();
    chooseAxes();
    svg.text(left, 30, "head", roofline.title);
    svg.text(left, 52, "fact", limitsText(roofline.limits, roofline.threads));
    drawGrid();
    drawRoofs();
    // Large ones below small ones.
    for (const Point &point : points)
      drawPoint(point);
    for (size_t i = 0; i < std::min(points.size(), mostRows); ++i)
      drawNumber(i);
    drawTable();
    return svg.finish(tableLeft + tableWidth + 24,
                      std::max(top + plotHeight + 84, tableBottom + 24),
                      roofline.title);
  }

private:
  void makePoints() {
    for (size_t i = 0; i < roofline.description.launches.size(); ++i) {
      const Launch &launch = roofline.description.launches[i];
      const LaunchCosts &costs = roofline.costs[i];
      double seconds = roofline.seconds[i];
      whole += seconds;
      if (seconds <= 0)
        continue;
      if (!costs.known || costs.flops <= 0) {
        ++notDrawn;
        secondsNotDrawn += seconds;
        continue;
      }
      auto known =
          std::find_if(points.begin(), points.end(), [&](const Point &point) {
            return point.kernel == launch.kernel;
          });
      if (known == points.end())
        known = points.insert(points.end(), Point{launch.kernel, launch.kind});
      ++known->launches;
      known->operations += double(costs.flops);
      known->bytes += double(costs.bytes);
      known->seconds += seconds;
      known->limit += costs.seconds;
      known->bound = costs.bound;
    }
    std::stable_sort(points.begin(), points.end(),
                     [](const Point &lhs, const Point &rhs) {
                       return lhs.seconds > rhs.seconds;
                     });
  }

  double highestRoof() const {
    const Limits &limits = roofline.limits;
    return std::max({limits.f32, limits.bf16, limits.int8}) * roofline.threads;
  }

  void chooseAxes() {
    double rate = roofline.limits.readRate(roofline.threads);
    double roof = highestRoof(), ridge = roof / rate;
    x = {ridge / 100, ridge * 4, left, plotWidth};
    y = {roof / 1e3, roof * 2, top + plotHeight, -plotHeight};
    for (const Point &point : points) {
      x.low = std::min(x.low, point.intensity() / 2);
      x.high = std::max(x.high, point.intensity() * 2);
      y.low = std::min(y.low, point.rate() / 2);
    }
    // A launch of nothing but its cost would squeeze all others.
    y.low = std::max(y.low, roof / 1e6);
  }

  void drawGrid() {
    svg.begin("lines", "axes");
    for (double value = std::pow(10, std::ceil(std::log10(x.low)));
         value <= x.high; value *= 10) {
      svg.line({{x.at(value), top}, {x.at(value), top + plotHeight}}, "grid");
      svg.text(x.at(value), top + plotHeight + 18, "fact middle",
               printed("%.6g", value));
    }
    for (double value = std::pow(10, std::ceil(std::log10(y.low)));
         value <= y.high; value *= 10) {
      svg.line({{left, y.at(value)}, {left + plotWidth, y.at(value)}}, "grid");
      svg.text(left - 8, y.at(value) + 4, "fact right", rateText(value));
    }
    svg.line({{left, top},
              {left, top + plotHeight},
              {left + plotWidth, top + plotHeight}},
             "axis");
    svg.end();
    svg.text(left + plotWidth / 2, top + plotHeight + 40, "name middle",
             "operations for each byte that has to be moved");
    svg.text(left, top - 12, "name", "operations a second");
  }

  /// Lines up to where what feeds the units no longer decides, and one for what
  /// they multiply from there.
  void drawRoofs() {
    const Limits &limits = roofline.limits;
    double memory = limits.readRate(roofline.threads);
    drawSlope("memory", memory, "roof");
    // Between the two, the text of each would be in the other's way.
    double cache = limits.l2 * roofline.threads;
    if (cache > 1.5 * memory)
      drawSlope("L2", cache, "roof dashed");
    double first = std::max(cache, memory);
    for (auto [type, peak] :
         {std::pair("int8", limits.int8), std::pair("bf16", limits.bf16),
          std::pair("f32", limits.f32)}) {
      double roof = peak * roofline.threads;
      if (roof <= 0)
        continue;
      svg.begin("lines", type);
      svg.line({{x.at(std::max(roof / first, x.low)), y.at(roof)},
                {left + plotWidth, y.at(roof)}},
               "roof");
      svg.end();
      svg.text(left + plotWidth + 8, y.at(roof) + 4, "name",
               std::string(type) + " " + rateText(roof));
    }
  }

  void drawSlope(const char *name, double rate, const char *kind) {
    double begin = std::max(x.low, y.low / rate), end = highestRoof() / rate;
    svg.begin("lines", name);
    svg.line({{x.at(begin), y.at(begin * rate)}, {x.at(end), y.at(end * rate)}},
             kind);
    svg.end();
    double angle = std::atan2(y.at(end * rate) - y.at(begin * rate),
                              x.at(end) - x.at(begin));
    // Nearer to the beginning, where few kernels are.
    double middle = std::pow(begin, 0.75) * std::pow(end, 0.25);
    svg.turnedText(x.at(middle) + 10, y.at(middle * rate) + 12,
                   angle * 180 / std::acos(-1.0), "fact middle",
                   name + printed(" %.1f GB/s", rate * 1e-9));
  }

  static std::string pointClass(const Point &point) {
    return "point " + (point.kind.empty() ? "elementwise" : point.kind);
  }

  std::string limitText(const Point &point) const {
    return printed("%.0f %%", 100 * point.limit / point.seconds);
  }

  double radiusOf(const Point &point) const {
    return std::max(4.0, 42 * std::sqrt(point.seconds / whole));
  }
  double heightOf(const Point &point) const {
    return std::min(y.at(point.rate()), top + plotHeight);
  }

  void drawPoint(const Point &point) {
    svg.begin(pointClass(point),
              point.kernel + "\n" + std::to_string(point.launches) +
                  " launches, " + printed("%.1f us", point.seconds * 1e6) +
                  ", " + rateText(point.rate()) + ", " + limitText(point) +
                  " of what " + boundName(point.bound) + " allows");
    svg.circle(x.at(point.intensity()), heightOf(point), radiusOf(point));
    svg.end();
  }

  /// Inside of the circle or beside it, where no other number is.
  void drawNumber(size_t number) {
    const Point &point = points[number];
    double at = x.at(point.intensity()), height = heightOf(point);
    double away = radiusOf(point) + 9;
    std::pair<double, double> places[] = {{at, height},
                                          {at + away, height},
                                          {at - away, height},
                                          {at, height - away},
                                          {at, height + away},
                                          {at + away, height + 12},
                                          {at - away, height + 12}};
    auto isFree = [&](std::pair<double, double> place) {
      return std::all_of(numbers.begin(), numbers.end(), [&](auto other) {
        return std::abs(place.first - other.first) > 15 ||
               std::abs(place.second - other.second) > 13;
      });
    };
    // Into small circles nothing fits.
    auto first = std::begin(places) + (radiusOf(point) > 10 ? 0 : 1);
    auto place = std::find_if(first, std::end(places), isFree);
    if (place == std::end(places))
      place = first;
    numbers.push_back(*place);
    svg.text(place->first, place->second + 4, "name middle",
             std::to_string(number + 1));
  }

  void drawTable() {
    // Right edges of the columns behind the name.
    constexpr double launches = 350, share = 410, rate = 495, limit = 550;
    double height = top - 12;
    auto heading = [&](double at, const char *text) {
      svg.text(tableLeft + at, height, "fact right", text);
    };
    svg.text(tableLeft + 44, height, "fact", "kernel");
    heading(launches, "launches");
    heading(share, "time");
    heading(rate, "reached");
    heading(limit, "of limit");
    for (size_t i = 0; i < std::min(points.size(), mostRows); ++i) {
      const Point &point = points[i];
      height += lineHeight;
      svg.begin(pointClass(point), point.kernel);
      svg.circle(tableLeft + 32, height - 4, 5);
      svg.text(tableLeft + 22, height, "fact right", std::to_string(i + 1));
      svg.text(tableLeft + 44, height, "name", shortened(point.kernel, 33));
      svg.text(tableLeft + launches, height, "right",
               std::to_string(point.launches));
      svg.text(tableLeft + share, height, "right",
               printed("%.1f %%", 100 * point.seconds / whole));
      svg.text(tableLeft + rate, height, "right", rateText(point.rate()));
      svg.text(tableLeft + limit, height, "right", limitText(point));
      svg.end();
    }
    drawLegend(height + 1.5 * lineHeight);
  }

  void drawLegend(double height) {
    double at = tableLeft + 12;
    for (auto [kind, title] :
         {std::pair("product", "products"), std::pair("attention", "attention"),
          std::pair("norm", "norms"),
          std::pair("elementwise", "elementwise")}) {
      svg.begin(std::string("point ") + kind, title);
      svg.circle(at, height - 4, 5);
      svg.text(at + 10, height, "fact", title);
      svg.end();
      at += 120;
    }
    auto note = [&](const std::string &text) {
      height += lineHeight;
      svg.text(tableLeft + 6, height, "fact", text);
    };
    note("areas are shares of the time in launches, " +
         printed("%.3f ms", whole * 1e3) + " of a run");
    if (notDrawn)
      note(std::to_string(notDrawn) +
           " launches without arithmetic, or of unknown size, have no place: " +
           printed("%.1f %%", 100 * secondsNotDrawn / whole));
    note("what caches hold may be above the line of the memory");
    tableBottom = height;
  }

  const Roofline &roofline;
  std::vector<Point> points;
  std::vector<std::pair<double, double>> numbers; ///< where they stand
  Axis x = {}, y = {};
  double whole = 0, secondsNotDrawn = 0, tableBottom = 0;
  int64_t notDrawn = 0;
  Svg svg;
};

} // namespace

std::string tenon::runtime::drawRoofline(const Roofline &roofline) {
  return RooflinePicture(roofline).draw();
}
