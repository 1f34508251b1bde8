// The runs of one session on a GPU: memory of the device, and launches.
#ifndef TENON_RUNTIME_DEVICERUN_H
#define TENON_RUNTIME_DEVICERUN_H

#include "DeviceCode.h"
#include "tenon-c/Runtime.h"
#include <exception>
#include <vector>

namespace tenon::runtime {

/// Not thread-safe, but any thread may call it.
class DeviceRun {
public:
  explicit DeviceRun(DeviceCode &code) : code(code) {}

  /// Brings the inputs and the zeros of `indexErrors` to the device and makes
  /// room for the rest; fills in the addresses of a frame. Throws Failure.
  void begin(tn_frame &frame, const std::vector<tn_tensor> &inputs,
             const std::vector<tn_tensor> &outputs, int64_t arenaBytes,
             const std::vector<int64_t> &indexErrors);
  /// Starts a launch. A failure is kept for `end`, since it must not pass
  /// through the artifact's code; what follows a failure is not started.
  void launch(const tn_grid &grid) noexcept;
  /// Waits for what was launched. A failure is kept for `end`.
  void wait() noexcept;
  /// Waits, and brings the outputs to where their tensors say, and what
  /// look-ups found to `indexErrors`. Throws Failure.
  void end(const std::vector<tn_tensor> &outputs,
           std::vector<int64_t> &indexErrors);

  int64_t arenaBytes() const { return int64_t(arena.capacity()); }

private:
  DeviceCode &code;
  cuda::Memory arena, indexErrorMemory;
  cuda::Pointer indexErrorBlock = 0;
  std::vector<cuda::Memory> inputMemory, outputMemory;
  std::vector<void *> inputPointers, outputPointers;
  std::exception_ptr failure;
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_DEVICERUN_H
