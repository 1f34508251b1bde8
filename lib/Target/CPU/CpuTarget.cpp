// The CPU as the phases see it.
#include "tenon/Kernels/Family.h"
#include "tenon/Target/CPU/Emit.h"

using namespace mlir;

namespace tenon {
namespace {

class CpuTarget : public Target {
public:
  StringRef name() const override { return "cpu"; }
  ArrayRef<TargetFacts> facts() const override { return knownTargets(); }
  ArrayRef<KernelFamily> families() const override { return cpuFamilies(); }
  bool takes(FloatType element) const override {
    return isa<Float64Type, Float32Type, Float16Type, BFloat16Type>(element) ||
           element.getWidth() <= 8;
  }
  void buildLoweringPipeline(OpPassManager &pm,
                             const TargetFacts &facts) const override {
    buildCpuLoweringPipeline(pm, facts);
  }
  ArrayRef<llvm::StringLiteral> emitKinds() const override {
    return tenon::emitKinds();
  }
  LogicalResult emit(ModuleOp plan, const TargetFacts &facts,
                     const EmitOptions &options,
                     StringRef outputPath) const override {
    return emitArtifact(plan, facts, options, outputPath);
  }
};

} // namespace

const Target &cpuTarget() {
  static const CpuTarget target;
  return target;
}

} // namespace tenon
