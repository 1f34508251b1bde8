// The code and the weights of an artifact on a GPU.
#ifndef TENON_RUNTIME_DEVICECODE_H
#define TENON_RUNTIME_DEVICECODE_H

#include "CudaDriver.h"
#include "tenon-c/ModuleAbi.h"
#include <map>
#include <mutex>

namespace tenon::runtime {

/// Shared by the sessions of a module. Any thread may call it.
class DeviceCode {
public:
  /// Loads PTX and brings the weights to the device. Throws Failure.
  DeviceCode(const char *ptx, const uint8_t *weights, int64_t weightBytes);

  /// Where the weights are, on the device.
  cuda::Pointer weights() const { return weightsBlock; }

  /// Starts a kernel after what was started before. Throws Failure.
  void launch(const tn_device_kernel &kernel, void *const *buffers,
              const int64_t *sizes, int64_t grid);

private:
  cuda::Function find(const tn_device_kernel &kernel);

  cuda::ModuleHandle code = nullptr;
  cuda::Memory weightsMemory;
  cuda::Pointer weightsBlock = 0;
  std::mutex mutex; ///< for `functions`
  std::map<const tn_device_kernel *, cuda::Function> functions;
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_DEVICECODE_H
