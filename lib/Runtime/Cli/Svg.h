// A picture as SVG: text that browsers show.
#ifndef TENON_RUNTIME_CLI_SVG_H
#define TENON_RUNTIME_CLI_SVG_H

#include <string>
#include <utility>
#include <vector>

namespace tenon::runtime {

/// As XML wants it: escaped, and what XML or UTF-8 does not allow replaced.
std::string xmlText(const std::string &text);

/// `text` in at most `most` characters; what is left out is in the middle.
std::string shortened(const std::string &text, size_t most);

/// "196.6 kB"
std::string bytesText(double bytes);

/// Collects shapes, in pixels from the upper left corner. Classes are those of
/// the style sheet in Svg.cpp.
class Svg {
public:
  /// What is drawn until `end` shows `title` under the mouse.
  void begin(const std::string &kind, const std::string &title);
  void end();
  void rectangle(double x, double y, double width, double height,
                 const std::string &kind);
  void circle(double x, double y, double radius);
  void text(double x, double y, const std::string &kind,
            const std::string &text);
  /// Turned around its place, clockwise.
  void turnedText(double x, double y, double degrees, const std::string &kind,
                  const std::string &text);
  void line(const std::vector<std::pair<double, double>> &points,
            const std::string &kind);
  /// The whole file.
  std::string finish(double width, double height,
                     const std::string &title) const;

private:
  std::string shapes;
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_SVG_H
