// Schedules one kernel.region, compiles its body for this machine and runs it.
#ifndef TENON_TEST_UNIT_KERNELS_JITREGION_H
#define TENON_TEST_UNIT_KERNELS_JITREGION_H

#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/IR/MLIRContext.h"
#include "tenon/Kernels/Family.h"
#include <memory>
#include <string>
#include <vector>

namespace tenon {

/// What a body gets for one memref.
struct TestBuffer {
  void *data;
  std::vector<int64_t> sizes;
};

class JitRegion {
public:
  /// `text` is a function that holds one region in its first form; its
  /// arguments of type index give the dynamic sizes.
  JitRegion(const std::string &text, KernelFamily family, TargetFacts facts);

  /// False after a diagnostic: `error` holds it.
  bool ok() const { return engine != nullptr; }
  const std::string &error() const { return message; }

  /// Runs the grid in `parts` parts. `indices` are the index arguments of the
  /// function, `own` those of the region.
  void run(const std::vector<TestBuffer> &buffers,
           const std::vector<int64_t> &indices, int64_t parts = 3,
           std::vector<int64_t> own = {});
  int64_t grid(const std::vector<int64_t> &indices);

  /// Can this machine run code for `facts`?
  static bool canRun(const TargetFacts &facts);

private:
  mlir::MLIRContext context;
  std::unique_ptr<mlir::ExecutionEngine> engine;
  std::string message;
};

} // namespace tenon

#endif // TENON_TEST_UNIT_KERNELS_JITREGION_H
