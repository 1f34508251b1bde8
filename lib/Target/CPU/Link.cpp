// Runs lld, which comes with LLVM; no compiler is needed on the machine.
#include "Link.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include <cmath>
#include <cstdio>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

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

/// A name by which a child of this process opens a file that is open here, also
/// when it has been removed.
static std::string nameInChild(int file) {
  return "/proc/self/fd/" + std::to_string(file);
}

/// Links to a file that is there and open: a linker that goes on when this
/// process has been ended by a signal, and has removed its files, makes none.
static LogicalResult runLinker(Location loc, ArrayRef<StringRef> arguments,
                               StringRef output) {
  FailureOr<std::string> linker = findLinker(loc);
  if (failed(linker))
    return failure();
  int file, messages = memfd_create("messages", 0);
  if (std::error_code error = llvm::sys::fs::openFileForWrite(
          output, file, llvm::sys::fs::CD_CreateAlways,
          llvm::sys::fs::OF_ChildInherit))
    return emitError(loc) << "cannot write '" << output
                          << "': " << error.message();
  SmallVector<StringRef> command{*linker, "-o", "-"};
  llvm::append_range(command, arguments);
  std::string error, outputName = nameInChild(file),
                     messagesName = nameInChild(messages);
  int code = llvm::sys::ExecuteAndWait(
      *linker, command, std::nullopt,
      {std::nullopt, StringRef(outputName), StringRef(messagesName)}, 0, 0,
      &error);
  if (code) {
    if (auto text = llvm::MemoryBuffer::getFile(messagesName))
      error += (*text)->getBuffer();
    emitError(loc) << "cannot be linked: '" << *linker << "' returned " << code
                   << ": " << StringRef(error).trim();
  }
  close(file);
  close(messages);
  return failure(code != 0);
}

/// The linker marks only files that it makes itself as programs.
static LogicalResult makeExecutable(Location loc, StringRef output) {
  using namespace llvm::sys::fs;
  auto all = static_cast<perms>(0777 & ~getUmask());
  if (std::error_code error = setPermissions(output, all))
    return emitError(loc) << "cannot be made executable: " << error.message();
  return success();
}

LogicalResult tenon::linkSharedObject(Location loc, StringRef objects,
                                      StringRef output) {
  LogicalResult linked = runLinker(
      loc,
      {"-shared", "--build-id=none", "-z", "now", "--whole-archive", objects},
      output);
  return failed(linked) ? failure() : makeExecutable(loc, output);
}

LogicalResult tenon::linkProgram(Location loc, StringRef objects,
                                 StringRef runtime, StringRef output) {
  if (!llvm::sys::fs::exists(runtime))
    return emitError(loc) << "cannot be linked to a program: there is no '"
                          << runtime << "', which is installed with Tenon";
  // Their files are there, since this process runs on them.
  std::string c = libraryOf(reinterpret_cast<void *>(&std::fopen));
  std::string math = libraryOf(
      reinterpret_cast<void *>(static_cast<double (*)(double)>(&std::cbrt)));
  StringRef loader = "/lib64/ld-linux-x86-64.so.2";
  LogicalResult linked =
      runLinker(loc,
                // Without the table of frames an exception ends the program.
                {"-pie", "-dynamic-linker", loader, "--gc-sections",
                 "--eh-frame-hdr", "--export-dynamic-symbol=tenon_*",
                 "--build-id=none", "-z", "now", runtime, "--whole-archive",
                 objects, "--no-whole-archive", c, math, loader},
                output);
  return failed(linked) ? failure() : makeExecutable(loc, output);
}
