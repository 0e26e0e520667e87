// The two clocks that TTLs run on: one runs while the pool has endpoints, the other while it has
// none.
//
// A deadline is a reading of one of them, so that a pool that comes and goes neither resets nor
// burns a budget, and a flip is O(1) whatever is parked. Units: nanoseconds.
#pragma once

#include <array>

#include "core/types.h"

namespace sluice {

class PoolClocks {
 public:
  enum Which : uint8_t { kServing = 0, kEmpty = 1 };

  explicit PoolClocks(TimeNs now) : since_(now) {}

  void set_running(Which which, TimeNs now) {
    elapsed_[running_] += now - since_;
    since_ = now;
    running_ = which;
  }
  Which running() const { return running_; }
  TimeNs read(Which which, TimeNs now) const {
    return elapsed_[which] + (which == running_ ? now - since_ : 0);
  }
  // When WHICH will read READING if it goes on as it is; kNever if it stands still.
  TimeNs when(Which which, TimeNs reading) const {
    if (which != running_) return kNever;
    return reading <= elapsed_[which] ? since_ : since_ + (reading - elapsed_[which]);
  }

 private:
  std::array<TimeNs, 2> elapsed_{};
  TimeNs since_;
  Which running_ = kEmpty;
};

}  // namespace sluice
