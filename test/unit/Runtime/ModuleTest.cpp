#include "Runtime/Checksum.h"
#include "tenon-c/ModuleAbi.h"
#include "tenon-c/Runtime.h"
#include "gtest/gtest.h"
#include <cstring>
#include <elf.h>
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

/// Writes an artifact with the checksum that its bytes have.
static void writeWithChecksum(const std::string &name, std::string bytes) {
  std::string mark("Tenon\0\0\0", 8);
  size_t note = bytes.find("\x30" + std::string("\0\0\0\1\0\0\0", 7) + mark) +
                8 + mark.size();
  tn_note content;
  std::memcpy(&content, bytes.data() + note, sizeof(content));
  content.checksum = 0;
  std::memcpy(bytes.data() + note, &content, sizeof(content));
  content.checksum =
      tenon::runtime::crc32(0, bytes.data(), content.weight_offset);
  std::memcpy(bytes.data() + note, &content, sizeof(content));
  std::ofstream(artifacts + "/" + name, std::ios::binary) << bytes;
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
  EXPECT_TRUE(contains(message, "version 6")) << message;
}

TEST(Module, RefusesAProcessorWithoutTheFeatures) {
  std::string message = refusal(artifacts + "/fake-demanding.so");
  EXPECT_TRUE(contains(message, "needs a processor with features that this one "
                                "lacks (features that this runtime does not "
                                "know)"))
      << message;
}

TEST(Module, RefusesAnotherArchitecture) {
  std::string bytes = bytesOf(artifacts + "/fake.so");
  bytes[18] = char(EM_AARCH64), bytes[19] = 0;
  writeWithChecksum("other.so", bytes);
  std::string message = refusal(artifacts + "/other.so");
  EXPECT_TRUE(contains(message, "is made for AArch64, this machine is x86-64"))
      << message;
}

TEST(Module, RefusesWhatIsNoFile) {
  EXPECT_TRUE(contains(refusal(artifacts), "is not a file"));
  EXPECT_TRUE(contains(refusal("/dev/null"), "is not a file"));
  EXPECT_TRUE(contains(refusal(""), "cannot open artifact ''"));
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

TEST(Module, RefusesAFileWithMoreBehindIt) {
  std::string path = artifacts + "/longer.so";
  std::ofstream(path, std::ios::binary)
      << bytesOf(artifacts + "/fake.so") << "xyz";
  std::string message = refusal(path);
  EXPECT_TRUE(contains(message, "has 3 bytes too many")) << message;
}

TEST(Module, RefusesAChangeOfAnyByteBeforeTheWeights) {
  std::string whole = bytesOf(artifacts + "/fake.so");
  std::string path = artifacts + "/changed.so";
  size_t weights = whole.size() - 64;
  // Every byte of the headers, and bytes all over the rest.
  for (size_t at = 0; at < weights; at += at < 1024 ? 1 : 61) {
    std::string bytes = whole;
    bytes[at] = char(bytes[at] ^ 0x10);
    std::ofstream(path, std::ios::binary) << bytes;
    EXPECT_FALSE(refusal(path).empty()) << at;
  }
  std::string text = whole;
  text[text.find("the%20mask")] = 'T';
  std::ofstream(path, std::ios::binary) << text;
  EXPECT_TRUE(contains(refusal(path), "is damaged: the checksum in it is "));
}

TEST(Module, TakesOtherWeights) {
  std::string bytes = bytesOf(artifacts + "/fake.so");
  bytes[bytes.size() - 1] = 0;
  std::string path = artifacts + "/weights.so";
  std::ofstream(path, std::ios::binary) << bytes;
  tn_module *module = nullptr;
  EXPECT_EQ(tn_module_load(path.c_str(), &module), TN_OK) << tn_last_error();
  tn_module_release(module);
}

TEST(Module, RefusesADescriptionThatMakesNoSense) {
  std::string bytes = bytesOf(artifacts + "/fake.so");
  bytes.replace(bytes.find("input x f32"), 11, "input x f99");
  writeWithChecksum("nonsense.so", bytes);
  std::string message = refusal(artifacts + "/nonsense.so");
  EXPECT_TRUE(contains(message, "element type 'f99' is none that this runtime "
                                "knows"))
      << message;
}
