// The code of a plan, kernel by kernel, or as a whole where the result is one
// text or object that other programs read.
#include "CodeGeneration.h"
#include "KernelCache.h"
#include "Processor.h"
#include "mlir/IR/Threading.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ObjCopy.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <atomic>

using namespace mlir;
using namespace tenon;

std::unique_ptr<llvm::TargetMachine>
tenon::createMachine(const TargetFacts &facts) {
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  return std::unique_ptr<llvm::TargetMachine>(
      processorTarget().createTargetMachine(
          processorTriple(), facts.cpu, "", options, llvm::Reloc::PIC_,
          std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

/// Whether ModuleAbi.h names it as a function.
static bool isEntry(const llvm::Function &function) {
  return function.getName() == "tenon_sizes" ||
         function.getName() == "tenon_run";
}

/// The body of a kernel, which that alone calls.
static bool isBody(const llvm::Function &function) {
  return function.getName().ends_with("_body") && function.hasOneUse();
}

static void prepare(llvm::Module &module, const TargetFacts &facts,
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
    if (!isEntry(function))
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
    if (isBody(function))
      function.addFnAttr(llvm::Attribute::AlwaysInline);
  }
}

/// Stores a vector of which one lane is wanted as that lane. LLVM 22 does this
/// itself, but where the vector was truncated it stores the lane as wide as it
/// was before: a byte of 32 bits overwrites the three that follow it.
static void storeLoneLanes(llvm::Module &module) {
  SmallVector<llvm::IntrinsicInst *> stores;
  for (llvm::Function &function : module)
    for (llvm::BasicBlock &block : function)
      for (llvm::Instruction &instruction : block)
        if (auto *call = dyn_cast<llvm::IntrinsicInst>(&instruction))
          if (call->getIntrinsicID() == llvm::Intrinsic::masked_store)
            stores.push_back(call);
  for (llvm::IntrinsicInst *store : stores) {
    llvm::Value *value = store->getArgOperand(0);
    auto *mask = dyn_cast<llvm::Constant>(store->getArgOperand(2));
    unsigned lanes =
        cast<llvm::FixedVectorType>(value->getType())->getNumElements();
    SmallVector<unsigned> wanted;
    bool isKnown = mask != nullptr;
    for (unsigned lane = 0; isKnown && lane < lanes; ++lane) {
      auto *bit =
          dyn_cast_or_null<llvm::ConstantInt>(mask->getAggregateElement(lane));
      isKnown = bit != nullptr;
      if (bit && bit->isOne())
        wanted.push_back(lane);
    }
    if (!isKnown || wanted.size() != 1)
      continue;
    llvm::IRBuilder<> b(store);
    llvm::Value *element = b.CreateExtractElement(value, wanted[0]);
    llvm::Value *address = b.CreateConstGEP1_64(
        element->getType(), store->getArgOperand(1), wanted[0]);
    llvm::StoreInst *lone =
        b.CreateAlignedStore(element, address, llvm::Align(1));
    lone->setAAMetadata(store->getAAMetadata());
    store->eraseFromParent();
  }
}

static void runPasses(llvm::Module &module, llvm::TargetMachine &machine) {
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
  storeLoneLanes(module);
}

void tenon::optimize(llvm::Module &module, const TargetFacts &facts,
                     llvm::TargetMachine &machine) {
  prepare(module, facts, machine);
  runPasses(module, machine);
}

FailureOr<SmallString<0>> tenon::generateCode(ModuleOp plan,
                                              llvm::Module &module,
                                              llvm::TargetMachine &machine,
                                              llvm::CodeGenFileType type) {
  SmallString<0> code;
  llvm::raw_svector_ostream os(code);
  llvm::legacy::PassManager codegen;
  if (machine.addPassesToEmitFile(codegen, os, nullptr, type))
    return plan.emitError("cannot be written as code of this machine");
  codegen.run(module);
  return code;
}

namespace {

/// What is made into one object.
struct Part {
  std::string name;             ///< of the kernel, or empty: all but kernels
  llvm::SmallString<0> bitcode; ///< in which the kernel is named kernelName
  std::unique_ptr<llvm::MemoryBuffer> object;
};

} // namespace

/// A kernel's name in its object of the cache, so that kernels of other models
/// find it; the archive has it by its own.
static constexpr llvm::StringLiteral kernelName = "tenon_kernel";

using Closure = llvm::SmallPtrSet<const llvm::GlobalValue *, 16>;

/// What `roots` need of their module, themselves included.
static Closure closureOf(ArrayRef<const llvm::Value *> roots) {
  Closure closure;
  SmallVector<const llvm::Value *> open(roots);
  llvm::SmallPtrSet<const llvm::Value *, 32> seen;
  auto need = [&](const llvm::User &user) {
    for (const llvm::Use &use : user.operands())
      if (isa<llvm::Constant>(use) && seen.insert(use).second)
        open.push_back(use);
  };
  while (!open.empty()) {
    const llvm::Value *value = open.pop_back_val();
    if (auto *global = dyn_cast<llvm::GlobalValue>(value))
      closure.insert(global);
    need(*cast<llvm::User>(value));
    if (auto *function = dyn_cast<llvm::Function>(value))
      for (const llvm::BasicBlock &block : *function)
        for (const llvm::Instruction &instruction : block)
          need(instruction);
  }
  return closure;
}

/// A copy of the definitions in `wanted`, and declarations of what they call.
static std::unique_ptr<llvm::Module>
extract(llvm::Module &module,
        function_ref<bool(const llvm::GlobalValue *)> wanted) {
  llvm::ValueToValueMapTy map;
  std::unique_ptr<llvm::Module> part =
      llvm::CloneModule(module, map, [&](const llvm::GlobalValue *value) {
        return !value->isDeclaration() && wanted(value);
      });
  for (llvm::GlobalValue &value :
       llvm::make_early_inc_range(part->global_values()))
    if (value.isDeclaration() && value.use_empty())
      value.eraseFromParent();
  // Equal parts have equal bitcode whatever model they are of.
  part->setModuleIdentifier("tenon");
  part->setSourceFileName("tenon");
  return part;
}

static Part toPart(StringRef name, const llvm::Module &module) {
  Part part;
  part.name = name;
  llvm::raw_svector_ostream os(part.bitcode);
  llvm::WriteBitcodeToFile(module, os);
  return part;
}

static Part cutKernel(llvm::Module &module, StringRef name,
                      const Closure &closure) {
  std::unique_ptr<llvm::Module> part =
      extract(module, [&](const llvm::GlobalValue *value) {
        return closure.contains(value);
      });
  for (llvm::Function &function : *part)
    if (isBody(function))
      function.setName(kernelName + "_body");
  llvm::Function *kernel = part->getFunction(name);
  kernel->setName(kernelName);
  kernel->setLinkage(llvm::GlobalValue::ExternalLinkage);
  kernel->setVisibility(llvm::GlobalValue::HiddenVisibility);
  return toPart(name, *part);
}

/// Cuts a prepared module into one part for each kernel, and the rest.
/// Constants that several need are in each.
static std::vector<Part> cut(llvm::Module &module) {
  std::vector<Part> parts;
  Closure inKernels;
  SmallVector<const llvm::Value *> visible;
  for (const llvm::GlobalValue &value : module.global_values())
    if (!value.hasLocalLinkage() && !value.isDeclaration())
      visible.push_back(&value);
  for (const llvm::Function &function : module) {
    if (function.isDeclaration() || isEntry(function) || isBody(function))
      continue;
    Closure closure = closureOf(&function);
    parts.push_back(cutKernel(module, function.getName(), closure));
    inKernels.insert_range(closure);
  }
  Closure rest = closureOf(visible);
  std::unique_ptr<llvm::Module> part =
      extract(module, [&](const llvm::GlobalValue *value) {
        return rest.contains(value) &&
               !(isa<llvm::Function>(value) && inKernels.contains(value));
      });
  for (llvm::Function &function : *part)
    if (function.isDeclaration() && !function.isIntrinsic())
      function.setVisibility(llvm::GlobalValue::HiddenVisibility);
  parts.push_back(toPart("", *part));
  return parts;
}

/// Everything that an object depends on.
static std::string keyOf(const Part &part, const TargetFacts &facts) {
  llvm::SHA256 hash;
  for (StringRef text :
       {StringRef(TENON_CODE_GENERATION), StringRef(LLVM_VERSION_STRING),
        StringRef(facts.cpu), StringRef(part.bitcode)}) {
    hash.update(std::to_string(text.size()) + " ");
    hash.update(text);
  }
  return llvm::toHex(hash.final(), /*LowerCase=*/true);
}

/// Bitcode to an object, in a context of its own.
static std::unique_ptr<llvm::MemoryBuffer>
generateObject(const Part &part, const TargetFacts &facts) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = llvm::cantFail(llvm::parseBitcodeFile(
      llvm::MemoryBufferRef(part.bitcode, "tenon"), context));
  std::unique_ptr<llvm::TargetMachine> machine = createMachine(facts);
  runPasses(*module, *machine);
  SmallVector<char, 0> object;
  llvm::raw_svector_ostream os(object);
  llvm::legacy::PassManager codegen;
  if (machine->addPassesToEmitFile(codegen, os, nullptr,
                                   llvm::CodeGenFileType::ObjectFile))
    return nullptr;
  codegen.run(*module);
  return std::make_unique<llvm::SmallVectorMemoryBuffer>(
      std::move(object), /*RequiresNullTerminator=*/false);
}

/// The object with the kernel's own name.
static llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
rename(const llvm::MemoryBuffer &object, StringRef name) {
  auto file = llvm::object::ObjectFile::createObjectFile(object);
  if (!file)
    return file.takeError();
  llvm::objcopy::ConfigManager config;
  config.Common.SymbolsToRename[kernelName] = name;
  SmallVector<char, 0> renamed;
  llvm::raw_svector_ostream os(renamed);
  if (llvm::Error error =
          llvm::objcopy::executeObjcopyOnBinary(config, **file, os))
    return std::move(error);
  return std::make_unique<llvm::SmallVectorMemoryBuffer>(
      std::move(renamed), /*RequiresNullTerminator=*/false);
}

LogicalResult tenon::checkUndefined(ModuleOp plan, StringRef object,
                                    const llvm::StringSet<> &kernels) {
  auto file = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(object, "object"));
  if (!file)
    return plan.emitError("gave no object: ")
           << llvm::toString(file.takeError());
  for (const llvm::object::SymbolRef &symbol : (*file)->symbols()) {
    uint32_t flags = llvm::cantFail(symbol.getFlags());
    StringRef name = llvm::cantFail(symbol.getName());
    if ((flags & llvm::object::SymbolRef::SF_Undefined) && !name.empty() &&
        !kernels.contains(name) && name != "memcpy" && name != "memset" &&
        name != "memmove" && name != "_GLOBAL_OFFSET_TABLE_")
      return plan.emitError("needs the external function '")
             << name << "', which an artifact must not call";
  }
  return success();
}

FailureOr<std::unique_ptr<llvm::MemoryBuffer>>
tenon::generateArchive(ModuleOp plan, llvm::Module &module,
                       const TargetFacts &facts, const EmitOptions &options) {
  prepare(module, facts, *createMachine(facts));
  std::vector<Part> parts = cut(module);
  KernelCache cache(options.kernelCache);
  std::atomic<int64_t> found = 0;
  mlir::parallelForEach(plan.getContext(), parts, [&](Part &part) {
    std::string key = keyOf(part, facts);
    part.object = cache.find(key);
    if (part.object) {
      found += !part.name.empty();
    } else if ((part.object = generateObject(part, facts))) {
      cache.add(key, part.object->getBuffer());
    }
  });
  cache.prune();
  if (!cache.problem().empty())
    plan.emitWarning("the next compilation will not find kernels of this one: ")
        << cache.problem();
  options.kernels(parts.size() - 1, found);

  llvm::StringSet<> kernels;
  for (const Part &part : parts)
    kernels.insert(part.name);
  std::vector<llvm::NewArchiveMember> members;
  for (Part &part : parts) {
    if (!part.object)
      return plan.emitError("cannot be written as code of this machine");
    auto named = rename(*part.object, part.name);
    if (!named)
      return plan.emitError("gave no object: ")
             << llvm::toString(named.takeError());
    part.object = std::move(*named);
    if (failed(checkUndefined(plan, part.object->getBuffer(), kernels)))
      return failure();
    members.emplace_back(llvm::MemoryBufferRef(part.object->getBuffer(), "o"));
  }
  auto archive = llvm::writeArchiveToBuffer(
      members, llvm::SymtabWritingMode::NormalSymtab,
      llvm::object::Archive::K_GNU, /*Deterministic=*/true, /*Thin=*/false);
  if (!archive)
    return plan.emitError("gave no archive: ")
           << llvm::toString(archive.takeError());
  return std::move(*archive);
}
