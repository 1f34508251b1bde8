#include "Dialect/Plan/Transforms/Packing.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <random>

using namespace tenon::plan;

namespace {

std::vector<Slice> randomSlices(std::mt19937 &random, int64_t count) {
  auto below = [&](int64_t limit) {
    return static_cast<int64_t>(random() % limit);
  };
  std::vector<Slice> slices;
  for (int64_t i = 0; i < count; ++i) {
    int64_t first = below(2 * count);
    slices.push_back({first, first + below(count / 2 + 1), below(2000)});
  }
  return slices;
}

bool overlap(const Slice &a, int64_t offsetA, const Slice &b, int64_t offsetB) {
  return a.first <= b.last && b.first <= a.last &&
         offsetA < offsetB + b.bytes && offsetB < offsetA + a.bytes;
}

/// The rule of plan.alloc, evaluated the way a compiled model does.
std::vector<int64_t> offsetsAtRunTime(const std::vector<Slice> &slices,
                                      const Packing &packing) {
  auto below = findSlicesBelow(slices, packing);
  std::vector<size_t> order(slices.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return packing.offsets[a] < packing.offsets[b];
  });
  std::vector<int64_t> offsets(slices.size(), -1);
  for (size_t current : order) {
    int64_t offset = 0;
    for (int64_t other : below[current]) {
      EXPECT_GE(offsets[other], 0) << "a slice below comes later";
      offset = std::max(offset, offsets[other] + slices[other].bytes);
    }
    offsets[current] = (offset + 63) / 64 * 64;
  }
  return offsets;
}

/// The lowest height over all orders, by trying them all.
int64_t lowestHeight(const std::vector<Slice> &slices) {
  std::vector<size_t> order(slices.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  int64_t lowest = INT64_MAX;
  do {
    std::vector<int64_t> offsets(slices.size(), -1);
    int64_t height = 0;
    for (size_t current : order) {
      int64_t offset = 0;
      for (size_t other = 0; other < slices.size(); ++other)
        if (offsets[other] >= 0 &&
            slices[other].first <= slices[current].last &&
            slices[current].first <= slices[other].last)
          offset = std::max(offset, offsets[other] + slices[other].bytes);
      offsets[current] = offset;
      height = std::max(height, offset + slices[current].bytes);
    }
    lowest = std::min(lowest, height);
  } while (std::next_permutation(order.begin(), order.end()));
  return lowest;
}

} // namespace

TEST(Packing, OfNothingIsEmpty) {
  Packing packing = packSlices({});
  EXPECT_EQ(packing.height, 0);
  EXPECT_TRUE(packing.optimal);
}

TEST(Packing, ReusesTheBytesOfADeadSlice) {
  Packing packing = packSlices({{0, 1, 640}, {1, 2, 64}, {2, 3, 640}});
  EXPECT_EQ(packing.height, 704);
  EXPECT_EQ(packing.lowerBound, 704);
}

TEST(Packing, NeverOverlapsAndIsNeverBelowItsBound) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<Slice> slices = randomSlices(random, 1 + random() % 40);
    Packing packing = packSlices(slices, 2000);
    EXPECT_GE(packing.height, packing.lowerBound);
    for (size_t i = 0; i < slices.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        ASSERT_FALSE(overlap(slices[i], packing.offsets[i], slices[j],
                             packing.offsets[j]));
  }
}

TEST(Packing, IsOptimalWhereItSaysSo) {
  std::mt19937 random(2);
  for (int round = 0; round < 150; ++round) {
    std::vector<Slice> slices = randomSlices(random, 7);
    for (Slice &slice : slices)
      slice.bytes = 64 * (1 + slice.bytes % 9);
    Packing packing = packSlices(slices);
    ASSERT_TRUE(packing.optimal);
    ASSERT_EQ(packing.height, lowestHeight(slices));
  }
}

// The first layers of a decoder whose attention is in pieces. Each fixed order
// leaves a tenth of the arena unused in some layer.
TEST(Packing, BringsEveryLayerDown) {
  std::vector<Slice> slices = {
      {63, 71, 3},    {71, 91, 9},    {87, 109, 3},   {89, 95, 3},
      {91, 98, 3},    {95, 101, 3},   {98, 102, 3},   {106, 111, 6},
      {109, 123, 3},  {111, 123, 6},  {113, 919, 1},  {123, 125, 12},
      {125, 127, 12}, {127, 131, 12}, {131, 134, 3},  {134, 140, 3},
      {140, 143, 3},  {143, 164, 3},  {147, 153, 3},  {153, 156, 12},
      {156, 161, 12}, {161, 164, 3},  {164, 216, 3},  {168, 173, 3},
      {173, 180, 9},  {176, 195, 3},  {178, 183, 3},  {180, 186, 3},
      {183, 188, 3},  {186, 189, 3},  {192, 197, 6},  {195, 199, 3},
      {197, 199, 6},  {199, 201, 12}, {201, 203, 12}, {203, 206, 12},
      {206, 208, 3},  {208, 213, 3},  {213, 216, 3},  {216, 236, 3},
      {220, 225, 3},  {225, 228, 12}, {228, 233, 12}, {233, 236, 3},
      {236, 288, 3},  {240, 245, 3},  {245, 252, 9},  {248, 267, 3},
      {250, 255, 3},  {252, 258, 3},  {255, 260, 3},  {258, 261, 3}};
  for (Slice &slice : slices)
    slice.bytes *= sliceAlignment;
  Packing packing = packSlices(slices);
  EXPECT_EQ(packing.height, packing.lowerBound);
  EXPECT_TRUE(packing.optimal);
}

TEST(SlicesBelow, KeepLiveSlicesApartAtAnySizes) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<Slice> slices = randomSlices(random, 1 + random() % 40);
    Packing packing = packSlices(slices, 1000);
    // The sizes of a run have nothing to do with those packed for; some are 0.
    std::vector<Slice> actual = slices;
    for (Slice &slice : actual)
      slice.bytes = random() % 3 ? random() % 100000 : 0;
    std::vector<int64_t> offsets = offsetsAtRunTime(actual, packing);
    for (size_t i = 0; i < actual.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        ASSERT_FALSE(overlap(actual[i], offsets[i], actual[j], offsets[j]))
            << "slices " << j << " and " << i << " in round " << round;
  }
}

TEST(SlicesBelow, LeaveOutWhatOthersImply) {
  std::vector<Slice> slices = {{0, 9, 192}, {0, 9, 128}, {0, 9, 64}};
  Packing packing = packSlices(slices);
  auto below = findSlicesBelow(slices, packing);
  EXPECT_EQ(below[0].size() + below[1].size() + below[2].size(), 2u);
}

TEST(SlicesBelow, GiveThePackedOffsetsAtThePackedSizes) {
  std::mt19937 random(4);
  for (int round = 0; round < 100; ++round) {
    std::vector<Slice> slices = randomSlices(random, 20);
    Packing packing = packSlices(slices, 1000);
    std::vector<int64_t> offsets = offsetsAtRunTime(slices, packing);
    for (size_t i = 0; i < slices.size(); ++i)
      EXPECT_LE(offsets[i], packing.offsets[i]);
  }
}
