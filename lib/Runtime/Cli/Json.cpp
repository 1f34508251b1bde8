// Text as JSON wants it.
#include "Json.h"

#include <cstdio>

std::string tenon::runtime::jsonString(const std::string &text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      result += '\\';
    if ((unsigned char)c < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)c);
      result += escape;
    } else {
      result += c;
    }
  }
  return result + "\"";
}
