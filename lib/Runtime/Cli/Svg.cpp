// Writes SVG.
#include "Svg.h"

#include <cstdio>

using namespace tenon::runtime;

static const char styleSheet[] = R"(
text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #222; }
.head { font-size: 16px; font-weight: bold; }
.name { font-weight: bold; }
.fact { fill: #666; }
.right { text-anchor: end; }
.middle { text-anchor: middle; }
.page { fill: #fff; }
.launch rect { fill: #e8f0fb; stroke: #4878b0; }
.copy rect, .read rect { fill: #f4f4f4; stroke: #999; }
.input rect, .output rect { fill: #fdf3dc; stroke: #b08a3c; rx: 10px; }
.edge polyline { fill: none; stroke-width: 1.5; }
.edge:hover polyline { stroke-width: 4; }
.c0 { stroke: #4878b0; }
.c1 { stroke: #c2622d; }
.c2 { stroke: #4f8f46; }
.c3 { stroke: #8a5fa8; }
.c4 { stroke: #b5413f; }
.c5 { stroke: #2f8f8f; }
.slice rect { fill: #dfe9f5; }
.slice:hover rect { fill: #b9d0ea; }
.slice text { font-size: 11px; }
.column rect { fill: transparent; }
.column:hover rect { fill: #8884; }
.axis { fill: none; stroke: #888; }
.high { fill: none; stroke: #b5413f; stroke-width: 2; }
.bound { fill: none; stroke: #222; stroke-width: 2; stroke-dasharray: 6 4; }
.grid { fill: none; stroke: #e4e4e4; }
.roof { fill: none; stroke: #444; stroke-width: 2; }
.dashed { stroke-width: 1.5; stroke-dasharray: 6 4; }
.point circle { fill-opacity: 0.55; stroke: #fff; }
.point:hover circle { fill-opacity: 0.9; stroke: #222; }
.product circle { fill: #4878b0; }
.attention circle { fill: #c2622d; }
.norm circle { fill: #4f8f46; }
.elementwise circle { fill: #8a5fa8; }
.live { fill: none; stroke: #777; stroke-dasharray: 2 2; }
)";

/// Bytes of the UTF-8 character at `text[i]` that XML allows; 0: none.
static size_t characterBytes(const std::string &text, size_t i) {
  unsigned char first = (unsigned char)text[i];
  if (first < 0x80)
    return first >= 0x20 || first == '\n' || first == '\t' ? 1 : 0;
  size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  unsigned code = first & (0xff >> (bytes + 1));
  for (size_t k = 1; k < bytes; ++k) {
    if (i + k >= text.size() || ((unsigned char)text[i + k] & 0xc0) != 0x80)
      return 0;
    code = code << 6 | ((unsigned char)text[i + k] & 0x3f);
  }
  static const unsigned smallest[] = {0x80, 0x800, 0x10000};
  bool isCharacter = first >= 0xc0 && first < 0xf8 &&
                     code >= smallest[bytes - 2] && code <= 0x10ffff &&
                     (code < 0xd800 || code > 0xdfff) && code != 0xfffe &&
                     code != 0xffff;
  return isCharacter ? bytes : 0;
}

std::string tenon::runtime::xmlText(const std::string &text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    size_t bytes = characterBytes(text, i);
    if (!bytes)
      result += "\xef\xbf\xbd"; // U+FFFD
    else if (text[i] == '&')
      result += "&amp;";
    else if (text[i] == '<')
      result += "&lt;";
    else if (text[i] == '>')
      result += "&gt;";
    else if (text[i] == '"')
      result += "&quot;";
    else
      result += text.substr(i, bytes);
    i += bytes ? bytes : 1;
  }
  return result;
}

std::string tenon::runtime::shortened(const std::string &text, size_t most) {
  std::vector<std::string> characters;
  for (size_t i = 0, bytes; i < text.size(); i += bytes) {
    bytes = characterBytes(text, i);
    bytes = bytes ? bytes : 1;
    characters.push_back(text.substr(i, bytes));
  }
  if (characters.size() <= most)
    return text;
  // The end of a name says more than its beginning.
  size_t before = (most - 1) / 3, behind = most - 1 - before;
  std::string result;
  for (size_t i = 0; i < before; ++i)
    result += characters[i];
  result += "\xe2\x80\xa6"; // an ellipsis
  for (size_t i = characters.size() - behind; i < characters.size(); ++i)
    result += characters[i];
  return result;
}

std::string tenon::runtime::bytesText(double bytes) {
  const char *unit = bytes == 1 ? "byte" : "bytes";
  for (const char *next : {"kB", "MB", "GB"})
    if (bytes >= 1000) {
      bytes /= 1000;
      unit = next;
    }
  char text[64];
  std::snprintf(text, sizeof(text), unit[0] == 'b' ? "%.0f %s" : "%.1f %s",
                bytes, unit);
  return text;
}

static std::string number(double value) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.1f", value);
  return text;
}

void Svg::begin(const std::string &kind, const std::string &title) {
  shapes += "<g class=\"" + kind + "\"><title>" + xmlText(title) + "</title>\n";
}

void Svg::end() { shapes += "</g>\n"; }

void Svg::rectangle(double x, double y, double width, double height,
                    const std::string &kind) {
  shapes += "<rect class=\"" + kind + "\" x=\"" + number(x) + "\" y=\"" +
            number(y) + "\" width=\"" + number(width) + "\" height=\"" +
            number(height) + "\"/>\n";
}

void Svg::text(double x, double y, const std::string &kind,
               const std::string &text) {
  shapes += "<text class=\"" + kind + "\" x=\"" + number(x) + "\" y=\"" +
            number(y) + "\">" + xmlText(text) + "</text>\n";
}

void Svg::turnedText(double x, double y, double degrees,
                     const std::string &kind, const std::string &what) {
  shapes += "<g transform=\"rotate(" + number(degrees) + " " + number(x) + " " +
            number(y) + ")\">\n";
  text(x, y, kind, what);
  shapes += "</g>\n";
}

void Svg::circle(double x, double y, double radius) {
  shapes += "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"" +
            number(radius) + "\"/>\n";
}

void Svg::line(const std::vector<std::pair<double, double>> &points,
               const std::string &kind) {
  shapes += "<polyline class=\"" + kind + "\" points=\"";
  for (auto [x, y] : points)
    shapes += number(x) + "," + number(y) + " ";
  shapes.back() = '"';
  shapes += "/>\n";
}

std::string Svg::finish(double width, double height,
                        const std::string &title) const {
  std::string size =
      "width=\"" + number(width) + "\" height=\"" + number(height) + "\"";
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" " + size +
         " viewBox=\"0 0 " + number(width) + " " + number(height) +
         "\">\n<title>" + xmlText(title) + "</title>\n<style>" + styleSheet +
         "</style>\n<rect class=\"page\" " + size + "/>\n" + shapes +
         "</svg>\n";
}
