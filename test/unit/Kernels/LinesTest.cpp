// Lines that are computed in order, run and compared with plain loops.
#include "JitRegion.h"
#include "gtest/gtest.h"

using namespace tenon;

namespace {

template <typename RunT> void onEachTarget(const char *text, RunT run) {
  for (const TargetFacts &facts : {avx512Facts(), avx2Facts()}) {
    if (!JitRegion::canRun(facts))
      continue;
    JitRegion region(text, linesFamily(), facts);
    ASSERT_TRUE(region.ok()) << region.error();
    run(region);
  }
}

TEST(LinesTest, SumsAlongAMiddleDimension) {
  const char *text = R"(
func.func @main(%x: tensor<?x?x3xf32>, %b: index, %n: index) -> tensor<?x?x3xf32> {
  %0 = kernel.region "r" inputs(%x : tensor<?x?x3xf32>) indices(%b, %n) sizes(%b, %n) -> tensor<?x?x3xf32> {
  ^bb0(%t: tensor<?x?x3xf32>, %d0: index, %d1: index):
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty(%d0, %d1) : tensor<?x?x3xf32>
    %1 = kernel.lines %e axis 1 : tensor<?x?x3xf32> {
    ^bb0(%i: index, %k: index, %line: tensor<?xf32>):
      %2:2 = scf.for %j = %c0 to %d1 step %c1 iter_args(%l = %line, %s = %zero) -> (tensor<?xf32>, f32) {
        %3 = tensor.extract %t[%i, %j, %k] : tensor<?x?x3xf32>
        %4 = arith.addf %s, %3 : f32
        %5 = tensor.insert %4 into %l[%j] : tensor<?xf32>
        scf.yield %5, %4 : tensor<?xf32>, f32
      }
      kernel.yield %2#0 : tensor<?xf32>
    }
    kernel.yield %1 : tensor<?x?x3xf32>
  }
  return %0 : tensor<?x?x3xf32>
}
)";
  onEachTarget(text, [](JitRegion &region) {
    for (auto [b, n] : {std::pair(2, 5), {1, 1}, {3, 64}, {0, 4}, {4, 0}}) {
      std::vector<float> x(b * n * 3);
      for (size_t i = 0; i < x.size(); ++i)
        x[i] = float(i % 7) - 3;
      // One more element shows a store beyond the last line.
      std::vector<float> y(x.size() + 1, -7);
      region.run({{x.data(), {b, n, 3}}, {y.data(), {b, n, 3}}}, {b, n}, 3,
                 {b, n});
      for (int64_t i = 0; i < b; ++i)
        for (int64_t k = 0; k < 3; ++k) {
          float sum = 0;
          for (int64_t j = 0; j < n; ++j) {
            int64_t at = (i * n + j) * 3 + k;
            sum += x[at];
            ASSERT_EQ(y[at], sum) << b << "x" << n << " at " << at;
          }
        }
      EXPECT_EQ(y.back(), -7);
    }
  });
}

// What was written is read again, and the only dimension is one line.
TEST(LinesTest, CountsInTheResult) {
  const char *text = R"(
func.func @main(%x: tensor<?xi64>, %m: index, %n: index) -> tensor<?xi64> {
  %0 = kernel.region "r" inputs(%x : tensor<?xi64>) indices(%m, %n) sizes(%n) -> tensor<?xi64> {
  ^bb0(%t: tensor<?xi64>, %d0: index, %d1: index):
    %e = tensor.empty(%d1) : tensor<?xi64>
    %1 = kernel.lines %e axis 0 : tensor<?xi64> {
    ^bb0(%line: tensor<?xi64>):
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %zero = arith.constant 0 : i64
      %one = arith.constant 1 : i64
      %2 = scf.for %i = %c0 to %d1 step %c1 iter_args(%l = %line) -> (tensor<?xi64>) {
        %3 = tensor.insert %zero into %l[%i] : tensor<?xi64>
        scf.yield %3 : tensor<?xi64>
      }
      %4 = scf.for %i = %c0 to %d0 step %c1 iter_args(%l = %2) -> (tensor<?xi64>) {
        %5 = tensor.extract %t[%i] : tensor<?xi64>
        %6 = arith.index_cast %5 : i64 to index
        %7 = tensor.extract %l[%6] : tensor<?xi64>
        %8 = arith.addi %7, %one : i64
        %9 = tensor.insert %8 into %l[%6] : tensor<?xi64>
        scf.yield %9 : tensor<?xi64>
      }
      kernel.yield %4 : tensor<?xi64>
    }
    kernel.yield %1 : tensor<?xi64>
  }
  return %0 : tensor<?xi64>
}
)";
  onEachTarget(text, [](JitRegion &region) {
    std::vector<int64_t> x{3, 0, 3, 1, 3}, y(5, -7);
    region.run({{x.data(), {5}}, {y.data(), {4}}}, {5, 4}, 3, {5, 4});
    EXPECT_EQ(y, (std::vector<int64_t>{1, 1, 0, 3, -7}));
  });
}

// Lines side by side go forward together: more than a tile of them, in order.
TEST(LinesTest, WritesRowsOneAfterAnother) {
  const char *text = R"(
func.func @main(%x: tensor<?xi64>, %u: tensor<?x?xf32>, %m: index, %n: index, %w: index) -> tensor<?x?xf32> {
  %0 = kernel.region "r" inputs(%x, %u : tensor<?xi64>, tensor<?x?xf32>) indices(%m, %n, %w) sizes(%n, %w) -> tensor<?x?xf32> {
  ^bb0(%t: tensor<?xi64>, %v: tensor<?x?xf32>, %d0: index, %d1: index, %d2: index):
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty(%d1, %d2) : tensor<?x?xf32>
    %1 = kernel.lines %e axis 0 : tensor<?x?xf32> {
    ^bb0(%c: index, %line: tensor<?xf32>):
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %2 = scf.for %i = %c0 to %d1 step %c1 iter_args(%l = %line) -> (tensor<?xf32>) {
        %3 = tensor.insert %zero into %l[%i] : tensor<?xf32>
        scf.yield %3 : tensor<?xf32>
      }
      %4 = scf.for %i = %c0 to %d0 step %c1 iter_args(%l = %2) -> (tensor<?xf32>) {
        %5 = tensor.extract %t[%i] : tensor<?xi64>
        %6 = arith.index_cast %5 : i64 to index
        %7 = tensor.extract %v[%i, %c] : tensor<?x?xf32>
        %8 = tensor.insert %7 into %l[%6] : tensor<?xf32>
        scf.yield %8 : tensor<?xf32>
      }
      kernel.yield %4 : tensor<?xf32>
    }
    kernel.yield %1 : tensor<?x?xf32>
  }
  return %0 : tensor<?x?xf32>
}
)";
  onEachTarget(text, [](JitRegion &region) {
    for (int64_t width : {1, 3, 512, 1300, 0}) {
      std::vector<int64_t> x{1, 2, 1, 0};
      std::vector<float> u(4 * width), y(4 * width + 1, -7);
      for (int64_t i = 0; i < 4 * width; ++i)
        u[i] = float(i + 1);
      region.run(
          {{x.data(), {4}}, {u.data(), {4, width}}, {y.data(), {4, width}}},
          {4, 4, width}, 3, {4, 4, width});
      // The update that each row keeps; the last row gets none.
      int64_t from[] = {3, 2, 1};
      for (int64_t row = 0; row < 4; ++row)
        for (int64_t c = 0; c < width; ++c)
          ASSERT_EQ(y[row * width + c], row < 3 ? u[from[row] * width + c] : 0)
              << width << " at " << row << ", " << c;
      EXPECT_EQ(y.back(), -7);
    }
  });
}

} // namespace
