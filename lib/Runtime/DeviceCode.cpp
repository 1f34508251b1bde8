// Loads PTX and launches its kernels.
#include "DeviceCode.h"
#include "Failure.h"

#include <climits>
#include <string>
#include <vector>

using namespace tenon::runtime;
using namespace tenon::runtime::cuda;

DeviceCode::DeviceCode(const char *ptx, const uint8_t *weights,
                       int64_t weightBytes) {
  const Driver &d = driver();
  d.enter();
  char log[4096] = "";
  int options[] = {JitErrorLog, JitErrorLogSize};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log) - 1)};
  Result result = d.ModuleLoadDataEx(&code, ptx, 2, options, values);
  if (result != 0)
    d.check(result, log[0] ? (std::string("loading the code: ") + log).c_str()
                           : "loading the code");
  weightsBlock = weightsMemory.reserve(size_t(weightBytes));
  if (weightBytes > 0)
    d.check(d.MemcpyHtoD(weightsBlock, weights, size_t(weightBytes)),
            "copying weights to the device");
}

Function DeviceCode::find(const tn_device_kernel &kernel) {
  std::lock_guard<std::mutex> lock(mutex);
  Function &function = functions[&kernel];
  if (!function)
    driver().check(driver().ModuleGetFunction(&function, code, kernel.name),
                   ("finding kernel " + std::string(kernel.name)).c_str());
  return function;
}

void DeviceCode::launch(const tn_device_kernel &kernel, void *const *buffers,
                        const int64_t *sizes, int64_t grid) {
  if (grid <= 0)
    return;
  if (grid > INT_MAX)
    fail(TN_ERROR_DEVICE, "kernel ", kernel.name, " has a grid of ", grid,
         " blocks, but devices take at most ", INT_MAX);
  std::vector<void *> parameters;
  for (int64_t i = 0; i < kernel.buffers; ++i)
    parameters.push_back(const_cast<void **>(&buffers[i]));
  for (int64_t i = 0; i < kernel.sizes; ++i)
    parameters.push_back(const_cast<int64_t *>(&sizes[i]));
  driver().check(driver().LaunchKernel(find(kernel), unsigned(grid), 1, 1,
                                       unsigned(kernel.threads), 1, 1, 0,
                                       nullptr, parameters.data(), nullptr),
                 ("launching " + std::string(kernel.name)).c_str());
}
