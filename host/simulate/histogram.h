// A histogram of durations in fixed memory: every value to better than 1 %, from 1 us to 2 days.
//
// Values below 128 us stand in bins of 1 us, those above in 128 bins an octave. Counting is exact,
// quantiles are within half a bin, the mean and the largest are exact. Integer arithmetic alone, so
// that every compiler counts alike.
// Threads: one. Complexity: add O(1), quantile O(bins); at most 32 KiB.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/types.h"

namespace sluice::simulate {

class Histogram {
 public:
  void add(TimeNs value, uint64_t times = 1) {
    const size_t bin = bin_of(value / 1000);
    if (bin >= bins_.size()) bins_.resize(bin + 1);
    bins_[bin] += times;
    count_ += times;
    sum_us_ += value / 1000 * times;
    max_ = std::max(max_, value);
  }

  uint64_t count() const { return count_; }
  double mean_s() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_us_) / static_cast<double>(count_) / 1e6;
  }
  double max_s() const { return static_cast<double>(max_) / 1e9; }
  // The smallest value that a part Q of all do not exceed; 0 if there are none.
  double quantile_s(double q) const {
    if (count_ == 0) return 0;
    const auto rank = static_cast<uint64_t>(std::ceil(q * static_cast<double>(count_)));
    uint64_t seen = 0;
    for (size_t bin = 0; bin < bins_.size(); ++bin) {
      seen += bins_[bin];
      if (seen != 0 && seen >= rank) return std::min(middle_s(bin), max_s());
    }
    return max_s();
  }
  // The part of all that does not exceed VALUE, to the bin.
  double share_within(TimeNs value) const {
    if (count_ == 0) return 1;
    const size_t last = bin_of(value / 1000);
    uint64_t seen = 0;
    for (size_t bin = 0; bin < bins_.size() && bin <= last; ++bin) seen += bins_[bin];
    return static_cast<double>(seen) / static_cast<double>(count_);
  }
  // Calls F(seconds, part of all that does not exceed it) for each bin that holds something.
  template <typename F>
  void each(F&& f) const {
    uint64_t seen = 0;
    for (size_t bin = 0; bin < bins_.size(); ++bin) {
      if (bins_[bin] == 0) continue;
      seen += bins_[bin];
      f(middle_s(bin), static_cast<double>(seen) / static_cast<double>(count_));
    }
  }

  // Also of other numbers than microseconds.
  static size_t bin_of(uint64_t us) {
    us = std::min<uint64_t>(us, (uint64_t{1} << 38) - 1);
    if (us < (1U << kBits)) return us;
    const auto shift = static_cast<uint32_t>(std::bit_width(us)) - kBits - 1;
    return (static_cast<size_t>(shift) << kBits) + static_cast<size_t>(us >> shift);
  }

 private:
  static constexpr uint32_t kBits = 7;  // 128 bins an octave
  static double middle_s(size_t bin) {
    if (bin < (2U << kBits)) return static_cast<double>(bin) / 1e6;
    const size_t shift = (bin >> kBits) - 1;
    const uint64_t low = (bin - (shift << kBits)) << shift;
    return (static_cast<double>(low) + static_cast<double>((uint64_t{1} << shift) - 1) / 2) / 1e6;
  }

  std::vector<uint64_t> bins_;
  uint64_t count_ = 0, sum_us_ = 0;
  TimeNs max_ = 0;
};

}  // namespace sluice::simulate
