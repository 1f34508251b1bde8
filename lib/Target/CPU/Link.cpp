// Runs lld, which comes with LLVM; no compiler is needed on the machine.
#include "Link.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include <cmath>
#include <cstdio>
#include <dlfcn.h>

using namespace mlir;
using llvm::StringRef;

/// The file that `address` was loaded from.
static std::string libraryOf(const void *address) {
  Dl_info info;
  if (!dladdr(address, &info) || !info.dli_fname)
    return "";
  SmallString<128> path;
  llvm::sys::fs::real_path(info.dli_fname, path);
  return path.str().str();
}

/// The lld of the LLVM that this process runs on, or one in the path.
static FailureOr<std::string> findLinker(Location loc) {
  void *llvm = reinterpret_cast<void *>(&llvm::cl::PrintVersionMessage);
  SmallString<128> folder(llvm::sys::path::parent_path(libraryOf(llvm)));
  llvm::sys::path::append(folder, "..", "bin");
  for (StringRef name : {"ld.lld", "ld.lld-22"}) {
    if (auto beside = llvm::sys::findProgramByName(name, {folder}))
      return *beside;
    if (auto inPath = llvm::sys::findProgramByName(name))
      return *inPath;
  }
  return emitError(loc) << "cannot be linked: there is no 'ld.lld' in '"
                        << folder << "' or in the path; on Debian, package "
                        << "lld-22 has it";
}

static LogicalResult runLinker(Location loc, ArrayRef<StringRef> arguments) {
  FailureOr<std::string> linker = findLinker(loc);
  if (failed(linker))
    return failure();
  SmallVector<StringRef> command{*linker};
  llvm::append_range(command, arguments);
  std::string error;
  int code = llvm::sys::ExecuteAndWait(*linker, command, std::nullopt, {}, 0, 0,
                                       &error);
  if (code)
    return emitError(loc) << "cannot be linked: '" << *linker << "' returned "
                          << code << " " << error;
  return success();
}

LogicalResult tenon::linkSharedObject(Location loc, StringRef object,
                                      StringRef output) {
  return runLinker(
      loc, {"-shared", "--build-id=none", "-z", "now", "-o", output, object});
}

LogicalResult tenon::linkProgram(Location loc, StringRef object,
                                 StringRef runtime, StringRef output) {
  if (!llvm::sys::fs::exists(runtime))
    return emitError(loc) << "cannot be linked to a program: there is no '"
                          << runtime << "', which is installed with Tenon";
  // Their files are there, since this process runs on them.
  std::string c = libraryOf(reinterpret_cast<void *>(&std::fopen));
  std::string math = libraryOf(
      reinterpret_cast<void *>(static_cast<double (*)(double)>(&std::cbrt)));
  StringRef loader = "/lib64/ld-linux-x86-64.so.2";
  return runLinker(loc,
                   // Without the table of frames an exception ends the program.
                   {"-pie", "-dynamic-linker", loader, "--gc-sections",
                    "--eh-frame-hdr", "--export-dynamic-symbol=tenon_*",
                    "--build-id=none", "-z", "now", "-o", output, runtime,
                    object, c, math, loader});
}
