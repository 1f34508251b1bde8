// tenon compile --tune: kernels depend on nothing of each other, so one
// artifact tries one other tile for all of them at once.
#include "Tune.h"
#include "Child.h"
#include "Compilation.h"
#include "tenon-c/CommandLine.h"
#include "tenon-c/Runtime.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Errno.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InterleavedRange.h"
#include "llvm/Support/Path.h"
#include <chrono>
#include <map>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

using llvm::StringRef;
using Tile = std::vector<int64_t>;

/// Of the time by default: what takes longer has not beaten the noise.
static constexpr double noise = 0.98;

/// How the time to measure is divided.
static constexpr double shareOfCandidates = 0.7, shareOfWinners = 0.1,
                        shareOfModel = 0.2;

static int fail(const llvm::Twine &message) {
  llvm::errs() << "error: --tune: " << message << "\n";
  return 1;
}

static std::string textOf(const Tile &tile) {
  std::string text;
  llvm::raw_string_ostream(text) << "[" << llvm::interleaved(tile) << "]";
  return text;
}

/// "3.1 % less"
static std::string change(double ratio) {
  return llvm::formatv("{0:f1} % {1}", 100 * std::abs(1 - ratio),
                       ratio < 1 ? "less" : "more");
}

namespace {

/// What can be scheduled one way: all launches of one kernel.
struct Kernel {
  std::vector<size_t> launches;
  std::vector<std::string> nodes;
  tenon::ScheduleChoice schedule; ///< by default
  std::vector<Tile> others;
  /// The best so far, if it beat the default, and nanoseconds in one run.
  std::optional<Tile> best;
  double before = 0, after = 0;
};

/// Two artifacts: what is made by default, and another.
struct Comparison {
  double before, after; ///< nanoseconds of a run
  std::vector<double> launchesBefore, launchesAfter;

  double ratio() const { return after / before; }
  void sum(Kernel &kernel, double &sumBefore, double &sumAfter) const {
    sumBefore = sumAfter = 0;
    for (size_t launch : kernel.launches) {
      sumBefore += launchesBefore[launch];
      sumAfter += launchesAfter[launch];
    }
  }
};

struct PlanListener : tenon::CompileObserver {
  void planned(const tenon::PlanReport &report) override { plan = report; }
  tenon::PlanReport plan;
};

/// Works in a process and in a folder of its own.
class Tuner {
public:
  Tuner(StringRef model, double seconds, bool quiet, StringRef folder,
        const mlir::DialectRegistry &registry, tenon::CompilerOptions options)
      : model(model), seconds(seconds), quiet(quiet), registry(registry),
        options(std::move(options)) {
    auto path = [&](StringRef name) {
      llvm::SmallString<128> path(folder);
      llvm::sys::path::append(path, name);
      return path.str().str();
    };
    fused = path("4-fuse.mlir");
    usual = path("default.so");
    other = path("other.so");
    // What users ask of a compilation is for the last one.
    this->options.emit = "so";
    this->options.dumpFolder = this->options.remarks = "";
    this->options.reproducer = "";
    this->options.timing = nullptr;
  }

  /// Adds what was found to `nodes`. Returns the exit status.
  int run(std::vector<std::pair<std::string, tenon::NodeChoice>> &nodes);

private:
  int compileUsual();
  int compileOther(llvm::function_ref<std::optional<Tile>(Kernel &)> choose);
  int checkHints();
  int tryCandidates();
  int checkWinners();
  int checkModel();
  int compare(double share, bool launches, Comparison &result);
  void say(const llvm::Twine &text) {
    if (!quiet)
      llvm::errs() << "tune       " << text << "\n";
  }

  std::string model, fused, usual, other;
  double seconds, spent = 0; ///< to measure, and measured
  bool quiet;
  const mlir::DialectRegistry &registry;
  tenon::CompilerOptions options;
  size_t launchCount = 0;
  std::map<std::string, Kernel> kernels; ///< with other tiles, by name
};

} // namespace

/// Warnings come with the last compilation.
static void sayErrors(const Problem &problem) {
  if (problem.isError())
    llvm::errs() << "error: " << problem.place
                 << (problem.place.empty() ? "" : ": ") << problem.message
                 << "\n";
}

/// Up to fuse once: what follows begins there.
int Tuner::compileUsual() {
  options.stopAfter = "fuse";
  tenon::CompileObserver ignored;
  if (int status = compileAndCollect(model, fused, options, registry, ignored,
                                     sayErrors))
    return status;
  options.stopAfter = "";
  PlanListener listener;
  if (int status = compileAndCollect(fused, usual, options, registry, listener,
                                     sayErrors))
    return status;
  launchCount = listener.plan.launched.size();
  for (const auto &[number, launch] : llvm::enumerate(listener.plan.launched)) {
    if (launch.otherTiles.empty())
      continue;
    Kernel &kernel = kernels[launch.kernel];
    kernel.launches.push_back(number);
    kernel.nodes.push_back(launch.node);
    kernel.schedule = launch.schedule;
    kernel.others = launch.otherTiles;
  }
  return 0;
}

/// Compiles to `other` with the tiles that `choose` gives kernels.
int Tuner::compileOther(
    llvm::function_ref<std::optional<Tile>(Kernel &)> choose) {
  tenon::CompilerOptions changed = options;
  for (auto &[name, kernel] : kernels) {
    std::optional<Tile> tile = choose(kernel);
    if (!tile)
      continue;
    tenon::NodeChoice choice;
    choice.schedule = {kernel.schedule.family, *tile};
    for (const std::string &node : kernel.nodes)
      changed.recipe.nodes.push_back({node, choice});
  }
  // It may hold a large model's weights: not three of them at one time.
  llvm::sys::fs::remove(other);
  tenon::CompileObserver ignored;
  return compileAndCollect(fused, other, changed, registry, ignored, sayErrors);
}

/// Measures at hinted sizes only: where there is none, what is fastest says
/// nothing.
int Tuner::checkHints() {
  tn_module *loaded;
  if (tn_module_load(usual.c_str(), &loaded) != TN_OK)
    return fail(tn_last_error());
  llvm::scope_exit release([&] { tn_module_release(loaded); });
  std::vector<std::string> missing;
  for (int i = 0; i < tn_module_symbol_count(loaded); ++i) {
    tn_symbol symbol;
    if (tn_module_symbol(loaded, i, &symbol) != TN_OK)
      return fail(tn_last_error());
    if (symbol.hint < 0)
      missing.push_back("--dim " + std::string(symbol.name) + "~N");
  }
  if (missing.empty())
    return 0;
  return fail("measures at the sizes to be fast at, so it needs " +
              llvm::join(missing, " "));
}

int Tuner::compare(double share, bool launches, Comparison &result) {
  size_t count = launches ? launchCount : 0;
  std::vector<double> times(2 * (1 + count));
  const char *artifacts[] = {usual.c_str(), other.c_str()};
  auto start = std::chrono::steady_clock::now();
  if (tn_cli_time_in_turn(artifacts, 2, int(count), share * seconds,
                          times.data()))
    return 1;
  std::chrono::duration<double> taken =
      std::chrono::steady_clock::now() - start;
  spent += taken.count();
  auto before = times.begin(), after = before + std::ptrdiff_t(1 + count);
  result.before = *before;
  result.after = *after;
  result.launchesBefore.assign(before + 1, after);
  result.launchesAfter.assign(after + 1, times.end());
  return 0;
}

int Tuner::tryCandidates() {
  size_t rounds = 0;
  for (auto &[name, kernel] : kernels)
    rounds = std::max(rounds, kernel.others.size());
  for (size_t round = 0; round < rounds; ++round) {
    if (spent > shareOfCandidates * seconds) {
      say(llvm::formatv("the time was over after {0} of {1}", round, rounds));
      break;
    }
    std::vector<std::string> tiles;
    int status = compileOther([&](Kernel &kernel) -> std::optional<Tile> {
      if (round >= kernel.others.size())
        return std::nullopt;
      std::string text = textOf(kernel.others[round]);
      if (!llvm::is_contained(tiles, text))
        tiles.push_back(text);
      return kernel.others[round];
    });
    if (status)
      return status;
    Comparison result;
    if (compare(shareOfCandidates / double(rounds), true, result))
      return 1;
    size_t winners = 0;
    double gain = 0;
    for (auto &[name, kernel] : kernels) {
      double before, after;
      result.sum(kernel, before, after);
      double toBeat = kernel.best ? kernel.after / kernel.before : noise;
      if (round < kernel.others.size() && after < before * toBeat) {
        kernel.best = kernel.others[round];
        kernel.before = before;
        kernel.after = after;
      }
      winners += kernel.best.has_value();
      gain += kernel.before - kernel.after;
    }
    say(llvm::formatv("{0} of {1}: {2}; best so far for {3} of {4} kernels, "
                      "{5:f1} % of a run",
                      round + 1, rounds, llvm::join(tiles, " "), winners,
                      kernels.size(), 100 * gain / result.before));
  }
  return 0;
}

static std::optional<Tile> bestOf(Kernel &kernel) { return kernel.best; }

/// Measures the best tiles again, all in one artifact: the fastest of many that
/// were measured once owes a part of that to chance.
int Tuner::checkWinners() {
  Comparison result;
  if (int status = compileOther(bestOf))
    return status;
  if (compare(shareOfWinners, true, result))
    return 1;
  bool isDropped = false;
  for (auto &[name, kernel] : kernels) {
    if (!kernel.best)
      continue;
    result.sum(kernel, kernel.before, kernel.after);
    if (kernel.after < noise * kernel.before)
      continue;
    kernel.best.reset();
    isDropped = true;
  }
  return isDropped ? compileOther(bestOf) : 0;
}

/// Keeps the best tiles only if the model gains by them.
int Tuner::checkModel() {
  Comparison result;
  if (compare(shareOfModel, false, result))
    return 1;
  bool gains = result.ratio() < 1;
  for (auto &[name, kernel] : kernels) {
    if (!kernel.best)
      continue;
    say(llvm::formatv(
        "{0}, {1} launch{2}: {3} to {4}, {5:f1} to {6:f1} us "
        "({7})",
        name, kernel.launches.size(), kernel.launches.size() == 1 ? "" : "es",
        textOf(kernel.schedule.tile), textOf(*kernel.best), kernel.before / 1e3,
        kernel.after / 1e3, change(kernel.after / kernel.before)));
    if (!gains)
      kernel.best.reset();
  }
  say(llvm::formatv("the model: {0:f3} to {1:f3} ms ({2}){3}",
                    result.before / 1e6, result.after / 1e6,
                    change(result.ratio()),
                    gains ? "" : "; all stays as by default"));
  return 0;
}

int Tuner::run(std::vector<std::pair<std::string, tenon::NodeChoice>> &nodes) {
  if (int status = compileUsual())
    return status;
  if (int status = checkHints())
    return status;
  if (kernels.empty()) {
    say("no kernel of this model has tiles to choose from");
    return 0;
  }
  if (int status = tryCandidates())
    return status;
  auto isBetter = [](auto &entry) { return entry.second.best.has_value(); };
  if (llvm::any_of(kernels, isBetter))
    if (int status = checkWinners())
      return status;
  if (llvm::none_of(kernels, isBetter)) {
    say("no other tile is faster than those by default");
    return 0;
  }
  if (int status = checkModel())
    return status;
  for (auto &[name, kernel] : kernels) {
    if (!kernel.best)
      continue;
    tenon::NodeChoice choice;
    choice.schedule = {kernel.schedule.family, *kernel.best};
    for (const std::string &node : kernel.nodes)
      nodes.push_back({node, choice});
  }
  return 0;
}

/// In a process that was forked: what it found goes to a file, as a recipe.
static int runTuner(Tuner &tuner, StringRef path) {
  tenon::Recipe found;
  if (int status = tuner.run(found.nodes))
    return status;
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  if (!error)
    writeRecipe(found, file);
  file.close();
  if (!error)
    error = file.error();
  file.clear_error();
  return error ? fail("cannot write '" + path + "': " + error.message()) : 0;
}

/// Runs `work` in a child. Returns the exit status.
static int runInChild(ChildSignals &signals, llvm::function_ref<int()> work) {
  pid_t child = fork();
  if (child == 0) {
    signals.release();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Not by way of destructors: some wait for threads that only the parent
    // has.
    _exit(work());
  }
  if (child < 0)
    return fail("cannot start a process: " + llvm::sys::StrError());
  signals.handTo(child);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status))
    return WEXITSTATUS(status);
  return caughtSignal()
             ? 1
             : fail("was ended by signal " + llvm::Twine(WTERMSIG(status)));
}

int tuneSchedules(StringRef model, double seconds, bool quiet,
                  const mlir::DialectRegistry &registry,
                  tenon::CompilerOptions &options) {
  int status;
  {
    // Until the folder is removed a signal leaves time for that.
    ChildSignals signals;
    llvm::SmallString<128> folder, found;
    if (std::error_code error =
            llvm::sys::fs::createUniqueDirectory("tenon", folder))
      return fail("cannot make a temporary folder: " + error.message());
    llvm::scope_exit remove([&] { llvm::sys::fs::remove_directories(folder); });
    llvm::sys::path::append(found, folder, "tuned.json");
    status = runInChild(signals, [&] {
      Tuner tuner(model, seconds, quiet, folder, registry, options);
      return runTuner(tuner, found);
    });
    if (status == 0) {
      llvm::Expected<tenon::Recipe> tuned = tenon::readRecipe(found);
      if (!tuned)
        return fail(llvm::toString(tuned.takeError()));
      llvm::append_range(options.recipe.nodes, tuned->nodes);
    }
  }
  if (caughtSignal())
    raise(caughtSignal());
  return status;
}
