// What a step of a decoder allocates and copies: nothing.
#include "Runtime/Decoder.h"
#include "Runtime/Failure.h"
#include "gtest/gtest.h"
#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>

using namespace tenon::runtime;

// Every allocation of this program, of all threads; memory that the runtime
// maps is seen by its address.
static std::atomic<int64_t> allocations{0};

void *operator new(size_t bytes) {
  ++allocations;
  if (void *block = std::malloc(bytes ? bytes : 1))
    return block;
  throw std::bad_alloc();
}
void operator delete(void *block) noexcept { std::free(block); }
void operator delete(void *block, size_t) noexcept { std::free(block); }

namespace {

std::unique_ptr<StepModel> load(int64_t slots, int64_t capacity,
                                const char *name = "/fake-cache.so") {
  auto module = std::make_shared<const Module>(ARTIFACTS + std::string(name));
  DecoderOptions options;
  options.session.threads = 2;
  options.slots = slots;
  options.capacity = capacity;
  return makeDecoder(module, options);
}

/// Logits of one token behind each of two sequences.
const float *stepBoth(StepModel &model, int64_t position, int64_t token) {
  int64_t ids[] = {token, 3}, slots[] = {1, 0}, starts[] = {position, position},
          row = 0;
  return model.step({2, 1, ids, slots, starts, &row, 1});
}

/// Sets an input of `length` places, two numbers in each, that are all `value`.
void keep(StepModel &model, int64_t slot, const char *name, int64_t length,
          float value) {
  std::vector<float> numbers(size_t(2 * length), value);
  bool isStates = name == std::string("states");
  tn_tensor tensor = {numbers.data(), 8 * length, TN_F32, 3, {1}};
  tensor.dims[1] = isStates ? length : 2;
  tensor.dims[2] = isStates ? 2 : length;
  model.setInput(slot, name, tensor);
}

std::string failure(const std::function<void()> &body) {
  try {
    body();
  } catch (const Failure &failure) {
    return failure.what();
  }
  return "none";
}

} // namespace

TEST(Decoder, KeepsWhatAnEncoderGaveForEachSequence) {
  std::unique_ptr<StepModel> model = load(3, 64, "/fake-kept.so");
  keep(*model, 1, "states", 5, 1);
  keep(*model, 1, "keys", 5, 2);
  keep(*model, 0, "states", 3, 10);
  keep(*model, 0, "keys", 3, 20);
  const float *logits = stepBoth(*model, 0, 4);
  EXPECT_EQ(logits[14], 10);
  EXPECT_EQ(logits[13], 20);
  EXPECT_EQ(logits[16 + 14], 60);
  EXPECT_EQ(logits[16 + 13], 120);
  // A longer one moves what the others have.
  keep(*model, 0, "states", 40, 1);
  keep(*model, 0, "keys", 40, 1);
  logits = stepBoth(*model, 1, 4);
  EXPECT_EQ(logits[14], 10);
  EXPECT_EQ(logits[13], 20);
  EXPECT_EQ(logits[16 + 14], 80);
  EXPECT_EQ(logits[16 + 13], 80);
  int64_t before = allocations;
  stepBoth(*model, 2, 4);
  EXPECT_EQ(allocations, before);
}

TEST(Decoder, NeedsAllThatAnEncoderGives) {
  std::unique_ptr<StepModel> model = load(2, 64, "/fake-kept.so");
  auto step = [&] { stepBoth(*model, 0, 4); };
  EXPECT_EQ(failure(step),
            "sequence 1 has no input 'states', which an encoder gives");
  keep(*model, 1, "states", 5, 1);
  EXPECT_EQ(failure(step),
            "sequence 1 has no input 'keys', which an encoder gives");
  keep(*model, 1, "keys", 4, 1);
  EXPECT_EQ(failure(step), "sequence 1 has input 'keys' of length 4, but "
                           "'states' of length 5");
  EXPECT_EQ(failure([&] { keep(*model, 2, "states", 5, 1); }),
            "there is no slot 2: the decoder has 2");
  EXPECT_EQ(failure([&] { keep(*model, 1, "states", 0, 1); }),
            "input 'states' has length 0, but a sequence needs 1 or more");
  EXPECT_EQ(failure([&] { keep(*model, 1, "cache", 5, 1); }),
            "the decoder has no input 'cache' that a sequence keeps");
  tn_tensor two = {nullptr, 0, TN_F32, 3, {2, 5, 2}};
  EXPECT_EQ(failure([&] { model->setInput(1, "states", two); }),
            "input 'states' of a sequence must have size 1 in dimension 0, "
            "has 2");
  keep(*model, 1, "keys", 5, 1);
  keep(*model, 0, "keys", 1, 1);
  keep(*model, 0, "states", 1, 1);
  EXPECT_EQ(failure(step), "none");
}

TEST(Decoder, ATokenAllocatesNothingAndMovesNoCache) {
  std::unique_ptr<StepModel> model = load(3, 600);
  const float *logits = stepBoth(*model, 0, 5);
  ASSERT_GT(allocations, 0) << "allocations are not counted";
  int64_t before = allocations;
  for (int64_t position = 1; position < 600; ++position) {
    ASSERT_EQ(stepBoth(*model, position, 7), logits) << position;
    ASSERT_EQ(allocations, before) << position;
    ASSERT_EQ(logits[5], 1) << position;
    ASSERT_EQ(logits[7], float(position));
    ASSERT_EQ(logits[16 + 3], float(position + 1));
    ASSERT_EQ(logits[15], 0) << "the cache moved";
  }
}

TEST(Decoder, ASmallerStepKeepsWhatALargerOneHad) {
  std::unique_ptr<StepModel> model = load(2, 64);
  std::vector<int64_t> ids(40, 2);
  int64_t slot = 1, start = 0, rows[] = {38, 39};
  const float *logits =
      model->step({1, 40, ids.data(), &slot, &start, rows, 2});
  EXPECT_EQ(logits[16 + 2], 40);
  int64_t before = allocations;
  EXPECT_EQ(stepBoth(*model, 40, 2), logits);
  EXPECT_EQ(logits[2], 41);
  EXPECT_EQ(allocations, before);
}

TEST(Decoder, CountsWhatCachesTake) {
  Module module(ARTIFACTS + std::string("/fake-cache.so"));
  const Description &text = module.description();
  std::vector<int64_t> sizes(text.symbols.size(), 1);
  EXPECT_EQ(text.stateBytes(sizes), 8);
  for (size_t i = 0; i < sizes.size(); ++i)
    sizes[i] = text.symbols[i].name == "slots"      ? 3
               : text.symbols[i].name == "capacity" ? 600
                                                    : 1;
  EXPECT_EQ(text.stateBytes(sizes), 3 * 600 * 8);
  std::fill(sizes.begin(), sizes.end(), int64_t(1) << 32);
  EXPECT_THROW(text.stateBytes(sizes), Failure);
}
