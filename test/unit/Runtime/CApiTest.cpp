// What every function of the C API does without what it needs.
#include "tenon-c/Runtime.h"
#include "gtest/gtest.h"
#include <string>

static const std::string path = ARTIFACTS "/fake.so";

static std::string error() { return tn_last_error(); }

TEST(CApi, RefusesNullPointers) {
  tn_module *module = nullptr;
  tn_session *session = nullptr;
  tn_tensor tensor = {};
  tn_symbol symbol = {};
  tn_launch launch = {};
  EXPECT_EQ(tn_module_load(nullptr, &module), TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the path is null");
  EXPECT_EQ(tn_module_load(path.c_str(), nullptr), TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the result is null");
  EXPECT_EQ(tn_session_create(nullptr, nullptr, &session), TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the module is null");
  EXPECT_EQ(tn_module_symbol(nullptr, 0, &symbol), TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "there is no symbol 0: the model has 0");
  for (tn_status status : {tn_session_set_input(nullptr, 0, &tensor),
                           tn_session_bind_output(nullptr, 0, nullptr, 0),
                           tn_session_resolve(nullptr), tn_session_run(nullptr),
                           tn_session_output(nullptr, 0, &tensor),
                           tn_session_profile(nullptr, 0, &launch)}) {
    EXPECT_EQ(status, TN_ERROR_ARGUMENT);
    EXPECT_EQ(error(), "the session is null");
  }
  EXPECT_EQ(tn_module_input_count(nullptr), 0);
  EXPECT_EQ(tn_module_output_count(nullptr), 0);
  EXPECT_EQ(tn_module_symbol_count(nullptr), 0);
  EXPECT_EQ(tn_module_input_name(nullptr, 0), nullptr);
  EXPECT_EQ(tn_module_output_name(nullptr, 0), nullptr);
  EXPECT_EQ(tn_module_input_type(nullptr, 0), 0);
  EXPECT_EQ(tn_module_output_type(nullptr, 0), 0);
  EXPECT_EQ(tn_module_input_rank(nullptr, 0), -1);
  EXPECT_EQ(tn_module_output_rank(nullptr, 0), -1);
  EXPECT_EQ(tn_module_input_dim(nullptr, 0, 0).size, -1);
  EXPECT_EQ(tn_module_output_dim(nullptr, 0, 0).size, -1);
  EXPECT_EQ(tn_session_arena_bytes(nullptr), 0);
  EXPECT_EQ(tn_session_profile_count(nullptr), 0);
  EXPECT_EQ(tn_session_run_nanoseconds(nullptr), 0);
  tn_session_profile_reset(nullptr);
  tn_session_release(nullptr);
  tn_module_release(nullptr);
}

TEST(CApi, RefusesNullResultsOfASession) {
  tn_module *module = nullptr;
  tn_session *session = nullptr;
  ASSERT_EQ(tn_module_load(path.c_str(), &module), TN_OK) << error();
  EXPECT_EQ(tn_session_create(module, nullptr, nullptr), TN_ERROR_ARGUMENT);
  EXPECT_EQ(error(), "the result is null");
  EXPECT_EQ(tn_module_symbol(module, 0, nullptr), TN_ERROR_ARGUMENT);
  ASSERT_EQ(tn_session_create(module, nullptr, &session), TN_OK) << error();
  EXPECT_EQ(tn_session_set_input(session, 0, nullptr), TN_ERROR_ARGUMENT);
  EXPECT_EQ(tn_session_output(session, 0, nullptr), TN_ERROR_ARGUMENT);
  EXPECT_EQ(tn_session_profile(session, 0, nullptr), TN_ERROR_ARGUMENT);
  for (int number : {-1, 2, INT32_MAX, INT32_MIN}) {
    tn_tensor tensor = {};
    EXPECT_EQ(tn_session_set_input(session, number, &tensor), TN_ERROR_INPUT);
    EXPECT_EQ(tn_session_bind_output(session, number, nullptr, 0),
              TN_ERROR_ARGUMENT);
    EXPECT_EQ(tn_session_output(session, number, &tensor), TN_ERROR_ARGUMENT);
    EXPECT_EQ(tn_module_input_name(module, number), nullptr);
    EXPECT_EQ(tn_module_output_dim(module, 0, number).size, -1);
  }
  tn_session_release(session);
  tn_module_release(module);
}

TEST(CApi, RefusesNumbersOfThreads) {
  tn_module *module = nullptr;
  ASSERT_EQ(tn_module_load(path.c_str(), &module), TN_OK) << error();
  for (int threads : {-1, 100000}) {
    tn_session_options options = {threads, 0, 0};
    tn_session *session = nullptr;
    EXPECT_EQ(tn_session_create(module, &options, &session), TN_ERROR_ARGUMENT);
    EXPECT_EQ(session, nullptr);
    EXPECT_EQ(error(),
              "threads must be from 0 to 4096, is " + std::to_string(threads));
  }
  tn_session_options perCore = {0, 0, 0};
  tn_session *session = nullptr;
  EXPECT_EQ(tn_session_create(module, &perCore, &session), TN_OK) << error();
  tn_session_release(session);
  tn_module_release(module);
}
