// For how long servers have had room for a request that was parked all the same: a part of its
// regret.
//
// Keeps, for an eligibility class, how long some server of it could have let a request in at once,
// by the size of the largest that it could have. A request is parked from one answer of with_room()
// to another; what lies between is its own. Sizes are told apart as Histogram does: to better than
// 1 %, those below 256 tokens exactly.
// Threads: one. Complexity: O(log kSizes) a call. Memory: 32 KiB, however long anybody is parked.
#pragma once

#include <vector>

#include "core/types.h"
#include "host/simulate/histogram.h"

namespace sluice::simulate {

class RoomHistory {
 public:
  // From now on the largest prompt that would be let in at once has PROMPT tokens; 0 = none would.
  void set(TimeNs now, uint32_t prompt) {
    if (prompt == now_) return;
    if (now_ != 0)
      for (size_t i = Histogram::bin_of(now_) + 1; i != 0; i &= i - 1) past_[i] += now - since_;
    since_ = now;
    now_ = prompt;
  }
  uint32_t now() const { return now_; }
  // For how long there has been room for a prompt of so many tokens until now, in all.
  TimeNs with_room(TimeNs now, uint32_t prompt) const {
    const size_t size = Histogram::bin_of(prompt);
    TimeNs sum = now_ != 0 && Histogram::bin_of(now_) >= size ? now - since_ : 0;
    for (size_t i = size + 1; i < kSizes; i += i & -i) sum += past_[i];
    return sum;
  }

 private:
  static constexpr size_t kSizes = 4096;  // more than there are bins of 32 bits
  // Sums over sizes, as a Fenwick tree: from the end, since those that are larger are asked for.
  std::vector<TimeNs> past_ = std::vector<TimeNs>(kSizes);
  TimeNs since_ = 0;
  uint32_t now_ = 0;
};

}  // namespace sluice::simulate
