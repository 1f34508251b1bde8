// Asks LLVM what x86-64 processors have, this one among them.
#include "Processor.h"
#include "tenon-c/ModuleAbi.h"
#include "tenon/Target/CPU/Emit.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"

namespace tenon {

const llvm::Target &processorTarget() {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  std::string error;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(processorTriple(), error);
  if (!target)
    llvm::report_fatal_error("LLVM was built without x86: " +
                             llvm::StringRef(error));
  return *target;
}

std::unique_ptr<llvm::MCSubtargetInfo> describeProcessor(llvm::StringRef cpu) {
  return std::unique_ptr<llvm::MCSubtargetInfo>(
      processorTarget().createMCSubtargetInfo(processorTriple(), cpu, ""));
}

uint64_t featuresOf(const llvm::MCSubtargetInfo &processor) {
  uint64_t features = 0;
#define FEATURE(BIT, NAME, ...)                                                \
  if (processor.checkFeatures("+" NAME))                                       \
    features |= uint64_t(1) << BIT;
  TN_X86_FEATURES(FEATURE)
#undef FEATURE
  return features;
}

/// What of TN_X86_FEATURES this machine has.
static uint64_t ownFeatures() {
  llvm::StringMap<bool> known = llvm::sys::getHostCPUFeatures();
  uint64_t features = 0;
#define FEATURE(BIT, NAME, ...)                                                \
  if (known.lookup(NAME))                                                      \
    features |= uint64_t(1) << BIT;
  TN_X86_FEATURES(FEATURE)
#undef FEATURE
  return features;
}

bool runsHere(const TargetFacts &facts) {
  static const uint64_t own = ownFeatures();
  return (featuresOf(*describeProcessor(facts.cpu)) & ~own) == 0;
}

const TargetFacts &nativeFacts() {
  const TargetFacts *best = &knownTargets().front();
  for (const TargetFacts &facts : knownTargets())
    if (runsHere(facts))
      best = &facts;
  return *best;
}

} // namespace tenon
