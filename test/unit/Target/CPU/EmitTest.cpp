// A plan written by hand becomes an artifact that computes the right numbers.
#include "tenon/Target/CPU/Emit.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Parser/Parser.h"
#include "tenon-c/ModuleAbi.h"
#include "tenon/Dialect/Plan/IR/PlanOps.h"
#include "gtest/gtest.h"
#include <cmath>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>

using namespace mlir;

static const char *const text = R"(
func.func private @other(f32) -> f32
func.func private @e(%x: memref<?xf32>, %y: memref<?xf32>, %begin: index, %end: index) attributes {tenon.kernel} {
  %one = arith.constant 1 : index
  scf.for %i = %begin to %end step %one {
    %0 = memref.load %x[%i] : memref<?xf32>
    %1 = math.exp %0 : f32
    memref.store %1, %y[%i] : memref<?xf32>
  }
  return
}
func.func private @w(%x: memref<?xf32>, %w: memref<2xf32>, %y: memref<?xf32>, %begin: index, %end: index) attributes {tenon.kernel} {
  %one = arith.constant 1 : index
  %v = memref.load %w[%one] : memref<2xf32>
  scf.for %i = %begin to %end step %one {
    %0 = memref.load %x[%i] : memref<?xf32>
    %t = math.tanh %0 : f32
    %f = math.erf %0 : f32
    %s = arith.addf %t, %f : f32
    %1 = arith.mulf %s, %v : f32
    memref.store %1, %y[%i] : memref<?xf32>
  }
  return
}
func.func @main(%x: memref<?xf32> {tenon.name = "x", tenon.dims = ["n"]}, %y: memref<?xf32> {tenon.output, tenon.name = "y"}) {
  %n = plan.symbol "n" range 0 to 5000
  %m = plan.symbol "m" range 0 to 5000
  plan.assume_equal %n, %m
  %w = plan.weight "w" from "emit-test.bin" at 4 source tensor<2xf32> layout "rows" position 64 : memref<2xf32>
  %a = plan.alloc 0 below [] sizes(%n) : memref<?xf32>
  plan.launch @e grid(%n) buffers(%x, %a : memref<?xf32>, memref<?xf32>) indices()
  plan.launch @w grid(%n) buffers(%a, %w, %y : memref<?xf32>, memref<2xf32>, memref<?xf32>) indices()
  plan.output %y sizes(%n) : memref<?xf32>
  return
}
)";

static void runSection(tn_frame *, int64_t, int64_t count,
                       const tn_grid *grids) {
  for (int64_t i = 0; i < count; ++i) {
    const tn_grid &grid = grids[i];
    grid.kernel(grid.buffers, grid.sizes, 0, grid.size / 2);
    grid.kernel(grid.buffers, grid.sizes, grid.size / 2, grid.size);
  }
}

static DialectRegistry allDialects() {
  DialectRegistry registry;
  registry.insert<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect,
                  math::MathDialect, memref::MemRefDialect, scf::SCFDialect,
                  tenon::plan::PlanDialect, vector::VectorDialect>();
  registerAllExtensions(registry);
  return registry;
}

/// The folder of the weights that `text` reads.
static std::string writeWeights() {
  std::string folder = testing::TempDir();
  float source[] = {7, 8, 3};
  std::ofstream(folder + "/emit-test.bin", std::ios::binary)
      .write(reinterpret_cast<char *>(source), sizeof(source));
  return folder;
}

TEST(Emit, TwoLaunchesGiveTheRightNumbers) {
  std::string folder = writeWeights();
  MLIRContext context(allDialects());
  auto module = parseSourceString<ModuleOp>(text, &context);
  ASSERT_TRUE(module);
  std::string path = folder + "/emit-test.so";
  tenon::EmitOptions options;
  options.modelFolder = folder;
  ASSERT_TRUE(succeeded(
      tenon::emitArtifact(*module, tenon::avx2Facts(), options, path)));
  void *handle = dlopen(path.c_str(), RTLD_NOW);
  ASSERT_TRUE(handle) << dlerror();
  auto sizes =
      reinterpret_cast<int64_t (*)(const int64_t *, int64_t *, int64_t *)>(
          dlsym(handle, "tenon_sizes"));
  auto run =
      reinterpret_cast<int64_t (*)(tn_frame *)>(dlsym(handle, "tenon_run"));
  ASSERT_TRUE(sizes && run);
  EXPECT_EQ(dlsym(handle, "e"), nullptr);
  int64_t differing[] = {3, 4}, symbols[] = {4000, 4000}, size = 0, arena = 0;
  EXPECT_EQ(sizes(differing, &size, &arena), 1);
  ASSERT_EQ(sizes(symbols, &size, &arena), 0);
  EXPECT_EQ(size, 4000);
  EXPECT_EQ(arena, 16000);
  std::vector<float> x(4000), y(4000), memory(4100);
  for (int i = 0; i < 4000; ++i)
    x[i] = -20 + i * 0.0055f;
  std::vector<float> weights(18);
  weights[17] = 3;
  void *inputs[] = {x.data()}, *outputs[] = {y.data()};
  auto base = (reinterpret_cast<uintptr_t>(memory.data()) + 63) & -64;
  tn_frame frame = {inputs,
                    outputs,
                    reinterpret_cast<uint8_t *>(base),
                    reinterpret_cast<uint8_t *>(weights.data()),
                    symbols,
                    runSection,
                    nullptr};
  run(&frame);
  for (int i = 0; i < 4000; ++i) {
    double e = std::exp(double(x[i]));
    double wanted = 3 * (std::tanh(e) + std::erf(e));
    EXPECT_NEAR(y[i], wanted, 1e-6 * wanted) << "at " << x[i];
  }
  dlclose(handle);
}

#if defined(__x86_64__)
static const char *const laneText = R"(
func.func private @k(%x: memref<16xf32>, %y: memref<?xi8>, %begin: index, %end: index) attributes {tenon.kernel} {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %mask = vector.constant_mask [1] : vector<16xi1>
  scf.for %i = %begin to %end step %one {
    %0 = vector.load %x[%zero] : memref<16xf32>, vector<16xf32>
    %1 = arith.fptosi %0 : vector<16xf32> to vector<16xi32>
    %2 = arith.trunci %1 : vector<16xi32> to vector<16xi8>
    vector.maskedstore %y[%one], %mask, %2 : memref<?xi8>, vector<16xi1>, vector<16xi8>
  }
  return
}
func.func @main(%x: memref<16xf32> {tenon.name = "x", tenon.dims = [16]}, %y: memref<?xi8> {tenon.output, tenon.name = "y"}) {
  %n = plan.symbol "n" range 0 to 5000
  %grid = arith.constant 1 : index
  plan.launch @k grid(%grid) buffers(%x, %y : memref<16xf32>, memref<?xi8>) indices()
  plan.output %y sizes(%n) : memref<?xi8>
  return
}
)";

// LLVM stores four bytes for it if nothing is done about that.
TEST(Emit, OneLaneOfATruncatedVectorIsOneByte) {
  if (!__builtin_cpu_supports("avx512bw"))
    GTEST_SKIP() << "this processor has no AVX-512";
  MLIRContext context(allDialects());
  auto module = parseSourceString<ModuleOp>(laneText, &context);
  ASSERT_TRUE(module);
  std::string path = testing::TempDir() + "/emit-lane.so";
  ASSERT_TRUE(succeeded(tenon::emitArtifact(*module, tenon::avx512Facts(),
                                            tenon::EmitOptions(), path)));
  void *handle = dlopen(path.c_str(), RTLD_NOW);
  ASSERT_TRUE(handle) << dlerror();
  auto run =
      reinterpret_cast<int64_t (*)(tn_frame *)>(dlsym(handle, "tenon_run"));
  ASSERT_TRUE(run);
  std::vector<float> x(16, 5);
  std::vector<uint8_t> y(8, 0xaa);
  int64_t symbols[] = {8};
  void *inputs[] = {x.data()}, *outputs[] = {y.data()};
  tn_frame frame = {inputs,  outputs,    nullptr, nullptr,
                    symbols, runSection, nullptr};
  run(&frame);
  std::vector<uint8_t> wanted(8, 0xaa);
  wanted[1] = 5;
  EXPECT_EQ(y, wanted);
  dlclose(handle);
}
#endif

namespace {

/// What emitting the plan with a kernel cache leads to.
struct CachedEmit {
  int64_t kernels = 0, cached = 0;
  std::string warning, artifact;
};

} // namespace

static CachedEmit emitWithCache(const std::string &cache) {
  CachedEmit result;
  MLIRContext context(allDialects());
  auto module = parseSourceString<ModuleOp>(text, &context);
  std::string path = testing::TempDir() + "/emit-cached.so";
  tenon::EmitOptions options;
  options.modelFolder = writeWeights();
  options.kernelCache = cache;
  options.kernels = [&](int64_t kernels, int64_t cached) {
    result.kernels = kernels;
    result.cached = cached;
  };
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    result.warning += diagnostic.str();
  });
  EXPECT_TRUE(module && succeeded(tenon::emitArtifact(
                            *module, tenon::avx2Facts(), options, path)));
  std::ifstream file(path, std::ios::binary);
  result.artifact.assign(std::istreambuf_iterator<char>(file), {});
  return result;
}

TEST(Emit, FindsKernelsInTheCache) {
  std::string folder = testing::TempDir() + "/emit-cache";
  std::filesystem::remove_all(folder);
  CachedEmit without = emitWithCache("");
  EXPECT_GT(without.kernels, 1);
  EXPECT_EQ(without.cached, 0);
  CachedEmit first = emitWithCache(folder), second = emitWithCache(folder);
  EXPECT_EQ(first.cached, 0);
  EXPECT_EQ(second.cached, second.kernels);
  EXPECT_EQ(first.artifact, without.artifact);
  EXPECT_EQ(second.artifact, without.artifact);
  // What was damaged is made again.
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    if (entry.file_size() > 100)
      std::filesystem::resize_file(entry.path(), entry.file_size() - 50);
  CachedEmit damaged = emitWithCache(folder);
  EXPECT_EQ(damaged.cached, 0);
  EXPECT_EQ(damaged.artifact, without.artifact);
  EXPECT_EQ(emitWithCache(folder).cached, damaged.kernels);
}

TEST(Emit, SaysThatTheCacheCannotBeWritten) {
  std::string file = testing::TempDir() + "/emit-no-folder";
  std::ofstream(file) << "no folder";
  CachedEmit result = emitWithCache(file);
  EXPECT_EQ(result.cached, 0);
  EXPECT_FALSE(result.artifact.empty());
  EXPECT_NE(result.warning.find("will not find kernels of this one: cannot "
                                "write '" +
                                file),
            std::string::npos)
      << result.warning;
}

/// What is said of the plan in which `from` reads `to`.
static std::string errorOf(std::string from, std::string to,
                           const tenon::EmitOptions &options,
                           const std::string &path) {
  MLIRContext context(allDialects());
  std::string plan = text, error;
  plan.replace(plan.find(from), from.size(), to);
  auto module = parseSourceString<ModuleOp>(plan, &context);
  ScopedDiagnosticHandler handler(
      &context, [&](Diagnostic &diagnostic) { error += diagnostic.str(); });
  EXPECT_TRUE(module && failed(tenon::emitArtifact(*module, tenon::avx2Facts(),
                                                   options, path)));
  return error;
}

TEST(Emit, RefusesPlansThatAreWrong) {
  tenon::EmitOptions options;
  options.modelFolder = writeWeights();
  options.kind = "obj";
  std::string path = testing::TempDir() + "/emit-refused.o";
  const char *cases[][3] = {
      {"layout \"rows\"", "layout \"columns\"",
       "has layout 'columns', which is none that emit knows"},
      {"layout \"rows\"", "layout \"panel32\"",
       "has layout panel32, which needs a matrix, but source 'tensor<2xf32>'"},
      {"source tensor<2xf32>", "source tensor<1xf32>",
       "has 4 bytes, but type 'memref<2xf32>' needs 8"},
      {"%a = plan.alloc",
       "%c = plan.constant dense<1.0> : tensor<32xf32> position 0 -> "
       "memref<32xf32>\n  %a = plan.alloc",
       "lies at 64, before the end of its predecessor at 128"},
      {"math.exp %0 : f32", "func.call @other(%0) : (f32) -> f32",
       "needs the external function 'other', which an artifact must not call"},
  };
  for (auto [from, to, message] : cases)
    EXPECT_NE(errorOf(from, to, options, path).find(message), std::string::npos)
        << errorOf(from, to, options, path);
  EXPECT_FALSE(std::ifstream(path).good());
}

TEST(Emit, RefusesFilesThatItCannotWrite) {
  tenon::EmitOptions options;
  options.modelFolder = writeWeights();
  auto error = [&](const char *kind, const std::string &path) {
    options.kind = kind;
    return errorOf("", "", options, path);
  };
  EXPECT_EQ(error("dll", "x")
                .find("cannot be emitted as 'dll', only as one of "
                      "so, exe, header"),
            0u);
  for (const char *kind : {"so", "obj", "asm", "mlir"})
    EXPECT_EQ(error(kind, "/none/x").find("cannot write '/none/x"), 0u) << kind;
  std::string folder = testing::TempDir();
  EXPECT_EQ(error("mlir", folder).find("cannot write '" + folder), 0u);
  options.programRuntime = "/none/runtime.o";
  EXPECT_EQ(error("exe", folder + "/x"),
            "cannot be linked to a program: there is no '/none/runtime.o', "
            "which is installed with Tenon");
}
