#include "tenon/Target/Interface/TargetFacts.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"
#include <fstream>

using namespace tenon;

static std::string writeFile(const std::string &text) {
  std::string path = testing::TempDir() + "/facts.json";
  std::ofstream(path) << text;
  return path;
}

static std::string errorOf(const std::string &nameOrFile) {
  auto facts = readTargetFacts(nameOrFile);
  return facts ? "" : llvm::toString(facts.takeError());
}

TEST(TargetFacts, ReadWhatTheyWrote) {
  TargetFacts facts = avx512Facts();
  facts.name = "mine";
  facts.readGBs = 17.25;
  facts.int8Gops = 321;
  std::string text;
  llvm::raw_string_ostream os(text);
  writeTargetFacts(facts, os);
  TargetFacts read = llvm::cantFail(readTargetFacts(writeFile(text)));
  EXPECT_EQ(read.name, "mine");
  EXPECT_EQ(read.cpu, "x86-64-v4");
  EXPECT_EQ(read.vectorBytes, 64);
  EXPECT_EQ(read.readGBs, 17.25);
  EXPECT_EQ(read.bf16Gflops, 0);
  EXPECT_EQ(read.int8Gops, 321);
}

TEST(TargetFacts, KnowNames) {
  EXPECT_EQ(llvm::cantFail(readTargetFacts("x86-64-v3")).vectorBytes, 32);
  EXPECT_EQ(avx512Facts().name, "x86-64-v4");
  EXPECT_NE(errorOf("x86-64-v9").find("there are x86-64-v3, alderlake, x86-64"),
            std::string::npos);
}

TEST(TargetFacts, SayWhatIsWrongWithAFile) {
  EXPECT_NE(errorOf("/none.json").find("'/none.json'"), std::string::npos);
  const std::pair<const char *, const char *> cases[] = {
      {"{", "facts.json"},
      {"[]", "needs \"tenon_facts\": 4"},
      {R"({"tenon_facts": 7})", "found 7"},
      {R"({"tenon_facts": 1, "name": "old"})", "found 1"},
      {R"({"tenon_facts": 4})", "needs a string \"name\""},
      {R"({"tenon_facts": 4, "name": "a", "cpu": "b", "vector_bytes": -1})",
       "needs a positive integer \"vector_bytes\""},
      {R"({"tenon_facts": 4, "name": "a", "cpu": "b", "vector_bytes": 32,
           "registers": 1, "tile_rows": 0, "l1_bytes": 1, "l2_bytes": 1, "f32_gflops": 1,
           "bf16_gflops": -1})",
       "needs a positive number \"bf16_gflops\", or 0"},
      {R"({"tenon_facts": 4, "name": "a", "cpu": "b", "vector_bytes": 16,
           "registers": 1, "tile_rows": 0, "l1_bytes": 1, "l2_bytes": 1, "f32_gflops": 1,
           "bf16_gflops": 0, "int8_gops": 0, "read_gbs": 1, "read_gbs_all": 1,
           "l2_gbs": 1, "launch_us": 1})",
       "\"vector_bytes\" is 16"},
      {R"({"tenon_facts": 4, "name": "a", "cpu": "b", "vector_bytes": 64,
           "registers": 1, "tile_rows": -1})",
       "needs a positive integer \"tile_rows\", or 0"},
      {R"({"tenon_facts": 4, "name": "a", "cpu": "b", "vector_bytes": 64,
           "registers": 1, "tile_rows": 8, "l1_bytes": 1, "l2_bytes": 1,
           "f32_gflops": 1, "bf16_gflops": 0, "int8_gops": 0, "read_gbs": 1,
           "read_gbs_all": 1, "l2_gbs": 1, "launch_us": 1})",
       "\"tile_rows\" is 8"}};
  for (auto [text, message] : cases)
    EXPECT_NE(errorOf(writeFile(text)).find(message), std::string::npos)
        << errorOf(writeFile(text));
}
