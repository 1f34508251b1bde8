#include "Runtime/Description.h"
#include "Runtime/Failure.h"
#include "gtest/gtest.h"

using namespace tenon::runtime;

TEST(Description, DecodesNamesAndDims) {
  Description text = parseDescription("input a%2Fb bf16 batch%20size 3 ?\n"
                                      "output y i1 2\n"
                                      "assume batch % 8 == 0\n"
                                      "index 1 layer/look%20up\n"
                                      "symbol batch%20size 1 8 -1\n");
  ASSERT_EQ(text.inputs.size(), 1u);
  EXPECT_EQ(text.inputs[0].name, "a/b");
  EXPECT_EQ(text.inputs[0].type, TN_BF16);
  EXPECT_EQ(text.inputs[0].dims[0].symbol, 0);
  EXPECT_EQ(text.inputs[0].dims[1].size, 3);
  EXPECT_EQ(text.inputs[0].dims[2].size, -1);
  EXPECT_EQ(text.outputs[0].type, TN_BOOL);
  EXPECT_EQ(text.outputs[0].dims.size(), 2u);
  EXPECT_EQ(text.assumes[0], "batch % 8 == 0");
  ASSERT_EQ(text.lookUps.size(), 2u);
  EXPECT_EQ(text.lookUps[1], "layer/look up");
}

TEST(Description, KnowsWhatLaunchesMultiplyAndWhereTheyBelong) {
  Description text = parseDescription("symbol n 0 9 -1\n"
                                      "launch 0 a\nlaunch 1 b\n"
                                      "work 0 9*n 2*n 3*n n\n"
                                      "kind 0 product\nlayer 0 layer%200\n"
                                      "unfused 7 n 2*n layer%200\n"
                                      "unfused 2 1 1\n");
  ASSERT_TRUE(text.launches[0].work);
  EXPECT_EQ(text.launches[0].work->products.evaluate({5}), 45);
  EXPECT_EQ(text.launches[0].work->bf16.evaluate({5}), 10);
  EXPECT_EQ(text.launches[0].work->int8.evaluate({5}), 15);
  EXPECT_EQ(text.launches[0].work->steps.evaluate({5}), 5);
  EXPECT_EQ(text.launches[0].kind, "product");
  EXPECT_EQ(text.launches[0].layer, "layer 0");
  EXPECT_FALSE(text.launches[1].work);
  EXPECT_EQ(text.launches[1].layer, "");
  ASSERT_EQ(text.unfused.size(), 2u);
  EXPECT_EQ(text.unfused[0].layer, "layer 0");
  EXPECT_EQ(text.unfused[0].launches, 7);
  EXPECT_EQ(text.unfused[1].layer, "");
  for (const char *line : {"work 2 n n n n", "work 0 n n n", "kind 5 move",
                           "layer 0", "unfused x n n", "unfused 1 n"})
    EXPECT_THROW(parseDescription("symbol n 0 9 -1\nlaunch 0 a\nlaunch 1 b\n" +
                                  std::string(line) + "\n"),
                 Failure)
        << line;
}

TEST(Description, KnowsElementsAndExtents) {
  Description text = parseDescription("symbol n[1] -100 100 -1\n"
                                      "symbol b 0 100 -1\n"
                                      "input x f32 b\n"
                                      "input n i32 2\n"
                                      "element n[1] 1 1\n"
                                      "output y f32 2 ? b\n"
                                      "extent 0 0 max(\"n[1]\",%200)*b\n");
  EXPECT_TRUE(text.readsValues());
  EXPECT_EQ(text.symbols[0].input, 1);
  EXPECT_EQ(text.symbols[0].position, 1);
  EXPECT_EQ(text.symbols[1].input, -1);
  EXPECT_EQ(text.outputs[0].dims[0].expression->evaluate({-3, 7}), 0);
  EXPECT_EQ(text.outputs[0].dims[0].expression->evaluate({3, 7}), 21);
  EXPECT_FALSE(
      parseDescription("symbol b 0 1 -1\ninput x f32 b\n").readsValues());
}

TEST(Description, RefusesElementsThatAreNotThere) {
  for (const char *line :
       {"kept 0 1", "kept 0 0", "kept 2 -1", "lengths 2", "element b 0 0",
        "element b 1 2", "element b 1 -1", "element b 2 0", "element c 1 0",
        "extent 0 1 b", "extent 1 0 b"}) {
    try {
      parseDescription(std::string("symbol b 0 9 -1\ninput x f32 2\n"
                                   "input n i64 2\noutput y f32 1 ?\n") +
                       line);
      FAIL() << line;
    } catch (const Failure &failure) {
      EXPECT_EQ(failure.status, TN_ERROR_ARTIFACT) << line;
    }
  }
}

TEST(Description, KnowsWhoReadsAndWritesWhat) {
  Description text = parseDescription("symbol n 0 9 -1\n"
                                      "launch 0 a\nlaunch 1 b\n"
                                      "buffer 0 weight w%20x f32 16 4\n"
                                      "buffer 1 slice 3 i8 n*2 n 2\n"
                                      "buffer 2 output 0 f32 ? ?\n"
                                      "reads 0 0 1\nwrites 0 2\n"
                                      "copy 7 1 2\nread 8 1\n");
  ASSERT_EQ(text.buffers.size(), 3u);
  EXPECT_EQ(text.buffers[0].place, Buffer::Weight);
  EXPECT_EQ(text.buffers[0].name, "w x");
  EXPECT_EQ(text.buffers[1].bytes->evaluate({5}), 10);
  EXPECT_EQ(text.buffers[1].dims[0]->evaluate({5}), 5);
  EXPECT_FALSE(text.buffers[2].bytes || text.buffers[2].dims[0]);
  EXPECT_EQ(*text.launches[0].reads, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(*text.launches[0].writes, (std::vector<int64_t>{2}));
  // What an older compiler wrote says nothing of a launch.
  EXPECT_FALSE(text.launches[1].reads || text.launches[1].writes);
  ASSERT_EQ(text.transfers.size(), 2u);
  EXPECT_EQ(text.transfers[0].target, 2);
  EXPECT_EQ(text.transfers[1].source, 1);
  EXPECT_EQ(text.transfers[1].target, -1);
}

TEST(Description, KnowsWhichWeightsAreReadInFull) {
  // A row of a table of 4 for each of n, then a product with the table and
  // with another weight; the last launch does not say what it costs.
  std::string table = "symbol n 0 9 -1\nlaunch 0 a\nfacts 0 0 4*n 4*n n\n"
                      "buffer 0 weight table f32 16 4\nposition 0 64\n"
                      "reads 0 0\n";
  Description text = parseDescription(table);
  EXPECT_EQ(text.buffers[0].position, 64);
  EXPECT_EQ(text.weightsReadInFull({3}), std::vector<bool>{false});
  EXPECT_EQ(text.weightsReadInFull({4}), std::vector<bool>{true});
  text = parseDescription(table + "launch 1 b\nfacts 1 8 24 4 1\n"
                                  "buffer 1 weight w f32 8 2\n"
                                  "reads 1 0 1\n");
  EXPECT_EQ(text.buffers[1].position, -1);
  EXPECT_EQ(text.weightsReadInFull({1}), (std::vector<bool>{true, true}));
  text = parseDescription(table + "launch 1 b\nreads 1 0\n");
  EXPECT_EQ(text.weightsReadInFull({1}), std::vector<bool>{true});
}

TEST(Description, RefusesBuffersThatAreNotThere) {
  for (const char *line :
       {"buffer 2 input 0 f32 4", "buffer 1 cloud 0 f32 4",
        "buffer 1 input 0 f32 m", "reads 0 1", "writes 0 -1", "reads 1 0",
        "copy 3 0 1", "copy 3 0", "read 3 1", "position 1 0", "position 0 x"}) {
    try {
      parseDescription(std::string("launch 0 a\nbuffer 0 input 0 f32 4\n") +
                       line);
      FAIL() << line;
    } catch (const Failure &failure) {
      EXPECT_NE(std::string(failure.what()).find(line), std::string::npos);
    }
  }
}

TEST(Description, NamesTheLineItRefuses) {
  for (const char *line : {"input x f31 4", "input x f32 unknown", "symbol b 1",
                           "output y f32 99", "symbol b 1 x 2", "index -1 n"}) {
    try {
      parseDescription(std::string("output ok f32\n") + line);
      FAIL() << line;
    } catch (const Failure &failure) {
      EXPECT_NE(std::string(failure.what()).find(line), std::string::npos);
      EXPECT_EQ(failure.status, TN_ERROR_ARTIFACT);
    }
  }
}
