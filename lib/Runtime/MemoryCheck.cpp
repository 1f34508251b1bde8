// Fills the gaps between the slices that are alive.
#include "MemoryCheck.h"
#include "Failure.h"

#include <algorithm>
#include <cstring>

using namespace tenon::runtime;

MemoryCheck::MemoryCheck(const Description &description,
                         const std::vector<int64_t> &sizes, int64_t arenaBytes)
    : description(description), arenaBytes(arenaBytes) {
  int64_t described = description.arenaBytes(sizes);
  bool hasSteps =
      std::all_of(description.launches.begin(), description.launches.end(),
                  [](const Launch &launch) { return launch.step >= 0; });
  if (!hasSteps)
    fail(TN_ERROR_ARTIFACT, "memory cannot be checked: the artifact does not "
                            "say at which steps its launches run");
  if (described != arenaBytes)
    fail(TN_ERROR_ARTIFACT,
         "memory cannot be checked: the slices described "
         "take ",
         described, " bytes, the arena ", arenaBytes);
  std::vector<int64_t> offsets = description.sliceOffsets(sizes);
  for (size_t i = 0; i < offsets.size(); ++i) {
    const Slice &slice = description.slices[i];
    ranges.push_back({slice.first, slice.last, offsets[i],
                      offsets[i] + slice.bytes.evaluate(sizes)});
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Range &a, const Range &b) { return a.begin < b.begin; });
}

void MemoryCheck::fillFree(uint8_t *arena, int64_t launch) const {
  if (launch < 0 || size_t(launch) >= description.launches.size())
    return;
  int64_t step = description.launches[launch].step;
  int64_t filled = 0;
  for (const Range &range : ranges) {
    // What begins at this step is written by the launch, not read.
    if (range.first >= step || step > range.last)
      continue;
    if (range.begin > filled)
      std::memset(arena + filled, unsetByte, size_t(range.begin - filled));
    filled = std::max(filled, range.end);
  }
  if (arenaBytes > filled)
    std::memset(arena + filled, unsetByte, size_t(arenaBytes - filled));
}
