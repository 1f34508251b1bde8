// tenon compile: a model, or what an earlier phase wrote, to an artifact.
#include "Compilation.h"
#include "Precision.h"
#include "Subcommands.h"
#include "Tune.h"
#include "mlir/Support/Timing.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "tenon/Pipelines/Pipelines.h"
#include "tenon/Target/CPU/Emit.h"
#include "tenon/Target/Registry.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"

namespace cl = llvm::cl;
using llvm::StringRef;

// In a subcommand of its own, since LLVM has a global --stop-after.
static cl::SubCommand command("compile",
                              "Compiles an ONNX model to one native file.");
static cl::opt<std::string> input(cl::Positional, cl::Required,
                                  cl::desc("MODEL.onnx | N-PHASE.mlir"),
                                  cl::sub(command));
static cl::opt<std::string>
    output("o", cl::Required, cl::value_desc("FILE"),
           cl::desc("Where to write; - is standard output, for text"),
           cl::sub(command));
static cl::opt<std::string>
    emitKind("emit", cl::init("so"), cl::value_desc("KIND"),
             cl::desc("so (default); exe: a program with the runtime in it; "
                      "header: C for their callers; description: text; obj, "
                      "asm: weights in FILE.weights; llvm, mlir; ptx: "
                      "the code of target nvidia's kernels"),
             cl::sub(command));
static cl::list<std::string>
    dims("dim", cl::value_desc("NAME=N|NAME=A..B|NAME~N"),
         cl::desc("Fix a size, bound it, or name the one to be fast at"),
         cl::sub(command));
static cl::list<std::string> weightFiles(
    "weights-from", cl::value_desc("FILE"),
    cl::desc("Take weights from this safetensors or GGUF file instead of the "
             "model's own: those that have the name of a tensor in it"),
    cl::sub(command));
static cl::opt<std::string> weightNames(
    "weight-names", cl::value_desc("FILE.json"),
    cl::desc("What weights are called in the files of --weights-from, and "
             "which are transposed there"),
    cl::sub(command));
static cl::opt<std::string>
    target("target", cl::init("cpu"), cl::value_desc("NAME"),
           cl::desc("cpu (default), or another machine that code is made for"),
           cl::sub(command));
static cl::opt<std::string>
    cpu("cpu", cl::init("native"), cl::value_desc("NAME"),
        cl::desc("native (default), or a name or facts file as "
                 "tenon target lists and writes them"),
        cl::sub(command));
static cl::opt<std::string>
    stopAfter("stop-after", cl::value_desc("PHASE"),
              cl::desc("Write the module as this phase leaves it"),
              cl::sub(command));
static cl::opt<std::string>
    dumpPhases("dump-phases", cl::value_desc("DIR"),
               cl::desc("Write the module after each phase"), cl::sub(command));
static cl::opt<std::string>
    recipePath("recipe", cl::value_desc("FILE.json"),
               cl::desc("What to store in int8 or narrow and how to schedule, "
                        "node by node, and the target and sizes unless given; "
                        "each compilation writes OUTPUT.recipe.json"),
               cl::sub(command));
static cl::opt<bool> decoder(
    "decoder",
    cl::desc("A language model with past_key_values: keep its caches in the "
             "artifact's sessions and change them in place, for tenon "
             "generate; sizes: slots, capacity, rows"),
    cl::sub(command));
static cl::opt<std::string> kvCache(
    "kv-cache", cl::value_desc("f32|f16|bf16|int8"),
    cl::desc(
        "With --decoder, what caches of keys and values are stored in (the "
        "model's type); int8: a scale for each token and head"),
    cl::sub(command));
static cl::opt<double>
    tune("tune", cl::value_desc("SECONDS"),
         cl::desc("Try other tiles for matrix products on this machine, which "
                  "should do nothing else: measures for so long, and writes "
                  "what is faster into OUTPUT.recipe.json"),
         cl::sub(command));
static cl::opt<std::string> precision(
    "precision", cl::value_desc("bf16"),
    cl::desc(
        "Round what matrix products multiply to bf16, and sum in f32: twice "
        "as fast on some machines, half the weights on all; a recipe's "
        "nodes may say otherwise"),
    cl::sub(command));
static cl::opt<std::string> weightFormat(
    "weights", cl::value_desc("int4|int8"),
    cl::desc("Store the weights of matrix products in so many bits; a recipe's "
             "nodes may say otherwise"),
    cl::sub(command));
static cl::opt<int64_t> weightGroup(
    "group", cl::value_desc("N"),
    cl::desc("Weights that share a scale, from 16 to 256 (32 for int4, a whole "
             "column for int8)"),
    cl::sub(command));
static cl::opt<bool> quantizeHead(
    "quantize-head",
    cl::desc("With --weights, the last product too, and the table of "
             "embeddings if it has the same weights"),
    cl::sub(command));
static cl::opt<std::string> activations(
    "activations", cl::value_desc("int8"),
    cl::desc("Round what is multiplied by weights in groups to 8 bits, 32 "
             "elements of a row by one scale: faster, less exact"),
    cl::sub(command));
static cl::opt<std::string> dataSet(
    "data-set", cl::value_desc("DIR"),
    cl::desc("With a lower precision: run on input_0.pb, input_1.pb, ... and "
             "say how far each output is from that of the model in f32"),
    cl::sub(command));
static cl::opt<std::string>
    reportPath("report", cl::value_desc("FILE.json"),
               cl::desc("Write time and peak memory of each phase, launches, "
                        "kernels, bytes of weights and arena"),
               cl::sub(command));
static cl::list<std::string> passPlugins("load-pass-plugin",
                                         cl::value_desc("FILE.so"),
                                         cl::desc("Load passes, for --before"),
                                         cl::sub(command));
static cl::list<std::string>
    dialectPlugins("load-dialect-plugin", cl::value_desc("FILE.so"),
                   cl::desc("Load a dialect, for .mlir files and passes"),
                   cl::sub(command));
static cl::list<std::string>
    before("before", cl::value_desc("PHASE=PIPELINE"),
           cl::desc("Run these passes before those of the phase; written as "
                    "in tenon-opt's --pass-pipeline"),
           cl::sub(command));
static cl::opt<std::string>
    reproducer("reproducer", cl::value_desc("FILE.mlir"),
               cl::desc("Where the module and the passes go if a pass fails or "
                        "crashes (OUTPUT.reproducer.mlir); empty for nowhere"),
               cl::sub(command));
static cl::opt<std::string>
    remarks("remarks", cl::value_desc("FILE.yaml"),
            cl::desc("Write what was fused and vectorised, what was not, and "
                     "why"),
            cl::sub(command));
static cl::opt<std::string> kernelCache(
    "kernel-cache", cl::value_desc("DIR"),
    cl::desc(
        "Where objects of kernels are kept for later compilations "
        "(kernels in TENON_CACHE, or in ~/.cache/tenon); empty for nowhere"),
    cl::sub(command));
static cl::opt<bool> timing("mlir-timing",
                            cl::desc("Print the time of each pass"),
                            cl::sub(command));
static cl::opt<bool> quiet("quiet", cl::desc("Print nothing but errors"),
                           cl::sub(command));

static int fail(const llvm::Twine &message) {
  llvm::errs() << "error: " << message << "\n";
  return 1;
}

/// The runtime as an object, in the lib folder beside this program's bin.
static std::string findProgramRuntime() {
  std::string self = llvm::sys::fs::getMainExecutable(
      nullptr, reinterpret_cast<void *>(&findProgramRuntime));
  llvm::SmallString<128> path(llvm::sys::path::parent_path(self));
  llvm::sys::path::append(path, "..", "lib", "tenon-program.o");
  llvm::sys::path::remove_dots(path, /*remove_dot_dot=*/true);
  return path.str().str();
}

/// Where the Python package keeps artifacts, too.
static std::string defaultKernelCache() {
  llvm::SmallString<128> folder;
  if (auto given = llvm::sys::Process::GetEnv("TENON_CACHE"))
    folder = *given;
  else if (llvm::sys::path::cache_directory(folder))
    llvm::sys::path::append(folder, "tenon");
  else
    return "";
  llvm::sys::path::append(folder, "kernels");
  return folder.str().str();
}

namespace {

/// Keeps what a compilation says of itself, and shows it as it goes on.
class Progress : public tenon::CompileObserver {
public:
  void phaseBegins(StringRef phase) override {
    if (isShown)
      llvm::errs() << llvm::formatv("  {0,-9} ...\r", phase);
  }
  void weightsWritten(uint64_t bytes, uint64_t total) override {
    if (!isShown || bytes < shownBytes + (64 << 20))
      return;
    shownBytes = bytes;
    llvm::errs() << llvm::formatv("  emit      weights {0} of {1} MB\r",
                                  bytes >> 20, total >> 20);
  }
  void phaseEnds(const tenon::PhaseReport &phase) override {
    phases.push_back(phase);
    if (quiet)
      return;
    llvm::errs() << llvm::formatv("{0}  {1,-9} {2,7:f2} s  peak {3,6} MB\n",
                                  isShown ? "\x1b[K" : "", phase.phase,
                                  phase.seconds, phase.peakBytes >> 20);
  }
  void planned(const tenon::PlanReport &report) override { plan = report; }
  void kernelsMade(int64_t, int64_t cached) override { cachedKernels = cached; }

  llvm::SmallVector<tenon::PhaseReport> phases;
  std::optional<tenon::PlanReport> plan;
  int64_t cachedKernels = 0;

private:
  /// What is shown of a running phase ends with a return, so that the next
  /// line or a diagnostic takes its place.
  bool isShown = !quiet && llvm::sys::Process::StandardErrIsDisplayed();
  uint64_t shownBytes = 0;
};

} // namespace

static bool writeReport(const Progress &progress) {
  std::error_code error;
  llvm::raw_fd_ostream file(reportPath, error);
  if (error) {
    fail("cannot write " + reportPath + ": " + error.message());
    return false;
  }
  llvm::json::OStream json(file, 2);
  json.object([&] {
    json.attribute("model", input);
    json.attributeArray("phases", [&] {
      for (const tenon::PhaseReport &phase : progress.phases)
        json.object([&] {
          json.attribute("phase", phase.phase);
          json.attribute("seconds", phase.seconds);
          json.attribute("cpu_seconds", phase.cpuSeconds);
          json.attribute("peak_bytes", phase.peakBytes);
        });
    });
    if (!progress.plan)
      return;
    json.attribute("launches", progress.plan->launches);
    json.attribute("kernels", progress.plan->kernels);
    json.attribute("cached_kernels", progress.cachedKernels);
    json.attribute("weight_bytes", progress.plan->weightBytes);
    json.attribute("arena_bytes", progress.plan->arenaBytes);
    json.attribute("arena_lower_bound", progress.plan->arenaLowerBound);
    uint64_t bytes = 0;
    if (output != "-" && !llvm::sys::fs::file_size(output, bytes))
      json.attribute("file_bytes", bytes);
  });
  file << "\n";
  file.close();
  if ((error = file.error())) {
    file.clear_error();
    fail("cannot write " + reportPath + ": " + error.message());
    return false;
  }
  return true;
}

/// The target that --target, --cpu or the recipe ask for, in this order, and
/// what the compiler calls it; or null, when what is wrong has been said.
static const tenon::Target *readTarget(const std::string &fromRecipe,
                                       std::string &name) {
  StringRef first = tenon::allTargets().front()->name();
  std::string from = "--target " + target;
  if (target.getNumOccurrences() && target != first) {
    if (cpu.getNumOccurrences()) {
      fail("--cpu " + cpu + ": is for target " + first + ", not " + target);
      return nullptr;
    }
    name = target;
  } else if (cpu.getNumOccurrences() || target.getNumOccurrences() ||
             fromRecipe.empty()) {
    if (!parseTarget(cpu, name))
      return nullptr;
  } else {
    name = fromRecipe;
    from = "target of the recipe";
  }
  auto choice = tenon::chooseTarget(tenon::allTargets(), name);
  if (!choice) {
    fail(from + ": " + llvm::toString(choice.takeError()));
    return nullptr;
  }
  return choice->target;
}

/// Writes --weights and --activations in front of what the recipe says of
/// nodes. False, when what is wrong has been said.
static bool readQuantization(tenon::Recipe &recipe) {
  auto refuse = [](const llvm::Twine &what) {
    fail(what);
    return false;
  };
  if (weightFormat != "" && weightFormat != "int4" && weightFormat != "int8")
    return refuse("--weights " + weightFormat + ": expected int4 or int8");
  if (activations != "" && activations != "int8" && activations != "f32")
    return refuse("--activations " + activations + ": expected int8 or f32");
  bool hasGroup = weightGroup.getNumOccurrences();
  if (weightFormat == "" && hasGroup)
    return refuse("--group: needs --weights int4 or int8");
  if (weightFormat == "" && quantizeHead)
    return refuse("--quantize-head: needs --weights int4 or int8");
  if (hasGroup && !tenon::isGroup(weightGroup))
    return refuse("--group " + llvm::Twine(weightGroup.getValue()) +
                  ": expected a power of two from 16 to 256");
  tenon::NodeChoice everywhere;
  everywhere.whereItFits = true;
  everywhere.withHead = quantizeHead;
  if (weightFormat != "")
    everywhere.weights = weightFormat;
  if (hasGroup)
    everywhere.group = weightGroup;
  else if (weightFormat == "int4")
    everywhere.group = tenon::defaultGroup;
  if (activations != "")
    everywhere.activations = activations;
  if (everywhere.weights || everywhere.activations)
    recipe.nodes.insert(recipe.nodes.begin(), {"*", everywhere});
  return true;
}

/// Target, sizes and recipe. What is given beside a recipe overrides it. Null,
/// when what is wrong has been said.
static const tenon::Target *readDecisions(tenon::CompilerOptions &options) {
  if (!recipePath.empty()) {
    llvm::Expected<tenon::Recipe> recipe = tenon::readRecipe(recipePath);
    if (!recipe) {
      fail(llvm::toString(recipe.takeError()));
      return nullptr;
    }
    options.recipe = *recipe;
  }
  options.decoder = decoder || options.recipe.decoder;
  if (kvCache != "" && !tenon::isCacheFormat(kvCache)) {
    fail("--kv-cache " + kvCache + ": expected f32, f16, bf16 or int8");
    return nullptr;
  }
  if (kvCache != "")
    options.recipe.kvCache = kvCache;
  if (options.recipe.kvCache != "" && !options.decoder) {
    fail("--kv-cache " + options.recipe.kvCache + ": needs --decoder");
    return nullptr;
  }
  if (precision != "" && precision != "f32" && precision != "bf16") {
    fail("--precision " + precision + ": expected f32 or bf16");
    return nullptr;
  }
  if (!readQuantization(options.recipe))
    return nullptr;
  if (precision == "bf16") {
    tenon::NodeChoice everywhere;
    everywhere.precision = precision;
    auto &nodes = options.recipe.nodes;
    nodes.insert(nodes.begin(), {"*", everywhere});
  }
  const tenon::Target *chosen =
      readTarget(options.recipe.target, options.target);
  std::vector<std::string> texts = options.recipe.sizes;
  if (dims.getNumOccurrences())
    texts = dims;
  if (dims.getNumOccurrences() && StringRef(input).ends_with(".mlir")) {
    fail("--dim " + dims.front() + ": sizes are given with an ONNX model, " +
         input + " has its own");
    return nullptr;
  }
  for (StringRef text : texts) {
    std::optional<tenon::SymbolSize> size = tenon::SymbolSize::parse(text);
    if (!size) {
      fail("--dim " + text + ": expected NAME=N, NAME=A..B or NAME~N");
      return nullptr;
    }
    options.sizes.push_back(*size);
  }
  return chosen;
}

/// --weights-from and --weight-names. False, when what is wrong has been said.
static bool readWeightFiles(tenon::CompilerOptions &options) {
  options.weightFiles = weightFiles;
  options.weightNames = weightNames;
  if (weightFiles.empty() && weightNames.getNumOccurrences())
    fail("--weight-names " + weightNames + ": needs --weights-from");
  else if (!weightFiles.empty() && StringRef(input).ends_with(".mlir"))
    fail("--weights-from " + weightFiles.front() +
         ": weights are given with an ONNX model, " + input + " has its own");
  else
    return true;
  return false;
}

/// What --load-dialect-plugin, --load-pass-plugin and --before ask for. False,
/// when what is wrong has been said.
static bool readExtensions(mlir::DialectRegistry &registry,
                           tenon::CompilerOptions &options) {
  for (const std::string &path : dialectPlugins) {
    auto plugin = mlir::DialectPlugin::load(path);
    if (!plugin) {
      fail("--load-dialect-plugin " + path + ": " +
           llvm::toString(plugin.takeError()));
      return false;
    }
    plugin->registerDialectRegistryCallbacks(registry);
  }
  for (const std::string &path : passPlugins) {
    auto plugin = mlir::PassPlugin::load(path);
    if (!plugin) {
      fail("--load-pass-plugin " + path + ": " +
           llvm::toString(plugin.takeError()));
      return false;
    }
    plugin->registerPassRegistryCallbacks();
  }
  if (!before.empty())
    tenon::registerAllPasses();
  for (StringRef text : before) {
    std::optional<tenon::PassesBefore> passes =
        tenon::PassesBefore::parse(text);
    if (!passes) {
      fail("--before " + text + ": expected PHASE=PIPELINE");
      return false;
    }
    options.passesBefore.push_back(*passes);
  }
  return true;
}

/// Whether --data-set has something to compare. False, when what is wrong has
/// been said.
static bool checkDataSet(const tenon::CompilerOptions &options) {
  if (!dataSet.getNumOccurrences())
    return true;
  if (!lowersPrecision(options.recipe))
    fail("--data-set " + dataSet +
         ": there is nothing to compare, since neither --precision nor the "
         "recipe asks for bf16");
  else if (!StringRef(input).ends_with(".onnx"))
    fail("--data-set " + dataSet + ": needs an ONNX model, not " + input);
  else if (emitKind != "so" || !stopAfter.empty())
    fail("--data-set " + dataSet +
         ": needs an artifact that can be run, "
         "--emit so");
  else if (!llvm::sys::fs::exists(dataSet + "/input_0.pb"))
    fail("--data-set " + dataSet + ": there is no input_0.pb");
  else
    return true;
  return false;
}

/// Whether --output can be written, found out now and not after the minutes
/// that a large model may take. False, when what is wrong has been said.
static bool checkOutput() {
  using namespace llvm::sys;
  if (output.empty()) {
    fail("-o: expected the name of a file");
    return false;
  }
  bool isText = !stopAfter.empty() ||
                llvm::is_contained(
                    {"header", "description", "llvm", "mlir", "ptx"}, emitKind);
  if (output == "-") {
    if (!isText)
      fail("-o -: what --emit " + emitKind + " writes is no text");
    return isText;
  }
  StringRef folder = path::parent_path(output);
  if (std::error_code error =
          fs::access(folder.empty() ? "." : folder, fs::AccessMode::Write)) {
    fail("-o " + output + ": cannot write there: " + error.message());
    return false;
  }
  // Files are written beside and renamed, which would replace a device.
  bool isReplaced = stopAfter.empty();
  if (fs::is_directory(output) ||
      (isReplaced && fs::exists(output) && !fs::is_regular_file(output))) {
    fail("-o " + output + ": is there and not a file");
    return false;
  }
  return true;
}

/// Whether --tune can be done. False, when what is wrong has been said.
static bool checkTune(const tenon::Target &chosen, const std::string &machine) {
  std::string wrong;
  if (!(tune > 0))
    wrong = "expected seconds, more than 0";
  else if (!stopAfter.empty())
    wrong =
        "runs what is compiled, which --stop-after " + stopAfter + " is not";
  else if (emitKind != "so" && emitKind != "exe")
    wrong =
        "runs what is compiled, which --emit " + emitKind + " does not give";
  else if (StringRef(input).ends_with(".mlir"))
    wrong = "begins with an ONNX model, not with " + input;
  else if (chosen.name() != tenon::cpuTarget().name())
    wrong = "target " + chosen.name().str() + " has no tiles to choose";
  else if (auto facts = tenon::readTargetFacts(machine); !facts)
    wrong = llvm::toString(facts.takeError());
  else if (!tenon::runsHere(*facts))
    wrong = "this machine cannot run code for " + facts->name;
  if (wrong.empty())
    return true;
  fail("--tune: " + wrong);
  return false;
}

int runCompile(int argc, char **argv) {
  llvm::SmallVector<const char *> arguments{"tenon"};
  arguments.append(argv, argv + argc);
  cl::ParseCommandLineOptions(
      arguments.size(), arguments.data(),
      "example: tenon compile minilm/model.onnx -o minilm.so "
      "--dim sequence~128\n");
  tenon::CompilerOptions options;
  const tenon::Target *chosen = readDecisions(options);
  if (!chosen || !readWeightFiles(options))
    return 1;
  bool known = stopAfter.empty() || stopAfter == "import";
  for (const tenon::Phase &phase : tenon::getPhases())
    known |= phase.name == stopAfter;
  if (!known)
    return fail("--stop-after " + stopAfter + ": there is no such phase");
  if (!llvm::is_contained(chosen->emitKinds(), emitKind))
    return fail("--emit " + emitKind + ": target " + chosen->name() +
                " writes one of " + llvm::join(chosen->emitKinds(), ", "));
  options.stopAfter = stopAfter;
  options.dumpFolder = dumpPhases;
  options.emit = emitKind;
  options.programRuntime = findProgramRuntime();
  options.kernelCache = kernelCache.getNumOccurrences() ? kernelCache.getValue()
                                                        : defaultKernelCache();
  options.remarks = remarks;
  options.reproducer = reproducer;
  if (!reproducer.getNumOccurrences() && output != "-")
    options.reproducer = output + ".reproducer.mlir";
  mlir::DialectRegistry registry;
  tenon::registerAllDialects(registry);
  if (!readExtensions(registry, options))
    return 1;

  if (!checkOutput() || !checkDataSet(options))
    return 1;
  if (tune.getNumOccurrences()) {
    if (!checkTune(*chosen, options.target))
      return 1;
    if (int status = tuneSchedules(input, tune, quiet, registry, options))
      return status;
  }
  mlir::DefaultTimingManager timer;
  timer.setEnabled(timing);
  mlir::TimingScope wholeTime = timer.getRootScope();
  if (timing)
    options.timing = &wholeTime;
  Progress progress;
  int status = compileAndCollect(
      input, output, options, registry, progress, [](const Problem &problem) {
        if (quiet && !problem.isError())
          return;
        llvm::errs() << problem.severity << ": " << problem.place
                     << (problem.place.empty() ? "" : ": ") << problem.message
                     << "\n";
      });
  if (status == 0 && !reportPath.empty() && !writeReport(progress))
    return 1;
  if (status == 0 && dataSet.getNumOccurrences())
    return compareWithSingle(input, output, options, registry, dataSet, quiet);
  return status;
}
