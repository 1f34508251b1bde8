// What an artifact says of itself: the text of tenon_description, parsed.
#ifndef TENON_RUNTIME_DESCRIPTION_H
#define TENON_RUNTIME_DESCRIPTION_H

#include "tenon-c/Runtime.h"
#include <string>
#include <vector>

namespace tenon::runtime {

struct Symbol {
  std::string name;
  int64_t min, max, hint;
};

/// One dimension: a symbol's number, a fixed size, or neither (-1 and -1).
struct Dim {
  int symbol = -1;
  int64_t size = -1;
};

struct Value {
  std::string name;
  tn_type type;
  std::vector<Dim> dims;
};

struct Launch {
  std::string kernel, nodes;
};

struct Description {
  std::vector<Symbol> symbols;
  std::vector<Value> inputs, outputs;
  std::vector<Launch> launches;
  std::vector<std::string> assumes;
};

/// Parses the records of ModuleAbi.h; throws Failure naming the line. Records
/// of an unknown kind are skipped: a newer compiler may say more.
Description parseDescription(const std::string &text);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_DESCRIPTION_H
