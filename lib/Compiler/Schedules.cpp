// Puts the schedules of a recipe on regions, and says which stand there.
#include "tenon/Compiler/Schedules.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "tenon/Target/Interface/KernelFamily.h"

using namespace mlir;

namespace tenon {

/// Calls `found` with each region that computes a node, and its id.
static void
walkRegions(ModuleOp module,
            llvm::function_ref<void(StringRef, kernel::RegionOp)> found) {
  module.walk([&](kernel::RegionOp region) {
    if (auto id = region->getAttrOfType<StringAttr>("tenon.id"))
      found(id.getValue(), region);
  });
}

LogicalResult wantSchedules(ModuleOp module, const Recipe &recipe) {
  for (const auto &[text, choice] : recipe.nodes) {
    if (!choice.schedule)
      continue;
    FailureOr<NodePattern> pattern = NodePattern::create(module, text);
    if (failed(pattern))
      return failure();
    // The number of lanes is the machine's.
    auto schedule = kernel::ScheduleAttr::get(
        module.getContext(), choice.schedule->family, choice.schedule->tile,
        /*vector=*/0);
    bool fits = false;
    walkRegions(module, [&](StringRef id, kernel::RegionOp region) {
      if (!pattern->fits(id))
        return;
      region->setAttr(wantedScheduleAttr, schedule);
      fits = true;
    });
    if (!fits)
      return module.emitError("recipe: no region computes node '")
             << text
             << "'; after phase fuse 'tenon.id' names those that one does";
  }
  return success();
}

std::vector<std::pair<std::string, NodeChoice>>
collectSchedules(ModuleOp module) {
  std::vector<std::pair<std::string, NodeChoice>> choices;
  walkRegions(module, [&](StringRef id, kernel::RegionOp region) {
    auto wanted =
        region->getAttrOfType<kernel::ScheduleAttr>(wantedScheduleAttr);
    if (!wanted)
      return;
    NodeChoice choice;
    choice.schedule = {wanted.getFamily().str(), wanted.getTile().vec()};
    choices.push_back({id.str(), choice});
  });
  return choices;
}

} // namespace tenon
