// JSON of any origin.
#include "Formats.h"
#include "llvm/ADT/StringSet.h"

using llvm::createStringError;
using llvm::StringRef;
namespace json = llvm::json;

namespace tenon {

llvm::Expected<json::Value> parseStrictJson(StringRef text) {
  constexpr size_t deepest = 16;
  // Of the objects and arrays that are open.
  llvm::SmallVector<llvm::StringSet<>> keys;
  for (size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (c == '{' || c == '[')
      keys.emplace_back();
    else if ((c == '}' || c == ']') && !keys.empty())
      keys.pop_back();
    if (keys.size() > deepest)
      return createStringError("JSON is nested too deep");
    if (c != '"')
      continue;
    size_t begin = at + 1;
    for (++at; at < text.size() && text[at] != '"'; ++at)
      at += text[at] == '\\';
    StringRef string = text.slice(begin, at);
    bool isKey = text.drop_front(std::min(at + 1, text.size()))
                     .ltrim(" \t\r\n")
                     .starts_with(":");
    if (isKey && !keys.empty() && !keys.back().insert(string).second)
      return createStringError("'" + string + "' comes twice");
  }
  return json::parse(text);
}

} // namespace tenon
