// One stream of runs of a module: inputs, outputs, scratch memory, threads.
#ifndef TENON_RUNTIME_SESSION_H
#define TENON_RUNTIME_SESSION_H

#include "Arena.h"
#include "DeviceRun.h"
#include "MemoryCheck.h"
#include "Module.h"
#include "ThreadPool.h"
#include "WorkEstimate.h"
#include <chrono>
#include <optional>

namespace tenon::runtime {

class Session {
public:
  Session(std::shared_ptr<const Module> module, tn_session_options options);

  void setInput(int number, const tn_tensor &tensor);
  void bindOutput(int number, void *data, int64_t bytes);

  /// Binds symbols to sizes of inputs or what they hold, and finds the sizes of
  /// outputs.
  void resolve();
  /// Resolves and runs. Throws Failure.
  void run();

  tn_tensor output(int number) const;
  int64_t arenaBytes() const {
    return device ? device->arenaBytes() : int64_t(arena.capacity());
  }

  struct LaunchTime {
    int64_t calls = 0, nanoseconds = 0, lastBegin = 0, last = 0;
  };
  const Module &getModule() const { return *module; }
  const std::vector<LaunchTime> &launchTimes() const { return times; }
  int64_t runNanoseconds() const { return runTime; }
  void resetProfile();

private:
  struct Input {
    bool isSet = false;
    tn_tensor tensor;
  };
  struct Output {
    tn_tensor tensor;
    int64_t mostBytes = 0; ///< of the tensor before a run has counted its sizes
    void *bound = nullptr;
    int64_t boundBytes = 0;
    bool isBound = false;
    Arena owned;
  };

  void bindSymbols();
  void bindValue(int64_t &result, const Symbol &symbol) const;
  void checkSizes() const;
  void setOutputSizes(const std::vector<int64_t> &sizes);
  [[noreturn]] void failAssumption(int64_t number,
                                   const std::string &given) const;
  void allocate();
  void checkGuards() const;
  void checkIndices() const;
  static void runSection(tn_frame *frame, int64_t first, int64_t count,
                         const tn_grid *grids);
  static void runSectionOnDevice(tn_frame *frame, int64_t first, int64_t count,
                                 const tn_grid *grids);
  void addTime(int64_t launch, std::chrono::steady_clock::time_point begin);
  void runOnDevice(tn_frame &frame);

  std::shared_ptr<const Module> module;
  tn_session_options options;
  std::vector<Input> inputs;
  std::vector<Output> outputs;
  std::vector<int64_t> symbols, outputSizes;
  std::vector<int64_t> countedSizes; ///< outputSizes, as the run counted them
  /// Which dimension of which input gave a symbol its size.
  std::vector<std::pair<int, int>> origin;
  std::vector<int64_t> indexErrors; ///< see tn_frame
  std::vector<void *> inputPointers, outputPointers;
  int64_t neededArena = 0;
  bool isResolved = false, hasSizes = false;
  Arena arena;
  std::optional<MemoryCheck> memoryCheck;
  WorkEstimate work;
  ThreadPool pool;
  std::unique_ptr<DeviceRun> device; ///< null where the kernels are the CPU's
  std::vector<LaunchTime> times;
  int64_t runTime = 0;
  std::chrono::steady_clock::time_point runBegin;
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_SESSION_H
