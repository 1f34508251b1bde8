// x86-64 processors as LLVM knows them.
#ifndef TENON_LIB_TARGET_CPU_PROCESSOR_H
#define TENON_LIB_TARGET_CPU_PROCESSOR_H

#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include <memory>

namespace tenon {

/// What every artifact is made for.
inline llvm::Triple processorTriple() {
  return llvm::Triple("x86_64-unknown-linux-gnu");
}

/// LLVM's part for x86, ready to write code; part of the library, so that it is
/// always found.
const llvm::Target &processorTarget();

/// The features of the processor that LLVM calls `cpu`.
std::unique_ptr<llvm::MCSubtargetInfo> describeProcessor(llvm::StringRef cpu);

/// What of TN_X86_FEATURES code for it may use.
uint64_t featuresOf(const llvm::MCSubtargetInfo &processor);

} // namespace tenon

#endif // TENON_LIB_TARGET_CPU_PROCESSOR_H
