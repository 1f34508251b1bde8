// Attention of many shapes, layouts and masks against plain loops.
#include "JitRegion.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>

using namespace tenon;

namespace {

enum class Mask { None, Float, Bool, FloatBatch };

struct Case {
  int64_t batch, heads, kvHeads, queries, keys, size, valueSize;
  bool causal = false;
  Mask mask = Mask::None;
  bool zeroIfMasked = false;
  bool swapped = false; ///< stored as batch, sequence, heads, size
};

using Sizes = std::vector<int64_t>;

Sizes stored(const Case &test, int64_t heads, int64_t sequence, int64_t size) {
  return test.swapped ? Sizes{test.batch, sequence, heads, size}
                      : Sizes{test.batch, heads, sequence, size};
}

std::string tensor(const Sizes &sizes, int sequenceDim) {
  std::string result = "tensor<";
  for (int i = 0; i < 4; ++i)
    result += (i == 0 || i == sequenceDim ? "?" : std::to_string(sizes[i])) +
              std::string("x");
  return result + "f32>";
}

std::string regionText(const Case &test) {
  int dim = test.swapped ? 1 : 2;
  std::string q = tensor(stored(test, test.heads, 0, test.size), dim);
  std::string k = tensor(stored(test, test.kvHeads, 0, test.size), dim);
  std::string v = tensor(stored(test, test.kvHeads, 0, test.valueSize), dim);
  std::string o = tensor(stored(test, test.heads, 0, test.valueSize), dim);
  std::string m = test.mask == Mask::Bool    ? "tensor<?x?xi1>"
                  : test.mask == Mask::Float ? "tensor<1x?x?xf32>"
                                             : "tensor<?x1x1x?xf32>";
  bool masked = test.mask != Mask::None;
  std::string layout =
      test.swapped ? "array<i64: 0, 2, 1, 3>" : "array<i64: 0, 1, 2, 3>";
  std::string types = q + ", " + k + ", " + v + (masked ? ", " + m : "");
  return "func.func @main(%q: " + q + ", %k: " + k + ", %v: " + v +
         (masked ? ", %m: " + m : "") + ", %b: index, %s: index) {\n" +
         "%0 = kernel.region \"a\" inputs(%q, %k, %v" + (masked ? ", %m" : "") +
         " : " + types + ") indices() sizes(%b, %s) -> " + o +
         " {\n^bb0(%q2: " + q + ", %k2: " + k + ", %v2: " + v +
         (masked ? ", %m2: " + m : "") + "):\n%1 = kernel.attention " +
         (test.causal ? "causal " : "") +
         (test.zeroIfMasked ? "zero_if_masked " : "") + "%q2, %k2, %v2 " +
         (masked ? "mask %m2 " : "") +
         "scale 2.500000e-01 {query_layout = " + layout +
         ", key_layout = " + layout + ", value_layout = " + layout +
         ", output_layout = " + layout + "} : (" + types + ") -> " + o +
         "\nkernel.yield %1 : " + o + "\n}\nreturn\n}\n";
}

std::vector<float> random(int64_t size) {
  static std::mt19937 engine(2);
  std::uniform_real_distribution<float> uniform(-2, 2);
  std::vector<float> result(size);
  for (float &value : result)
    value = uniform(engine);
  return result;
}

void check(const Case &test) {
  const float infinity = INFINITY;
  int64_t B = test.batch, H = test.heads, G = test.kvHeads, S = test.queries,
          T = test.keys, D = test.size, E = test.valueSize;
  auto at = [&](int64_t b, int64_t h, int64_t s, int64_t heads,
                int64_t sequence) {
    return test.swapped ? (b * sequence + s) * heads + h
                        : (b * heads + h) * sequence + s;
  };
  auto q = random(B * H * S * D), k = random(B * G * T * D),
       v = random(B * G * T * E);
  int64_t maskRows = test.mask == Mask::FloatBatch ? B : S;
  auto mask = random(maskRows * T);
  std::unique_ptr<bool[]> keep(new bool[S * T]);
  // Mask about a third, and all of the first row's.
  for (int64_t i = 0; i < maskRows * T; ++i)
    if (mask[i] < -0.7 || (i < T && test.mask != Mask::FloatBatch))
      mask[i] = -infinity;
  for (int64_t i = 0; i < S * T && test.mask == Mask::Bool; ++i)
    keep[i] = mask[i] > -infinity;
  std::vector<float> wanted(B * H * S * E);
  for (int64_t b = 0; b < B; ++b)
    for (int64_t h = 0; h < H; ++h)
      for (int64_t s = 0; s < S; ++s) {
        std::vector<double> p(T), out(E, 0);
        double largest = -INFINITY, sum = 0;
        for (int64_t t = 0; t < T; ++t) {
          for (int64_t d = 0; d < D; ++d)
            p[t] += double(q[at(b, h, s, H, S) * D + d]) *
                    k[at(b, h / (H / G), t, G, T) * D + d];
          p[t] *= 0.25;
          if (test.mask == Mask::Float)
            p[t] += mask[s * T + t];
          if (test.mask == Mask::FloatBatch)
            p[t] += mask[b * T + t];
          if ((test.mask == Mask::Bool && !keep[s * T + t]) ||
              (test.causal && t > s + T - S))
            p[t] = -INFINITY;
          largest = std::max(largest, p[t]);
        }
        for (int64_t t = 0; t < T; ++t) {
          double weight = p[t] == -INFINITY ? 0 : std::exp(p[t] - largest);
          sum += weight;
          for (int64_t e = 0; e < E; ++e)
            out[e] += weight * v[at(b, h / (H / G), t, G, T) * E + e];
        }
        for (int64_t e = 0; e < E; ++e)
          wanted[at(b, h, s, H, S) * E + e] =
              sum > 0 ? out[e] / sum : (test.zeroIfMasked ? 0.0 : NAN);
      }
  for (const TargetFacts &facts : {avx512Facts(), avx2Facts()}) {
    if (!JitRegion::canRun(facts))
      continue;
    SCOPED_TRACE(facts.name + "\n" + regionText(test));
    JitRegion jit(regionText(test), attentionFamily(), facts);
    ASSERT_TRUE(jit.ok()) << jit.error();
    std::vector<float> output(wanted.size() + 64, 7);
    std::vector<TestBuffer> buffers = {{q.data(), stored(test, H, S, D)},
                                       {k.data(), stored(test, G, T, D)},
                                       {v.data(), stored(test, G, T, E)}};
    if (test.mask == Mask::Bool)
      buffers.push_back({keep.get(), {S, T}});
    if (test.mask == Mask::Float)
      buffers.push_back({mask.data(), {1, S, T}});
    if (test.mask == Mask::FloatBatch)
      buffers.push_back({mask.data(), {B, 1, 1, T}});
    buffers.push_back({output.data(), stored(test, H, S, E)});
    jit.run(buffers, {B, S});
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (std::isnan(wanted[i]) ? !std::isnan(output[i])
                                : !(std::fabs(output[i] - wanted[i]) <= 1e-4))
        FAIL() << "element " << i << " is " << output[i] << ", wanted "
               << wanted[i];
    }
    for (size_t i = wanted.size(); i < output.size(); ++i)
      ASSERT_EQ(output[i], 7) << "wrote behind the result";
  }
}

} // namespace

TEST(Attention, Shapes) {
  check({1, 1, 1, 1, 1, 32, 32});
  check({2, 3, 3, 7, 33, 32, 32});
  check({1, 2, 2, 128, 128, 64, 64, false, Mask::None, false, true});
  check({1, 2, 2, 33, 128, 5, 9});
}

TEST(Attention, GroupedHeadsCausalWithPast) {
  check({2, 6, 2, 33, 128, 32, 32, true, Mask::None, false, true});
  check({1, 4, 2, 128, 128, 64, 64, true});
  check({1, 4, 1, 1, 33, 16, 40, true});
  check({1, 1, 1, 33, 7, 32, 32, true, Mask::None, true});
  check({1, 1, 1, 33, 7, 32, 32, true});
}

TEST(Attention, Masks) {
  check({2, 2, 2, 7, 33, 32, 32, false, Mask::Float, true});
  check({2, 2, 2, 33, 128, 32, 32, false, Mask::Float});
  check({2, 2, 2, 33, 128, 32, 32, true, Mask::Bool, true, true});
  check({2, 2, 1, 33, 7, 32, 32, false, Mask::Bool});
  check({2, 2, 2, 7, 128, 32, 32, false, Mask::FloatBatch, false, true});
}

TEST(Attention, RefusesDynamicHeadSize) {
  std::string text = R"(
func.func @main(%q: T, %b: index) {
  %0 = kernel.region "a" inputs(%q : T) indices() sizes(%b) -> T {
  ^bb0(%x: T):
    %1 = kernel.attention %x, %x, %x scale 1.0 {query_layout = P, key_layout = P, value_layout = P, output_layout = P} : (T, T, T) -> T
    kernel.yield %1 : T
  }
  return
})";
  std::string from[] = {"T", "P"};
  std::string to[] = {"tensor<1x2x3x?xf32>", "array<i64: 0, 1, 2, 3>"};
  for (int i = 0; i < 2; ++i)
    for (size_t at = 0; (at = text.find(from[i], at)) != std::string::npos;
         at += to[i].size())
      text.replace(at, 1, to[i]);
  JitRegion jit(text, attentionFamily(), avx2Facts());
  EXPECT_FALSE(jit.ok());
  EXPECT_NE(jit.error().find("needs a static head size"), std::string::npos)
      << jit.error();
}
