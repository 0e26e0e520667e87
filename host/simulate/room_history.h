// When servers had room for a request that was parked all the same: a part of its regret.
//
// Keeps, for each eligibility class, the times at which some server of it could have let a request
// in at once, and how large a one; not longer than the oldest parked request needs them.
// Threads: one. Complexity: O(1) amortised a change; a question costs the changes since its arrival.
#pragma once

#include <algorithm>
#include <deque>

#include "core/types.h"

namespace sluice::simulate {

class RoomHistory {
 public:
  // From now on the largest prompt that would be let in at once has PROMPT tokens; 0 = none would.
  // Nobody will ask about the time before OLDEST.
  void set(TimeNs now, uint32_t prompt, TimeNs oldest) {
    if (prompt == now_) return;
    if (now_ != 0 && now > since_) past_.push_back({since_, now, now_});
    since_ = now;
    now_ = prompt;
    while (!past_.empty() && past_.front().to <= oldest) past_.pop_front();
  }
  // How long between FROM and NOW there was room for a prompt of so many tokens.
  TimeNs with_room(TimeNs from, TimeNs now, uint32_t prompt) const {
    TimeNs sum = 0;
    if (now_ >= prompt) sum += now - std::min(now, std::max(from, since_));
    for (auto it = past_.rbegin(); it != past_.rend() && it->to > from; ++it)
      if (it->prompt >= prompt) sum += it->to - std::max(from, it->from);
    return sum;
  }

 private:
  struct Span {
    TimeNs from, to;
    uint32_t prompt;
  };
  std::deque<Span> past_;
  TimeNs since_ = 0;
  uint32_t now_ = 0;
};

}  // namespace sluice::simulate
