// The table of targets: one line for each.
#include "tenon/Target/Registry.h"
#include "tenon/Target/CPU/Emit.h"
#include "tenon/Target/NVPTX/NvptxTarget.h"

using namespace mlir;

namespace tenon {

ArrayRef<const Target *> allTargets() {
  static const Target *const targets[] = {&cpuTarget(), &nvptxTarget()};
  return targets;
}

void registerTargets(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *, kernel::KernelDialect *dialect) {
    dialect->addInterface<TargetTable>(allTargets());
  });
}

} // namespace tenon
