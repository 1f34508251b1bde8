// The loop against a model that knows what its slots hold.
#include "Runtime/Generator.h"
#include "FakeStepModel.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <cmath>
#include <map>

using namespace tenon::runtime;

using Tokens = std::vector<int64_t>;

static Tokens randomTokens(size_t count, uint64_t seed, int64_t vocabulary) {
  Random random(seed);
  Tokens tokens;
  for (size_t i = 0; i < count; ++i)
    tokens.push_back(int64_t(random.next() % uint64_t(vocabulary)));
  return tokens;
}

static void prompt(Generator &generator, int64_t sequence,
                   const Tokens &tokens) {
  generator.setPrompt(sequence, tokens.data(), int64_t(tokens.size()));
}

/// The greedy continuation, by definition.
static Tokens continued(FakeStepModel &model, Tokens text, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    std::vector<float> logits = model.logitsOf(text);
    text.push_back(std::max_element(logits.begin(), logits.end()) -
                   logits.begin());
  }
  return text;
}

static std::string failure(const std::function<void()> &body) {
  try {
    body();
  } catch (const Failure &failure) {
    return failure.what();
  }
  return "none";
}

static GenerationOptions most(int64_t maxTokens) {
  GenerationOptions options;
  options.maxTokens = maxTokens;
  return options;
}

/// Drawn from all tokens.
static GenerationOptions drawn(int64_t maxTokens, uint64_t seed) {
  GenerationOptions options = most(maxTokens);
  options.sampling.temperature = 0.7f;
  options.seed = seed;
  return options;
}

TEST(Generator, ContinuesAPrompt) {
  for (size_t length : {1, 2, 3, 4, 5, 8, 9, 20}) {
    FakeStepModel model(37, 1, 64);
    Generator generator(model, 4);
    Tokens text = randomTokens(length, length, 37), told;
    generator.setOptions(0, most(10));
    prompt(generator, 0, text);
    generator.run([&](int64_t sequence, int64_t token) {
      EXPECT_EQ(sequence, 0);
      told.push_back(token);
      return Next::Continue;
    });
    Tokens wanted = continued(model, text, 10);
    EXPECT_EQ(generator.tokens(0), wanted);
    EXPECT_EQ(told, Tokens(wanted.begin() + int64_t(length), wanted.end()));
    EXPECT_EQ(generator.end(0), End::Limit);
  }
}

TEST(Generator, FeedsPromptsInChunksAndAsksForTheLastLogitsAlone) {
  FakeStepModel model(37, 1, 64);
  Generator generator(model, 8);
  generator.setOptions(0, most(3));
  prompt(generator, 0, randomTokens(20, 1, 37));
  generator.run(nullptr);
  std::vector<int64_t> sizes;
  for (const FakeStepModel::Made &made : model.steps) {
    EXPECT_EQ(made.rows, 1);
    sizes.push_back(made.sequence);
  }
  EXPECT_EQ(sizes, (std::vector<int64_t>{8, 8, 4, 1, 1}));
  const GenerationStatistics &counts = generator.statistics();
  EXPECT_EQ(counts.promptTokens, 20);
  EXPECT_EQ(counts.generatedTokens, 3);
  EXPECT_EQ(counts.decodedTokens, 2);
  EXPECT_EQ(counts.decodeSteps, 2);
  EXPECT_GT(counts.promptNanoseconds, 0);
  EXPECT_GT(counts.decodeNanoseconds, 0);
  generator.resetStatistics();
  EXPECT_EQ(generator.statistics().promptTokens, 0);
}

/// Eight sequences of different lengths, options and ends.
static GenerationOptions optionsOf(int64_t number, int64_t speculate) {
  GenerationOptions options =
      number % 2 ? drawn(20 + number, uint64_t(number)) : most(15 + number);
  options.sampling.topK = number % 4 == 1 ? 5 : 0;
  options.sampling.repetitionPenalty = number % 3 == 2 ? 1.3f : 1;
  options.speculate = speculate;
  if (number % 3 == 0)
    options.stopTokens = {3, 17};
  return options;
}

TEST(Generator, ABatchGivesWhatEachGivesAlone) {
  for (size_t order : {0, 2})
    for (int64_t speculate : {0, 5}) {
      FakeStepModel together(23, 8, 100, order);
      Generator batch(together, 16);
      for (int64_t i = 0; i < 8; ++i) {
        batch.setOptions(i, optionsOf(i, speculate));
        prompt(batch, i, randomTokens(size_t(1 + i * i), uint64_t(i), 23));
      }
      batch.run(nullptr);
      std::set<int64_t> batches;
      for (const FakeStepModel::Made &made : together.steps)
        batches.insert(made.batch);
      EXPECT_EQ(*batches.rbegin(), 8);
      EXPECT_EQ(*batches.begin(), 1); // it shrinks
      for (int64_t i = 0; i < 8; ++i) {
        FakeStepModel model(23, 1, 100, order);
        Generator alone(model);
        alone.setOptions(0, optionsOf(i, 0));
        prompt(alone, 0, randomTokens(size_t(1 + i * i), uint64_t(i), 23));
        alone.run(nullptr);
        EXPECT_EQ(batch.tokens(i), alone.tokens(0)) << i << " " << speculate;
        EXPECT_EQ(batch.end(i), alone.end(0)) << i;
      }
    }
}

TEST(Generator, DraftsChangeNothingButTheNumberOfSteps) {
  // Texts of order 2 run into circles, which drafts find.
  for (bool isDrawn : {false, true}) {
    FakeStepModel plainModel(13, 1, 400, 2), model(13, 1, 400, 2);
    // Drawn texts leave their circles now and then.
    plainModel.scale = model.scale = isDrawn ? 60 : 4;
    Generator plain(plainModel), drafting(model);
    GenerationOptions options = isDrawn ? drawn(350, 5) : most(350);
    Tokens text = randomTokens(10, 4, 13);
    plain.setOptions(0, options);
    options.speculate = 6;
    drafting.setOptions(0, options);
    prompt(plain, 0, text);
    prompt(drafting, 0, text);
    plain.run(nullptr);
    drafting.run(nullptr);
    EXPECT_EQ(drafting.tokens(0), plain.tokens(0));
    const GenerationStatistics &counts = drafting.statistics();
    EXPECT_GT(counts.accepted, 0);
    EXPECT_GE(counts.drafted, counts.accepted);
    EXPECT_EQ(counts.decodedTokens, 349);
    EXPECT_EQ(counts.decodeSteps + counts.accepted, 349);
    EXPECT_LT(model.steps.size(), plainModel.steps.size() * 2 / 3);
    EXPECT_EQ(plain.statistics().drafted, 0);
  }
}

TEST(Generator, StopsDraftingWhereLittleIsAccepted) {
  // All depends on the whole text, so what came before says nothing, but pairs
  // of tokens are found often: a draft is right by chance.
  FakeStepModel model(30, 1, 3000);
  Generator generator(model);
  GenerationOptions options = most(2900);
  options.speculate = 8;
  generator.setOptions(0, options);
  prompt(generator, 0, randomTokens(50, 1, 30));
  generator.run(nullptr);
  EXPECT_GT(generator.statistics().drafted, 10);
  EXPECT_LT(generator.statistics().drafted, 290);
}

TEST(Generator, DrawnTokensHaveTheirProbabilitiesWithDrafts) {
  // Pairs of tokens behind a prompt that offers a draft.
  FakeStepModel model(4, 1, 32, 3);
  Generator generator(model);
  Tokens text = {0, 1, 2, 3, 0, 1, 2};
  std::vector<int64_t> counts(16);
  constexpr int64_t runs = 8000;
  for (int64_t run = 0; run < runs; ++run) {
    // The third token comes from a step with drafts for it and one more.
    GenerationOptions options = drawn(4, uint64_t(run));
    options.sampling.temperature = 3;
    options.speculate = 4;
    generator.setOptions(0, options);
    generator.rewind(0, 0);
    prompt(generator, 0, text);
    generator.run(nullptr);
    const Tokens &tokens = generator.tokens(0);
    if (tokens[7] == 3) // as in the prompt, so that there is a draft
      ++counts[size_t(tokens[8] * 4 + tokens[9])];
  }
  EXPECT_GT(generator.statistics().accepted, 100);
  EXPECT_LT(generator.statistics().accepted, generator.statistics().drafted);
  auto probability = [&](Tokens text, int64_t token) {
    std::vector<float> logits = model.logitsOf(text);
    double total = 0;
    for (float &logit : logits)
      total += logit = std::exp(logit / 3);
    return logits[size_t(token)] / total;
  };
  text.push_back(3);
  int64_t total = 0;
  for (int64_t count : counts)
    total += count;
  EXPECT_GT(total, 1000);
  double chiSquare = 0;
  for (int64_t first = 0; first < 4; ++first)
    for (int64_t second = 0; second < 4; ++second) {
      Tokens longer = text;
      longer.push_back(first);
      double wanted = double(total) * probability(text, first) *
                      probability(longer, second);
      double difference = double(counts[size_t(first * 4 + second)]) - wanted;
      chiSquare += difference * difference / wanted;
    }
  EXPECT_LT(chiSquare, 37.7); // 15 degrees of freedom, one in a thousand
}

TEST(Generator, EndsWithAStopTokenThatBelongsToTheText) {
  for (int64_t speculate : {0, 6}) {
    FakeStepModel model(13, 1, 200, 2);
    Generator generator(model);
    Tokens text = randomTokens(10, 4, 13);
    Tokens all = continued(model, text, 100);
    GenerationOptions options = most(100);
    options.speculate = speculate;
    options.stopTokens = {all[60]};
    size_t at =
        size_t(std::find(all.begin() + 10, all.end(), all[60]) - all.begin());
    generator.setOptions(0, options);
    prompt(generator, 0, text);
    generator.run(nullptr);
    EXPECT_EQ(generator.tokens(0),
              Tokens(all.begin(), all.begin() + int64_t(at) + 1));
    EXPECT_EQ(generator.end(0), End::Stop);
    // It takes no part in another run until it has a new text.
    size_t steps = model.steps.size();
    generator.run(nullptr);
    EXPECT_EQ(model.steps.size(), steps);
    options.stopTokens.clear();
    options.maxTokens = 5;
    generator.setOptions(0, options);
    generator.rewind(0, int64_t(at) + 1);
    generator.run(nullptr);
    Tokens longer = continued(model, all, 5);
    EXPECT_EQ(generator.tokens(0),
              Tokens(longer.begin(), longer.begin() + int64_t(at) + 6));
  }
}

TEST(Generator, EndsWhenTheCallbackSaysSo) {
  FakeStepModel model(37, 3, 64);
  Generator generator(model);
  for (int64_t i = 0; i < 3; ++i) {
    generator.setOptions(i, most(10));
    prompt(generator, i, randomTokens(3, uint64_t(i), 37));
  }
  std::map<int64_t, int> told;
  generator.run([&](int64_t sequence, int64_t) {
    int count = ++told[sequence];
    return sequence == 1 && count == 2   ? Next::StopSequence
           : sequence == 0 && count == 5 ? Next::StopAll
                                         : Next::Continue;
  });
  EXPECT_EQ(told[0], 5);
  EXPECT_EQ(told[1], 2);
  EXPECT_EQ(told[2], 4); // its row came behind
  for (int64_t i = 0; i < 3; ++i)
    EXPECT_EQ(generator.end(i), End::Asked);
  // All go on where they were.
  generator.run(nullptr);
  for (int64_t i = 0; i < 3; ++i)
    EXPECT_EQ(generator.tokens(i),
              continued(model, randomTokens(3, uint64_t(i), 37), told[i] + 10));
}

TEST(Generator, FeedsOfAPromptOnlyWhatIsNew) {
  FakeStepModel model(37, 1, 64);
  Generator generator(model);
  generator.setOptions(0, most(4));
  Tokens text = randomTokens(10, 1, 37);
  prompt(generator, 0, text);
  generator.run(nullptr);
  generator.resetStatistics();
  // A chat: all that was said, and more.
  Tokens chat = generator.tokens(0);
  chat.insert(chat.end(), {1, 2, 3});
  prompt(generator, 0, chat);
  generator.run(nullptr);
  EXPECT_EQ(generator.tokens(0), continued(model, chat, 4));
  EXPECT_EQ(generator.statistics().promptTokens, 4); // the last was not fed yet
  // Another text from the sixth token on.
  generator.resetStatistics();
  text[5] = (text[5] + 1) % 37;
  prompt(generator, 0, text);
  generator.run(nullptr);
  EXPECT_EQ(generator.tokens(0), continued(model, text, 4));
  EXPECT_EQ(generator.statistics().promptTokens, 5);
  // The same again: one token, for its logits.
  prompt(generator, 0, text);
  size_t steps = model.steps.size();
  generator.run(nullptr);
  EXPECT_EQ(generator.tokens(0), continued(model, text, 4));
  EXPECT_EQ(model.steps.size(), steps + 4);
}

TEST(Generator, GoesOnFromWhereItWasRewoundTo) {
  FakeStepModel model(37, 2, 64);
  Generator generator(model);
  Tokens text = randomTokens(10, 1, 37);
  for (int64_t position : {14, 13, 11, 10, 4, 1}) {
    generator.setOptions(1, most(4));
    generator.rewind(1, 0);
    prompt(generator, 1, text);
    generator.run(nullptr);
    Tokens before = generator.tokens(1);
    generator.rewind(1, position);
    before.resize(size_t(position));
    EXPECT_EQ(generator.tokens(1), before);
    generator.run(nullptr);
    EXPECT_EQ(generator.tokens(1), continued(model, before, 4)) << position;
  }
  generator.rewind(1, 0);
  size_t steps = model.steps.size();
  generator.run(nullptr); // nothing to go on from
  EXPECT_EQ(model.steps.size(), steps);
  EXPECT_EQ(failure([&] { generator.rewind(1, 1); }),
            "cannot rewind sequence 1 to token 1: it has 0");
  EXPECT_EQ(failure([&] { generator.rewind(1, -1); }),
            "cannot rewind sequence 1 to token -1: it has 0");
}

TEST(Generator, AFullContextIsAnErrorWhenTheOthersHaveEnded) {
  for (int64_t speculate : {0, 5}) {
    FakeStepModel model(13, 2, 20, 2);
    Generator generator(model);
    GenerationOptions options = most(0);
    options.speculate = speculate;
    generator.setOptions(0, options);
    options.maxTokens = 14;
    generator.setOptions(1, options);
    prompt(generator, 0, randomTokens(12, 1, 13));
    prompt(generator, 1, randomTokens(4, 2, 13));
    EXPECT_EQ(failure([&] { generator.run(nullptr); }),
              "the context of sequence 0 is full: it has 21 tokens, the "
              "capacity is 20");
    EXPECT_EQ(generator.end(0), End::Full);
    EXPECT_EQ(generator.tokens(0),
              continued(model, randomTokens(12, 1, 13), 9));
    EXPECT_EQ(generator.end(1), End::Limit);
    EXPECT_EQ(generator.tokens(1),
              continued(model, randomTokens(4, 2, 13), 14));
    // Nothing is lost, and rewound it goes on.
    generator.rewind(0, 15);
    options.maxTokens = 2;
    generator.setOptions(0, options);
    generator.setOptions(1, options);
    generator.run(nullptr);
    EXPECT_EQ(generator.tokens(0),
              continued(model, randomTokens(12, 1, 13), 5));
  }
}

TEST(Generator, ASlidingWindowDropsTheOldest) {
  for (int64_t speculate : {0, 5})
    for (size_t order : {0, 2}) {
      FakeStepModel model(13, 1, 20, order);
      Generator generator(model);
      GenerationOptions options = most(50);
      options.slidingWindow = true;
      options.speculate = speculate;
      generator.setOptions(0, options);
      Tokens text = randomTokens(12, 1, 13), told;
      prompt(generator, 0, text);
      generator.run([&](int64_t, int64_t token) {
        told.push_back(token);
        return Next::Continue;
      });
      Tokens wanted = text, output;
      for (int i = 0; i < 50; ++i) {
        if (wanted.size() > 20)
          wanted.erase(wanted.begin() + 4, wanted.end() - 8);
        wanted = continued(model, wanted, 1);
        output.push_back(wanted.back());
      }
      EXPECT_EQ(told, output);
      EXPECT_EQ(generator.tokens(0), wanted);
    }
}

TEST(Generator, RefusesWhatIsOutOfRange) {
  FakeStepModel model(37, 2, 8);
  Generator generator(model);
  auto refused = [&](int64_t sequence, Tokens tokens) {
    return failure([&] { prompt(generator, sequence, tokens); });
  };
  EXPECT_EQ(refused(1, {1, 2, 37}),
            "token 2 of the prompt of sequence 1 is 37, the vocabulary has 37");
  EXPECT_EQ(refused(0, {-1}),
            "token 0 of the prompt of sequence 0 is -1, the vocabulary has 37");
  EXPECT_EQ(refused(1, {}), "the prompt of sequence 1 has no token");
  EXPECT_EQ(refused(0, Tokens(9)),
            "the prompt of sequence 0 has 9 tokens, the capacity is 8");
  EXPECT_EQ(refused(2, {1}), "there is no sequence 2: the decoder has 2");
  EXPECT_EQ(refused(-1, {1}), "there is no sequence -1: the decoder has 2");
  EXPECT_EQ(refused(0, Tokens(8)), "none");
  GenerationOptions options;
  auto refusedOptions = [&] {
    return failure([&] { generator.setOptions(0, options); });
  };
  options.stopTokens = {5, 37};
  EXPECT_EQ(refusedOptions(), "a stop token must be from 0 to 36, is 37");
  options = most(-1);
  EXPECT_EQ(refusedOptions(), "the number of new tokens must be from 0 to "
                              "9223372036854775807, is -1");
  options = {};
  options.speculate = 65;
  EXPECT_EQ(refusedOptions(),
            "the length of drafts must be from 0 to 64, is 65");
  options = {};
  options.slidingWindow = true;
  options.keptTokens = 7;
  EXPECT_EQ(refusedOptions(),
            "what a sliding window keeps must be from 0 to 6, is 7");
  options = {};
  options.sampling.topP = 2;
  EXPECT_EQ(refusedOptions(),
            "top-p must be larger than 0 and at most 1, is 2");
  EXPECT_EQ(failure([&] { Generator(model, 0); }),
            "a step must feed 1 token or more of prompts, not 0");
}

TEST(Generator, ARefusedPromptChangesNothing) {
  FakeStepModel model(37, 1, 20);
  Generator generator(model);
  generator.setOptions(0, most(3));
  Tokens text = randomTokens(5, 1, 37);
  prompt(generator, 0, text);
  generator.run(nullptr);
  EXPECT_NE(failure([&] { prompt(generator, 0, {1, 99}); }), "none");
  generator.run(nullptr);
  EXPECT_EQ(generator.tokens(0), continued(model, text, 6));
}

TEST(Generator, GoesOnAfterAStepThatFailed) {
  for (int64_t speculate : {0, 4})
    for (int failing = 1; failing < 8; ++failing) {
      FakeStepModel model(13, 3, 100, 2);
      Generator generator(model, 6);
      for (int64_t i = 0; i < 3; ++i) {
        GenerationOptions options = most(20);
        options.speculate = speculate;
        generator.setOptions(i, options);
        prompt(generator, i, randomTokens(size_t(3 + 2 * i), uint64_t(i), 13));
      }
      int steps = 0, calls = 0;
      model.beforeStep = [&] {
        if (++steps == failing)
          fail(TN_ERROR_MEMORY, "broken");
      };
      EXPECT_EQ(failure([&] { generator.run(nullptr); }), "broken");
      // And callbacks may throw at any token.
      EXPECT_EQ(failure([&] {
                  generator.run([&](int64_t, int64_t) -> Next {
                    if (++calls == failing)
                      fail(TN_ERROR_MEMORY, "thrown");
                    return Next::Continue;
                  });
                }),
                "thrown");
      generator.run(nullptr);
      for (int64_t i = 0; i < 3; ++i) {
        Tokens text = randomTokens(size_t(3 + 2 * i), uint64_t(i), 13);
        int64_t made = int64_t(generator.tokens(i).size() - text.size());
        EXPECT_GE(made, 20);
        EXPECT_EQ(generator.tokens(i), continued(model, text, made));
      }
    }
}

TEST(Generator, LogitsThatAreNoNumbersEndTheRunAndNothingElse) {
  class Broken : public FakeStepModel {
  public:
    using FakeStepModel::FakeStepModel;
    const float *step(const Step &step) override {
      const float *logits = FakeStepModel::step(step);
      copy.assign(logits, logits + step.batch * step.rowCount * vocabulary());
      if (isBroken)
        copy[3] = NAN;
      return copy.data();
    }
    bool isBroken = true;
    std::vector<float> copy;
  };
  Broken model(11, 2, 50);
  Generator generator(model);
  for (int64_t i = 0; i < 2; ++i) {
    generator.setOptions(i, most(5));
    prompt(generator, i, randomTokens(4, uint64_t(i), 11));
  }
  EXPECT_EQ(failure([&] { generator.run(nullptr); }),
            "the logit of token 3 is no number");
  model.isBroken = false;
  generator.run(nullptr);
  for (int64_t i = 0; i < 2; ++i)
    EXPECT_EQ(generator.tokens(i),
              continued(model, randomTokens(4, uint64_t(i), 11), 5));
}

TEST(Generator, PromptsThatAreSetBetweenStepsJoin) {
  FakeStepModel model(37, 2, 64);
  Generator generator(model);
  generator.setOptions(0, most(12));
  generator.setOptions(1, most(5));
  Tokens first = randomTokens(6, 1, 37), second = randomTokens(9, 2, 37);
  prompt(generator, 0, first);
  EXPECT_FALSE(generator.step(nullptr)); // nothing was begun
  generator.begin();
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(generator.step(nullptr));
  prompt(generator, 1, second);
  while (generator.step(nullptr))
    ;
  EXPECT_EQ(generator.tokens(0), continued(model, first, 12));
  EXPECT_EQ(generator.tokens(1), continued(model, second, 5));
}

TEST(Generator, RunsOneSequenceAlone) {
  FakeStepModel model(37, 2, 64);
  Generator generator(model);
  Tokens text = randomTokens(6, 1, 37);
  for (int64_t i = 0; i < 2; ++i) {
    generator.setOptions(i, most(3));
    prompt(generator, i, text);
  }
  generator.begin(1);
  while (generator.step(nullptr))
    ;
  EXPECT_EQ(generator.tokens(0), text);
  EXPECT_EQ(generator.tokens(1), continued(model, text, 3));
  EXPECT_EQ(failure([&] { generator.begin(2); }),
            "there is no sequence 2: the decoder has 2");
}

TEST(Generator, StopsBetweenSteps) {
  FakeStepModel model(37, 2, 64);
  Generator generator(model, 4);
  prompt(generator, 0, randomTokens(20, 1, 37));
  generator.begin();
  EXPECT_TRUE(generator.step(nullptr));
  generator.stop();
  EXPECT_FALSE(generator.step(nullptr));
  EXPECT_EQ(generator.end(0), End::Asked);
  EXPECT_EQ(generator.tokens(0).size(), 20u);
  generator.setOptions(0, most(3));
  generator.run(nullptr);
  EXPECT_EQ(generator.tokens(0), continued(model, randomTokens(20, 1, 37), 3));
}
