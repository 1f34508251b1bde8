// Finds kernels that read what is not there, by filling free memory with NaN.
#ifndef TENON_RUNTIME_MEMORYCHECK_H
#define TENON_RUNTIME_MEMORYCHECK_H

#include "Description.h"

namespace tenon::runtime {

/// All ones: a NaN in every float format, -1 in every integer.
constexpr int unsetByte = 0xFF;

/// Knows which bytes of the arena hold something that a launch may read.
class MemoryCheck {
public:
  /// The arena of `description` at these sizes of its symbols. Throws Failure
  /// where the description does not say enough.
  MemoryCheck(const Description &description, const std::vector<int64_t> &sizes,
              int64_t arenaBytes);

  /// Fills with `unsetByte` what no earlier launch has written for this or a
  /// later one.
  void fillFree(uint8_t *arena, int64_t launch) const;

private:
  struct Range {
    int64_t first, last; ///< the steps that it is alive in
    int64_t begin, end;  ///< in the arena
  };

  const Description &description;
  std::vector<Range> ranges; ///< ascending in the arena
  int64_t arenaBytes;
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_MEMORYCHECK_H
