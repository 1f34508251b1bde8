// Objects of kernels that earlier compilations made, in a folder.
#ifndef TENON_LIB_TARGET_CPU_KERNELCACHE_H
#define TENON_LIB_TARGET_CPU_KERNELCACHE_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include <mutex>

namespace tenon {

/// A file for each object, with a digest behind it: one that was damaged is not
/// found. Several processes may use one folder; the oldest files are removed as
/// it grows. May be used by several threads.
class KernelCache {
public:
  /// No folder is a cache in which nothing is found.
  explicit KernelCache(llvm::StringRef folder) : folder(folder.str()) {}

  /// Null if it is not there.
  std::unique_ptr<llvm::MemoryBuffer> find(llvm::StringRef key);
  void add(llvm::StringRef key, llvm::StringRef object);

  /// Removes the oldest files of a folder that is too large.
  void prune();

  /// What has kept an object from being added; empty if nothing has.
  std::string problem() const { return firstProblem; }

private:
  std::string pathOf(llvm::StringRef key) const;
  std::error_code write(llvm::StringRef path, llvm::StringRef object);

  std::string folder, firstProblem;
  std::mutex mutex; ///< of firstProblem
};

} // namespace tenon

#endif // TENON_LIB_TARGET_CPU_KERNELCACHE_H
