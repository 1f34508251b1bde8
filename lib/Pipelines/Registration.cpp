// Every name a tool can use, in one place.
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "tenon/Conversion/Passes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "tenon/Dialect/Kernel/Transforms/Passes.h"
#include "tenon/Dialect/Plan/IR/PlanOps.h"
#include "tenon/Dialect/Plan/Transforms/Passes.h"
#include "tenon/Pipelines/Pipelines.h"
#include "tenon/Target/Registry.h"

using namespace mlir;

void tenon::registerAllDialects(DialectRegistry &registry) {
  registerAllExtensions(registry);
  registerTargets(registry);
  registry
      .insert<graph::GraphDialect, kernel::KernelDialect, plan::PlanDialect>();
  registry
      .insert<affine::AffineDialect, arith::ArithDialect, func::FuncDialect,
              gpu::GPUDialect, NVVM::NVVMDialect, linalg::LinalgDialect,
              LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect,
              scf::SCFDialect, tensor::TensorDialect, vector::VectorDialect>();
}

/// Makes a phase a pipeline of tenon-opt.
static void registerPhase(const tenon::Phase &phase) {
  registerPassPipeline(
      ("tenon-" + phase.name).str(), phase.summary,
      [&phase](OpPassManager &pm, StringRef text,
               function_ref<LogicalResult(const Twine &)> fail) {
        tenon::PhaseOptions options;
        if (failed(options.parseFromString(text)))
          return failure();
        auto choice = tenon::chooseTarget(tenon::allTargets(), options.target);
        if (!choice)
          return fail(llvm::toString(choice.takeError()));
        buildPhase(pm, phase, options);
        return success();
      },
      [](function_ref<void(const mlir::detail::PassOptions &)> show) {
        show(tenon::PhaseOptions());
      });
}

void tenon::registerAllPasses() {
  registerTransformsPasses();
  graph::registerGraphPasses();
  kernel::registerKernelPasses();
  plan::registerPlanPasses();
  registerConversionPasses();
  registerPipelinesPasses();
  for (const Phase &phase : getPhases())
    registerPhase(phase);
}
