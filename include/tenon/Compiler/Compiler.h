// Model in, artifact out: what the tools call.
#ifndef TENON_COMPILER_COMPILER_H
#define TENON_COMPILER_COMPILER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "tenon/Recipe/Recipe.h"
#include <functional>
#include <string>
#include <vector>

namespace mlir {
class TimingScope;
} // namespace mlir

namespace tenon {

/// Passes that the user puts before those of a phase; `emit` has none of its
/// own and gets them all the same.
struct PassesBefore {
  std::string phase;    ///< of getPhases()
  std::string pipeline; ///< as in tenon-opt's --pass-pipeline, on the module

  /// Reads PHASE=PIPELINE; none if it is something else.
  static std::optional<PassesBefore> parse(llvm::StringRef text);
};

/// A size given by the user: fixed (min = max), a range, or only a hint.
struct SymbolSize {
  std::string name;
  std::optional<int64_t> min, max, hint;

  /// Reads NAME=N, NAME=A..B or NAME~N; none if it is neither.
  static std::optional<SymbolSize> parse(llvm::StringRef text);
  /// What parse reads.
  std::string str() const;
};

struct CompilerOptions {
  std::string target = "x86-64-v4"; ///< a target, a machine, or a facts file
  std::vector<SymbolSize> sizes;
  /// safetensors or GGUF with weights of an ONNX model, and, unless empty, JSON
  /// that says what they are called there (docs/guides/weights-from-files.md).
  std::vector<std::string> weightFiles;
  std::string weightNames;
  std::string stopAfter;   ///< a phase's name, or empty
  std::string dumpFolder;  ///< gets N-PHASE.mlir after each phase, unless empty
  std::string emit = "so"; ///< one of the target's emitKinds()
  bool decoder = false;    ///< make the form of docs/decoders.md
  Recipe recipe;           ///< its nodes and kvCache; the rest is that above
  std::string programRuntime; ///< tenon-program.o, for emit = "exe"
  std::string kernelCache;    ///< a folder of objects of kernels, or empty
  std::vector<PassesBefore> passesBefore;
  /// Gets the module and the passes of a phase in which a pass fails or
  /// crashes, in a form that tenon-opt --run-reproducer runs; unless empty.
  std::string reproducer;
  /// Gets what was fused, scheduled or not, and why, as YAML; unless empty.
  std::string remarks;
  mlir::TimingScope *timing = nullptr; ///< gets a timer for each pass
};

/// What one phase took.
struct PhaseReport {
  std::string phase;
  double seconds;
  double cpuSeconds; ///< of all threads, in the program and the system
  int64_t peakBytes; ///< resident memory of the process at its highest so far
};

/// One launch of the compiled program.
struct LaunchReport {
  std::string kernel;
  std::string node; ///< that its region computes last, or empty
  /// What phase schedule chose, and the other tiles that could be wanted; empty
  /// if this compilation began behind that phase.
  ScheduleChoice schedule;
  std::vector<std::vector<int64_t>> otherTiles;
};

/// What the compiled program is made of, at the hinted sizes.
struct PlanReport {
  int64_t launches = 0;
  int64_t kernels = 0; ///< that the launches share
  int64_t weightBytes = 0;
  int64_t arenaBytes = 0;
  int64_t arenaLowerBound = 0;        ///< the most bytes alive at one time
  std::vector<LaunchReport> launched; ///< as the runtime numbers launches
};

/// Hears of a compilation as it goes on.
class CompileObserver {
public:
  virtual ~CompileObserver() = default;
  virtual void phaseBegins(llvm::StringRef phase) {}
  virtual void phaseEnds(const PhaseReport &report) {}
  /// After phase plan.
  virtual void planned(const PlanReport &report) {}
  /// During phase emit: how many kernels there are, and how many of them were
  /// in the cache.
  virtual void kernelsMade(int64_t kernels, int64_t cached) {}
  /// During phase emit; `total` is about right.
  virtual void weightsWritten(uint64_t bytes, uint64_t total) {}
};

enum class CompileStatus { Success, Error, Unsupported };

/// Compiles an ONNX model, or a module that an earlier phase wrote (.mlir), and
/// writes `outputPath`; "-" is standard output, for text, and an empty path
/// keeps what `stopAfter` asks for from being written. Diagnostics go to the
/// context's handler. `Unsupported`: the model has something Tenon lacks, and
/// nothing else is wrong. On failure nothing is written. Beside an artifact
/// goes the recipe that was used, OUTPUT.recipe.json.
CompileStatus compileModel(mlir::MLIRContext *context,
                           llvm::StringRef inputPath,
                           llvm::StringRef outputPath,
                           const CompilerOptions &options,
                           CompileObserver &observer);

} // namespace tenon

#endif // TENON_COMPILER_COMPILER_H
