// LLVM IR of a plan to the machine's code: as one object, or kernel by kernel.
#ifndef TENON_LIB_TARGET_CPU_CODEGENERATION_H
#define TENON_LIB_TARGET_CPU_CODEGENERATION_H

#include "mlir/IR/BuiltinOps.h"
#include "tenon/Target/Interface/Target.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/CodeGen.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Target/TargetMachine.h"

namespace tenon {

std::unique_ptr<llvm::TargetMachine> createMachine(const TargetFacts &facts);

/// Optimises a whole module. Only what ModuleAbi.h names stays visible.
void optimize(llvm::Module &module, const TargetFacts &facts,
              llvm::TargetMachine &machine);

/// An optimised module as assembly or an object.
mlir::FailureOr<llvm::SmallString<0>> generateCode(mlir::ModuleOp plan,
                                                   llvm::Module &module,
                                                   llvm::TargetMachine &machine,
                                                   llvm::CodeGenFileType type);

/// Optimises each kernel by itself, in the context's threads, and returns an
/// archive of their objects and one of the rest: the same bytes for any number
/// of threads. Objects of equal kernels that `options.kernelCache` has are
/// taken from there, others are put there.
mlir::FailureOr<std::unique_ptr<llvm::MemoryBuffer>>
generateArchive(mlir::ModuleOp plan, llvm::Module &module,
                const TargetFacts &facts, const EmitOptions &options);

/// Fails if an object calls anything but `kernels`, memcpy and its like.
mlir::LogicalResult checkUndefined(mlir::ModuleOp plan, llvm::StringRef object,
                                   const llvm::StringSet<> &kernels = {});

} // namespace tenon

#endif // TENON_LIB_TARGET_CPU_CODEGENERATION_H
