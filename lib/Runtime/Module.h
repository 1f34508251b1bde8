// A loaded artifact: its code, its weights and its description.
#ifndef TENON_RUNTIME_MODULE_H
#define TENON_RUNTIME_MODULE_H

#include "ArtifactFile.h"
#include "Description.h"
#include "DeviceCode.h"
#include "tenon-c/ModuleAbi.h"
#include <memory>

namespace tenon::runtime {

/// Immutable once loaded, so any thread may read it.
class Module {
public:
  /// Throws Failure.
  explicit Module(const std::string &path);

  using SizesFunction = int64_t (*)(const int64_t *symbols,
                                    int64_t *outputSizes, int64_t *arenaBytes);
  using RunFunction = int64_t (*)(tn_frame *frame);

  const Description &description() const { return text; }
  const uint8_t *weights() const { return file.weights(); }
  /// Null where the kernels are the CPU's.
  DeviceCode *device() const { return deviceCode.get(); }
  SizesFunction sizes = nullptr;
  RunFunction run = nullptr;

private:
  struct Closer {
    void operator()(void *handle) const;
  };
  void *find(const std::string &path, const char *symbol);

  ArtifactFile file;
  std::unique_ptr<void, Closer> library;
  Description text;
  std::unique_ptr<DeviceCode> deviceCode;
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_MODULE_H
