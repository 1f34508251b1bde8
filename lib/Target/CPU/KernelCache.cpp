// Reads and writes the files of the cache.
#include "KernelCache.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/raw_ostream.h"

using namespace tenon;
using llvm::StringRef;

static constexpr size_t digestBytes = 32;

static std::array<uint8_t, digestBytes> digestOf(StringRef object) {
  return llvm::SHA256::hash(llvm::arrayRefFromStringRef(object));
}

std::string KernelCache::pathOf(StringRef key) const {
  // The only files that pruneCache looks at are called so.
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, "llvmcache-" + key);
  return path.str().str();
}

std::unique_ptr<llvm::MemoryBuffer> KernelCache::find(StringRef key) {
  if (folder.empty())
    return nullptr;
  auto file = llvm::MemoryBuffer::getFile(pathOf(key), /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false);
  if (!file || (*file)->getBufferSize() < digestBytes)
    return nullptr;
  StringRef object = (*file)->getBuffer().drop_back(digestBytes);
  if (llvm::toStringRef(digestOf(object)) !=
      (*file)->getBuffer().take_back(digestBytes))
    return nullptr;
  return llvm::MemoryBuffer::getMemBufferCopy(object);
}

/// To a name of its own first: another process sees all of it or nothing.
std::error_code KernelCache::write(StringRef path, StringRef object) {
  if (std::error_code error = llvm::sys::fs::create_directories(folder))
    return error;
  int descriptor;
  llvm::SmallString<128> temporary;
  if (std::error_code error = llvm::sys::fs::createUniqueFile(
          path + ".%%%%%%%%", descriptor, temporary))
    return error;
  llvm::raw_fd_ostream os(descriptor, /*shouldClose=*/true);
  os << object << llvm::toStringRef(digestOf(object));
  os.close();
  std::error_code error = os.error();
  os.clear_error();
  if (!error)
    error = llvm::sys::fs::rename(temporary, path);
  if (error)
    llvm::sys::fs::remove(temporary);
  return error;
}

void KernelCache::add(StringRef key, StringRef object) {
  if (folder.empty())
    return;
  std::error_code error = write(pathOf(key), object);
  std::lock_guard<std::mutex> lock(mutex);
  if (error && firstProblem.empty())
    firstProblem = "cannot write '" + pathOf(key) + "': " + error.message();
}

void KernelCache::prune() {
  llvm::CachePruningPolicy policy;
  policy.MaxSizeBytes = uint64_t(1) << 30;
  policy.Expiration = std::chrono::hours(24 * 90);
  if (!folder.empty())
    llvm::pruneCache(folder, policy);
}
