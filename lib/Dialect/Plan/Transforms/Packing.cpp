// Dynamic storage allocation: greedy orders, improved ones, branch and bound.
#include "Packing.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <random>

namespace tenon::plan {
namespace {

bool aliveTogether(const Slice &lhs, const Slice &rhs) {
  return lhs.first <= rhs.last && rhs.first <= lhs.last;
}

/// Gives each slice in turn the lowest gap among those placed before it.
class GreedyPacker {
public:
  explicit GreedyPacker(llvm::ArrayRef<Slice> slices)
      : slices(slices), neighbors(slices.size()) {
    for (size_t i = 0; i < slices.size(); ++i)
      for (size_t j = 0; j < slices.size(); ++j)
        if (i != j && aliveTogether(slices[i], slices[j]))
          neighbors[i].push_back(j);
  }

  std::vector<int64_t> pack(llvm::ArrayRef<size_t> order) {
    std::vector<int64_t> offsets(slices.size(), -1);
    for (size_t current : order) {
      taken.clear();
      for (size_t other : neighbors[current])
        if (offsets[other] >= 0)
          taken.push_back(
              {offsets[other], offsets[other] + slices[other].bytes});
      std::sort(taken.begin(), taken.end());
      int64_t offset = 0;
      for (auto [begin, end] : taken) {
        if (begin - offset >= slices[current].bytes)
          break;
        offset = std::max(offset, end);
      }
      offsets[current] = offset;
    }
    return offsets;
  }

private:
  llvm::ArrayRef<Slice> slices;
  std::vector<std::vector<size_t>> neighbors;
  std::vector<std::pair<int64_t, int64_t>> taken;
};

int64_t heightOf(llvm::ArrayRef<Slice> slices,
                 llvm::ArrayRef<int64_t> offsets) {
  int64_t height = 0;
  for (auto [slice, offset] : llvm::zip_equal(slices, offsets))
    height = std::max(height, offset + slice.bytes);
  return height;
}

/// Moves a slice, mostly one that reaches above the lower bound, to an earlier
/// place of the order, again and again, and keeps what is no worse. Worse is
/// not the height: a model's layers are independent, and all must come down
/// before it does.
void improveOrder(llvm::ArrayRef<Slice> slices, GreedyPacker &packer,
                  std::vector<size_t> order, Packing &best, int64_t rounds) {
  std::mt19937 random; // The same numbers on each run: compiling reproduces.
  std::vector<int64_t> offsets = packer.pack(order);
  auto excessOf = [&](size_t slice, llvm::ArrayRef<int64_t> offsets) {
    return std::max<int64_t>(
        offsets[slice] + slices[slice].bytes - best.lowerBound, 0);
  };
  auto totalExcess = [&](llvm::ArrayRef<int64_t> offsets) {
    int64_t total = 0;
    for (size_t slice = 0; slice < slices.size(); ++slice)
      total += excessOf(slice, offsets);
    return total;
  };
  int64_t excess = totalExcess(offsets);
  for (int64_t round = 0; round < rounds && excess > 0; ++round) {
    std::vector<size_t> above; // places in the order
    for (size_t place = 1; place < order.size(); ++place)
      if (excessOf(order[place], offsets) > 0)
        above.push_back(place);
    if (above.empty())
      break;
    // Now and then any slice: else the walk stays on a plateau.
    size_t from = random() % 4 ? above[random() % above.size()]
                               : 1 + random() % (order.size() - 1);
    std::vector<size_t> tried = order;
    std::rotate(tried.begin() + random() % from, tried.begin() + from,
                tried.begin() + from + 1);
    std::vector<int64_t> triedOffsets = packer.pack(tried);
    int64_t triedExcess = totalExcess(triedOffsets);
    if (triedExcess > excess)
      continue;
    order = tried;
    offsets = triedOffsets;
    excess = triedExcess;
    int64_t height = heightOf(slices, offsets);
    if (height < best.height) {
      best.height = height;
      best.offsets = offsets;
    }
  }
}

/// Places slices from the bottom up. Any packing can be pushed down until each
/// slice lies on the floor or on a slice that is alive together with it;
/// placed in the order of their offsets, each then starts at the highest end
/// among those below. So orders with ascending offsets reach an optimum.
class BottomUpSearch {
public:
  BottomUpSearch(llvm::ArrayRef<Slice> slices, Packing &best, int64_t steps)
      : slices(slices), best(best), stepsLeft(steps) {
    // The live set only grows where a slice starts, so these steps suffice.
    for (const Slice &slice : slices)
      starts.push_back(slice.first);
    std::sort(starts.begin(), starts.end());
    starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
    for (const Slice &slice : slices) {
      auto index = [&](int64_t step) {
        return std::upper_bound(starts.begin(), starts.end(), step) -
               starts.begin() - 1;
      };
      spans.push_back({index(slice.first), index(slice.last)});
    }
    skyline.assign(starts.size(), 0);
    unplaced.assign(starts.size(), 0);
    for (auto [slice, span] : llvm::zip_equal(slices, spans))
      for (int64_t at = span.first; at <= span.second; ++at)
        unplaced[at] += slice.bytes;
    offsets.assign(slices.size(), -1);
    bySize.resize(slices.size());
    std::iota(bySize.begin(), bySize.end(), 0);
    std::stable_sort(bySize.begin(), bySize.end(), [&](size_t a, size_t b) {
      return slices[a].bytes > slices[b].bytes;
    });
  }

  /// Whether it saw every packing that could be better than `best`.
  bool run() {
    place(slices.size(), 0);
    return stepsLeft > 0;
  }

private:
  void place(size_t left, int64_t floor) {
    if (left == 0) {
      best.height = heightOf(slices, offsets);
      best.offsets = offsets;
      return;
    }
    // A slice that comes later lies on the floor or higher.
    for (size_t at = 0; at < starts.size(); ++at)
      if (unplaced[at] &&
          std::max(skyline[at], floor) + unplaced[at] >= best.height)
        return;

    std::vector<std::pair<int64_t, size_t>> choices;
    for (size_t slice : bySize) {
      if (offsets[slice] >= 0)
        continue;
      auto [first, last] = spans[slice];
      int64_t offset = *std::max_element(skyline.begin() + first,
                                         skyline.begin() + last + 1);
      if (offset >= floor)
        choices.push_back({offset, slice});
    }
    std::stable_sort(
        choices.begin(), choices.end(),
        [](const auto &a, const auto &b) { return a.first < b.first; });
    for (auto [offset, slice] : choices) {
      if (best.height == best.lowerBound || --stepsLeft <= 0)
        return;
      auto [first, last] = spans[slice];
      std::vector<int64_t> before(skyline.begin() + first,
                                  skyline.begin() + last + 1);
      for (int64_t at = first; at <= last; ++at) {
        skyline[at] = offset + slices[slice].bytes;
        unplaced[at] -= slices[slice].bytes;
      }
      offsets[slice] = offset;
      place(left - 1, offset);
      offsets[slice] = -1;
      for (int64_t at = first; at <= last; ++at)
        unplaced[at] += slices[slice].bytes;
      std::copy(before.begin(), before.end(), skyline.begin() + first);
    }
  }

  llvm::ArrayRef<Slice> slices;
  Packing &best;
  int64_t stepsLeft;
  std::vector<int64_t> starts;
  std::vector<std::pair<int64_t, int64_t>> spans;
  std::vector<int64_t> skyline, unplaced, offsets;
  std::vector<size_t> bySize;
};

} // namespace

Packing packSlices(llvm::ArrayRef<Slice> input, int64_t searchSteps) {
  std::vector<Slice> slices = input.vec();
  for (Slice &slice : slices)
    slice.bytes = std::max<int64_t>((slice.bytes + sliceAlignment - 1) /
                                        sliceAlignment * sliceAlignment,
                                    sliceAlignment);

  Packing packing;
  for (const Slice &at : slices) {
    int64_t live = 0;
    for (const Slice &slice : slices)
      if (slice.first <= at.first && at.first <= slice.last)
        live += slice.bytes;
    packing.lowerBound = std::max(packing.lowerBound, live);
  }

  // Each gives the key by which it sorts; larger keys are placed first.
  using Key = std::pair<int64_t, int64_t>;
  const std::function<Key(const Slice &)> keys[] = {
      [](const Slice &s) { return Key(s.bytes, s.last - s.first); },
      [](const Slice &s) { return Key(s.last - s.first, s.bytes); },
      [](const Slice &s) {
        return Key(s.bytes / sliceAlignment * (s.last - s.first + 1), s.bytes);
      },
      [](const Slice &s) { return Key(-s.first, s.bytes); },
      [](const Slice &s) { return Key(s.last, s.bytes); }};
  GreedyPacker packer(slices);
  std::vector<size_t> bestOrder;
  packing.height = std::numeric_limits<int64_t>::max();
  for (const auto &key : keys) {
    std::vector<size_t> order(slices.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return key(slices[a]) > key(slices[b]);
    });
    std::vector<int64_t> offsets = packer.pack(order);
    int64_t height = heightOf(slices, offsets);
    if (height < packing.height) {
      packing.offsets = offsets;
      packing.height = height;
      bestOrder = order;
    }
  }
  improveOrder(slices, packer, bestOrder, packing, searchSteps / 40);

  packing.optimal = packing.height == packing.lowerBound;
  if (!packing.optimal) {
    bool complete = BottomUpSearch(slices, packing, searchSteps).run();
    packing.optimal = complete || packing.height == packing.lowerBound;
  }
  return packing;
}

std::vector<std::vector<int64_t>> findSlicesBelow(llvm::ArrayRef<Slice> slices,
                                                  const Packing &packing) {
  size_t count = slices.size();
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return packing.offsets[a] < packing.offsets[b];
  });
  std::vector<std::vector<int64_t>> below(count);
  // under[i][j]: j lies below i, directly or through others.
  std::vector<std::vector<bool>> under(count, std::vector<bool>(count, false));
  for (size_t rank = 0; rank < count; ++rank) {
    size_t current = order[rank];
    // From the top down: what lies below a slice already listed is implied.
    for (size_t lower = rank; lower-- > 0;) {
      size_t other = order[lower];
      if (!aliveTogether(slices[other], slices[current]) ||
          under[current][other])
        continue;
      below[current].push_back(other);
      under[current][other] = true;
      for (size_t third = 0; third < count; ++third)
        if (under[other][third])
          under[current][third] = true;
    }
    std::sort(below[current].begin(), below[current].end());
  }
  return below;
}

} // namespace tenon::plan
