// What a kind of machine is for the compiler: everything the phases ask of it.
// One folder in lib/Target implements one; lib/Target/Registry.cpp lists them.
#ifndef TENON_TARGET_INTERFACE_TARGET_H
#define TENON_TARGET_INTERFACE_TARGET_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectInterface.h"
#include "mlir/Support/Timing.h"
#include "tenon/Target/Interface/KernelFamily.h"
#include <functional>

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace tenon {

/// What the user asks of a file that is written.
struct EmitOptions {
  std::string kind = "so";       ///< one of the target's emitKinds()
  std::string modelFolder = "."; ///< that weights' file names are relative to
  std::string programRuntime;    ///< tenon-program.o, for "exe"
  std::string kernelCache;       ///< a folder of objects of kernels, or empty
  /// Hears how many bytes of how many, about, of the weights are written.
  std::function<void(uint64_t, uint64_t)> progress = [](uint64_t, uint64_t) {};
  /// Hears how many kernels there are, and how many of them the cache had.
  std::function<void(int64_t, int64_t)> kernels = [](int64_t, int64_t) {};
  mlir::TimingScope *timing = nullptr; ///< gets a timer for each step

  /// Runs until the scope ends.
  mlir::TimingScope timer(llvm::StringRef step) const {
    return timing ? timing->nest(step) : mlir::TimingScope();
  }
};

/// Stateless, and alive as long as the process.
class Target {
public:
  virtual ~Target() = default;

  /// What --target calls it, e.g. "cpu".
  virtual llvm::StringRef name() const = 0;

  /// The machines that are known, at least one; the first is meant where the
  /// user names only the target. Their names are unique over all targets.
  virtual llvm::ArrayRef<TargetFacts> facts() const = 0;

  /// Phase schedule: who may take a region. The first that matches wins, so the
  /// last is the one that takes the most.
  virtual llvm::ArrayRef<KernelFamily> families() const = 0;

  /// Whether the families read and write tensors of this type of floats.
  virtual bool takes(mlir::FloatType element) const { return element.isF32(); }

  /// Phase emit: a plan whose kernels are what `families` wrote, to the llvm
  /// dialect. What remains must be what include/tenon-c/ModuleAbi.h asks for.
  virtual void buildLoweringPipeline(mlir::OpPassManager &pm,
                                     const TargetFacts &facts) const = 0;

  /// What `emit` can write, the artifact first.
  virtual llvm::ArrayRef<llvm::StringLiteral> emitKinds() const = 0;

  /// Lowers a plan and writes it to `outputPath`. The file appears whole or not
  /// at all. Emits a diagnostic on failure.
  virtual mlir::LogicalResult emit(mlir::ModuleOp plan,
                                   const TargetFacts &facts,
                                   const EmitOptions &options,
                                   llvm::StringRef outputPath) const = 0;
};

/// A target and the machine of its kind that code is made for.
struct TargetChoice {
  const Target *target;
  TargetFacts facts;
};

/// Reads the name of a target, of a machine, or of a facts file, which
/// describes a machine of the first target. An error says which names there
/// are.
llvm::Expected<TargetChoice> chooseTarget(llvm::ArrayRef<const Target *> among,
                                          llvm::StringRef name);

/// The targets that passes know, hung on the kernel dialect.
class TargetTable : public mlir::DialectInterface::Base<TargetTable> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TargetTable)
  TargetTable(mlir::Dialect *dialect, llvm::ArrayRef<const Target *> targets)
      : Base(dialect), targets(targets) {}

  llvm::ArrayRef<const Target *> targets;
};

} // namespace tenon

#endif // TENON_TARGET_INTERFACE_TARGET_H
