// The functions of NVIDIA's driver that the runtime calls, found when they are
// first needed: nothing of CUDA is there at build or start.
#ifndef TENON_RUNTIME_CUDADRIVER_H
#define TENON_RUNTIME_CUDADRIVER_H

#include <cstddef>
#include <cstdint>

namespace tenon::runtime::cuda {

// As the driver's interface defines them.
using Result = int;
using Device = int;
using Pointer = unsigned long long;
using Context = struct ContextHandle *;
using ModuleHandle = struct LoadedCode *;
using Function = struct Entry *;
using Stream = struct StreamHandle *;
enum { JitErrorLog = 5, JitErrorLogSize = 6 }; // options of ModuleLoadDataEx

struct Driver {
  Result (*Init)(unsigned);
  Result (*DeviceGetCount)(int *);
  Result (*DeviceGet)(Device *, int);
  Result (*DevicePrimaryCtxRetain)(Context *, Device);
  Result (*CtxSetCurrent)(Context);
  Result (*ModuleLoadDataEx)(ModuleHandle *, const void *, unsigned, int *,
                             void **);
  Result (*ModuleGetFunction)(Function *, ModuleHandle, const char *);
  Result (*LaunchKernel)(Function, unsigned, unsigned, unsigned, unsigned,
                         unsigned, unsigned, unsigned, Stream, void **,
                         void **);
  Result (*MemAlloc)(Pointer *, size_t);
  Result (*MemFree)(Pointer);
  Result (*MemcpyHtoD)(Pointer, const void *, size_t);
  Result (*MemcpyDtoH)(void *, Pointer, size_t);
  Result (*StreamSynchronize)(Stream);
  Result (*GetErrorName)(Result, const char **);

  Context context; ///< of the first device

  /// Makes the first device the calling thread's.
  void enter() const;
  /// Throws Failure, saying what was being done, where `result` is an error.
  void check(Result result, const char *doing) const;
};

/// The driver, with its first device. Throws Failure where there is none,
/// saying what was tried.
const Driver &driver();

/// A block of the device's memory that grows on demand and is kept between
/// uses. Not thread-safe.
class Memory {
public:
  Memory() = default;
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  Memory(Memory &&other) noexcept;
  ~Memory();

  /// Returns at least `bytes`, never null; contents are lost when the block has
  /// to grow. Throws Failure.
  Pointer reserve(size_t bytes);
  size_t capacity() const { return size; }

private:
  Pointer block = 0;
  size_t size = 0;
};

} // namespace tenon::runtime::cuda

#endif // TENON_RUNTIME_CUDADRIVER_H
