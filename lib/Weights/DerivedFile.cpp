// Writes what a compilation makes of weights.
#include "tenon/Weights/DerivedFile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

using llvm::StringRef;

llvm::Expected<std::string>
tenon::writeDerivedFile(StringRef prefix, llvm::ArrayRef<char> bytes) {
  auto hash = llvm::SHA256::hash(llvm::ArrayRef<uint8_t>(
      reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
  std::string path = prefix.str() + llvm::toHex(hash, /*LowerCase=*/true);
  StringRef folder = llvm::sys::path::parent_path(path);
  if (std::error_code error = llvm::sys::fs::create_directories(folder))
    return llvm::createStringError("cannot create '" + folder +
                                   "': " + error.message());
  // Until who compiles says that they are all there.
  llvm::sys::RemoveFileOnSignal(path);
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  if (!error) {
    file.write(bytes.data(), bytes.size());
    file.close();
    error = file.error();
    file.clear_error();
  }
  if (error)
    return llvm::createStringError("cannot write '" + llvm::Twine(path) +
                                   "': " + error.message());
  return path;
}
