// Finds a target by a name that the user gave.
#include "tenon/Target/Interface/Target.h"
#include "llvm/ADT/StringExtras.h"

namespace tenon {

llvm::Expected<TargetChoice> chooseTarget(llvm::ArrayRef<const Target *> among,
                                          llvm::StringRef name) {
  for (const Target *target : among) {
    if (target->name() == name)
      return TargetChoice{target, target->facts().front()};
    for (const TargetFacts &facts : target->facts())
      if (facts.name == name)
        return TargetChoice{target, facts};
  }
  if (name.ends_with(".json")) {
    llvm::Expected<TargetFacts> facts = readTargetFacts(name);
    if (!facts)
      return facts.takeError();
    return TargetChoice{among.front(), *facts};
  }
  llvm::SmallVector<llvm::StringRef> names;
  for (const Target *target : among) {
    names.push_back(target->name());
    for (const TargetFacts &facts : target->facts())
      names.push_back(facts.name);
  }
  return llvm::createStringError("there is no target '" + name +
                                 "'; there are " + llvm::join(names, ", ") +
                                 ", and facts files, which end in .json");
}

} // namespace tenon
