// Puts the schedules of a recipe on regions, and says which stand there.
#include "tenon/Compiler/Schedules.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "tenon/Target/Interface/KernelFamily.h"

using namespace mlir;

namespace tenon {

/// The regions that compute a node, and the nodes' ids.
static std::pair<SmallVector<StringRef>, SmallVector<kernel::RegionOp>>
findRegions(ModuleOp module) {
  SmallVector<StringRef> ids;
  SmallVector<kernel::RegionOp> regions;
  module.walk([&](kernel::RegionOp region) {
    auto id = region->getAttrOfType<StringAttr>("tenon.id");
    if (!id)
      return;
    ids.push_back(id.getValue());
    regions.push_back(region);
  });
  return {ids, regions};
}

LogicalResult wantSchedules(ModuleOp module, const Recipe &recipe) {
  auto [ids, regions] = findRegions(module);
  for (const auto &[text, choice] : recipe.nodes) {
    if (!choice.schedule)
      continue;
    FailureOr<SmallVector<size_t>> meant = findMeant(module, text, ids);
    if (failed(meant))
      return failure();
    if (meant->empty())
      return module.emitError("recipe: no region computes node '")
             << text
             << "'; after phase fuse 'tenon.id' names those that one does";
    // The number of lanes is the machine's.
    auto schedule = kernel::ScheduleAttr::get(
        module.getContext(), choice.schedule->family, choice.schedule->tile,
        /*vector=*/0);
    for (size_t number : *meant)
      regions[number]->setAttr(wantedScheduleAttr, schedule);
  }
  return success();
}

std::vector<std::pair<std::string, NodeChoice>>
collectSchedules(ModuleOp module) {
  std::vector<std::pair<std::string, NodeChoice>> choices;
  auto [ids, regions] = findRegions(module);
  for (auto [id, region] : llvm::zip(ids, regions)) {
    auto wanted =
        region->getAttrOfType<kernel::ScheduleAttr>(wantedScheduleAttr);
    if (!wanted)
      continue;
    NodeChoice choice;
    choice.schedule = {wanted.getFamily().str(), wanted.getTile().vec()};
    choices.push_back({id.str(), choice});
  }
  return choices;
}

} // namespace tenon
