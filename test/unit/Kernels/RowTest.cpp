// Softmax and norms of rows of many lengths against plain loops.
#include "JitRegion.h"
#include "gtest/gtest.h"
#include <cmath>
#include <limits>
#include <random>

using namespace tenon;

namespace {

constexpr int64_t lengths[] = {1, 7, 8, 15, 16, 17, 64, 100, 384};

std::vector<float> random(int64_t size) {
  static std::mt19937 engine(1);
  std::uniform_real_distribution<float> uniform(-4, 4);
  std::vector<float> result(size);
  for (float &value : result)
    value = uniform(engine);
  return result;
}

std::vector<TargetFacts> targets() {
  std::vector<TargetFacts> result;
  for (const TargetFacts &facts : {avx512Facts(), avx2Facts()})
    if (JitRegion::canRun(facts))
      result.push_back(facts);
  return result;
}

const char *softmaxText = R"(
func.func @main(%x: tensor<?x3x?xf32>, %b: index, %n: index) -> tensor<?x3x?xf32> {
  %0 = kernel.region "r" inputs(%x : tensor<?x3x?xf32>) indices() sizes(%b, %n) -> tensor<?x3x?xf32> {
  ^bb0(%t: tensor<?x3x?xf32>):
    %y = kernel.softmax %t : tensor<?x3x?xf32> -> tensor<?x3x?xf32>
    kernel.yield %y : tensor<?x3x?xf32>
  }
  return %0 : tensor<?x3x?xf32>
}
)";

std::vector<float> softmax(const std::vector<float> &x, int64_t n) {
  std::vector<float> result(x.size());
  for (size_t row = 0; row < x.size(); row += n) {
    float max = x[row];
    for (int64_t i = 0; i < n; ++i)
      max = std::max(max, x[row + i]);
    double sum = 0;
    for (int64_t i = 0; i < n; ++i)
      sum += std::exp(double(x[row + i]) - max);
    for (int64_t i = 0; i < n; ++i)
      result[row + i] = std::exp(double(x[row + i]) - max) / sum;
  }
  return result;
}

TEST(RowTest, SoftmaxOfEveryLength) {
  for (const TargetFacts &facts : targets()) {
    JitRegion region(softmaxText, rowFamily(), facts);
    ASSERT_TRUE(region.ok()) << region.error();
    for (int64_t n : lengths) {
      std::vector<float> x = random(2 * 3 * n), wanted = softmax(x, n);
      // One more element shows a store beyond the last row.
      std::vector<float> y(x.size() + 1, -7);
      region.run({{x.data(), {2, 3, n}}, {y.data(), {2, 3, n}}}, {2, n});
      for (size_t i = 0; i < x.size(); ++i)
        ASSERT_NEAR(y[i], wanted[i], 2e-6) << facts.name << " length " << n;
      EXPECT_EQ(y.back(), -7);
    }
  }
}

TEST(RowTest, SoftmaxOfInfinities) {
  float inf = std::numeric_limits<float>::infinity();
  for (const TargetFacts &facts : targets()) {
    JitRegion region(softmaxText, rowFamily(), facts);
    ASSERT_TRUE(region.ok()) << region.error();
    int64_t n = 19;
    std::vector<float> x(3 * n, -inf), y(3 * n);
    x[n + 18] = 2; // row 1 has one finite element, row 2 equal ones
    std::fill(x.begin() + 2 * n, x.end(), -1000.0f);
    region.run({{x.data(), {1, 3, n}}, {y.data(), {1, 3, n}}}, {1, n});
    for (int64_t i = 0; i < n; ++i) {
      EXPECT_TRUE(std::isnan(y[i])) << y[i];
      EXPECT_NEAR(y[n + i], i == 18 ? 1 : 0, 1e-6);
      EXPECT_NEAR(y[2 * n + i], 1.0 / n, 1e-6);
    }
  }
}

void testNorm(bool rms, bool hasScale, bool hasBias, float shift) {
  std::string inputs = "%x", types = "tensor<?x?xf32>", arguments, operands,
              parameters;
  for (auto [has, name, word] :
       {std::tuple(hasScale, "g", " scale "), {hasBias, "c", " bias "}}) {
    if (!has)
      continue;
    inputs += std::string(", %") + name;
    types += ", tensor<?xf32>";
    parameters += std::string(", %") + name + ": tensor<?xf32>";
    arguments += std::string(", %t") + name + ": tensor<?xf32>";
    operands += std::string(word) + "%t" + name;
  }
  std::string text = "func.func @main(%x: tensor<?x?xf32>" + parameters +
                     ", %b: index, %n: index) -> tensor<?x?xf32> {\n"
                     "%0 = kernel.region \"r\" inputs(" +
                     inputs + " : " + types +
                     ") indices() sizes(%b, %n) -> tensor<?x?xf32> {\n"
                     "^bb0(%t: tensor<?x?xf32>" +
                     arguments + "):\n%y = kernel.norm " + (rms ? "rms " : "") +
                     "%t" + operands + " epsilon 1.0e-5 : (" + types +
                     ") -> tensor<?x?xf32>\n"
                     "kernel.yield %y : tensor<?x?xf32>\n}\n"
                     "return %0 : tensor<?x?xf32>\n}\n";
  for (const TargetFacts &facts : targets()) {
    JitRegion region(text, rowFamily(), facts);
    ASSERT_TRUE(region.ok()) << region.error();
    for (int64_t n : lengths) {
      int64_t rows = 5;
      std::vector<float> x = random(rows * n), g = random(n), c = random(n);
      for (float &value : x)
        value += shift;
      std::vector<float> y(x.size() + 1, -7);
      std::vector<TestBuffer> buffers = {{x.data(), {rows, n}}};
      if (hasScale)
        buffers.push_back({g.data(), {n}});
      if (hasBias)
        buffers.push_back({c.data(), {n}});
      buffers.push_back({y.data(), {rows, n}});
      region.run(buffers, {rows, n});
      for (int64_t row = 0; row < rows; ++row) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < n; ++i)
          mean += rms ? 0 : x[row * n + i] / double(n);
        for (int64_t i = 0; i < n; ++i)
          variance += std::pow(x[row * n + i] - mean, 2) / n;
        for (int64_t i = 0; i < n; ++i) {
          double wanted =
              (x[row * n + i] - mean) / std::sqrt(variance + double(1e-5f));
          wanted = wanted * (hasScale ? g[i] : 1) + (hasBias ? c[i] : 0);
          // The mean itself is rounded to the size of `shift`.
          double tolerance = 2e-5 + 1e-6 * shift;
          ASSERT_NEAR(y[row * n + i], wanted, tolerance)
              << facts.name << " length " << n;
        }
      }
      EXPECT_EQ(y.back(), -7);
    }
  }
}

TEST(RowTest, LayerNorm) { testNorm(false, true, true, 0); }
TEST(RowTest, LayerNormFarFromZeroDoesNotCancel) {
  testNorm(false, true, true, 1000);
}
TEST(RowTest, NormWithoutParameters) { testNorm(false, false, false, 0); }
TEST(RowTest, RmsNorm) { testNorm(true, true, false, 0); }

} // namespace
