// How long the launches of a run take, as far as it decides how they are split
// over threads.
#ifndef TENON_RUNTIME_WORKESTIMATE_H
#define TENON_RUNTIME_WORKESTIMATE_H

#include "Description.h"

namespace tenon::runtime {

/// Nanoseconds of one thread for each launch of a description, of its facts: an
/// estimate within a factor of a few.
class WorkEstimate {
public:
  explicit WorkEstimate(const Description &description);

  /// For these values of the symbols. Costs nothing where they are the last.
  void update(const std::vector<int64_t> &symbols);
  /// Of `count` launches from `first` on, `unknown` where nothing is known of
  /// one. Null where the description does not have so many.
  const int64_t *of(int64_t first, int64_t count) const {
    bool exist = first >= 0 && first + count <= int64_t(times.size());
    return exist ? times.data() + first : nullptr;
  }

  static constexpr int64_t unknown = -1;

private:
  int64_t estimate(const Costs &costs,
                   const std::vector<int64_t> &symbols) const;

  double flopsPerNanosecond, bytesPerNanosecond;
  /// Layers cost the same: launches of one kind are estimated once.
  std::vector<const Costs *> kinds; ///< null where nothing is known
  std::vector<size_t> kindOf;       ///< of launches
  std::optional<std::vector<int64_t>> last;
  std::vector<int64_t> times, timeOf; ///< of launches, and of kinds
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_WORKESTIMATE_H
