// What the C API of generators does without what it needs, and in two threads.
#include "FakeStepModel.h"
#include "Runtime/CApi.h"
#include "gtest/gtest.h"
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

using namespace tenon::runtime;

static std::string error() { return tn_last_error(); }

namespace {
/// A decoder and its generator over a model of two sequences of 64 tokens.
struct Texts {
  Texts() {
    auto model = std::make_shared<FakeStepModel>(37, 2, 64);
    fake = model.get();
    decoder = new tn_decoder{std::move(model)};
    EXPECT_EQ(tn_generator_create(decoder, &generator), TN_OK) << error();
  }
  ~Texts() {
    tn_decoder_release(decoder);
    tn_generator_release(generator);
  }

  std::vector<int64_t> tokens(int32_t sequence) {
    int64_t count = 0;
    EXPECT_EQ(tn_generator_tokens(generator, sequence, nullptr, 0, &count),
              TN_OK);
    std::vector<int64_t> result((size_t(count)));
    EXPECT_EQ(
        tn_generator_tokens(generator, sequence, result.data(), count, &count),
        TN_OK);
    return result;
  }

  FakeStepModel *fake;
  tn_decoder *decoder;
  tn_generator *generator = nullptr;
};
} // namespace

TEST(CApiGenerate, RefusesNullPointers) {
  int64_t ids[] = {1}, count = 0;
  int32_t number = 0;
  tn_generator_options options = {};
  tn_tensor tensor = {};
  tn_generation_statistics statistics = {};
  tn_decoder_options decoderOptions = {{1, 0, 0}, 8, 1};
  tn_decoder *decoder = nullptr;
  tn_generator *generator = nullptr;
  EXPECT_EQ(tn_decoder_create(nullptr, &decoderOptions, &decoder),
            TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the module is null");
  EXPECT_EQ(tn_generator_create(nullptr, &generator), TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the decoder is null");
  for (tn_status status :
       {tn_generator_set_options(nullptr, 0, &options),
        tn_generator_set_prompt(nullptr, 0, ids, 1),
        tn_generator_set_input(nullptr, 0, "states", &tensor),
        tn_generator_rewind(nullptr, 0, 0),
        tn_generator_run(nullptr, nullptr, nullptr),
        tn_generator_begin(nullptr, -1),
        tn_generator_step(nullptr, nullptr, nullptr, &number),
        tn_generator_tokens(nullptr, 0, ids, 1, &count),
        tn_generator_end(nullptr, 0, &number),
        tn_generator_statistics(nullptr, &statistics),
        tn_generator_statistics_reset(nullptr)}) {
    EXPECT_EQ(status, TN_ERROR_ARGUMENT);
    EXPECT_EQ(error(), "the generator is null");
  }
  EXPECT_EQ(tn_decoder_vocabulary(nullptr), 0);
  EXPECT_EQ(tn_decoder_capacity(nullptr), 0);
  EXPECT_EQ(tn_decoder_sequences(nullptr), 0);
  tn_generator_stop(nullptr);
  tn_generator_release(nullptr);
  tn_decoder_release(nullptr);

  Texts texts;
  EXPECT_EQ(tn_generator_create(texts.decoder, nullptr), TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the result is null");
  EXPECT_EQ(tn_generator_set_options(texts.generator, 0, nullptr),
            TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the struct of options is null");
  EXPECT_EQ(tn_generator_set_input(texts.generator, 0, nullptr, &tensor),
            TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the name is null");
  EXPECT_EQ(tn_generator_set_input(texts.generator, 0, "states", nullptr),
            TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the tensor is null");
  EXPECT_EQ(tn_generator_set_input(texts.generator, 0, "states", &tensor),
            TN_ERROR_INPUT);
  EXPECT_EQ(error(), "the decoder has no input 'states' that a sequence keeps");
  EXPECT_EQ(tn_generator_set_prompt(texts.generator, 0, nullptr, 1),
            TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the list of ids is null");
  EXPECT_EQ(tn_generator_set_prompt(texts.generator, 0, nullptr, 0),
            TN_ERROR_INPUT);
  EXPECT_EQ(tn_generator_step(texts.generator, nullptr, nullptr, nullptr),
            TN_ERROR_ARGUMENT);
  EXPECT_EQ(tn_generator_tokens(texts.generator, 0, ids, 1, nullptr),
            TN_ERROR_ARGUMENT);
  EXPECT_EQ(tn_generator_end(texts.generator, 0, nullptr), TN_ERROR_ARGUMENT);
  EXPECT_EQ(tn_generator_statistics(texts.generator, nullptr),
            TN_ERROR_ARGUMENT);
  options.stop_count = 1;
  EXPECT_EQ(tn_generator_set_options(texts.generator, 0, &options),
            TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the list of stop tokens is null");
  options.stop_count = -1;
  EXPECT_EQ(tn_generator_set_options(texts.generator, 0, &options),
            TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the number of stop tokens must be 0 or more, is -1");
}

TEST(CApiGenerate, RefusesDecodersOfNoSize) {
  tn_module *module = nullptr;
  tn_decoder *decoder = nullptr;
  ASSERT_EQ(tn_module_load(ARTIFACTS "/fake.so", &module), TN_OK) << error();
  auto refused = [&](tn_decoder_options options) {
    EXPECT_EQ(tn_decoder_create(module, &options, &decoder), TN_ERROR_ARGUMENT);
    EXPECT_EQ(decoder, nullptr);
    return error();
  };
  EXPECT_EQ(refused({{1, 0, 0}, 0, 1}),
            "the capacity must be 1 or larger, is 0");
  EXPECT_EQ(refused({{1, 0, 0}, 8, -1}), "sequences must be 0 or more, is -1");
  EXPECT_EQ(refused({{-1, 0, 0}, 8, 1}),
            "threads must be from 0 to 4096, is -1");
  EXPECT_EQ(tn_decoder_create(module, nullptr, &decoder), TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the struct of options is null");
  tn_decoder_options options = {{1, 0, 0}, 8, 1};
  EXPECT_EQ(tn_decoder_create(module, &options, nullptr), TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the result is null");
  // What is no decoder, whatever its size.
  EXPECT_NE(tn_decoder_create(module, &options, &decoder), TN_OK);
  EXPECT_EQ(decoder, nullptr);
  tn_module_release(module);
}

TEST(CApiGenerate, GeneratesStopsAndCounts) {
  Texts texts;
  EXPECT_EQ(tn_decoder_vocabulary(texts.decoder), 37);
  EXPECT_EQ(tn_decoder_capacity(texts.decoder), 64);
  EXPECT_EQ(tn_decoder_sequences(texts.decoder), 2);
  tn_generator_options options = {};
  options.max_tokens = 6;
  int64_t ids[] = {1, 2, 3};
  ASSERT_EQ(tn_generator_set_options(texts.generator, 1, &options), TN_OK);
  ASSERT_EQ(tn_generator_set_prompt(texts.generator, 1, ids, 3), TN_OK);
  std::vector<int64_t> told;
  auto keep = [](void *context, int32_t sequence, int64_t token) {
    EXPECT_EQ(sequence, 1);
    static_cast<std::vector<int64_t> *>(context)->push_back(token);
    return int32_t(0);
  };
  ASSERT_EQ(tn_generator_run(texts.generator, keep, &told), TN_OK) << error();
  std::vector<int64_t> all = texts.tokens(1);
  EXPECT_EQ(all.size(), 9u);
  EXPECT_EQ(told, std::vector<int64_t>(all.begin() + 3, all.end()));
  int32_t end = -1;
  EXPECT_EQ(tn_generator_end(texts.generator, 1, &end), TN_OK);
  EXPECT_EQ(end, TN_END_LIMIT);
  tn_generation_statistics statistics;
  EXPECT_EQ(tn_generator_statistics(texts.generator, &statistics), TN_OK);
  EXPECT_EQ(statistics.prompt_tokens, 3);
  EXPECT_EQ(statistics.generated_tokens, 6);
  EXPECT_EQ(statistics.decoded_tokens, 5);
  EXPECT_EQ(statistics.decode_steps, 5);
  EXPECT_GT(statistics.decode_nanoseconds, 0);
  EXPECT_EQ(tn_generator_statistics_reset(texts.generator), TN_OK);

  // The same in pieces, from the prompt on, until it is stopped.
  ASSERT_EQ(tn_generator_rewind(texts.generator, 1, 3), TN_OK);
  ASSERT_EQ(tn_generator_begin(texts.generator, 1), TN_OK);
  told.clear();
  int32_t more = 0;
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(tn_generator_step(texts.generator, keep, &told, &more), TN_OK);
    EXPECT_EQ(more, 1);
  }
  tn_generator_stop(texts.generator);
  ASSERT_EQ(tn_generator_step(texts.generator, keep, &told, &more), TN_OK);
  EXPECT_EQ(more, 0);
  EXPECT_EQ(told, std::vector<int64_t>(all.begin() + 3, all.begin() + 5));
  EXPECT_EQ(tn_generator_end(texts.generator, 1, &end), TN_OK);
  EXPECT_EQ(end, TN_END_ASKED);
  // A run that begins is not stopped by what was asked before.
  ASSERT_EQ(tn_generator_run(texts.generator, nullptr, nullptr), TN_OK);
  EXPECT_EQ(texts.tokens(1).size(), 11u);
  // 2 ends all, at once.
  ASSERT_EQ(tn_generator_run(
                texts.generator,
                [](void *, int32_t, int64_t) { return int32_t(2); }, nullptr),
            TN_OK);
  EXPECT_EQ(texts.tokens(1).size(), 12u);
}

TEST(CApiGenerate, ZeroedOptionsAreTheUsualOnes) {
  Texts texts;
  tn_generator_options options = {};
  int64_t ids[] = {1, 2, 3};
  ASSERT_EQ(tn_generator_set_options(texts.generator, 0, &options), TN_OK);
  ASSERT_EQ(tn_generator_set_prompt(texts.generator, 0, ids, 3), TN_OK);
  EXPECT_EQ(tn_generator_run(texts.generator, nullptr, nullptr),
            TN_ERROR_INPUT);
  EXPECT_EQ(error(), "the context of sequence 0 is full: it has 65 tokens, the "
                     "capacity is 64");
  EXPECT_EQ(texts.tokens(0).size(), 65u);
  options.sliding_window = 1;
  options.max_tokens = 100;
  ASSERT_EQ(tn_generator_set_options(texts.generator, 0, &options), TN_OK);
  EXPECT_EQ(tn_generator_run(texts.generator, nullptr, nullptr), TN_OK);
  options.top_p = 2;
  EXPECT_EQ(tn_generator_set_options(texts.generator, 0, &options),
            TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "top-p must be larger than 0 and at most 1, is 2");
}

TEST(CApiGenerate, ADecoderHasOneGenerator) {
  Texts texts;
  tn_generator *second = nullptr;
  EXPECT_EQ(tn_generator_create(texts.decoder, &second), TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the decoder has a generator already");
  tn_generator_release(texts.generator);
  EXPECT_EQ(tn_generator_create(texts.decoder, &texts.generator), TN_OK);
}

TEST(CApiGenerate, ASecondCallIsRefusedWhileOneGoesOn) {
  Texts texts;
  int64_t ids[] = {1, 2, 3};
  tn_generator_options options = {};
  options.max_tokens = 20;
  ASSERT_EQ(tn_generator_set_options(texts.generator, 0, &options), TN_OK);
  ASSERT_EQ(tn_generator_set_prompt(texts.generator, 0, ids, 3), TN_OK);
  std::mutex mutex;
  std::condition_variable changed;
  bool isInside = false, mayGoOn = false;
  texts.fake->beforeStep = [&] {
    std::unique_lock<std::mutex> lock(mutex);
    isInside = true;
    changed.notify_all();
    changed.wait(lock, [&] { return mayGoOn; });
  };
  std::thread other([&] {
    EXPECT_EQ(tn_generator_run(texts.generator, nullptr, nullptr), TN_OK)
        << error();
  });
  {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return isInside; });
  }
  int64_t count = 0;
  for (tn_status status :
       {tn_generator_run(texts.generator, nullptr, nullptr),
        tn_generator_set_prompt(texts.generator, 0, ids, 1),
        tn_generator_rewind(texts.generator, 0, 0),
        tn_generator_tokens(texts.generator, 0, nullptr, 0, &count)}) {
    EXPECT_EQ(status, TN_ERROR_ARGUMENT);
    EXPECT_EQ(error(), "the generator is in use by another call");
  }
  {
    std::lock_guard<std::mutex> lock(mutex);
    mayGoOn = true;
    changed.notify_all();
  }
  other.join();
  EXPECT_EQ(texts.tokens(0).size(), 23u);
  // And from the callback, where it would be the same thread.
  ASSERT_EQ(tn_generator_run(
                texts.generator,
                [](void *context, int32_t, int64_t) {
                  EXPECT_EQ(tn_generator_rewind(
                                static_cast<tn_generator *>(context), 0, 0),
                            TN_ERROR_ARGUMENT);
                  return int32_t(1);
                },
                texts.generator),
            TN_OK);
  EXPECT_EQ(texts.tokens(0).size(), 24u);
}

TEST(CApiGenerate, IsStoppedFromAnotherThread) {
  Texts texts;
  int64_t ids[] = {1};
  tn_generator_options options = {};
  options.sliding_window = 1; // it would never end
  ASSERT_EQ(tn_generator_set_options(texts.generator, 0, &options), TN_OK);
  ASSERT_EQ(tn_generator_set_prompt(texts.generator, 0, ids, 1), TN_OK);
  std::atomic<int> steps{0};
  texts.fake->beforeStep = [&] { ++steps; };
  std::thread other([&] {
    EXPECT_EQ(tn_generator_run(texts.generator, nullptr, nullptr), TN_OK)
        << error();
  });
  while (steps < 100)
    std::this_thread::yield();
  tn_generator_stop(texts.generator);
  other.join();
}
