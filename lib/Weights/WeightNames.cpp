// What weights are called in files, as JSON.
#include "Formats.h"
#include "llvm/Support/MemoryBuffer.h"

using llvm::createStringError;
using llvm::StringRef;
using llvm::Twine;
namespace json = llvm::json;

namespace tenon {

static llvm::Expected<NamedTensor> readName(const json::Value &value) {
  NamedTensor named;
  if (std::optional<StringRef> name = value.getAsString()) {
    named.tensor = name->str();
    return named;
  }
  const json::Object *object = value.getAsObject();
  if (!object || !object->getString("tensor"))
    return createStringError("needs the name of a tensor, or an object with "
                             "\"tensor\"");
  for (const auto &[key, entry] : *object) {
    if (key == "tensor") {
      named.tensor = entry.getAsString()->str();
    } else if (key == "transpose") {
      if (!entry.getAsBoolean())
        return createStringError("\"transpose\" needs true or false");
      named.transpose = *entry.getAsBoolean();
    } else if (key == "unpermute_heads") {
      std::optional<int64_t> heads = entry.getAsInteger();
      if (!heads || *heads < 1)
        return createStringError("\"unpermute_heads\" needs a number of heads");
      named.unpermuteHeads = *heads;
    } else {
      return createStringError("has \"" + StringRef(key) +
                               "\", which is none of \"tensor\", "
                               "\"transpose\" and \"unpermute_heads\"");
    }
  }
  return named;
}

llvm::Expected<llvm::StringMap<NamedTensor>> readWeightNames(StringRef path) {
  auto file = llvm::MemoryBuffer::getFile(path);
  if (!file)
    return createStringError("cannot read names of weights '" + path +
                             "': " + file.getError().message());
  auto wrong = [&](const Twine &what) {
    return createStringError("names of weights '" + path + "': " + what);
  };
  llvm::Expected<json::Value> parsed = parseStrictJson((*file)->getBuffer());
  if (!parsed)
    return wrong(llvm::toString(parsed.takeError()));
  const json::Object *object = parsed->getAsObject();
  if (!object)
    return wrong("needs an object");
  llvm::StringMap<NamedTensor> names;
  for (const auto &[name, value] : *object) {
    llvm::Expected<NamedTensor> named = readName(value);
    if (!named)
      return wrong("'" + StringRef(name) + "' " +
                   llvm::toString(named.takeError()));
    names[StringRef(name)] = std::move(*named);
  }
  return names;
}

} // namespace tenon
