#include "tenon-c/Runtime.h"
#include "gtest/gtest.h"
#include <fstream>
#include <sstream>
#include <string>

static const std::string artifacts = ARTIFACTS;

static std::string bytesOf(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  return bytes.str();
}

/// The message of a load that has to fail.
static std::string refusal(const std::string &path) {
  tn_module *module = nullptr;
  EXPECT_EQ(tn_module_load(path.c_str(), &module), TN_ERROR_ARTIFACT);
  EXPECT_EQ(module, nullptr);
  tn_module_release(module);
  return tn_last_error();
}

static bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

TEST(Module, DescribesItself) {
  tn_module *module = nullptr;
  ASSERT_EQ(tn_module_load((artifacts + "/fake.so").c_str(), &module), TN_OK)
      << tn_last_error();
  EXPECT_EQ(tn_module_input_count(module), 2);
  EXPECT_STREQ(tn_module_input_name(module, 1), "the mask");
  EXPECT_EQ(tn_module_input_type(module, 1), TN_I64);
  EXPECT_EQ(tn_module_input_rank(module, 0), 2);
  EXPECT_STREQ(tn_module_input_dim(module, 0, 0).symbol, "batch");
  EXPECT_EQ(tn_module_input_dim(module, 0, 1).size, 4);
  EXPECT_EQ(tn_module_output_rank(module, 1), 0);
  EXPECT_EQ(tn_module_input_name(module, 2), nullptr);
  tn_symbol symbol;
  ASSERT_EQ(tn_module_symbol(module, 0, &symbol), TN_OK);
  EXPECT_EQ(symbol.hint, 8);
  tn_module_release(module);
}

TEST(Module, RefusesAFileThatIsMissing) {
  EXPECT_TRUE(contains(refusal(artifacts + "/none.so"), "none.so"));
}

TEST(Module, RefusesAnotherVersionAndNamesBoth) {
  std::string message = refusal(artifacts + "/fake-newer.so");
  EXPECT_TRUE(contains(message, "version 99")) << message;
  EXPECT_TRUE(contains(message, "version 4")) << message;
}

TEST(Module, RefusesWhatIsNoArtifact) {
  std::string path = artifacts + "/text.so";
  std::ofstream(path) << std::string(1000, 'x');
  EXPECT_TRUE(contains(refusal(path), "not a 64-bit little-endian ELF file"));
  EXPECT_TRUE(contains(refusal("/proc/self/exe"), "no ELF note"));
}

TEST(Module, RefusesAFileThatIsTruncatedAnywhere) {
  std::string whole = bytesOf(artifacts + "/fake.so");
  std::string path = artifacts + "/truncated.so";
  for (size_t size : {size_t(0), size_t(10), size_t(100), whole.size() / 2,
                      whole.size() - 1}) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, size);
    std::string message = refusal(path);
    EXPECT_TRUE(contains(message, "truncated")) << size << ": " << message;
  }
}
