// A recent rate from two half-windows: no history, no libm, the same on every machine.
#pragma once

#include <cstdint>

#include "core/types.h"

namespace sluice {

class RateMeter {
 public:
  static constexpr TimeNs kHalfNs = 5'000'000'000;

  void add(TimeNs now, uint64_t amount) {
    roll(now);
    current_ += amount;
  }
  // Per second, over the last half-window and what has passed of this one. Reading changes nothing:
  // what is decided from a rate does not depend on who looked at it.
  double per_second(TimeNs now) const {
    RateMeter as_of_now = *this;
    as_of_now.roll(now);
    return as_of_now.average(now);
  }

 private:
  double average(TimeNs now) const {
    const double passed = static_cast<double>(now - start_) / 1e9;
    const double window = passed + (has_previous_ ? kHalfNs / 1e9 : 0);
    if (window < 0.001) return 0;
    return static_cast<double>(current_ + (has_previous_ ? previous_ : 0)) / window;
  }
  void roll(TimeNs now) {
    if (now - start_ < kHalfNs) return;
    const bool adjacent = now - start_ < 2 * kHalfNs;
    previous_ = adjacent ? current_ : 0;
    has_previous_ = start_ != 0;
    start_ = adjacent && has_previous_ ? start_ + kHalfNs : now;
    current_ = 0;
  }

  TimeNs start_ = 0;
  uint64_t current_ = 0, previous_ = 0;
  bool has_previous_ = false;
};

}  // namespace sluice
