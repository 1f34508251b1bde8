// Optimises, writes the object, links it and puts the weights behind it.
#include "tenon/Target/CPU/Emit.h"
#include "CodeGeneration.h"
#include "Header.h"
#include "Link.h"
#include "Processor.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "tenon-c/ModuleAbi.h"
#include "tenon/Weights/Weights.h"
#include "llvm/IR/Constants.h"
#include "llvm/Support/CRC.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"

using namespace mlir;

/// Closes a file that was written, and says what went wrong until now.
static LogicalResult close(ModuleOp module, StringRef path,
                           llvm::raw_fd_ostream &os) {
  os.close();
  std::error_code error = os.error();
  os.clear_error();
  if (error)
    return module.emitError("cannot write '")
           << path << "': " << error.message();
  return success();
}

static LogicalResult writeFile(ModuleOp module, StringRef path,
                               StringRef data) {
  std::error_code error;
  llvm::raw_fd_ostream os(path, error);
  if (error)
    return module.emitError("cannot write '")
           << path << "': " << error.message();
  os << data;
  return close(module, path, os);
}

/// Writes `note` into `bytes` at `position`, and the checksum of `bytes` into
/// it.
static void writeNote(std::string &bytes, size_t position, tn_note note) {
  auto write = [&] {
    std::memcpy(bytes.data() + position, &note, sizeof(note));
  };
  note.checksum = 0;
  write();
  note.checksum = llvm::crc32(llvm::arrayRefFromStringRef(bytes));
  write();
}

/// Weights are written in pieces that fill a huge page each and begin where one
/// does: only so do Linux' file systems keep them in huge pages, which are read
/// up to a sixth faster than small ones (docs/performance.md).
static constexpr size_t weightPiece = 2 << 20;

/// Puts the weights behind the code, and into the note where they are.
static LogicalResult appendWeights(ModuleOp plan,
                                   const tenon::EmitOptions &options,
                                   StringRef path, uint64_t features) {
  std::error_code error;
  uint64_t size = 0;
  if ((error = llvm::sys::fs::file_size(path, size)))
    return plan.emitError("cannot read '") << path << "': " << error.message();
  auto content = llvm::MemoryBuffer::getFile(path);
  if (!content)
    return plan.emitError("cannot read '") << path << "'";
  std::string head((*content)->getBuffer());
  std::string mark("\x06\0\0\0\x30\0\0\0\x01\0\0\0Tenon\0\0\0", 20);
  size_t note = head.find(mark);
  if (note == std::string::npos)
    return plan.emitError("was linked without its note");
  uint64_t offset = (size + 4095) / 4096 * 4096;
  head.resize(offset, '\0');
  int descriptor;
  if ((error = llvm::sys::fs::openFileForWrite(path, descriptor,
                                               llvm::sys::fs::CD_OpenExisting)))
    return plan.emitError("cannot write '") << path << "': " << error.message();
  llvm::raw_fd_ostream os(descriptor, /*shouldClose=*/true);
  os.SetBufferSize(weightPiece);
  os << head;
  FailureOr<uint64_t> bytes =
      tenon::writeWeights(plan, options.modelFolder, os, options.progress);
  if (succeeded(bytes)) {
    size_t content = note + mark.size();
    writeNote(head, content,
              {TN_ABI_VERSION, offset, *bytes, /*beside=*/0, features, 0});
    os.pwrite(head.data() + content, sizeof(tn_note), content);
  }
  return failure(failed(close(plan, path, os)) || failed(bytes));
}

/// Writes the weights to a file of their own, and into the note that they are
/// there.
static LogicalResult writeWeightsBeside(ModuleOp plan,
                                        const tenon::EmitOptions &options,
                                        StringRef path, llvm::Module &module,
                                        uint64_t features) {
  std::error_code error;
  llvm::raw_fd_ostream os(path, error);
  if (error)
    return plan.emitError("cannot write '") << path << "': " << error.message();
  os.SetBufferSize(weightPiece);
  FailureOr<uint64_t> bytes =
      tenon::writeWeights(plan, options.modelFolder, os, options.progress);
  if (failed(close(plan, path, os)) || failed(bytes))
    return failure();
  llvm::GlobalVariable *note = module.getNamedGlobal("tenon_note");
  auto old = cast<llvm::ConstantDataSequential>(note->getInitializer());
  StringRef head = old->getRawDataValues().drop_back(sizeof(tn_note));
  std::string content(sizeof(tn_note), '\0');
  writeNote(content, 0, {TN_ABI_VERSION, 0, *bytes, /*beside=*/1, features, 0});
  note->setInitializer(llvm::ConstantDataArray::getString(
      module.getContext(), head.str() + content, /*AddNull=*/false));
  return success();
}

namespace {

/// The files that one emit writes, under temporary names until all are whole.
class OutputFiles {
public:
  ~OutputFiles() {
    for (const auto &[temporary, final] : files) {
      llvm::sys::fs::remove(temporary);
      llvm::sys::DontRemoveFileOnSignal(temporary);
    }
  }

  /// A name to write what will be `path`; standard output is itself. A signal
  /// that ends the process removes the file.
  std::string add(const Twine &path) {
    if (path.str() == "-")
      return "-";
    SmallString<256> temporary;
    llvm::sys::fs::createUniquePath(path + ".%%%%%%%%", temporary,
                                    /*MakeAbsolute=*/false);
    files.push_back({temporary.str().str(), path.str()});
    llvm::sys::RemoveFileOnSignal(temporary);
    return files.back().first;
  }

  LogicalResult keep(ModuleOp module) {
    for (const auto &[temporary, final] : files)
      if (std::error_code error = llvm::sys::fs::rename(temporary, final))
        return module.emitError("cannot write '")
               << final << "': " << error.message();
    for (const auto &[temporary, final] : files)
      llvm::sys::DontRemoveFileOnSignal(temporary);
    files.clear();
    return success();
  }

private:
  std::vector<std::pair<std::string, std::string>> files;
};

} // namespace

ArrayRef<llvm::StringLiteral> tenon::emitKinds() {
  static const llvm::StringLiteral kinds[] = {
      "so", "exe", "header", "description", "obj", "asm", "llvm", "mlir"};
  return kinds;
}

/// The record `target` of a description.
static std::string describeFacts(const tenon::TargetFacts &facts) {
  std::string text = llvm::formatv(
      "{0} f32_gflops={1} bf16_gflops={2} int8_gops={3} "
      "read_gbs={4} read_gbs_all={5} l2_bytes={6} l2_gbs={7} launch_us={8}",
      facts.name, facts.f32Gflops, facts.bf16Gflops, facts.int8Gops,
      facts.readGBs, facts.readGBsAll, facts.l2Bytes, facts.l2GBs,
      facts.launchUs);
  // Those that come with Tenon are on the careful side and no limits.
  bool isKnown = llvm::any_of(tenon::knownTargets(), [&](const auto &known) {
    return known.name == facts.name;
  });
  return isKnown ? text : text + " measured=1";
}

/// Links an archive of objects to a file with the weights behind it.
static LogicalResult emitLinked(ModuleOp plan,
                                const tenon::EmitOptions &options,
                                StringRef archive, StringRef path,
                                uint64_t features) {
  mlir::TimingScope timing = options.timer("link");
  OutputFiles intermediate; // which is not kept
  std::string objects = intermediate.add(path + ".a");
  if (failed(writeFile(plan, objects, archive)) ||
      failed(options.kind == "exe"
                 ? tenon::linkProgram(plan.getLoc(), objects,
                                      options.programRuntime, path)
                 : tenon::linkSharedObject(plan.getLoc(), objects, path)))
    return failure();
  timing = options.timer("weights");
  return appendWeights(plan, options, path, features);
}

/// Writes what `options` ask for to names that `files` gives.
static LogicalResult emitTo(ModuleOp plan, const tenon::TargetFacts &facts,
                            const tenon::TargetFacts &host,
                            function_ref<void(OpPassManager &)> lower,
                            const tenon::EmitOptions &options,
                            StringRef outputPath, OutputFiles &files) {
  StringRef kind = options.kind;
  std::string path = files.add(outputPath);
  OwningOpRef<ModuleOp> lowered = plan.clone();
  MLIRContext *context = plan.getContext();
  lowered.get()->setAttr("tenon.target",
                         StringAttr::get(context, describeFacts(facts)));
  PassManager pm(context);
  lower(pm);
  TimingScope timing = options.timer("lower");
  if (options.timing)
    pm.enableTiming(timing);
  if (failed(pm.run(*lowered)))
    return failure();
  timing = options.timer("translate to LLVM IR");
  std::string text;
  llvm::raw_string_ostream os(text);
  if (kind == "mlir") {
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
  if (kind == "header" || kind == "description") {
    auto global = cast<llvm::ConstantDataSequential>(
        module->getNamedGlobal("tenon_description")->getInitializer());
    StringRef description = global->getRawDataValues().rtrim('\0');
    if (kind == "description")
      os << description;
    else
      tenon::writeHeader(description, llvm::sys::path::stem(outputPath), os);
    return writeFile(plan, path, text);
  }
  std::unique_ptr<llvm::TargetMachine> machine = tenon::createMachine(host);
  uint64_t features = tenon::featuresOf(*machine->getMCSubtargetInfo());
  if (kind == "so" || kind == "exe") {
    timing = options.timer("generate code");
    auto archive = tenon::generateArchive(plan, *module, host, options);
    if (failed(archive))
      return failure();
    timing.stop();
    return emitLinked(plan, options, (*archive)->getBuffer(), path, features);
  }
  timing = options.timer("optimize");
  tenon::optimize(*module, host, *machine);
  if (kind == "llvm") {
    module->print(os, nullptr);
    return writeFile(plan, path, text);
  }
  if (failed(writeWeightsBeside(plan, options,
                                files.add(outputPath + ".weights"), *module,
                                features)))
    return failure();
  timing = options.timer("generate code");
  FailureOr<SmallString<0>> code =
      tenon::generateCode(plan, *module, *machine,
                          kind == "asm" ? llvm::CodeGenFileType::AssemblyFile
                                        : llvm::CodeGenFileType::ObjectFile);
  if (failed(code) ||
      (kind == "obj" && failed(tenon::checkUndefined(plan, *code))))
    return failure();
  return writeFile(plan, path, *code);
}

LogicalResult tenon::emitArtifact(ModuleOp plan, const TargetFacts &facts,
                                  const EmitOptions &options,
                                  StringRef outputPath) {
  auto lower = [&](OpPassManager &pm) { buildCpuLoweringPipeline(pm, facts); };
  return emitHostArtifact(plan, facts, facts, lower, options, outputPath);
}

LogicalResult tenon::emitHostArtifact(ModuleOp plan, const TargetFacts &facts,
                                      const TargetFacts &host,
                                      function_ref<void(OpPassManager &)> lower,
                                      const EmitOptions &options,
                                      StringRef outputPath) {
  if (!llvm::is_contained(emitKinds(), options.kind))
    return plan.emitError("cannot be emitted as '")
           << options.kind << "', only as one of "
           << llvm::join(emitKinds(), ", ");
  OutputFiles files;
  if (failed(emitTo(plan, facts, host, lower, options, outputPath, files)))
    return failure();
  return files.keep(plan);
}
