// Perplexity and divergence, against sums by definition.
#include "Runtime/Cli/Evaluate.h"
#include "FakeStepModel.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <cmath>

using namespace tenon::runtime;

/// log of the probabilities behind a text.
static std::vector<double> logProbabilities(FakeStepModel &model,
                                            const std::vector<int64_t> &text) {
  std::vector<float> logits = model.logitsOf(text);
  double sum = 0;
  for (float logit : logits)
    sum += std::exp(double(logit));
  std::vector<double> result;
  for (float logit : logits)
    result.push_back(double(logit) - std::log(sum));
  return result;
}

static Evaluation expected(FakeStepModel &model, FakeStepModel &against,
                           const Windows &windows) {
  Evaluation result;
  for (int64_t w = 0; w < windows.count; ++w) {
    std::vector<int64_t> text;
    for (int64_t i = 0; i < windows.size; ++i) {
      int64_t id = windows.ids[w * windows.size + i];
      if (i > 0) {
        std::vector<double> q = logProbabilities(model, text);
        std::vector<double> p = logProbabilities(against, text);
        ++result.tokens;
        result.loss -= q[size_t(id)];
        result.againstLoss -= p[size_t(id)];
        for (size_t k = 0; k < p.size(); ++k)
          result.divergence += std::exp(p[k]) * (p[k] - q[k]);
        result.agreed += std::max_element(p.begin(), p.end()) - p.begin() ==
                         std::max_element(q.begin(), q.end()) - q.begin();
      }
      text.push_back(id);
    }
  }
  return result;
}

static void expectEqual(const Evaluation &found, const Evaluation &wanted) {
  EXPECT_EQ(found.tokens, wanted.tokens);
  EXPECT_NEAR(found.loss, wanted.loss, 1e-6 * wanted.loss);
  EXPECT_NEAR(found.againstLoss, wanted.againstLoss, 1e-6 * wanted.loss);
  EXPECT_NEAR(found.divergence, wanted.divergence, 1e-6 * wanted.divergence);
  EXPECT_EQ(found.agreed, wanted.agreed);
}

static std::vector<int64_t> someIds(int64_t count, int64_t vocabulary) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < count; ++i)
    ids.push_back(i * i % vocabulary);
  return ids;
}

TEST(Evaluate, SumsOverWindowsInAnyNumberOfSlots) {
  for (int64_t slots : {1, 2, 3, 8}) {
    FakeStepModel model(29, slots, 12), against(29, 4, 15, 3);
    against.scale = 3;
    std::vector<int64_t> ids = someIds(60, 29);
    std::vector<int64_t> told;
    Evaluation found =
        evaluateWindows(model, &against, {ids.data(), 12, 5},
                        [&](int64_t done) { told.push_back(done); });
    expectEqual(found, expected(model, against, {ids.data(), 12, 5}));
    EXPECT_EQ(found.tokens, 55);
    EXPECT_EQ(told.back(), 5);
    EXPECT_EQ(int64_t(told.size()), (5 + std::min<int64_t>(slots, 4) - 1) /
                                        std::min<int64_t>(slots, 4));
    EXPECT_NEAR(found.perplexity(), std::exp(found.loss / 55), 1e-9);
  }
}

TEST(Evaluate, LargeVocabulariesTakeSeveralSteps) {
  FakeStepModel model(int64_t(1) << 20, 2, 12);
  std::vector<int64_t> ids = someIds(24, int64_t(1) << 20);
  Evaluation found = evaluateWindows(model, nullptr, {ids.data(), 12, 2}, {});
  EXPECT_EQ(model.steps.size(), 2u); // 8 tokens, then 3
  EXPECT_EQ(model.steps[0].sequence, 8);
  EXPECT_EQ(model.steps[1].sequence, 3);
  EXPECT_EQ(model.steps[1].rows, 3);
  EXPECT_EQ(found.tokens, 22);
  FakeStepModel whole(int64_t(1) << 20, 1, 12);
  Evaluation other = evaluateWindows(whole, nullptr, {ids.data(), 12, 2}, {});
  EXPECT_NEAR(found.loss, other.loss, 1e-6 * found.loss);
  EXPECT_EQ(found.againstLoss, 0);
}

TEST(Evaluate, AModelIsNotFarFromItself) {
  FakeStepModel model(29, 2, 12), same(29, 2, 12);
  std::vector<int64_t> ids = someIds(24, 29);
  Evaluation found = evaluateWindows(model, &same, {ids.data(), 12, 2}, {});
  EXPECT_EQ(found.divergence, 0);
  EXPECT_EQ(found.agreed, found.tokens);
  EXPECT_EQ(found.loss, found.againstLoss);
}

TEST(Evaluate, RefusesOtherVocabulariesAndIdsOutOfThem) {
  FakeStepModel model(29, 2, 12), other(30, 2, 12);
  std::vector<int64_t> ids = someIds(24, 29);
  auto message = [&](StepModel *against) {
    try {
      evaluateWindows(model, against, {ids.data(), 12, 2}, {});
    } catch (const Failure &failure) {
      return std::string(failure.what());
    }
    return std::string("none");
  };
  EXPECT_EQ(message(&other),
            "the models have vocabularies of 29 and 30 tokens");
  ids[13] = 29;
  EXPECT_EQ(message(nullptr), "token 13 is 29, the vocabulary has 29");
  ids[13] = 0;
  model.scale = INFINITY;
  EXPECT_EQ(message(nullptr),
            "the model gives logits that are no number or infinite");
}
