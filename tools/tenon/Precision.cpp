// The reference is the same model compiled the same way, in f32.
#include "Precision.h"
#include "tenon-c/CommandLine.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <condition_variable>
#include <mutex>
#include <thread>

using llvm::StringRef;

namespace {

/// Says what is being done, but only once two seconds have gone by.
class LateProgress {
public:
  explicit LateProgress(bool quiet) {
    if (!quiet)
      watcher = std::thread([this] { watch(); });
  }

  ~LateProgress() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      isDone = true;
    }
    changed.notify_all();
    if (watcher.joinable())
      watcher.join();
  }

  void begin(StringRef what) {
    std::lock_guard<std::mutex> lock(mutex);
    stage = what.str();
    if (isLate)
      say();
  }

private:
  void watch() {
    std::unique_lock<std::mutex> lock(mutex);
    if (changed.wait_for(lock, std::chrono::seconds(2),
                         [this] { return isDone; }))
      return;
    isLate = true;
    say();
  }

  void say() { llvm::errs() << "  " << stage << " ...\n"; }

  std::mutex mutex;
  std::condition_variable changed;
  std::string stage;
  bool isDone = false, isLate = false;
  std::thread watcher; // last: it uses the others
};

} // namespace

static int fail(const llvm::Twine &message) {
  llvm::errs() << "error: " << message << "\n";
  return 1;
}

bool lowersPrecision(const tenon::Recipe &recipe) {
  return llvm::any_of(recipe.nodes, [](const auto &node) {
    return node.second.precision && *node.second.precision != "f32";
  });
}

int compareWithSingle(StringRef model, StringRef artifact,
                      tenon::CompilerOptions options,
                      const mlir::DialectRegistry &registry, StringRef dataSet,
                      bool quiet) {
  for (auto &[pattern, choice] : options.recipe.nodes)
    if (choice.precision)
      choice.precision = "f32";
  options.dumpFolder = options.remarks = options.reproducer = "";
  options.timing = nullptr;
  llvm::SmallString<128> folder;
  if (std::error_code error =
          llvm::sys::fs::createUniqueDirectory("tenon", folder))
    return fail("cannot make a temporary folder: " + error.message());
  llvm::scope_exit remove([&] { llvm::sys::fs::remove_directories(folder); });
  llvm::SmallString<128> reference(folder);
  llvm::sys::path::append(reference, "reference.so");

  LateProgress progress(quiet);
  progress.begin("compiling in f32, to compare with");
  tenon::CompileObserver observer;
  int status = compileAndCollect(model, reference, options, registry, observer,
                                 [](const Problem &problem) {
                                   if (problem.isError())
                                     fail(problem.place +
                                          (problem.place.empty() ? "" : ": ") +
                                          problem.message);
                                 });
  if (status)
    return status;
  progress.begin(("running both on '" + dataSet + "'").str());
  // Loading needs a path in which a slash says that it is one.
  llvm::SmallString<128> path(artifact);
  llvm::sys::fs::make_absolute(path);
  return tn_cli_compare(path.c_str(), reference.c_str(), dataSet.str().c_str());
}
