// Loops over one generic, run and compared with plain loops.
#include "JitRegion.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace tenon;

namespace {

std::vector<float> ramp(int64_t size) {
  std::vector<float> result(size);
  for (int64_t i = 0; i < size; ++i)
    result[i] = float(i % 97) / 16 - 3;
  return result;
}

template <typename RunT> void onEachTarget(const char *text, RunT run) {
  for (const TargetFacts &facts : {avx512Facts(), avx2Facts()}) {
    if (!JitRegion::canRun(facts))
      continue;
    JitRegion region(text, loopsFamily(), facts);
    ASSERT_TRUE(region.ok()) << region.error();
    run(region);
  }
}

TEST(LoopsTest, ElementwiseWithBroadcasts) {
  const char *text = R"(
#id = affine_map<(b, m, n) -> (b, m, n)>
func.func @main(%x: tensor<?x3x?xf32>, %w: tensor<?xf32>, %s: tensor<3x1xf32>, %b: index, %n: index) -> tensor<?x3x?xf32> {
  %0 = kernel.region "r" inputs(%x, %w, %s : tensor<?x3x?xf32>, tensor<?xf32>, tensor<3x1xf32>) indices(%b, %n) sizes(%b, %n) -> tensor<?x3x?xf32> {
  ^bb0(%t: tensor<?x3x?xf32>, %u: tensor<?xf32>, %v: tensor<3x1xf32>, %d0: index, %d1: index):
    %e = tensor.empty(%d0, %d1) : tensor<?x3x?xf32>
    %half = arith.constant 0.5 : f32
    %h = linalg.generic {indexing_maps = [#id, affine_map<(b, m, n) -> (n)>, affine_map<(b, m, n) -> (m, 0)>, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%t, %u, %v : tensor<?x3x?xf32>, tensor<?xf32>, tensor<3x1xf32>) outs(%e : tensor<?x3x?xf32>) {
    ^bb0(%p: f32, %q: f32, %r: f32, %o: f32):
      %zero = arith.constant 0.0 : f32
      %1 = arith.mulf %p, %half : f32
      %2 = arith.addf %1, %q : f32
      %c = arith.cmpf ogt, %2, %zero : f32
      %3 = arith.select %c, %2, %r : f32
      linalg.yield %3 : f32
    } -> tensor<?x3x?xf32>
    kernel.yield %h : tensor<?x3x?xf32>
  }
  return %0 : tensor<?x3x?xf32>
}
)";
  onEachTarget(text, [](JitRegion &region) {
    for (int64_t n : {1, 7, 16, 33, 200}) {
      std::vector<float> x = ramp(2 * 3 * n), w = ramp(n), s = {-1, -2, -3};
      std::vector<float> y(x.size() + 1, -7);
      region.run({{x.data(), {2, 3, n}},
                  {w.data(), {n}},
                  {s.data(), {3, 1}},
                  {y.data(), {2, 3, n}}},
                 {2, n}, 3, {2, n});
      for (int64_t i = 0; i < 2 * 3 * n; ++i) {
        float value = x[i] * 0.5f + w[i % n];
        ASSERT_EQ(y[i], value > 0 ? value : s[i / n % 3]) << n << ", " << i;
      }
      EXPECT_EQ(y.back(), -7);
    }
  });
}

TEST(LoopsTest, OneLongRowIsCutIntoTiles) {
  const char *text = R"(
#id = affine_map<(i) -> (i)>
func.func @main(%x: tensor<?xf32>, %n: index) -> tensor<?xf32> {
  %0 = kernel.region "r" inputs(%x : tensor<?xf32>) indices(%n) sizes(%n) -> tensor<?xf32> {
  ^bb0(%t: tensor<?xf32>, %d: index):
    %e = tensor.empty(%d) : tensor<?xf32>
    %h = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%t : tensor<?xf32>) outs(%e : tensor<?xf32>) {
    ^bb0(%p: f32, %o: f32):
      %1 = arith.negf %p : f32
      linalg.yield %1 : f32
    } -> tensor<?xf32>
    kernel.yield %h : tensor<?xf32>
  }
  return %0 : tensor<?xf32>
}
)";
  onEachTarget(text, [](JitRegion &region) {
    for (int64_t n : {1, 4095, 4096, 4097, 10007}) {
      EXPECT_EQ(region.grid({n}), (n + 4095) / 4096);
      std::vector<float> x = ramp(n), y(n + 1, -7);
      region.run({{x.data(), {n}}, {y.data(), {n}}}, {n}, 2, {n});
      for (int64_t i = 0; i < n; ++i)
        ASSERT_EQ(y[i], -x[i]) << n << ", " << i;
      EXPECT_EQ(y.back(), -7);
    }
  });
}

TEST(LoopsTest, Transpose) {
  const char *text = R"(
func.func @main(%x: tensor<?x5x?xf32>, %a: index, %n: index) -> tensor<?x?x5xf32> {
  %0 = kernel.region "r" inputs(%x : tensor<?x5x?xf32>) indices(%a, %n) sizes(%n, %a) -> tensor<?x?x5xf32> {
  ^bb0(%t: tensor<?x5x?xf32>, %d0: index, %d1: index):
    %e = tensor.empty(%d1, %d0) : tensor<?x?x5xf32>
    %h = linalg.generic {indexing_maps = [affine_map<(n, a, m) -> (a, m, n)>, affine_map<(n, a, m) -> (n, a, m)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%t : tensor<?x5x?xf32>) outs(%e : tensor<?x?x5xf32>) {
    ^bb0(%p: f32, %o: f32):
      linalg.yield %p : f32
    } -> tensor<?x?x5xf32>
    kernel.yield %h : tensor<?x?x5xf32>
  }
  return %0 : tensor<?x?x5xf32>
}
)";
  onEachTarget(text, [](JitRegion &region) {
    int64_t a = 3, n = 20;
    std::vector<float> x = ramp(a * 5 * n), y(x.size());
    region.run({{x.data(), {a, 5, n}}, {y.data(), {n, a, 5}}}, {a, n}, 3,
               {a, n});
    for (int64_t i = 0; i < a; ++i)
      for (int64_t j = 0; j < 5; ++j)
        for (int64_t k = 0; k < n; ++k)
          ASSERT_EQ(y[(k * a + i) * 5 + j], x[(i * 5 + j) * n + k]);
  });
}

TEST(LoopsTest, GatherOfRowsWithABranch) {
  const char *text = R"(
func.func @main(%x: tensor<6x20xf32>, %i: tensor<?xi64>, %n: index) -> tensor<?x20xf32> {
  %0 = kernel.region "r" inputs(%x, %i : tensor<6x20xf32>, tensor<?xi64>) indices(%n) sizes(%n) -> tensor<?x20xf32> {
  ^bb0(%t: tensor<6x20xf32>, %at: tensor<?xi64>, %d: index):
    %e = tensor.empty(%d) : tensor<?x20xf32>
    %one = arith.constant 1.0 : f32
    %two = arith.constant 2 : index
    %h = linalg.generic {indexing_maps = [affine_map<(i, k) -> (i)>, affine_map<(i, k) -> (i, k)>], iterator_types = ["parallel", "parallel"]} ins(%at : tensor<?xi64>) outs(%e : tensor<?x20xf32>) {
    ^bb0(%row: i64, %o: f32):
      %k = linalg.index 1 : index
      %from = arith.index_cast %row : i64 to index
      %c = arith.cmpi slt, %k, %two : index
      %r = scf.if %c -> f32 {
        %y = tensor.extract %t[%from, %k] : tensor<6x20xf32>
        %v = arith.addf %y, %one : f32
        scf.yield %v : f32
      } else {
        %y = tensor.extract %t[%from, %k] : tensor<6x20xf32>
        %v = arith.subf %y, %one : f32
        scf.yield %v : f32
      }
      linalg.yield %r : f32
    } -> tensor<?x20xf32>
    kernel.yield %h : tensor<?x20xf32>
  }
  return %0 : tensor<?x20xf32>
}
)";
  onEachTarget(text, [](JitRegion &region) {
    std::vector<float> x = ramp(6 * 20), y(4 * 20);
    std::vector<int64_t> rows = {5, 0, 3, 3};
    region.run({{x.data(), {6, 20}}, {rows.data(), {4}}, {y.data(), {4, 20}}},
               {4}, 2, {4});
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t k = 0; k < 20; ++k)
        ASSERT_EQ(y[i * 20 + k], x[rows[i] * 20 + k] + (k < 2 ? 1 : -1));
  });
}

TEST(LoopsTest, ReductionInTheMiddleWithABias) {
  const char *text = R"(
#id = affine_map<(i, k) -> (i, k)>
func.func @main(%x: tensor<?x?x9xf32>, %w: tensor<9xf32>, %a: index, %n: index) -> tensor<?x9xf32> {
  %0 = kernel.region "r" inputs(%x, %w : tensor<?x?x9xf32>, tensor<9xf32>) indices(%a, %n) sizes(%a) -> tensor<?x9xf32> {
  ^bb0(%t: tensor<?x?x9xf32>, %b: tensor<9xf32>, %d: index, %count: index):
    %e = tensor.empty(%d) : tensor<?x9xf32>
    %z = arith.constant 0.0 : f32
    %f = linalg.fill ins(%z : f32) outs(%e : tensor<?x9xf32>) -> tensor<?x9xf32>
    %g = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>, affine_map<(i, j, k) -> (i, k)>], iterator_types = ["parallel", "reduction", "parallel"]} ins(%t : tensor<?x?x9xf32>) outs(%f : tensor<?x9xf32>) {
    ^bb0(%p: f32, %q: f32):
      %r = arith.addf %p, %q : f32
      linalg.yield %r : f32
    } -> tensor<?x9xf32>
    %h = linalg.generic {indexing_maps = [#id, affine_map<(i, k) -> (k)>, #id], iterator_types = ["parallel", "parallel"]} ins(%g, %b : tensor<?x9xf32>, tensor<9xf32>) outs(%e : tensor<?x9xf32>) {
    ^bb0(%p: f32, %w2: f32, %q: f32):
      %i = arith.index_cast %count : index to i64
      %m = arith.sitofp %i : i64 to f32
      %r = arith.divf %p, %m : f32
      %s = arith.addf %r, %w2 : f32
      linalg.yield %s : f32
    } -> tensor<?x9xf32>
    kernel.yield %h : tensor<?x9xf32>
  }
  return %0 : tensor<?x9xf32>
}
)";
  onEachTarget(text, [](JitRegion &region) {
    int64_t a = 4, n = 11;
    std::vector<float> x = ramp(a * n * 9), w = ramp(9), y(a * 9);
    region.run({{x.data(), {a, n, 9}}, {w.data(), {9}}, {y.data(), {a, 9}}},
               {a, n}, 3, {a, n});
    for (int64_t i = 0; i < a; ++i)
      for (int64_t k = 0; k < 9; ++k) {
        double sum = 0;
        for (int64_t j = 0; j < n; ++j)
          sum += x[(i * n + j) * 9 + k];
        ASSERT_NEAR(y[i * 9 + k], sum / n + w[k], 1e-5);
      }
  });
}

TEST(LoopsTest, ReductionToRankZero) {
  const char *text = R"(
func.func @main(%x: tensor<?x9xf32>, %a: index) -> tensor<f32> {
  %0 = kernel.region "r" inputs(%x : tensor<?x9xf32>) indices() sizes() -> tensor<f32> {
  ^bb0(%t: tensor<?x9xf32>):
    %e = tensor.empty() : tensor<f32>
    %z = arith.constant 0xFF800000 : f32
    %f = linalg.fill ins(%z : f32) outs(%e : tensor<f32>) -> tensor<f32>
    %g = linalg.generic {indexing_maps = [affine_map<(i, k) -> (i, k)>, affine_map<(i, k) -> ()>], iterator_types = ["reduction", "reduction"]} ins(%t : tensor<?x9xf32>) outs(%f : tensor<f32>) {
    ^bb0(%p: f32, %q: f32):
      %r = arith.maximumf %p, %q : f32
      linalg.yield %r : f32
    } -> tensor<f32>
    kernel.yield %g : tensor<f32>
  }
  return %0 : tensor<f32>
}
)";
  onEachTarget(text, [](JitRegion &region) {
    EXPECT_EQ(region.grid({4}), 1);
    std::vector<float> x = ramp(36);
    float y = -7;
    region.run({{x.data(), {4, 9}}, {&y, {}}}, {4});
    EXPECT_EQ(y, x[35]);
  });
}

// As max pooling: windows of two elements, one apart, read where they lie; an
// operand without use says how large they are.
TEST(LoopsTest, ReducesWindows) {
  for (int64_t stride : {1, 2}) {
    std::string text = R"(
#out = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<3x?xf32>, %n: index) -> tensor<3x?xf32> {
  %0 = kernel.region "r" inputs(%x : tensor<3x?xf32>) indices(%n) sizes(%n) -> tensor<3x?xf32> {
  ^bb0(%t: tensor<3x?xf32>, %d: index):
    %low = arith.constant -1000.0 : f32
    %half = arith.constant 0.5 : f32
    %e = tensor.empty(%d) : tensor<3x?xf32>
    %k = tensor.empty() : tensor<2xi8>
    %i = linalg.fill ins(%low : f32) outs(%e : tensor<3x?xf32>) -> tensor<3x?xf32>
    %r = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, n * STRIDE + k * 3)>, affine_map<(m, n, k) -> (k)>, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%t, %k : tensor<3x?xf32>, tensor<2xi8>) outs(%i : tensor<3x?xf32>) {
    ^bb0(%p: f32, %q: i8, %o: f32):
      %1 = arith.maximumf %p, %o : f32
      linalg.yield %1 : f32
    } -> tensor<3x?xf32>
    %h = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%r : tensor<3x?xf32>) outs(%e : tensor<3x?xf32>) {
    ^bb0(%p: f32, %o: f32):
      %1 = arith.mulf %p, %half : f32
      linalg.yield %1 : f32
    } -> tensor<3x?xf32>
    kernel.yield %h : tensor<3x?xf32>
  }
  return %0 : tensor<3x?xf32>
}
)";
    text.replace(text.find("STRIDE"), 6, std::to_string(stride));
    onEachTarget(text.c_str(), [&](JitRegion &region) {
      for (int64_t n : {0, 1, 7, 16, 33}) {
        int64_t width = n * stride + 3;
        std::vector<float> x = ramp(3 * width), y(3 * n + 1, -7);
        region.run({{x.data(), {3, width}}, {y.data(), {3, n}}}, {n}, 2, {n});
        for (int64_t m = 0; m < 3; ++m)
          for (int64_t i = 0; i < n; ++i) {
            const float *window = &x[m * width + i * stride];
            ASSERT_EQ(y[m * n + i], std::max(window[0], window[3]) * 0.5f)
                << stride << ", " << n << ", " << m << ", " << i;
          }
        EXPECT_EQ(y.back(), -7);
      }
    });
  }
}

} // namespace
