#include "core/rate_search.h"

#include <algorithm>

namespace sluice {
namespace {

uint32_t quarter(uint32_t limit) { return std::max(limit / 4, 1u); }

}  // namespace

void RateSearch::finished(TimeNs now, uint64_t cost, uint32_t in_flight) {
  if (in_flight < limit_) {
    // There was not enough to do, or it is still being filled: this measures something else.
    pass_ = std::max(pass_, 1u);
    count_ = 0;
    cost_ = 0;
  }
  if (pass_ != 0) {
    --pass_;
    since_ = now;
    return;
  }
  ++count_;
  cost_ += cost;
  const bool coarse = phase_ == Phase::kFirst || doubles();
  const uint32_t needed = coarse ? std::max(2 * limit_, 16u) : std::max(4 * limit_, 64u);
  if (count_ < needed || now <= since_) return;
  judge(now, static_cast<double>(cost_) / (static_cast<double>(now - since_) / 1e9));
}

void RateSearch::judge(TimeNs now, double rate) {
  switch (phase_) {
    case Phase::kFirst:
      best_ = rate;
      climb(now, limit_ * 2);
      return;
    case Phase::kUp: {
      const double most = static_cast<double>(limit_) / base_ - 1;
      const bool worth_it = rate >= best_ * (1 + kGainMin * most);
      const bool far = doubles();
      // Between twice and once there may be one that is worth it.
      if (worth_it || (far && rate > best_ * (1 + kLossMax))) base_ = limit_;
      best_ = std::max(best_, rate);
      if (worth_it) return climb(now, limit_ * 2);
      return far ? descend(now) : rest(now);
    }
    case Phase::kDown:
      if (rate < best_ * (1 - kLossMax)) return rest(now);
      base_ = limit_;
      descend(now);
      return;
    case Phase::kRest:
      break;
  }
  if (best_ == 0) best_ = rate;
  const bool changed = rate > best_ * (1 + kChangeMax) || rate < best_ * (1 - kChangeMax);
  // A step in vain costs some of the work that gets done meanwhile.
  const TimeNs enough = std::max(kRestNs, kRestMin * (now - since_));
  if (!changed && now - rests_since_ < enough) return go(Phase::kRest, limit_);
  best_ = rate;
  down_next_ = !changed && !down_next_ && base_ >= 4;  // of fewer one is too large a part
  if (down_next_) return descend(now);
  climb(now, changed ? limit_ * 2 : limit_ + quarter(limit_));
}

void RateSearch::settle(uint32_t limit, TimeNs now) {
  base_ = std::clamp(limit, 1u, kMost);
  best_ = 0;
  rest(now);
}

// Tries more than base_.
void RateSearch::climb(TimeNs now, uint32_t limit) {
  if (base_ == kMost) return rest(now);
  go(Phase::kUp, std::min(limit, kMost));
}

// Tries less than base_.
void RateSearch::descend(TimeNs now) {
  if (base_ == 1) return rest(now);
  go(Phase::kDown, base_ - quarter(base_));
}

void RateSearch::rest(TimeNs now) {
  rests_since_ = now;
  go(Phase::kRest, base_);
}

void RateSearch::go(Phase phase, uint32_t limit) {
  // What was sent under the limit before, and what fills up the new one.
  pass_ = std::max(limit_, limit);
  phase_ = phase;
  limit_ = limit;
  count_ = 0;
  cost_ = 0;
}

}  // namespace sluice
