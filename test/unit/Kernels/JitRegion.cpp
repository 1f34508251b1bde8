// Schedules one kernel.region, compiles its body for this machine and runs it.
#include "JitRegion.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"

using namespace mlir;
using namespace tenon;

/// The body of the scheduled region as a function, and its grid as another.
static void outline(ModuleOp module, kernel::RegionOp region) {
  auto source = region->getParentOfType<func::FuncOp>();
  OpBuilder b(module.getBodyRegion());
  Location loc = region.getLoc();
  Block &body = region.getBody().front();

  SmallVector<Value> indices;
  for (Value argument : source.getArguments())
    if (argument.getType().isIndex())
      indices.push_back(argument);
  auto grid = func::FuncOp::create(
      b, loc, "grid",
      b.getFunctionType(SmallVector<Type>(indices.size(), b.getIndexType()),
                        {b.getIndexType()}));
  b.setInsertionPointToStart(grid.addEntryBlock());
  IRMapping map;
  map.map(indices, grid.getArguments());
  for (Operation &op : source.getBody().front())
    if (isa<arith::ArithDialect>(op.getDialect()))
      b.clone(op, map);
  func::ReturnOp::create(b, loc, map.lookup(region.getGrid()));

  b.setInsertionPointToStart(module.getBody());
  auto kernel = func::FuncOp::create(
      b, loc, "kernel", b.getFunctionType(body.getArgumentTypes(), {}));
  kernel->setAttr("llvm.emit_c_interface", b.getUnitAttr());
  kernel.getBody().takeBody(region.getBody());
  Operation *yield = kernel.getBody().front().getTerminator();
  b.setInsertionPoint(yield);
  func::ReturnOp::create(b, loc);
  yield->erase();
  source.erase();
}

JitRegion::JitRegion(const std::string &text, KernelFamily family,
                     TargetFacts facts) {
  DialectRegistry registry;
  registry
      .insert<arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect,
              kernel::KernelDialect, linalg::LinalgDialect, LLVM::LLVMDialect,
              math::MathDialect, memref::MemRefDialect, scf::SCFDialect,
              tensor::TensorDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    message += diagnostic.str() + "\n";
    return success();
  });

  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return;
  auto find = [&] {
    kernel::RegionOp found;
    module->walk([&](kernel::RegionOp region) { found = region; });
    return found;
  };
  IRRewriter rewriter(&context);
  if (!family.matches(find()) ||
      failed(family.schedule(find(), facts, rewriter)) ||
      failed(verify(*module)))
    return;
  outline(*module, find());

  RewritePatternSet patterns(&context);
  populateMathPolynomialApproximationPatterns(patterns);
  (void)applyPatternsGreedily(*module, std::move(patterns));

  PassManager passes(&context);
  static bool registered = [] {
    registerConversionPasses();
    memref::registerMemRefPasses();
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    return true;
  }();
  (void)registered;
  if (failed(parsePassPipeline(
          "convert-scf-to-cf,convert-vector-to-llvm,expand-strided-metadata,"
          "lower-affine,convert-math-to-llvm,convert-math-to-libm,"
          "finalize-memref-to-llvm,convert-func-to-llvm,convert-arith-to-llvm,"
          "convert-index-to-llvm,convert-cf-to-llvm,convert-vector-to-llvm,"
          "reconcile-unrealized-casts",
          passes)) ||
      failed(passes.run(*module)))
    return;

  auto builder =
      llvm::cantFail(llvm::orc::JITTargetMachineBuilder::detectHost());
  builder.setCPU(facts.cpu);
  builder.getFeatures() = llvm::SubtargetFeatures();
  builder.setCodeGenOptLevel(llvm::CodeGenOptLevel::Aggressive);
  auto machine = llvm::cantFail(builder.createTargetMachine());
  auto optimize = makeOptimizingTransformer(3, 0, machine.get());
  ExecutionEngineOptions options;
  options.transformer = optimize;
  options.jitCodeGenOptLevel = llvm::CodeGenOptLevel::Aggressive;
  options.enableObjectDump = true;
  auto created = ExecutionEngine::create(
      *module, options, llvm::cantFail(builder.createTargetMachine()));
  if (!created) {
    message += llvm::toString(created.takeError());
    return;
  }
  engine = std::move(*created);
}

int64_t JitRegion::grid(const std::vector<int64_t> &indices) {
  std::vector<int64_t> values(indices);
  int64_t result = 0;
  SmallVector<void *> arguments;
  for (int64_t &value : values)
    arguments.push_back(&value);
  arguments.push_back(&result);
  llvm::cantFail(engine->invokePacked("grid", arguments));
  return result;
}

void JitRegion::run(const std::vector<TestBuffer> &buffers,
                    const std::vector<int64_t> &indices, int64_t parts,
                    std::vector<int64_t> own) {
  std::vector<std::vector<int64_t>> descriptors;
  for (const TestBuffer &buffer : buffers) {
    int64_t address = reinterpret_cast<int64_t>(buffer.data);
    std::vector<int64_t> descriptor = {address, address, 0};
    std::vector<int64_t> strides(buffer.sizes.size());
    int64_t stride = 1;
    for (size_t dim = strides.size(); dim-- > 0;) {
      strides[dim] = stride;
      stride *= buffer.sizes[dim];
    }
    descriptor.insert(descriptor.end(), buffer.sizes.begin(),
                      buffer.sizes.end());
    descriptor.insert(descriptor.end(), strides.begin(), strides.end());
    descriptors.push_back(descriptor);
  }
  int64_t total = grid(indices);
  for (int64_t part = 0; part < parts; ++part) {
    int64_t begin = total * part / parts, end = total * (part + 1) / parts;
    std::vector<void *> pointers;
    for (auto &descriptor : descriptors)
      pointers.push_back(descriptor.data());
    SmallVector<void *> arguments;
    for (void *&pointer : pointers)
      arguments.push_back(&pointer);
    for (int64_t &value : own)
      arguments.push_back(&value);
    arguments.append({&begin, &end});
    llvm::cantFail(engine->invokePacked("_mlir_ciface_kernel", arguments));
  }
}

bool JitRegion::canRun(const TargetFacts &facts) {
  auto features = llvm::sys::getHostCPUFeatures();
  return features.lookup(facts.vectorBytes == 64 ? "avx512vl" : "avx2");
}
