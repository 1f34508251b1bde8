// Optimises, writes the object, links it and puts the weights behind it.
#include "tenon/Target/CPU/Emit.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "tenon-c/ModuleAbi.h"
#include "tenon/Weights/Weights.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;

static std::unique_ptr<llvm::TargetMachine>
createMachine(ModuleOp module, const tenon::TargetFacts &facts) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target) {
    module.emitError("has no LLVM target: ") << error;
    return nullptr;
  }
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, facts.cpu, "", options, llvm::Reloc::PIC_, std::nullopt,
      llvm::CodeGenOptLevel::Aggressive));
}

/// Only what ModuleAbi.h names stays visible; bodies go into their callers.
static void prepare(llvm::Module &module, const tenon::TargetFacts &facts,
                    llvm::TargetMachine &machine) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", facts.cpu);
    function.addFnAttr("prefer-vector-width",
                       std::to_string(facts.vectorBytes * 8));
    function.addFnAttr(llvm::Attribute::NoUnwind);
    if (function.getName() != "tenon_sizes" &&
        function.getName() != "tenon_run")
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
    if (function.getName().ends_with("_body") && function.hasOneUse())
      function.addFnAttr(llvm::Attribute::AlwaysInline);
  }
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

/// An artifact may call memcpy and its like, and nothing else.
static LogicalResult checkUndefined(ModuleOp module, StringRef object) {
  auto file = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(object, "object"));
  if (!file)
    return module.emitError("gave no object: ")
           << llvm::toString(file.takeError());
  for (const llvm::object::SymbolRef &symbol : (*file)->symbols()) {
    uint32_t flags = llvm::cantFail(symbol.getFlags());
    StringRef name = llvm::cantFail(symbol.getName());
    if ((flags & llvm::object::SymbolRef::SF_Undefined) && !name.empty() &&
        name != "memcpy" && name != "memset" && name != "memmove" &&
        name != "_GLOBAL_OFFSET_TABLE_")
      return module.emitError("needs the external function '")
             << name << "', which an artifact must not call";
  }
  return success();
}

static LogicalResult writeFile(ModuleOp module, StringRef path,
                               StringRef data) {
  std::error_code error;
  llvm::raw_fd_ostream os(path, error);
  if (!error) {
    os << data;
    os.close();
    error = os.error();
    os.clear_error();
  }
  if (error)
    return module.emitError("cannot write '")
           << path << "': " << error.message();
  return success();
}

static LogicalResult link(ModuleOp module, StringRef object, StringRef output) {
  auto linker = llvm::sys::findProgramByName("ld.lld-22");
  if (!linker)
    linker = llvm::sys::findProgramByName("ld.lld");
  if (!linker)
    return module.emitError("cannot be linked: neither 'ld.lld-22' nor "
                            "'ld.lld' is in the path");
  StringRef arguments[] = {
      *linker, "-shared", "--build-id=none", "-z", "now", "-o", output, object};
  std::string error;
  int code = llvm::sys::ExecuteAndWait(*linker, arguments, std::nullopt, {}, 0,
                                       0, &error);
  if (code)
    return module.emitError("cannot be linked: '")
           << *linker << "' returned " << code << " " << error;
  return success();
}

/// Puts the weights behind the code, and into the note where they are.
static LogicalResult appendWeights(ModuleOp plan, StringRef modelDir,
                                   StringRef path) {
  std::error_code error;
  uint64_t size = 0;
  if ((error = llvm::sys::fs::file_size(path, size)))
    return plan.emitError("cannot read '") << path << "': " << error.message();
  auto content = llvm::MemoryBuffer::getFile(path);
  if (!content)
    return plan.emitError("cannot read '") << path << "'";
  std::string head((*content)->getBuffer());
  std::string mark("\x06\0\0\0\x20\0\0\0\x01\0\0\0Tenon\0\0\0", 20);
  size_t note = head.find(mark);
  if (note == std::string::npos)
    return plan.emitError("was linked without its note");
  uint64_t offset = (size + 4095) / 4096 * 4096;
  head.resize(offset, '\0');
  int descriptor;
  if ((error = llvm::sys::fs::openFileForWrite(path, descriptor)))
    return plan.emitError("cannot write '") << path << "': " << error.message();
  llvm::raw_fd_ostream os(descriptor, /*shouldClose=*/true);
  os << head;
  FailureOr<uint64_t> bytes = tenon::writeWeights(plan, modelDir, os);
  if (succeeded(bytes)) {
    uint64_t numbers[] = {TN_ABI_VERSION, offset, *bytes, 0};
    os.pwrite(reinterpret_cast<const char *>(numbers), sizeof(numbers),
              note + mark.size());
  }
  os.close();
  if (os.has_error()) {
    std::string message = os.error().message();
    os.clear_error();
    return plan.emitError("cannot write '") << path << "': " << message;
  }
  return failure(failed(bytes));
}

/// Writes `emit` to `path`, which need not be whole when this fails.
static LogicalResult emitTo(ModuleOp plan, const tenon::TargetFacts &facts,
                            StringRef modelDir, StringRef path,
                            StringRef emit) {
  OwningOpRef<ModuleOp> lowered = plan.clone();
  MLIRContext *context = plan.getContext();
  PassManager pm(context);
  tenon::buildCpuLoweringPipeline(pm);
  if (failed(pm.run(*lowered)))
    return failure();
  std::string text;
  llvm::raw_string_ostream os(text);
  if (emit == "mlir") {
    lowered->print(os);
    return writeFile(plan, path, text);
  }
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  context->appendDialectRegistry(registry);
  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> module =
      translateModuleToLLVMIR(*lowered, llvmContext);
  if (!module)
    return failure();
  std::unique_ptr<llvm::TargetMachine> machine = createMachine(plan, facts);
  if (!machine)
    return failure();
  prepare(*module, facts, *machine);
  optimize(*module, *machine);
  if (emit == "llvm") {
    module->print(os, nullptr);
    return writeFile(plan, path, text);
  }
  llvm::SmallString<0> code;
  {
    llvm::raw_svector_ostream codeStream(code);
    llvm::legacy::PassManager codegen;
    if (machine->addPassesToEmitFile(codegen, codeStream, nullptr,
                                     emit == "asm"
                                         ? llvm::CodeGenFileType::AssemblyFile
                                         : llvm::CodeGenFileType::ObjectFile))
      return plan.emitError("cannot be written as '") << emit << "'";
    codegen.run(*module);
  }
  if (emit == "asm")
    return writeFile(plan, path, code);
  if (failed(checkUndefined(plan, code)))
    return failure();
  if (emit == "obj")
    return writeFile(plan, path, code);
  std::string object = (path + ".o").str();
  LogicalResult result = writeFile(plan, object, code);
  if (succeeded(result))
    result = link(plan, object, path);
  llvm::sys::fs::remove(object);
  if (failed(result))
    return failure();
  return appendWeights(plan, modelDir, path);
}

LogicalResult tenon::emitArtifact(ModuleOp plan, const TargetFacts &facts,
                                  StringRef modelDir, StringRef outputPath,
                                  StringRef emit) {
  SmallString<256> temporary;
  llvm::sys::fs::createUniquePath(outputPath + ".%%%%%%%%", temporary,
                                  /*MakeAbsolute=*/false);
  LogicalResult result = emitTo(plan, facts, modelDir, temporary, emit);
  if (succeeded(result)) {
    if (std::error_code error = llvm::sys::fs::rename(temporary, outputPath))
      result = plan.emitError("cannot write '")
               << outputPath << "': " << error.message();
  }
  if (failed(result))
    llvm::sys::fs::remove(temporary);
  return result;
}
