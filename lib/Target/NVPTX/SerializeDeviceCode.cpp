// From nvvm to PTX text, in process.
#include "DeviceCode.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;

static FailureOr<std::unique_ptr<llvm::TargetMachine>>
createMachine(Operation *op) {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string error;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return op->emitOpError("has no LLVM target: ") << error;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, tenon::ptxMachine, tenon::ptxVersion, {}, {}));
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(module, modules);
}

/// A function that is missing would show only when a driver loads the code.
static LogicalResult checkCalls(Operation *op, llvm::Module &module) {
  for (llvm::Function &function : module)
    if (function.isDeclaration() && !function.isIntrinsic() &&
        !function.use_empty())
      return op->emitOpError("needs the external function '")
             << function.getName() << "', which devices do not have";
  return success();
}

static FailureOr<std::string> writePtx(gpu::GPUModuleOp device) {
  FailureOr<std::unique_ptr<llvm::TargetMachine>> machine =
      createMachine(device);
  if (failed(machine))
    return failure();
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  device->getContext()->appendDialectRegistry(registry);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module =
      translateModuleToLLVMIR(device, context, "tenon");
  if (!module)
    return failure();
  module->setTargetTriple((*machine)->getTargetTriple());
  module->setDataLayout((*machine)->createDataLayout());
  optimize(*module, **machine);
  if (failed(checkCalls(device, *module)))
    return failure();
  SmallString<0> text;
  llvm::raw_svector_ostream os(text);
  llvm::legacy::PassManager codegen;
  if ((*machine)->addPassesToEmitFile(codegen, os, nullptr,
                                      llvm::CodeGenFileType::AssemblyFile))
    return device.emitOpError("cannot be written as PTX");
  codegen.run(*module);
  return text.str().str();
}

namespace {

struct SerializeDeviceCode
    : PassWrapper<SerializeDeviceCode, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SerializeDeviceCode)
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<LLVM::LLVMDialect>();
  }

  void runOnOperation() override {
    for (gpu::GPUModuleOp device : llvm::make_early_inc_range(
             getOperation().getOps<gpu::GPUModuleOp>())) {
      FailureOr<std::string> text = writePtx(device);
      if (failed(text))
        return signalPassFailure();
      text->push_back('\0');
      OpBuilder b(device);
      auto type = LLVM::LLVMArrayType::get(b.getI8Type(), text->size());
      LLVM::GlobalOp::create(b, device.getLoc(), type, /*isConstant=*/true,
                             LLVM::Linkage::External, tenon::deviceCodeName,
                             b.getStringAttr(*text));
      device.erase();
    }
  }
};

} // namespace

std::unique_ptr<Pass> tenon::createSerializeDeviceCodePass() {
  return std::make_unique<SerializeDeviceCode>();
}
