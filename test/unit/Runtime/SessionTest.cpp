#include "tenon-c/Runtime.h"
#include "gtest/gtest.h"
#include <cmath>
#include <string>
#include <thread>
#include <vector>

namespace {
/// A session on the fake artifact and its inputs: x counts up, mask is i % 3.
class Fake {
public:
  explicit Fake(int threads = 1, const char *file = "/fake.so",
                bool checkMemory = false, tn_module *shared = nullptr) {
    if (!shared) {
      std::string path = ARTIFACTS + std::string(file);
      EXPECT_EQ(tn_module_load(path.c_str(), &module), TN_OK)
          << tn_last_error();
    }
    tn_session_options options = {threads, 1, checkMemory};
    EXPECT_EQ(tn_session_create(shared ? shared : module, &options, &session),
              TN_OK)
        << tn_last_error();
  }
  ~Fake() {
    // In this order, to see that the session keeps the module.
    tn_module_release(module);
    tn_session_release(session);
  }

  tn_status setX(int64_t batch) {
    x.resize(batch * 4);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = float(i) * 0.5f;
    tn_tensor tensor = {x.data(), int64_t(x.size() * 4), TN_F32, 2, {batch, 4}};
    return tn_session_set_input(session, 0, &tensor);
  }

  tn_status setMask(int64_t batch) {
    mask.resize(batch);
    for (size_t i = 0; i < mask.size(); ++i)
      mask[i] = int64_t(i % 3);
    tn_tensor tensor = {
        mask.data(), int64_t(mask.size() * 8), TN_I64, 1, {batch}};
    return tn_session_set_input(session, 1, &tensor);
  }

  std::vector<float> run(int64_t batch) {
    EXPECT_EQ(setX(batch), TN_OK) << tn_last_error();
    EXPECT_EQ(setMask(batch), TN_OK) << tn_last_error();
    EXPECT_EQ(tn_session_run(session), TN_OK) << tn_last_error();
    tn_tensor y = {};
    EXPECT_EQ(tn_session_output(session, 0, &y), TN_OK);
    EXPECT_EQ(y.dims[0], batch);
    auto *data = static_cast<float *>(y.data);
    return std::vector<float>(data, data + y.bytes / 4);
  }

  std::vector<float> expected() const {
    std::vector<float> result;
    for (size_t i = 0; i < mask.size(); ++i)
      for (int j = 0; j < 4; ++j) {
        float sum = 0;
        for (int k = 0; k < 4; ++k)
          sum += x[i * 4 + k] * float(k * 4 + j);
        result.push_back(sum * float(mask[i]));
      }
    return result;
  }

  tn_module *module = nullptr;
  tn_session *session = nullptr;
  std::vector<float> x;
  std::vector<int64_t> mask;
};

std::string error() { return tn_last_error(); }
} // namespace

TEST(Session, ComputesForAnySize) {
  Fake fake(1, "/fake.so", /*checkMemory=*/true);
  for (int64_t batch : {3, 100, 1, 0, 7}) {
    std::vector<float> found = fake.run(batch);
    EXPECT_EQ(found, fake.expected()) << batch;
    tn_tensor rows;
    ASSERT_EQ(tn_session_output(fake.session, 1, &rows), TN_OK);
    EXPECT_EQ(rows.rank, 0);
    EXPECT_EQ(*static_cast<int64_t *>(rows.data), batch);
  }
}

TEST(Session, GivesTheSameBitsForEveryNumberOfThreads) {
  Fake one(1);
  std::vector<float> expected = one.run(1001);
  for (int threads : {2, 3, 5}) {
    Fake many(threads);
    for (int i = 0; i < 20; ++i)
      ASSERT_EQ(many.run(1001), expected) << threads;
  }
}

TEST(Session, RunsBesideAnotherOfTheSameModule) {
  Fake owner;
  std::vector<float> expected = owner.run(500);
  auto body = [&] {
    Fake fake(2, "", false, owner.module);
    for (int i = 0; i < 200; ++i)
      ASSERT_EQ(fake.run(500), expected);
  };
  std::thread first(body), second(body);
  first.join();
  second.join();
}

TEST(Session, RefusesInputsThatDoNotFit) {
  Fake fake;
  float data[8] = {};
  tn_tensor wrongType = {data, 32, TN_F64, 2, {1, 4}};
  EXPECT_EQ(tn_session_set_input(fake.session, 0, &wrongType), TN_ERROR_INPUT);
  EXPECT_EQ(error(), "input 'x' must be f32, is f64");
  tn_tensor wrongRank = {data, 32, TN_F32, 1, {8}};
  EXPECT_EQ(tn_session_set_input(fake.session, 0, &wrongRank), TN_ERROR_INPUT);
  EXPECT_EQ(error(), "input 'x' must have 2 dimensions, has 1");
  tn_tensor wrongSize = {data, 32, TN_F32, 2, {1, 8}};
  EXPECT_EQ(tn_session_set_input(fake.session, 0, &wrongSize), TN_ERROR_INPUT);
  EXPECT_EQ(error(), "input 'x' must have size 4 in dimension 1, has 8");
  tn_tensor tooShort = {data, 32, TN_F32, 2, {3, 4}};
  EXPECT_EQ(tn_session_set_input(fake.session, 0, &tooShort), TN_ERROR_INPUT);
  EXPECT_EQ(error(), "input 'x' needs 48 bytes, has 32");
  EXPECT_EQ(tn_session_set_input(fake.session, 2, &tooShort), TN_ERROR_INPUT);
  EXPECT_EQ(tn_session_set_input(fake.session, 0, nullptr), TN_ERROR_ARGUMENT);
}

TEST(Session, RefusesSizesThatContradict) {
  Fake fake;
  fake.setX(3);
  EXPECT_EQ(tn_session_run(fake.session), TN_ERROR_INPUT);
  EXPECT_EQ(error(), "input 'the mask' is not set");
  fake.setMask(2);
  EXPECT_EQ(tn_session_run(fake.session), TN_ERROR_INPUT);
  EXPECT_EQ(error(),
            "'batch' is 2 in dimension 0 of input 'the mask', and 3 in "
            "dimension 0 of input 'x'");
  fake.setX(13);
  fake.setMask(13);
  EXPECT_EQ(tn_session_run(fake.session), TN_ERROR_INPUT);
  EXPECT_EQ(error(), "the model assumes batch != 13, which is false for batch "
                     "= 13");
  fake.setX(1048577);
  fake.setMask(1048577);
  EXPECT_EQ(tn_session_run(fake.session), TN_ERROR_INPUT);
  EXPECT_NE(error().find("from 0 to 1048576, is 1048577"), std::string::npos);
}

TEST(Session, WritesToMemoryOfTheCaller) {
  Fake fake;
  fake.setX(2);
  fake.setMask(2);
  float y[8] = {};
  ASSERT_EQ(tn_session_bind_output(fake.session, 0, y, 20), TN_OK);
  EXPECT_EQ(tn_session_run(fake.session), TN_ERROR_MEMORY);
  EXPECT_EQ(error(), "output 'y' needs 32 bytes, is bound to 20");
  ASSERT_EQ(tn_session_resolve(fake.session), TN_OK);
  tn_tensor tensor;
  ASSERT_EQ(tn_session_output(fake.session, 0, &tensor), TN_OK);
  EXPECT_EQ(tensor.bytes, 32);
  EXPECT_EQ(tensor.data, nullptr);
  ASSERT_EQ(tn_session_bind_output(fake.session, 0, y, 32), TN_OK);
  ASSERT_EQ(tn_session_run(fake.session), TN_OK) << error();
  EXPECT_EQ(std::vector<float>(y, y + 8), fake.expected());
}

TEST(Session, TellsTheSizesThatARunHasCounted) {
  Fake fake(1, "/fake-counted.so", /*checkMemory=*/true);
  fake.setX(9);
  fake.setMask(9);
  auto rowsOfY = [&] {
    tn_tensor y = {};
    EXPECT_EQ(tn_session_output(fake.session, 0, &y), TN_OK);
    EXPECT_EQ(y.bytes, y.dims[0] * 16);
    return y.dims[0];
  };
  for (int64_t rows : {2, 0, 9, 4}) {
    for (size_t i = 0; i < 9; ++i)
      fake.mask[i] = int64_t(i) >= rows;
    ASSERT_EQ(tn_session_resolve(fake.session), TN_OK);
    EXPECT_EQ(rowsOfY(), 9) << "before the run, the most";
    ASSERT_EQ(tn_session_run(fake.session), TN_OK) << error();
    EXPECT_EQ(rowsOfY(), rows);
    // Memory is for the most also in a run that follows one.
    ASSERT_EQ(tn_session_run(fake.session), TN_OK) << error();
    EXPECT_EQ(rowsOfY(), rows);
  }
  fake.mask[4] = 0;
  fake.mask[5] = 1;
  EXPECT_EQ(tn_session_run(fake.session), TN_ERROR_INPUT);
  EXPECT_EQ(error(), "the model assumes a counted size == 7, which is false "
                     "for 5 and 7");
  float y[36] = {};
  ASSERT_EQ(tn_session_bind_output(fake.session, 0, y, 16), TN_OK);
  EXPECT_EQ(tn_session_run(fake.session), TN_ERROR_MEMORY);
  EXPECT_EQ(error(), "output 'y' needs 144 bytes, is bound to 16");
}

TEST(Session, NoticesWritesBehindTheArena) {
  Fake fake(1, "/fake-overrun.so", /*checkMemory=*/true);
  fake.setX(2);
  fake.setMask(2);
  EXPECT_EQ(tn_session_run(fake.session), TN_ERROR_MEMORY);
  EXPECT_EQ(error(), "the run wrote behind the 64 bytes of scratch memory");
}

TEST(Session, FillsFreedMemory) {
  Fake unchecked(1, "/fake-freed.so");
  std::vector<float> found = unchecked.run(3);
  EXPECT_EQ(found, unchecked.expected());
  Fake checked(1, "/fake-freed.so", /*checkMemory=*/true);
  for (float value : checked.run(3))
    EXPECT_TRUE(std::isnan(value));
}

TEST(Session, TimesEveryLaunch) {
  Fake fake;
  fake.run(64);
  fake.run(64);
  ASSERT_EQ(tn_session_profile_count(fake.session), 2);
  tn_launch launch;
  ASSERT_EQ(tn_session_profile(fake.session, 1, &launch), TN_OK);
  EXPECT_STREQ(launch.kernel, "mask");
  EXPECT_STREQ(launch.nodes, "layer/mul,layer/cast");
  EXPECT_EQ(launch.calls, 2);
  EXPECT_LE(launch.nanoseconds, tn_session_run_nanoseconds(fake.session));
  tn_session_profile_reset(fake.session);
  EXPECT_EQ(tn_session_run_nanoseconds(fake.session), 0);
  EXPECT_EQ(tn_session_profile(fake.session, 2, &launch), TN_ERROR_ARGUMENT);
}

TEST(Session, RefusesInputsOfImpossibleSizes) {
  Fake fake;
  float data[4] = {};
  tn_tensor negative = {data, 16, TN_F32, 2, {-1, 4}};
  EXPECT_EQ(tn_session_set_input(fake.session, 0, &negative), TN_ERROR_INPUT);
  EXPECT_EQ(error(), "input 'x' has size -1 in dimension 0");
  tn_tensor large = {data, 16, TN_F32, 2, {INT64_MAX / 8, 4}};
  EXPECT_EQ(tn_session_set_input(fake.session, 0, &large), TN_ERROR_INPUT);
  EXPECT_EQ(error(), "input 'x' is too large");
  tn_tensor noData = {nullptr, 16, TN_F32, 2, {1, 4}};
  EXPECT_EQ(tn_session_set_input(fake.session, 0, &noData), TN_ERROR_INPUT);
  EXPECT_EQ(error(), "input 'x' needs 16 bytes, its data is null");
  for (int32_t rank : {-1, 17, INT32_MAX}) {
    tn_tensor wrong = {data, 16, TN_F32, rank, {1, 4}};
    EXPECT_EQ(tn_session_set_input(fake.session, 0, &wrong), TN_ERROR_INPUT);
  }
  tn_tensor wrongType = {data, 16, 99, 2, {1, 4}};
  EXPECT_EQ(tn_session_set_input(fake.session, 0, &wrongType), TN_ERROR_INPUT);
  EXPECT_EQ(error(), "input 'x' must be f32, is of an unknown type");
}

TEST(Session, RefusesMemoryThatIsNotAligned) {
  Fake fake;
  alignas(8) char bytes[48] = {};
  tn_tensor x = {bytes + 2, 16, TN_F32, 2, {1, 4}};
  EXPECT_EQ(tn_session_set_input(fake.session, 0, &x), TN_ERROR_INPUT);
  EXPECT_EQ(error(),
            "input 'x' lies at an address that is no multiple of the 4 "
            "bytes of an element");
  x.data = bytes + 4;
  EXPECT_EQ(tn_session_set_input(fake.session, 0, &x), TN_OK);
  EXPECT_EQ(tn_session_bind_output(fake.session, 0, bytes + 1, 16),
            TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "output 'y' is bound to an address that is no multiple of "
                     "the 4 bytes of an element");
}

TEST(Session, GoesOnAfterItRanOutOfMemory) {
  Fake fake(1, "/fake-huge.so");
  fake.setX(1000);
  fake.setMask(1000);
  EXPECT_EQ(tn_session_run(fake.session), TN_ERROR_MEMORY);
  EXPECT_EQ(error(),
            "out of memory: scratch memory needs 70368744177664 bytes");
  std::vector<float> found = fake.run(3);
  EXPECT_EQ(found, fake.expected());
}

TEST(Session, ComesAndGoesBesideOthersOfTheSameModule) {
  Fake owner;
  std::vector<float> expected = owner.run(64);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int round = 0; round < 10; ++round) {
        Fake fake(1 + (i + round) % 3, "", false, owner.module);
        for (int run = 0; run < 3; ++run)
          ASSERT_EQ(fake.run(64), expected);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST(Session, LoadsAndRunsInManyThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([] {
      for (int round = 0; round < 5; ++round) {
        Fake fake(2);
        std::vector<float> found = fake.run(20);
        ASSERT_EQ(found, fake.expected());
        // A message is its thread's own.
        ASSERT_EQ(tn_session_set_input(fake.session, 7, nullptr),
                  TN_ERROR_ARGUMENT);
        ASSERT_EQ(error(), "the tensor is null");
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}
