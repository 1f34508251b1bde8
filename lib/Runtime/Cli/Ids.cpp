// Lists of token ids, from the command line and from files.
#include "Ids.h"
#include "Elements.h"
#include "NpyFile.h"
#include "TensorProto.h"

#include <algorithm>
#include <cstdlib>

using namespace tenon::runtime;

static constexpr char separators[] = " \t\r\n,";

/// What is no number, or nothing.
static std::string splitIds(const std::string &text,
                            std::vector<int64_t> &ids) {
  for (size_t at = text.find_first_not_of(separators);
       at != std::string::npos;) {
    size_t end = std::min(text.find_first_of(separators, at), text.size());
    std::string word = text.substr(at, end - at);
    char *behind = nullptr;
    ids.push_back(std::strtoll(word.c_str(), &behind, 10));
    if (*behind)
      return word;
    at = text.find_first_not_of(separators, end);
  }
  return "";
}

std::vector<int64_t> tenon::runtime::parseIds(const std::string &list) {
  std::vector<int64_t> ids;
  if (!splitIds(list, ids).empty())
    ids.clear();
  return ids;
}

static std::vector<int64_t> readNumpyIds(const std::string &path) {
  Tensor tensor = readNpy(path, 0);
  std::string name = tn_type_name(tensor.type);
  if (name[0] != 'i' && name[0] != 'u')
    throw CommandError("'" + path + "' has elements of type " + name +
                       ", ids are integers");
  int64_t size = tn_type_bytes(tensor.type, 1);
  std::vector<int64_t> ids;
  for (size_t at = 0; at < tensor.data.size(); at += size_t(size))
    ids.push_back(int64_t(elementValue(tensor.type, tensor.data.data() + at)));
  return ids;
}

std::vector<int64_t> tenon::runtime::readIds(const std::string &listOrFile) {
  if (listOrFile.find_first_not_of("0123456789,") == std::string::npos)
    return parseIds(listOrFile);
  const std::string suffix = ".npy";
  if (listOrFile.size() > suffix.size() &&
      listOrFile.compare(listOrFile.size() - suffix.size(), suffix.size(),
                         suffix) == 0)
    return readNumpyIds(listOrFile);
  std::vector<char> bytes = readFile(listOrFile);
  std::vector<int64_t> ids;
  std::string wrong = splitIds({bytes.begin(), bytes.end()}, ids);
  if (!wrong.empty())
    throw CommandError("'" + listOrFile + "' has '" + wrong.substr(0, 40) +
                       "' where an id was expected");
  return ids;
}
