// NVIDIA's GPUs as the phases see them.
#include "tenon/Target/NVPTX/NvptxTarget.h"
#include "DeviceCode.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "tenon/Kernels/Family.h"
#include "tenon/Target/CPU/Emit.h"
#include "tenon/Target/Interface/TextFile.h"

using namespace mlir;

namespace tenon {

/// What is left for the host runs on any machine that has such a card.
static TargetFacts hostFacts() { return avx2Facts(); }

/// The device's half first: what is left is host code with launches, as on the
/// CPU.
static void buildLowering(OpPassManager &pm) {
  pm.addPass(createPlaceConstantsPass());
  pm.addPass(createCopyByKernelPass());
  pm.addPass(createSplitDeviceCodePass());
  OpPassManager &device = pm.nest<gpu::GPUModuleOp>();
  device.addPass(createCanonicalizerPass());
  device.addPass(createConvertVectorToSCFPass());
  device.addPass(memref::createExpandStridedMetadataPass());
  // Strided metadata is computed with affine.apply.
  device.addPass(createLowerAffinePass());
  device.addPass(createSCFToControlFlowPass());
  device.addPass(createConvertDeviceCodePass());
  device.addPass(createCanonicalizerPass());
  device.addPass(createCSEPass());
  device.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createSerializeDeviceCodePass());
  buildCpuLoweringPipeline(pm, hostFacts());
}

/// Writes the device's code as text.
static LogicalResult emitPtx(ModuleOp plan, StringRef outputPath) {
  OwningOpRef<ModuleOp> lowered = plan.clone();
  PassManager pm(plan.getContext());
  buildLowering(pm);
  if (failed(pm.run(*lowered)))
    return failure();
  auto code = lowered->lookupSymbol<LLVM::GlobalOp>(deviceCodeName);
  StringRef text = cast<StringAttr>(code.getValueAttr()).getValue();
  return writeTextFile(plan.getLoc(), outputPath,
                       [&](llvm::raw_ostream &os) { os << text.drop_back(); });
}

namespace {

class NvptxTarget : public Target {
public:
  StringRef name() const override { return "nvidia"; }

  ArrayRef<TargetFacts> facts() const override {
    // The numbers of an A100 with 40 GB, as its data sheet gives them; a core
    // is a multiprocessor, a vector a warp.
    static const TargetFacts machines[] = {{"sm_80", "sm_80", 128, 255, 0,
                                            192 << 10, 40 << 20, 180, 0, 0, 14,
                                            1555, 60, 5}};
    return machines;
  }

  ArrayRef<KernelFamily> families() const override { return gpuFamilies(); }

  void buildLoweringPipeline(OpPassManager &pm,
                             const TargetFacts &) const override {
    buildLowering(pm);
  }

  ArrayRef<llvm::StringLiteral> emitKinds() const override {
    static const std::vector<llvm::StringLiteral> kinds = [] {
      std::vector<llvm::StringLiteral> kinds(tenon::emitKinds());
      kinds.push_back("ptx");
      return kinds;
    }();
    return kinds;
  }

  LogicalResult emit(ModuleOp plan, const TargetFacts &facts,
                     const EmitOptions &options,
                     StringRef outputPath) const override {
    if (options.kind == "ptx")
      return emitPtx(plan, outputPath);
    // The weights are written from the plan, so it must have all of them.
    OwningOpRef<ModuleOp> placed = plan.clone();
    PassManager pm(plan.getContext());
    pm.addPass(createPlaceConstantsPass());
    if (failed(pm.run(*placed)))
      return failure();
    return emitHostArtifact(*placed, facts, hostFacts(), buildLowering, options,
                            outputPath);
  }
};

} // namespace

const Target &nvptxTarget() {
  static const NvptxTarget target;
  return target;
}

} // namespace tenon
