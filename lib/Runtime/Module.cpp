// Loads the code of an artifact once its file has been checked.
#include "Module.h"
#include "Failure.h"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <sys/stat.h>
#include <vector>

using namespace tenon::runtime;

void Module::Closer::operator()(void *handle) const { dlclose(handle); }

void *Module::find(const std::string &path, const char *symbol) {
  void *address = dlsym(library.get(), symbol);
  if (!address)
    fail(TN_ERROR_ARTIFACT, "artifact '", path, "' does not export '", symbol,
         "'");
  return address;
}

/// A name of the file at an absolute `path` for dlopen, which takes a name that
/// it has loaded for that file, also where another has come into its place
/// since: then the code would be that of one and the weights those of the
/// other.
static std::string loadableName(const std::string &path) {
  using Identity = std::pair<dev_t, ino_t>;
  static std::mutex mutex;
  static std::map<std::string, std::vector<Identity>> seen;
  struct stat status;
  if (stat(path.c_str(), &status) != 0)
    return path;
  std::lock_guard<std::mutex> lock(mutex);
  std::vector<Identity> &files = seen[path];
  Identity identity(status.st_dev, status.st_ino);
  auto place = std::find(files.begin(), files.end(), identity);
  std::string name;
  for (auto before = files.begin(); before != place; ++before)
    name += "/.";
  if (place == files.end())
    files.push_back(identity);
  return name + path;
}

/// Says of which weights even the smallest run reads rows alone.
static void expectLookUps(const ArtifactFile &file, const Description &text) {
  std::vector<int64_t> sizes;
  for (const Symbol &symbol : text.symbols)
    sizes.push_back(std::max<int64_t>(1, symbol.min));
  std::vector<bool> isRead = text.weightsReadInFull(sizes);
  for (size_t i = 0; i < isRead.size(); ++i) {
    const Buffer &buffer = text.buffers[i];
    if (buffer.position >= 0 && buffer.bytes && !isRead[i])
      file.expectLookUps(buffer.position, buffer.bytes->evaluate(sizes));
  }
}

Module::Module(const std::string &path) : file(path) {
  // A name without a slash would make dlopen search the library path.
  char resolved[PATH_MAX];
  const char *full = realpath(path.c_str(), resolved);
  std::string name = full ? loadableName(full) : path;
  // A program cannot be opened again, but it can look into itself.
  library.reset(
      dlopen(file.isProgram() ? nullptr : name.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!library) {
    const char *why = dlerror();
    fail(TN_ERROR_ARTIFACT, "cannot load artifact '", path,
         "': ", why ? why : "no reason given");
  }
  auto version =
      *static_cast<const uint32_t *>(find(path, "tenon_abi_version"));
  if (version != TN_ABI_VERSION)
    fail(TN_ERROR_ARTIFACT, "artifact '", path, "' has ABI version ", version,
         ", this runtime has ABI version ", TN_ABI_VERSION,
         ": compile the model again");
  sizes = reinterpret_cast<SizesFunction>(find(path, "tenon_sizes"));
  run = reinterpret_cast<RunFunction>(find(path, "tenon_run"));
  text = parseDescription(
      static_cast<const char *>(find(path, "tenon_description")));
  expectLookUps(file, text);
  if (void *ptx = dlsym(library.get(), "tenon_device_code"))
    deviceCode = std::make_unique<DeviceCode>(static_cast<const char *>(ptx),
                                              weights(), text.weightBytes);
}
