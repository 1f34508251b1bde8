// What is chosen from logits, against a plain implementation that sorts.
#include "Runtime/Sampler.h"
#include "Runtime/Failure.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <cmath>
#include <numeric>

using namespace tenon::runtime;

static std::vector<float> randomLogits(int64_t count, uint64_t seed,
                                       float scale = 6) {
  Random random(seed);
  std::vector<float> logits;
  for (int64_t i = 0; i < count; ++i)
    logits.push_back(float(random.uniform() * 2 - 1) * scale);
  return logits;
}

static int64_t greedy(const std::vector<float> &logits) {
  Random random;
  return Sampler(int64_t(logits.size())).sample(logits.data(), {}, {}, random);
}

static std::vector<float> probabilities(const std::vector<float> &logits,
                                        const SamplingOptions &options,
                                        const std::vector<int64_t> &text = {}) {
  Sampler sampler(int64_t(logits.size()));
  const float *found =
      sampler.probabilities(logits.data(), options, {text.data(), text.size()});
  return std::vector<float>(found, found + logits.size());
}

/// The definition: sorts, and sums in double.
static std::vector<double> expected(const std::vector<float> &logits,
                                    const SamplingOptions &options) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t lhs, size_t rhs) {
    return logits[lhs] > logits[rhs];
  });
  if (options.topK > 0 && size_t(options.topK) < order.size())
    order.resize(size_t(options.topK));
  std::vector<double> result(logits.size());
  double total = 0, before = 0, kept = 0;
  for (size_t id : order)
    total += result[id] =
        std::exp((double(logits[id]) - logits[order[0]]) / options.temperature);
  for (size_t id : order) {
    // All stay with 1, also those too small to change a sum.
    bool stays = options.topP == 1 || before < double(options.topP) * total;
    before += result[id];
    if (!stays)
      result[id] = 0;
    kept += result[id];
  }
  for (double &one : result)
    one /= kept;
  return result;
}

static void expectAsDefined(const std::vector<float> &logits,
                            const SamplingOptions &options) {
  std::vector<double> wanted = expected(logits, options);
  std::vector<float> found = probabilities(logits, options);
  for (size_t id = 0; id < logits.size(); ++id) {
    EXPECT_NEAR(found[id], wanted[id], 2e-6 * wanted[id] + 1e-12) << id;
    ASSERT_EQ(found[id] > 0, wanted[id] > 1e-30) << id;
  }
}

/// How unlike `counts` are to what the probabilities say.
static double chiSquare(const std::vector<int64_t> &counts,
                        const std::vector<float> &probabilities) {
  double total = double(std::accumulate(counts.begin(), counts.end(), 0ll));
  double result = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    double wanted = total * probabilities[i];
    if (wanted == 0)
      EXPECT_EQ(counts[i], 0) << i;
    else
      result +=
          (double(counts[i]) - wanted) * (double(counts[i]) - wanted) / wanted;
  }
  return result;
}

TEST(Sampler, GreedyFindsTheLargestWhereverItLies) {
  for (int64_t count : {1, 3, 4, 7, 8, 9, 70, 1000})
    for (int64_t at = 0; at < count; ++at) {
      std::vector<float> logits = randomLogits(count, uint64_t(count));
      logits[size_t(at)] = 7;
      ASSERT_EQ(greedy(logits), at) << count;
    }
}

TEST(Sampler, GreedyTakesTheLowestIdOfEqualLogits) {
  for (int64_t count : {2, 8, 13, 100})
    for (int64_t first = 0; first < count; ++first)
      for (int64_t second = first + 1; second < count; ++second) {
        std::vector<float> logits(size_t(count), -1);
        logits[size_t(first)] = logits[size_t(second)] = 2;
        ASSERT_EQ(greedy(logits), first) << count << " " << second;
      }
  EXPECT_EQ(greedy(std::vector<float>(99, 0)), 0);
}

TEST(Sampler, RefusesLogitsThatAreNoNumbers) {
  auto message = [](std::vector<float> logits, float temperature) {
    SamplingOptions options;
    options.temperature = temperature;
    Random random;
    try {
      Sampler(int64_t(logits.size()))
          .sample(logits.data(), options, {}, random);
    } catch (const Failure &failure) {
      EXPECT_EQ(failure.status, TN_ERROR_INPUT);
      return std::string(failure.what());
    }
    return std::string("none");
  };
  for (float temperature : {0.0f, 1.0f})
    for (size_t at : {0, 5, 16, 18}) {
      std::vector<float> logits = randomLogits(19, 1);
      logits[at] = NAN;
      EXPECT_EQ(message(logits, temperature),
                "the logit of token " + std::to_string(at) + " is no number");
      logits[at] = INFINITY;
      EXPECT_EQ(message(logits, temperature),
                "the logit of token " + std::to_string(at) + " is infinite");
      logits[at] = -INFINITY;
      EXPECT_EQ(message(logits, temperature), "none");
      logits.assign(19, -INFINITY);
      EXPECT_EQ(message(logits, temperature),
                "the logits of all 19 tokens are negative infinity");
    }
}

TEST(Sampler, TokensOfNoProbabilityNeverCome) {
  std::vector<float> logits(300, -INFINITY);
  logits[7] = 1;
  logits[299] = 1;
  for (int64_t topK : {0, 50}) {
    SamplingOptions options;
    options.temperature = 1;
    options.topK = topK;
    Sampler sampler(300);
    Random random(3);
    std::vector<int64_t> counts(300);
    for (int i = 0; i < 1000; ++i)
      ++counts[size_t(sampler.sample(logits.data(), options, {}, random))];
    EXPECT_EQ(counts[7] + counts[299], 1000);
    EXPECT_NEAR(double(counts[7]), 500, 80);
  }
}

TEST(Sampler, ProbabilitiesAreThoseOfTheDefinition) {
  for (int64_t count : {1, 2, 5, 64, 65, 1000, 49152})
    for (float temperature : {0.3f, 1.0f, 2.5f}) {
      std::vector<float> logits = randomLogits(count, uint64_t(count) + 9);
      for (int64_t topK : {0, 1, 3, 40, 700, 20000})
        for (float topP : {1.0f, 0.999f, 0.9f, 0.3f, 1e-6f}) {
          SamplingOptions options;
          options.temperature = temperature;
          options.topK = topK;
          options.topP = topP;
          expectAsDefined(logits, options);
          if (HasFatalFailure())
            FAIL() << count << " tokens, temperature " << temperature
                   << ", top-k " << topK << ", top-p " << topP;
        }
    }
}

TEST(Sampler, OfEqualLogitsTheLowestIdsStay) {
  std::vector<float> logits(500, 1);
  SamplingOptions options;
  options.temperature = 1;
  options.topK = 3;
  expectAsDefined(logits, options);
  options.topK = 0;
  options.topP = 0.0135f; // seven of them
  expectAsDefined(logits, options);
  std::vector<float> found = probabilities(logits, options);
  EXPECT_GT(found[6], 0);
  EXPECT_EQ(found[7], 0);
}

TEST(Sampler, DrawsByTheProbabilities) {
  std::vector<float> logits = randomLogits(200, 5, 2);
  for (int64_t topK : {0, 20})
    for (float topP : {1.0f, 0.7f}) {
      SamplingOptions options;
      options.temperature = 0.9f;
      options.topK = topK;
      options.topP = topP;
      Sampler sampler(200);
      std::vector<float> wanted = probabilities(logits, options);
      std::vector<int64_t> counts(200);
      Random random(17);
      for (int i = 0; i < 100000; ++i)
        ++counts[size_t(sampler.sample(logits.data(), options, {}, random))];
      double kept = double(std::count_if(wanted.begin(), wanted.end(),
                                         [](float one) { return one > 0; }));
      // Four standard deviations of a chi-square distribution.
      EXPECT_LT(chiSquare(counts, wanted), kept + 4 * std::sqrt(2 * kept))
          << topK << " " << topP;
    }
}

TEST(Sampler, EqualSeedsGiveEqualTokens) {
  std::vector<float> logits = randomLogits(1000, 2, 1);
  auto draw = [&](uint64_t seed) {
    SamplingOptions options;
    options.temperature = 1;
    Sampler sampler(1000);
    Random random(seed);
    std::vector<int64_t> tokens;
    for (int i = 0; i < 20; ++i)
      tokens.push_back(sampler.sample(logits.data(), options, {}, random));
    return tokens;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
}

TEST(Sampler, RandomNumbersAreThoseOfSplitMix64) {
  Random random(1234567);
  EXPECT_EQ(random.next(), 6457827717110365317u);
  EXPECT_EQ(random.next(), 3203168211198807973u);
  EXPECT_EQ(random.next(), 9817491932198370423u);
  Random other(0);
  for (int i = 0; i < 1000; ++i) {
    double number = other.uniform();
    EXPECT_TRUE(number >= 0 && number < 1);
  }
}

TEST(Sampler, PenaltyIsTakenOnceFromTokensThatCame) {
  std::vector<float> logits = {2, -2, 1, 0.5f, 0};
  SamplingOptions options;
  options.temperature = 1;
  options.repetitionPenalty = 2;
  std::vector<float> wanted = {1, -4, 1, 0.5f, 0};
  SamplingOptions plain;
  plain.temperature = 1;
  std::vector<int64_t> text = {3, 0, 1, 0, 0, 1};
  options.repetitionWindow = 5; // token 3 is out of it
  EXPECT_EQ(probabilities(logits, options, text), probabilities(wanted, plain));
  options.repetitionWindow = 0;
  wanted[3] = 0.25f;
  EXPECT_EQ(probabilities(logits, options, text), probabilities(wanted, plain));
  // And for greedy: token 0 is no longer the largest alone.
  Sampler sampler(5);
  Random random;
  options.temperature = 0;
  options.repetitionPenalty = 4;
  EXPECT_EQ(sampler.sample(logits.data(), options, {text.data(), text.size()},
                           random),
            2);
  // Nothing of the last call stays.
  EXPECT_EQ(sampler.sample(logits.data(), options, {}, random), 0);
}

TEST(Sampler, NamesTheOptionThatIsWrong) {
  auto message = [](SamplingOptions options) {
    try {
      checkOptions(options);
    } catch (const Failure &failure) {
      EXPECT_EQ(failure.status, TN_ERROR_ARGUMENT);
      return std::string(failure.what());
    }
    return std::string("none");
  };
  SamplingOptions options;
  EXPECT_EQ(message(options), "none");
  options.temperature = -1;
  EXPECT_EQ(message(options), "the temperature must be 0 or larger, is -1");
  options.temperature = NAN;
  EXPECT_EQ(message(options), "the temperature must be 0 or larger, is nan");
  options = {};
  options.topK = -2;
  EXPECT_EQ(message(options), "top-k must be 0 or larger, is -2");
  options = {};
  options.topP = 1.5f;
  EXPECT_EQ(message(options),
            "top-p must be larger than 0 and at most 1, is 1.5");
  options.topP = 0;
  EXPECT_EQ(message(options),
            "top-p must be larger than 0 and at most 1, is 0");
  options = {};
  options.repetitionPenalty = 0;
  EXPECT_EQ(message(options),
            "the repetition penalty must be larger than 0, is 0");
  options = {};
  options.repetitionWindow = -1;
  EXPECT_EQ(message(options),
            "the repetition window must be 0 or larger, is -1");
}
