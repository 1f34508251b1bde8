// Puts the schedules that the user wants on regions.
#include "tenon/Compiler/Schedules.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "tenon/Target/Interface/KernelFamily.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
namespace json = llvm::json;

namespace tenon {

/// One entry of the file; null if it is none.
static kernel::ScheduleAttr readSchedule(MLIRContext *context,
                                         const json::Value &value) {
  const json::Object *object = value.getAsObject();
  if (!object || object->empty())
    return nullptr;
  StringRef family;
  SmallVector<int64_t> tile;
  for (const auto &[key, entry] : *object) {
    if (key == "family" && entry.getAsString()) {
      family = *entry.getAsString();
    } else if (key == "tile" && entry.getAsArray()) {
      for (const json::Value &size : *entry.getAsArray()) {
        if (!size.getAsInteger())
          return nullptr;
        tile.push_back(*size.getAsInteger());
      }
    } else {
      return nullptr;
    }
  }
  // The number of lanes is the machine's.
  return kernel::ScheduleAttr::get(context, family, tile, /*vector=*/0);
}

LogicalResult wantSchedules(ModuleOp module, StringRef path) {
  auto wrong = [&](const Twine &what) {
    return emitError(UnknownLoc::get(module.getContext()))
           << "--schedules " << path << ": " << what;
  };
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return wrong("cannot read it: " + buffer.getError().message());
  llvm::Expected<json::Value> parsed = json::parse((*buffer)->getBuffer());
  if (!parsed)
    return wrong(llvm::toString(parsed.takeError()));
  const json::Object *object = parsed->getAsObject();
  if (!object)
    return wrong("needs an object of nodes");
  for (const auto &[node, value] : *object) {
    kernel::ScheduleAttr schedule = readSchedule(module.getContext(), value);
    if (!schedule)
      return wrong("node '" + StringRef(node) +
                   "' needs an object with \"family\", a string, \"tile\", an "
                   "array of integers, or both");
    bool found = false;
    module.walk([&](kernel::RegionOp region) {
      auto id = region->getAttrOfType<StringAttr>("tenon.id");
      if (!id || id.getValue() != StringRef(node))
        return;
      region->setAttr(wantedScheduleAttr, schedule);
      found = true;
    });
    if (!found)
      return wrong("no region computes node '" + StringRef(node) +
                   "'; after phase fuse 'tenon.id' names those that one does");
  }
  return success();
}

} // namespace tenon
