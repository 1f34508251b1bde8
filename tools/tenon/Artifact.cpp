// tenon run, bench, profile, info, plan, generate, evaluate: what can be done
// with an artifact. A model is compiled on the way, in a process of its own:
// what this one then takes is the runtime's.
#include "Child.h"
#include "Subcommands.h"
#include "tenon-c/CommandLine.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Errno.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <unistd.h>
#include <vector>

using llvm::StringRef;

static int fail(const llvm::Twine &message) {
  llvm::errs() << "error: " << message << "\n";
  return 1;
}

namespace {
struct Compiled {
  std::string artifact;
  double seconds;
  uint64_t peakKilobytes;
};
} // namespace

/// As llvm::sys::ExecuteAndWait, but for signals.
static int
runCompiler(ChildSignals &signals, StringRef program,
            llvm::ArrayRef<StringRef> arguments, std::string &message,
            std::optional<llvm::sys::ProcessStatistics> &statistics) {
  llvm::sys::ProcessInfo child = llvm::sys::ExecuteNoWait(
      program, arguments, std::nullopt, {}, 0, &message);
  signals.handTo(child.Pid);
  return child.Pid > 0
             ? llvm::sys::Wait(child, std::nullopt, &message, &statistics)
                   .ReturnCode
             : -1;
}

/// What a format that a benchmark names asks of the compiler. Encoders in
/// integers say themselves what is to be computed in them; decoders come in
/// floats, or with weights of 4 bits; 8 bits are for what those leave in
/// floats. Caches are no wider than what else is rounded.
static std::vector<StringRef> optionsOf(StringRef format, bool isDecoder) {
  std::vector<StringRef> options;
  if (format == "bf16")
    options = {"--precision", "bf16"};
  if (!isDecoder)
    return options;
  if (format == "bf16")
    options.insert(options.end(), {"--kv-cache", "bf16"});
  if (format == "int8" || format == "int4")
    options = {"--weights",     "int8", "--group",    "32", "--quantize-head",
               "--activations", "int8", "--kv-cache", "f16"};
  return options;
}

/// Compiles `model` for this machine. Returns the exit status.
static int compileInChild(StringRef model, StringRef kind, StringRef format,
                          bool isDecoder, Compiled &result) {
  // Until the folder is removed a signal leaves time for that.
  ChildSignals signals;
  llvm::SmallString<128> folder;
  if (std::error_code error =
          llvm::sys::fs::createUniqueDirectory("tenon", folder))
    return fail("cannot make a temporary folder: " + error.message());
  // The artifact, its recipe, and what a compiler that fails may leave.
  llvm::scope_exit remove([&] { llvm::sys::fs::remove_directories(folder); });
  llvm::SmallString<128> artifact(folder);
  // Its name is all that pictures know of the model.
  llvm::sys::path::append(artifact, llvm::sys::path::stem(model) + ".so");
  std::string self = llvm::sys::fs::getMainExecutable(
      nullptr, reinterpret_cast<void *>(&runArtifactCommand));
  std::vector<StringRef> arguments = {"tenon",  "compile", model, "-o",
                                      artifact, "--emit",  kind,  "--quiet"};
  llvm::append_range(arguments, optionsOf(format, isDecoder));
  if (isDecoder)
    arguments.push_back("--decoder");
  std::string message;
  std::optional<llvm::sys::ProcessStatistics> statistics;
  auto start = std::chrono::steady_clock::now();
  int status = runCompiler(signals, self, arguments, message, statistics);
  result.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  result.peakKilobytes = statistics ? statistics->PeakMemory : 0;
  if (caughtSignal())
    return 1;
  if (status)
    return status < 0 ? fail("cannot compile: " + message) : status;
  // Without a name already while it runs: a process that is killed, as
  // benchmarks do with workers, then leaves nothing behind.
  int file;
  if (std::error_code error = llvm::sys::fs::openFileForRead(artifact, file))
    return fail("cannot open the artifact: " + error.message());
  result.artifact = "/proc/self/fd/" + std::to_string(file);
  return 0;
}

/// A benchmark says in the environment what it wants. What this points to lives
/// as the process does.
static void addWishes(std::vector<const char *> &command, StringRef name) {
  if (const char *threads = std::getenv("BENCH_THREADS"))
    command.insert(command.end(), {"--threads", threads});
  if (const char *prompt = std::getenv("BENCH_PROMPT");
      prompt && name == "generate")
    command.insert(command.end(), {"--ids", prompt});
}

/// The benchmark's protocol. The compiled model is a program, which takes the
/// place of this one: memory is then the runtime's own, without what the
/// compiler's libraries take.
static int runWorker(StringRef model, Compiled &compiled,
                     llvm::ArrayRef<char *> arguments) {
  llvm::outs() << "info compile_s " << compiled.seconds << "\ninfo compile_mb "
               << compiled.peakKilobytes / 1024 << "\n";
  llvm::outs().flush();
  std::vector<const char *> command = {"tenon"};
  llvm::copy_if(arguments, std::back_inserter(command),
                [&](StringRef argument) { return argument != model; });
  addWishes(command, arguments.front());
  command.push_back(nullptr);
  execv(compiled.artifact.c_str(), const_cast<char **>(command.data()));
  return fail("cannot run the compiled model: " + llvm::sys::StrError());
}

static bool isModel(StringRef word) {
  return !word.starts_with("-") &&
         (word.ends_with(".onnx") || word.ends_with(".mlir"));
}

/// `evaluate --against`: the other model, too, may have to be compiled.
static int compileOther(char *&word, std::string &path) {
  Compiled compiled;
  int status = compileInChild(word, "so", "f32", true, compiled);
  if (caughtSignal())
    raise(caughtSignal());
  if (status)
    return status;
  path = compiled.artifact;
  word = path.data();
  return 0;
}

int runArtifactCommand(int argc, char **argv) {
  std::vector<char *> arguments(argv, argv + argc);
  StringRef name = argv[0];
  bool worker = llvm::is_contained(
      llvm::map_range(arguments, [](char *word) { return StringRef(word); }),
      "--worker");
  bool isDecoder = name == "generate" || name == "evaluate";
  auto model = arguments.end();
  std::string other;
  for (auto word = arguments.begin(); word != arguments.end(); ++word) {
    bool isOther = word != arguments.begin() &&
                   StringRef(*(word - 1)) == "--against" && name == "evaluate";
    if (!isModel(*word))
      continue;
    if (!isOther)
      model = model == arguments.end() ? word : model;
    else if (int status = compileOther(*word, other))
      return status;
  }
  if (model == arguments.end()) {
    std::vector<const char *> words(arguments.begin(), arguments.end());
    if (worker && isDecoder)
      addWishes(words, name);
    return tn_command_line(static_cast<int>(words.size()),
                           const_cast<char **>(words.data()), nullptr);
  }
  StringRef format = "f32";
  if (const char *wanted = std::getenv("BENCH_FORMAT"); worker && wanted)
    format = wanted;
  if (!llvm::is_contained({"f32", "bf16", "int8", "dyn8", "int4"}, format))
    return fail("format " + format +
                " is not supported; f32, bf16, int8, dyn8 and int4 are");

  Compiled compiled;
  // These two read what an artifact says of itself and need no more.
  StringRef kind = name == "info" || name == "plan" ? "description"
                   : worker                         ? "exe"
                                                    : "so";
  int status = compileInChild(*model, kind, format, isDecoder, compiled);
  if (caughtSignal())
    raise(caughtSignal());
  if (status)
    return status;
  if (worker)
    return runWorker(*model, compiled, arguments);
  arguments.erase(model);
  return tn_command_line(static_cast<int>(arguments.size()), arguments.data(),
                         compiled.artifact.c_str());
}
