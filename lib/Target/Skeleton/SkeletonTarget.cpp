// A target with one machine that schedules as CPUs do and writes the plan.
#include "tenon/Target/Skeleton/SkeletonTarget.h"
#include "tenon/Kernels/Family.h"
#include "tenon/Target/Interface/TextFile.h"

using namespace mlir;

namespace tenon {
namespace {

class SkeletonTarget : public Target {
public:
  StringRef name() const override { return "skeleton"; }

  ArrayRef<TargetFacts> facts() const override {
    static const TargetFacts machine = [] {
      TargetFacts facts = avx2Facts();
      facts.name = "skeleton-1";
      return facts;
    }();
    return machine;
  }

  ArrayRef<KernelFamily> families() const override { return cpuFamilies(); }

  // Nothing to lower: the plan is what is written.
  void buildLoweringPipeline(OpPassManager &,
                             const TargetFacts &) const override {}

  ArrayRef<llvm::StringLiteral> emitKinds() const override {
    static constexpr llvm::StringLiteral kinds[] = {"plan"};
    return kinds;
  }

  LogicalResult emit(ModuleOp plan, const TargetFacts &,
                     const EmitOptions &options,
                     StringRef outputPath) const override {
    if (options.kind != "plan")
      return plan.emitError("cannot be emitted as '")
             << options.kind << "', only as plan";
    return writeTextFile(plan.getLoc(), outputPath,
                         [&](llvm::raw_ostream &os) { plan.print(os); });
  }
};

} // namespace

const Target &skeletonTarget() {
  static const SkeletonTarget target;
  return target;
}

} // namespace tenon
