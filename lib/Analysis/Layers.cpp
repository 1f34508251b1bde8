// Looks for numbers that are followed by more of a name.
#include "tenon/Analysis/Layers.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace tenon {

/// Calls `found` with each number of `name` that a slash or a point follows,
/// and what stands before it, until that returns true.
static void forEachNumber(
    StringRef name,
    llvm::function_ref<bool(StringRef before, StringRef number)> found) {
  for (size_t end = 0; end < name.size();) {
    size_t begin = name.find_if(llvm::isDigit, end);
    if (begin == StringRef::npos)
      return;
    end = std::min(name.find_if_not(llvm::isDigit, begin), name.size());
    bool goesOn = end < name.size() && (name[end] == '/' || name[end] == '.');
    if (goesOn && begin > 0 &&
        found(name.take_front(begin), name.slice(begin, end)))
      return;
  }
}

/// The last name in `loc`, or empty.
static StringRef lastName(Location loc) {
  StringRef name;
  if (auto named = dyn_cast<NameLoc>(loc))
    return named.getName();
  if (auto fused = dyn_cast<FusedLoc>(loc))
    for (Location part : fused.getLocations())
      if (StringRef found = lastName(part); !found.empty())
        name = found;
  return name;
}

Layers::Layers(Operation *root) {
  root->walk([&](Operation *op) {
    op->getLoc()->walk([&](Location loc) {
      if (auto named = dyn_cast<NameLoc>(loc))
        forEachNumber(named.getName(), [&](StringRef before, StringRef number) {
          numbers[before].insert(number.str());
          return false;
        });
      return WalkResult::advance();
    });
  });
}

StringRef Layers::of(Location loc) const {
  StringRef name = lastName(loc), layer;
  forEachNumber(name, [&](StringRef before, StringRef number) {
    auto found = numbers.find(before);
    if (found == numbers.end() || found->second.size() < 2)
      return false;
    layer = name.take_front(before.size() + number.size());
    return true;
  });
  return layer;
}

} // namespace tenon
