// Each function of the vector math over the whole range of f32, against double.
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
#include "tenon/Target/CPU/Emit.h"
#include "gtest/gtest.h"
#include <cmath>
#include <cstring>
#include <dlfcn.h>

using namespace mlir;

namespace {

constexpr int64_t count = 1 << 16;

/// One math op, or the sum of 1 and it, compiled as an artifact is.
class Compiled {
public:
  Compiled(const std::string &op, bool onePlus,
           const tenon::TargetFacts &facts) {
    std::string lanes = std::to_string(facts.vectorBytes / 4);
    std::string vector = "vector<" + lanes + "xf32>";
    std::string memref = "memref<" + std::to_string(count) + "xf32>";
    std::string text =
        "func.func private @k(%x: " + memref + ", %y: " + memref +
        ", %begin: index, %end: index) attributes {tenon.kernel} {\n"
        "  %step = arith.constant " +
        lanes +
        " : index\n"
        "  scf.for %i = %begin to %end step %step {\n"
        "    %0 = vector.load %x[%i] : " +
        memref + ", " + vector +
        "\n"
        "    %1 = " +
        op + " %0 : " + vector + "\n" +
        (onePlus ? "    %one = arith.constant dense<1.0> : " + vector +
                       "\n    %2 = arith.addf %one, %1 : " + vector + "\n"
                 : "") +
        "    vector.store " + (onePlus ? "%2" : "%1") + ", %y[%i] : " + memref +
        ", " + vector +
        "\n"
        "  }\n  return\n}\n"
        "func.func @main(%x: " +
        memref + ", %y: " + memref +
        " {tenon.output}) {\n"
        "  %n = arith.constant " +
        std::to_string(count) +
        " : index\n"
        "  plan.launch @k grid(%n) buffers(%x, %y : " +
        memref + ", " + memref +
        ") indices()\n"
        "  plan.output %y sizes() : " +
        memref + "\n  return\n}\n";
    DialectRegistry registry;
    registry.insert<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect,
                    math::MathDialect, memref::MemRefDialect, scf::SCFDialect,
                    vector::VectorDialect, tenon::plan::PlanDialect>();
    registerAllExtensions(registry);
    MLIRContext context(registry);
    auto module = parseSourceString<ModuleOp>(text, &context);
    std::string path = testing::TempDir() + "/vector-math.so";
    if (!module || failed(tenon::emitArtifact(*module, facts, {}, path)))
      return;
    handle = dlopen(path.c_str(), RTLD_NOW);
    if (handle)
      run =
          reinterpret_cast<int64_t (*)(tn_frame *)>(dlsym(handle, "tenon_run"));
  }
  ~Compiled() {
    if (handle)
      dlclose(handle);
  }

  void operator()(float *x, float *y) {
    void *inputs[] = {x}, *outputs[] = {y};
    tn_frame frame = {inputs,
                      outputs,
                      nullptr,
                      nullptr,
                      nullptr,
                      [](tn_frame *, int64_t, int64_t, const tn_grid *grid) {
                        grid->kernel(grid->buffers, grid->sizes, 0, grid->size);
                      },
                      nullptr};
    run(&frame);
  }

  int64_t (*run)(tn_frame *) = nullptr;

private:
  void *handle = nullptr;
};

/// The distance from `found` to `wanted` in units of the last place of f32.
double ulpError(float found, double wanted) {
  float rounded = static_cast<float>(wanted);
  if (std::isnan(rounded) || std::isnan(found))
    return std::isnan(rounded) == std::isnan(found) ? 0 : INFINITY;
  if (found == rounded)
    return 0;
  if (std::isinf(rounded) || std::isinf(found))
    return INFINITY;
  // Denormal results count in units of the smallest normal number's last place.
  int exponent = std::max(std::ilogb(std::fabs(rounded)), -126);
  return std::fabs(double(found) - wanted) / std::ldexp(1.0, exponent - 23);
}

struct Function {
  const char *op;
  double (*reference)(double);
  double ulp;           ///< bound on the error
  float limit;          ///< holds for |x| up to here
  double absolute = 0;  ///< an error below this is none, whatever its ulp
  bool onePlus = false; ///< 1 is added to what the op gives
};

/// Every `stride`-th bit pattern, so all signs, exponents, infinities and NaN.
double worstError(const Function &function, const tenon::TargetFacts &facts,
                  uint64_t stride, float &worstAt) {
  Compiled compiled(function.op, function.onePlus, facts);
  EXPECT_TRUE(compiled.run);
  if (!compiled.run)
    return INFINITY;
  std::vector<float> x(count), y(count);
  double worst = 0;
  for (uint64_t pattern = 0; pattern < (uint64_t(1) << 32);) {
    for (float &value : x) {
      auto bits = static_cast<uint32_t>(pattern);
      std::memcpy(&value, &bits, sizeof(value));
      pattern += stride;
    }
    compiled(x.data(), y.data());
    for (int64_t i = 0; i < count; ++i) {
      if (std::fabs(x[i]) > function.limit && !std::isinf(x[i]))
        continue;
      double wanted = function.reference(x[i]);
      if (std::fabs(y[i] - wanted) <= function.absolute)
        continue;
      double error = ulpError(y[i], wanted);
      if (error > worst) {
        worst = error;
        worstAt = x[i];
      }
    }
  }
  return worst;
}

} // namespace

TEST(VectorMath, StaysWithinItsBounds) {
  const Function functions[] = {
      {"math.exp", std::exp, 1, INFINITY},
      {"math.exp2", std::exp2, 1, INFINITY},
      {"math.erf", std::erf, 1, INFINITY},
      {"math.tanh", std::tanh, 2, INFINITY},
      // An absolute bound: near its zeros a unit in the last place is tiny.
      {"math.sin", std::sin, 0, 1e5f, 1e-7},
      {"math.cos", std::cos, 0, 1e5f, 1e-7},
      {"math.log", std::log, 2, INFINITY},
      // As GELU has them. Beside 1 an error of 2^-23 is one in the last place.
      {"math.erf", [](double x) { return 1 + std::erf(x); }, 0, INFINITY,
       0x1p-23, true},
      {"math.tanh", [](double x) { return 1 + std::tanh(x); }, 0, INFINITY,
       0x1p-22, true},
      {"math.sqrt", std::sqrt, 0.5, INFINITY},
      {"math.rsqrt", [](double x) { return 1 / std::sqrt(x); }, 2, INFINITY},
  };
  for (const tenon::TargetFacts &facts : tenon::knownTargets()) {
    if (facts.vectorBytes == 64 && !__builtin_cpu_supports("avx512vl"))
      continue;
    for (const Function &function : functions) {
      float at = 0;
      double worst = worstError(function, facts, 977, at);
      EXPECT_LE(worst, function.ulp)
          << (function.onePlus ? "1 + " : "") << function.op << " at " << at
          << " on " << facts.name;
      std::printf("%s on %s: %.2f ulp\n", function.op, facts.name.c_str(),
                  worst);
    }
  }
}
