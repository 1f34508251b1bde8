// Opens NVIDIA's driver and its first device.
#include "CudaDriver.h"
#include "Failure.h"

#include <dlfcn.h>
#include <utility>

using namespace tenon::runtime;
using namespace tenon::runtime::cuda;

static constexpr const char *library = "libcuda.so.1";

/// Sets a member to the function of that name.
template <typename Member>
static void find(void *handle, const char *name, Member &member) {
  member = reinterpret_cast<Member>(dlsym(handle, name));
  if (!member)
    fail(TN_ERROR_DEVICE, "the CUDA driver '", library, "' has no '", name,
         "': it is older than CUDA 11");
}

static Driver open() {
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *why = dlerror();
    fail(TN_ERROR_DEVICE,
         "this artifact runs on an NVIDIA GPU, but the CUDA "
         "driver cannot be opened: tried '",
         library, "': ", why ? why : "no reason given");
  }
  Driver d = {};
  find(handle, "cuInit", d.Init);
  find(handle, "cuDeviceGetCount", d.DeviceGetCount);
  find(handle, "cuDeviceGet", d.DeviceGet);
  find(handle, "cuDevicePrimaryCtxRetain", d.DevicePrimaryCtxRetain);
  find(handle, "cuCtxSetCurrent", d.CtxSetCurrent);
  find(handle, "cuModuleLoadDataEx", d.ModuleLoadDataEx);
  find(handle, "cuModuleGetFunction", d.ModuleGetFunction);
  find(handle, "cuLaunchKernel", d.LaunchKernel);
  find(handle, "cuMemAlloc_v2", d.MemAlloc);
  find(handle, "cuMemFree_v2", d.MemFree);
  find(handle, "cuMemcpyHtoD_v2", d.MemcpyHtoD);
  find(handle, "cuMemcpyDtoH_v2", d.MemcpyDtoH);
  find(handle, "cuStreamSynchronize", d.StreamSynchronize);
  find(handle, "cuGetErrorName", d.GetErrorName);
  d.check(d.Init(0), "starting the driver");
  int count = 0;
  d.check(d.DeviceGetCount(&count), "counting devices");
  if (count == 0)
    fail(TN_ERROR_DEVICE, "this artifact runs on an NVIDIA GPU, but the CUDA "
                          "driver knows of none");
  Device device;
  d.check(d.DeviceGet(&device, 0), "finding the first device");
  d.check(d.DevicePrimaryCtxRetain(&d.context, device),
          "opening the first device");
  return d;
}

const Driver &tenon::runtime::cuda::driver() {
  static const Driver driver = open();
  return driver;
}

void Driver::enter() const {
  check(CtxSetCurrent(context), "entering the device");
}

void Driver::check(Result result, const char *doing) const {
  if (result == 0)
    return;
  const char *name = nullptr;
  GetErrorName(result, &name);
  fail(TN_ERROR_DEVICE, "the CUDA driver says ", name ? name : "error", " (",
       result, ") while ", doing);
}

Memory::Memory(Memory &&other) noexcept
    : block(std::exchange(other.block, 0)), size(std::exchange(other.size, 0)) {
}

Memory::~Memory() {
  if (!block)
    return;
  // Any thread may be the last to hold it. What fails here cannot be told.
  const Driver &d = driver();
  d.CtxSetCurrent(d.context);
  d.MemFree(block);
}

Pointer Memory::reserve(size_t bytes) {
  if (block && bytes <= size)
    return block;
  if (block)
    driver().MemFree(block);
  block = 0;
  size = bytes ? bytes : 1; // the driver refuses to allocate nothing
  Result result = driver().MemAlloc(&block, size);
  if (result != 0) {
    block = 0;
    driver().check(result, "allocating memory on the device");
  }
  return block;
}
