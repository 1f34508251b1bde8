// Runs the phases in order, from a model or from what an earlier phase wrote.
#include "tenon/Compiler/Compiler.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Remark/RemarkStreamer.h"
#include "mlir/Support/Timing.h"
#include "tenon/Analysis/SymbolicIndex.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Compiler/Schedules.h"
#include "tenon/Compiler/SymbolSizes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "tenon/Dialect/Plan/IR/PlanOps.h"
#include "tenon/Import/Onnx/Import.h"
#include "tenon/Pipelines/Pipelines.h"
#include "tenon/Target/Interface/TextFile.h"
#include "tenon/Target/Registry.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include <chrono>
#include <sys/resource.h>
#include <unistd.h>

using namespace mlir;

namespace tenon {
namespace {

constexpr llvm::StringLiteral phaseAttr = "tenon.phase";
/// Folder that the weights' file names are relative to.
constexpr llvm::StringLiteral folderAttr = "tenon.folder";
/// The recipe that was used, as text.
constexpr llvm::StringLiteral recipeAttr = "tenon.recipe";
/// Asks for a decoder.
constexpr llvm::StringLiteral decoderAttr = "tenon.decoder";
/// What a decoder's caches are stored in, if not in the type of the past.
constexpr llvm::StringLiteral kvCacheAttr = "tenon.kv_cache";
/// What the names of files of weights that compress makes start with.
constexpr llvm::StringLiteral derivedAttr = "tenon.derived_prefix";

struct rusage usage() {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage;
}

double cpuSeconds() {
  struct rusage now = usage();
  auto seconds = [](struct timeval time) {
    return double(time.tv_sec) + double(time.tv_usec) * 1e-6;
  };
  return seconds(now.ru_utime) + seconds(now.ru_stime);
}

/// Runs `step` and reports what it took.
CompileStatus timed(StringRef phase, CompileObserver &observer,
                    llvm::function_ref<CompileStatus()> step) {
  observer.phaseBegins(phase);
  auto start = std::chrono::steady_clock::now();
  double cpuBefore = cpuSeconds();
  CompileStatus status = step();
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (status == CompileStatus::Success)
    observer.phaseEnds({phase.str(), took.count(), cpuSeconds() - cpuBefore,
                        static_cast<int64_t>(usage().ru_maxrss) << 10});
  return status;
}

LogicalResult writeText(ModuleOp module, StringRef path) {
  return writeTextFile(UnknownLoc::get(module.getContext()), path,
                       [&](llvm::raw_ostream &os) {
                         module.print(os, OpPrintingFlags().enableDebugInfo());
                         os << "\n";
                       });
}

OwningOpRef<ModuleOp> readModule(MLIRContext *context, StringRef path) {
  auto module = parseSourceFile<ModuleOp>(path, context);
  if (module && !module.get()->hasAttr(phaseAttr)) {
    module->emitError("has no attribute 'tenon.phase' that names the phase "
                      "which wrote it");
    return nullptr;
  }
  return module;
}

/// Does the op only convert elements or give them another place?
bool onlyMoves(Operation *op) {
  return isa<graph::BitcastOp, graph::BroadcastOp, graph::CastOp,
             graph::ConcatOp, graph::ConstantOp, graph::GatherElementsOp,
             graph::GatherNDOp, graph::GatherOp, graph::PadOp, graph::ReshapeOp,
             graph::SliceOp, graph::TransposeOp, graph::WeightOp,
             graph::WhereOp>(op);
}

/// Types that only casts understand: floats of up to 8 bits, integers of fewer.
bool isNarrow(Type type) {
  Type element = getElementTypeOrSelf(type);
  if (!isa<RankedTensorType>(type) || element.isInteger(1))
    return false;
  return element.isIntOrFloat() && element.getIntOrFloatBitWidth() <= 8 &&
         !element.isInteger(8);
}

/// Whether the op is computed by what exists for f32 alone.
bool needsSinglePrecision(Operation *op) {
  return isa<graph::AttentionOp, graph::CosOp, graph::ErfOp, graph::GeluOp,
             graph::NormOp, graph::SinOp, graph::SoftmaxOp, graph::TanhOp>(op);
}

/// Whether the model holds integers of 8 bits, of which simplify may make sums.
bool holdsBytes(ModuleOp module) {
  return module
      .walk([](Operation *op) {
        bool isHeld = isa<graph::ConstantOp, graph::WeightOp>(op) &&
                      getElementTypeOrSelf(op->getResult(0)).isInteger(8);
        return WalkResult(failure(isHeld));
      })
      .wasInterrupted();
}

/// Reports each op that computes in a type which has no kernels. True if there
/// is none.
bool hasOnlySupportedTypes(ModuleOp module, const Target &target) {
  bool supported = true;
  module.walk([&](Operation *op) {
    SmallVector<Type> types(op->getOperandTypes());
    llvm::append_range(types, op->getResultTypes());
    auto *narrow = llvm::find_if(types, isNarrow);
    if (narrow != types.end() && isa<graph::GraphDialect>(op->getDialect()) &&
        !onlyMoves(op)) {
      op->emitError("computes in ") << getElementTypeOrSelf(*narrow)
                                    << ", which can only be cast and moved";
      supported = false;
      return;
    }
    for (Type type : op->getResultTypes()) {
      auto element = dyn_cast<FloatType>(getElementTypeOrSelf(type));
      if (!element || !isa<RankedTensorType>(type))
        continue;
      if (!target.takes(element)) {
        op->emitError("computes in ") << element << ", which target "
                                      << target.name() << " has no kernels for";
        supported = false;
      } else if (element.isF64() && needsSinglePrecision(op)) {
        op->emitError("computes '")
            << op->getName() << "' in f64, for which there is no kernel";
        supported = false;
      }
    }
  });
  return supported;
}

/// Reports each size that inputs' sizes do not tell. True if there is none.
bool hasOnlyFixedSizes(ModuleOp module) {
  bool areFixed = true;
  module.walk([&](graph::ExtractOp extract) {
    extract->emitError("needs a size that depends on data: element ")
        << extract.getPosition() << " of a tensor of type "
        << extract.getInput().getType()
        << " that is known only when the model runs, which is unsupported";
    areFixed = false;
  });
  for (auto function : module.getOps<func::FuncOp>())
    areFixed &= succeeded(verifyControlSizes(function));
  return areFixed;
}

/// What is scheduled how, by the ids of nodes.
using Schedules = llvm::StringMap<LaunchReport>;

Schedules describeSchedules(ModuleOp module, const Target &target) {
  llvm::StringMap<int64_t> hints;
  module.walk([&](kernel::SymbolOp symbol) {
    if (symbol.getHint())
      hints[symbol.getName()] = *symbol.getHint();
  });
  SymbolicIndices indices;
  auto sizeAtHint = [&](Value size) -> std::optional<int64_t> {
    std::optional<SymbolicExpr> expr = indices.get(size);
    bool isHinted = expr.has_value();
    auto hint = [&](StringRef name) {
      auto found = hints.find(name);
      isHinted &= found != hints.end();
      return found != hints.end() ? found->second : 0;
    };
    int64_t value = expr ? expr->evaluate(hint) : 0;
    return isHinted ? std::optional(value) : std::nullopt;
  };
  Schedules schedules;
  module.walk([&](kernel::RegionOp region) {
    auto id = region->getAttrOfType<StringAttr>("tenon.id");
    auto schedule = region.getSchedule();
    if (!id || !schedule)
      return;
    LaunchReport &report = schedules[id.getValue()];
    report.node = id.str();
    report.schedule = {schedule->getFamily().str(), schedule->getTile().vec()};
    for (const KernelFamily &family : target.families())
      if (family.name == schedule->getFamily() && family.otherTiles)
        for (const SmallVector<int64_t> &tile :
             family.otherTiles(region, sizeAtHint))
          report.otherTiles.push_back({tile.begin(), tile.end()});
  });
  return schedules;
}

PlanReport describePlan(ModuleOp module, const Schedules &schedules) {
  PlanReport report;
  // Equal weights share a place.
  llvm::DenseSet<uint64_t> places;
  llvm::StringSet<> kernels;
  module.walk([&](Operation *op) {
    if (auto weight = dyn_cast<plan::WeightOp>(op)) {
      auto type = cast<MemRefType>(weight.getBuffer().getType());
      if (places.insert(weight.getPosition()).second)
        report.weightBytes +=
            type.getNumElements() *
            llvm::divideCeil(type.getElementTypeBitWidth(), 8);
    } else if (auto launch = dyn_cast<plan::LaunchOp>(op)) {
      ++report.launches;
      kernels.insert(launch.getKernel());
      LaunchReport &launched = report.launched.emplace_back();
      if (auto id = launch->getAttrOfType<StringAttr>("tenon.id"))
        launched = schedules.lookup(id.getValue());
      launched.kernel = launch.getKernel().str();
    } else if (auto function = dyn_cast<func::FuncOp>(op)) {
      if (auto bytes =
              function->getAttrOfType<IntegerAttr>("tenon.arena_hint_bytes"))
        report.arenaBytes += bytes.getInt();
      if (auto bytes =
              function->getAttrOfType<IntegerAttr>("tenon.arena_lower_bound"))
        report.arenaLowerBound += bytes.getInt();
    }
  });
  report.kernels = kernels.size();
  return report;
}

class Compilation {
public:
  Compilation(const CompilerOptions &options, CompileObserver &observer)
      : options(options), observer(observer) {}
  ~Compilation() { settleDerived(); }

  CompileStatus run(MLIRContext *context, StringRef inputPath,
                    StringRef outputPath);

private:
  CompileStatus import(MLIRContext *context, StringRef path,
                       StringRef outputPath);
  LogicalResult checkPassesBefore(MLIRContext *context);
  CompileStatus runPhase(const Phase &phase);
  LogicalResult runPasses(StringRef phase, PassManager &manager);
  void settleDerived();
  LogicalResult prepareCompress(StringRef outputPath);
  LogicalResult prepareSchedule();
  void setUsedRecipe(const Recipe &used);
  void chooseDerivedPrefix(StringRef outputPath);
  void allowDerived(StringRef outputPath);
  LogicalResult writeUsedRecipe(StringRef outputPath);
  /// Dumps the module if asked to. True if this phase was to be the last.
  FailureOr<bool> finish(StringRef phase, StringRef outputPath);

  const CompilerOptions &options;
  CompileObserver &observer;
  OwningOpRef<ModuleOp> module;
  std::string derivedPrefix; ///< of files of derived weights
  bool keepsDerived = false;
  unsigned phasesRun = 0;
};

CompileStatus Compilation::import(MLIRContext *context, StringRef path,
                                  StringRef outputPath) {
  bool unsupported = false;
  GivenWeightFiles given{options.weightFiles, options.weightNames, ""};
  if (!given.files.empty()) {
    chooseDerivedPrefix(outputPath);
    given.derivedPrefix = derivedPrefix;
  }
  module = importOnnx(context, path, given, unsupported);
  if (!module)
    return unsupported ? CompileStatus::Unsupported : CompileStatus::Error;
  SmallString<256> folder(path);
  llvm::sys::fs::make_absolute(folder);
  llvm::sys::path::remove_filename(folder);
  module.get()->setAttr(folderAttr, StringAttr::get(context, folder));
  if (options.decoder) {
    module.get()->setAttr(decoderAttr, UnitAttr::get(context));
    if (!options.recipe.kvCache.empty())
      module.get()->setAttr(kvCacheAttr,
                            StringAttr::get(context, options.recipe.kvCache));
    // Before sizes are set, of which a decoder has its own.
    PassManager manager(context);
    manager.addNestedPass<func::FuncOp>(graph::createAssumeDecoderPass());
    if (failed(runPasses("import", manager)))
      return CompileStatus::Error;
  }
  return failed(setSymbolSizes(*module, options.sizes))
             ? CompileStatus::Error
             : CompileStatus::Success;
}

/// Adds the passes that the user wants before `phase`.
LogicalResult addPassesBefore(StringRef phase, const CompilerOptions &options,
                              OpPassManager &manager, llvm::raw_ostream &os) {
  for (const PassesBefore &before : options.passesBefore)
    if (before.phase == phase &&
        failed(parsePassPipeline(before.pipeline, manager, os)))
      return failure();
  return success();
}

/// Says what is wrong with the user's passes before any work is done.
LogicalResult Compilation::checkPassesBefore(MLIRContext *context) {
  for (const PassesBefore &before : options.passesBefore) {
    auto isMeant = [&](const Phase &phase) {
      return phase.name == before.phase;
    };
    if (llvm::none_of(getPhases(), isMeant))
      return emitError(UnknownLoc::get(context))
             << "--before " << before.phase << "=" << before.pipeline
             << ": there is no such phase";
  }
  std::string message;
  llvm::raw_string_ostream os(message);
  for (const Phase &phase : getPhases()) {
    OpPassManager manager(ModuleOp::getOperationName());
    if (failed(addPassesBefore(phase.name, options, manager, os)))
      return emitError(UnknownLoc::get(context))
             << "--before " << phase.name << ": " << StringRef(message).trim();
  }
  return success();
}

CompileStatus Compilation::runPhase(const Phase &phase) {
  PassManager manager(module->getContext());
  if (failed(addPassesBefore(phase.name, options, manager, llvm::nulls())))
    llvm_unreachable("was parsed before");
  PhaseOptions phaseOptions;
  phaseOptions.target = options.target;
  buildPhase(manager, phase, phaseOptions);
  return failed(runPasses(phase.name, manager)) ? CompileStatus::Error
                                                : CompileStatus::Success;
}

/// Runs what `manager` holds. A crash is a failure like any other.
LogicalResult Compilation::runPasses(StringRef phase, PassManager &manager) {
  MLIRContext *context = module->getContext();
  TimingScope timing;
  if (options.timing)
    timing = options.timing->nest(phase);
  // MLIR says in its own words that a pipeline failed; we do below, in ours. A
  // pass that crashes leaves no other message.
  bool hasReason = false;
  ScopedDiagnosticHandler handler(context, [&](Diagnostic &diagnostic) {
    std::string text = diagnostic.str();
    bool isSummary = StringRef(text).starts_with("Failures have been detected");
    hasReason |=
        !isSummary && diagnostic.getSeverity() == DiagnosticSeverity::Error;
    return success(isSummary);
  });
  // What compress finds wrong is the recipe, which the message says.
  bool reproduces = !options.reproducer.empty() &&
                    !(phase == "compress" && !options.recipe.nodes.empty());
  if (reproduces)
    manager.enableCrashReproducerGeneration(options.reproducer);
  if (options.timing)
    manager.enableTiming(timing);
  LogicalResult result = manager.run(*module);
  if (succeeded(result) || !reproduces)
    return result;
  auto place = UnknownLoc::get(context);
  if (!hasReason)
    emitError(place) << "a pass of phase '" << phase
                     << "' crashed, or failed without a message";
  emitRemark(place) << "tenon-opt --run-reproducer " << options.reproducer
                    << " runs the passes of phase '" << phase
                    << "' again on the same module";
  return failure();
}

/// Puts the recipe's choices on the nodes, which have their last form now, and
/// the recipe that this makes on the module.
LogicalResult Compilation::prepareCompress(StringRef outputPath) {
  if (failed(applyRecipe(*module, options.recipe)))
    return failure();
  Recipe used;
  used.target = options.target;
  used.decoder = module.get()->hasAttr(decoderAttr);
  if (auto format = module.get()->getAttrOfType<StringAttr>(kvCacheAttr))
    used.kvCache = format.str();
  for (const SymbolSize &size : options.sizes)
    used.sizes.push_back(size.str());
  used.nodes = collectChoices(*module);
  setUsedRecipe(used);
  if (!used.nodes.empty())
    allowDerived(outputPath);
  return success();
}

/// Puts the recipe's schedules on the regions, and all that are wanted into the
/// recipe on the module.
LogicalResult Compilation::prepareSchedule() {
  if (failed(wantSchedules(*module, options.recipe)))
    return failure();
  auto schedules = collectSchedules(*module);
  auto text = module.get()->getAttrOfType<StringAttr>(recipeAttr);
  if (!text || schedules.empty())
    return success();
  llvm::Expected<Recipe> used = parseRecipe(text.getValue(), recipeAttr);
  if (!used)
    return module->emitError(llvm::toString(used.takeError()));
  llvm::append_range(used->nodes, schedules);
  setUsedRecipe(*used);
  return success();
}

void Compilation::setUsedRecipe(const Recipe &used) {
  std::string text;
  llvm::raw_string_ostream os(text);
  writeRecipe(used, os);
  module.get()->setAttr(recipeAttr,
                        StringAttr::get(module->getContext(), text));
}

/// Of the files of weights that are made of the model's.
void Compilation::chooseDerivedPrefix(StringRef outputPath) {
  SmallString<256> prefix(outputPath == "-" ? "tenon" : outputPath);
  if (outputPath.empty()) {
    // Nothing is written, and nobody said where.
    llvm::sys::path::system_temp_directory(/*ErasedOnReboot=*/true, prefix);
    llvm::sys::path::append(prefix, "tenon-" + Twine(getpid()));
  }
  llvm::sys::fs::make_absolute(prefix);
  // What is dumped or stopped at reads these files later; an artifact holds
  // them, and without a folder of their own a signal can remove them.
  keepsDerived = (!options.stopAfter.empty() && !outputPath.empty()) ||
                 !options.dumpFolder.empty();
  prefix += keepsDerived ? ".derived/" : ".derived.";
  derivedPrefix = prefix.str().str();
}

/// Lets passes write weights that they make of the model's.
void Compilation::allowDerived(StringRef outputPath) {
  chooseDerivedPrefix(outputPath);
  module.get()->setAttr(derivedAttr,
                        StringAttr::get(module->getContext(), derivedPrefix));
}

/// Removes the derived weights, or keeps them also when a signal comes later.
void Compilation::settleDerived() {
  StringRef folder = llvm::sys::path::parent_path(derivedPrefix);
  std::error_code error;
  for (llvm::sys::fs::directory_iterator file(folder, error), end;
       !derivedPrefix.empty() && !error && file != end; file.increment(error)) {
    if (!StringRef(file->path()).starts_with(derivedPrefix))
      continue;
    if (!keepsDerived)
      llvm::sys::fs::remove(file->path());
    llvm::sys::DontRemoveFileOnSignal(file->path());
  }
}

/// Beside the artifact; nothing if the module was not made by this pipeline.
LogicalResult Compilation::writeUsedRecipe(StringRef outputPath) {
  auto recipe = module.get()->getAttrOfType<StringAttr>(recipeAttr);
  if (!recipe)
    return success();
  return writeTextFile(UnknownLoc::get(module->getContext()),
                       (outputPath + ".recipe.json").str(),
                       [&](llvm::raw_ostream &os) { os << recipe.getValue(); });
}

FailureOr<bool> Compilation::finish(StringRef phase, StringRef outputPath) {
  ++phasesRun;
  if (!options.dumpFolder.empty()) {
    SmallString<256> path(options.dumpFolder);
    unsigned number = 1;
    for (const Phase &known : getPhases()) {
      if (phase == "import")
        break;
      ++number;
      if (known.name == phase)
        break;
    }
    if (std::error_code error = llvm::sys::fs::create_directories(path))
      return emitError(UnknownLoc::get(module->getContext()))
             << "cannot create " << path << ": " << error.message();
    llvm::sys::path::append(path, Twine(number) + "-" + phase + ".mlir");
    if (failed(writeText(*module, path)))
      return failure();
  }
  if (phase != options.stopAfter)
    return false;
  if (!outputPath.empty() && failed(writeText(*module, outputPath)))
    return failure();
  return true;
}

CompileStatus Compilation::run(MLIRContext *context, StringRef inputPath,
                               StringRef outputPath) {
  llvm::Expected<TargetChoice> choice =
      chooseTarget(allTargets(), options.target);
  if (!choice) {
    emitError(UnknownLoc::get(context)) << llvm::toString(choice.takeError());
    return CompileStatus::Error;
  }
  if (failed(checkPassesBefore(context)))
    return CompileStatus::Error;
  if (!options.reproducer.empty())
    llvm::sys::fs::remove(options.reproducer); // of an earlier compilation
  if (!options.remarks.empty() &&
      failed(remark::enableOptimizationRemarksWithLLVMStreamer(
          *context, options.remarks, llvm::remarks::Format::YAML,
          std::make_unique<remark::RemarkEmittingPolicyAll>(),
          {".*", ".*", ".*", ".*", ".*"}))) {
    emitError(UnknownLoc::get(context)) << "cannot write " << options.remarks;
    return CompileStatus::Error;
  }
  Schedules schedules;
  StringRef done = "import";
  if (inputPath.ends_with(".mlir")) {
    module = readModule(context, inputPath);
    if (!module)
      return CompileStatus::Error;
    done = module.get()->getAttrOfType<StringAttr>(phaseAttr).getValue();
  } else {
    CompileStatus status = timed("import", observer, [&] {
      return import(context, inputPath, outputPath);
    });
    if (status != CompileStatus::Success)
      return status;
    FailureOr<bool> last = finish("import", outputPath);
    if (failed(last))
      return CompileStatus::Error;
    if (*last)
      return CompileStatus::Success;
  }

  bool reached = done == "import";
  // The file is written from the plan, so emit has its own way out below.
  for (const Phase &phase : getPhases().drop_back()) {
    if (!reached) {
      reached = phase.name == done;
      continue;
    }
    if (phase.name == "schedule" && failed(prepareSchedule()))
      return CompileStatus::Error;
    if (phase.name == "plan")
      schedules = describeSchedules(*module, *choice->target);
    if (phase.name == "simplify" && holdsBytes(*module))
      allowDerived(outputPath);
    if (phase.name == "compress" && failed(prepareCompress(outputPath)))
      return CompileStatus::Error;
    CompileStatus status =
        timed(phase.name, observer, [&] { return runPhase(phase); });
    if (status != CompileStatus::Success)
      return status;
    // Only now: casts to other types may have been shape arithmetic.
    if (phase.name == "simplify" &&
        (!hasOnlySupportedTypes(*module, *choice->target) ||
         !hasOnlyFixedSizes(*module)))
      return CompileStatus::Unsupported;
    if (phase.name == "simplify" && failed(checkFixedSizes(*module)))
      return CompileStatus::Error;
    FailureOr<bool> last = finish(phase.name, outputPath);
    if (failed(last))
      return CompileStatus::Error;
    if (*last)
      return CompileStatus::Success;
  }
  if (!reached) {
    module->emitError("was written by phase '") << done << "', which is none";
    return CompileStatus::Error;
  }
  PassManager last(context);
  if (failed(addPassesBefore("emit", options, last, llvm::nulls())) ||
      failed(runPasses("emit", last)))
    return CompileStatus::Error;
  observer.planned(describePlan(*module, schedules));
  auto folder = module.get()->getAttrOfType<StringAttr>(folderAttr);
  CompileStatus status = timed("emit", observer, [&] {
    TimingScope timing;
    if (options.timing)
      timing = options.timing->nest("emit");
    EmitOptions emit{options.emit,
                     folder ? folder.str() : ".",
                     options.programRuntime,
                     options.kernelCache,
                     [&](uint64_t bytes, uint64_t total) {
                       observer.weightsWritten(bytes, total);
                     },
                     [&](int64_t kernels, int64_t cached) {
                       observer.kernelsMade(kernels, cached);
                     },
                     options.timing ? &timing : nullptr};
    return failed(
               choice->target->emit(*module, choice->facts, emit, outputPath))
               ? CompileStatus::Error
               : CompileStatus::Success;
  });
  bool isArtifact =
      llvm::is_contained({"so", "exe", "obj", "asm"}, StringRef(options.emit));
  if (status == CompileStatus::Success && isArtifact &&
      failed(writeUsedRecipe(outputPath)))
    return CompileStatus::Error;
  return status;
}

} // namespace

std::optional<PassesBefore> PassesBefore::parse(StringRef text) {
  auto [phase, pipeline] = text.split('=');
  if (phase.empty() || pipeline.empty())
    return std::nullopt;
  return PassesBefore{phase.str(), pipeline.str()};
}

CompileStatus compileModel(MLIRContext *context, StringRef inputPath,
                           StringRef outputPath, const CompilerOptions &options,
                           CompileObserver &observer) {
  return Compilation(options, observer).run(context, inputPath, outputPath);
}

} // namespace tenon
