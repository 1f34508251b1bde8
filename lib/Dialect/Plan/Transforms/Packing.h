// Packs slices with lifetimes and sizes into one arena. Knows no IR.
#ifndef TENON_DIALECT_PLAN_TRANSFORMS_PACKING_H
#define TENON_DIALECT_PLAN_TRANSFORMS_PACKING_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <vector>

namespace tenon::plan {

/// Slices start at multiples of this many bytes.
constexpr int64_t sliceAlignment = 64;

/// Alive from step `first` to step `last`, both included.
struct Slice {
  int64_t first, last, bytes;
};

struct Packing {
  /// Where each slice starts.
  std::vector<int64_t> offsets;
  /// Bytes of the whole arena.
  int64_t height = 0;
  /// The most bytes alive at one step, each slice rounded up to the alignment.
  int64_t lowerBound = 0;
  /// No packing is lower.
  bool optimal = true;
};

/// Tries several greedy orders and then, while there is room for improvement,
/// changes of the best order and an exact search that gives up after
/// `searchSteps`. Deterministic. A slice counts as at least one unit of
/// alignment.
Packing packSlices(llvm::ArrayRef<Slice> slices, int64_t searchSteps = 200000);

/// For each slice those that are alive together with it and start below it,
/// except those that also lie below one of them. Sorted.
std::vector<std::vector<int64_t>> findSlicesBelow(llvm::ArrayRef<Slice> slices,
                                                  const Packing &packing);

} // namespace tenon::plan

#endif // TENON_DIALECT_PLAN_TRANSFORMS_PACKING_H
