// The families, in the order in which they are asked.
#include "tenon/Kernels/Family.h"

namespace tenon {

llvm::ArrayRef<KernelFamily> cpuFamilies() {
  // The fallback comes last.
  static const KernelFamily families[] = {contractFamily(), attentionFamily(),
                                          appendFamily(),   rowFamily(),
                                          linesFamily(),    loopsFamily()};
  return families;
}

llvm::ArrayRef<KernelFamily> gpuFamilies() {
  static const KernelFamily families[] = {
      tensorContractFamily(), threadContractFamily(), warpAttentionFamily(),
      warpRowFamily(),        threadLinesFamily(),    threadLoopsFamily()};
  return families;
}

} // namespace tenon
