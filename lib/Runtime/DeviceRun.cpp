// Copies inputs in, starts launches, copies outputs out.
#include "DeviceRun.h"

using namespace tenon::runtime;
using namespace tenon::runtime::cuda;

/// The device's addresses are 64-bit, as the host's are.
static void *address(Pointer pointer) {
  return reinterpret_cast<void *>(uintptr_t(pointer));
}

void DeviceRun::begin(tn_frame &frame, const std::vector<tn_tensor> &inputs,
                      const std::vector<tn_tensor> &outputs, int64_t arenaBytes,
                      const std::vector<int64_t> &indexErrors) {
  const Driver &d = driver();
  d.enter();
  failure = nullptr;
  inputMemory.resize(inputs.size());
  outputMemory.resize(outputs.size());
  inputPointers.clear();
  outputPointers.clear();
  for (size_t i = 0; i < inputs.size(); ++i) {
    size_t bytes = size_t(inputs[i].bytes);
    Pointer block = inputMemory[i].reserve(bytes);
    if (bytes > 0)
      d.check(d.MemcpyHtoD(block, inputs[i].data, bytes),
              "copying an input to the device");
    inputPointers.push_back(address(block));
  }
  for (size_t i = 0; i < outputs.size(); ++i)
    outputPointers.push_back(
        address(outputMemory[i].reserve(size_t(outputs[i].bytes))));
  size_t errorBytes = indexErrors.size() * sizeof(int64_t);
  indexErrorBlock = indexErrorMemory.reserve(errorBytes);
  if (errorBytes > 0)
    d.check(d.MemcpyHtoD(indexErrorBlock, indexErrors.data(), errorBytes),
            "clearing what look-ups found");
  frame.index_errors = static_cast<int64_t *>(address(indexErrorBlock));
  frame.inputs = inputPointers.data();
  frame.outputs = outputPointers.data();
  frame.arena =
      static_cast<uint8_t *>(address(arena.reserve(size_t(arenaBytes))));
  frame.weights = static_cast<const uint8_t *>(address(code.weights()));
}

void DeviceRun::launch(const tn_grid &grid) noexcept {
  if (failure)
    return;
  try {
    code.launch(*reinterpret_cast<const tn_device_kernel *>(grid.kernel),
                grid.buffers, grid.sizes, grid.size);
  } catch (...) {
    failure = std::current_exception();
  }
}

void DeviceRun::wait() noexcept {
  if (failure)
    return;
  try {
    driver().check(driver().StreamSynchronize(nullptr), "running a kernel");
  } catch (...) {
    failure = std::current_exception();
  }
}

void DeviceRun::end(const std::vector<tn_tensor> &outputs,
                    std::vector<int64_t> &indexErrors) {
  wait();
  if (failure)
    std::rethrow_exception(failure);
  const Driver &d = driver();
  for (size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i].bytes > 0)
      d.check(
          d.MemcpyDtoH(outputs[i].data,
                       Pointer(reinterpret_cast<uintptr_t>(outputPointers[i])),
                       size_t(outputs[i].bytes)),
          "copying an output from the device");
  size_t errorBytes = indexErrors.size() * sizeof(int64_t);
  if (errorBytes > 0)
    d.check(d.MemcpyDtoH(indexErrors.data(), indexErrorBlock, errorBytes),
            "copying what look-ups found from the device");
}
