#include "host/traces/open_loop.h"

#include <algorithm>
#include <cmath>

#include "host/traces/draws.h"

namespace sluice::traces {
namespace {

double seconds(TimeNs ns) { return static_cast<double>(ns) / 1e9; }

}  // namespace

OpenLoop::OpenLoop(const Load& load, uint64_t seed)
    : kind_(load.kind),
      from_(load.from),
      to_(load.to),
      rate_(load.rate),
      slope_(0),
      cv_(load.cv),
      on_s_(seconds(load.on)),
      off_s_(seconds(load.off)),
      work_max_(0),
      random_(seed) {
  if (from_ >= to_) {
    next_ = kNever;
    return;
  }
  double clock = seconds(to_ - from_);
  if (kind_ == LoadKind::kOnOff) {
    const double cycles = std::floor(clock / (on_s_ + off_s_));
    clock = cycles * on_s_ + std::min(on_s_, clock - cycles * (on_s_ + off_s_));
  }
  slope_ = (load.rate_end - load.rate) / clock;
  work_max_ = (load.rate + load.rate_end) / 2 * clock;
  advance();
}

void OpenLoop::advance() {
  // Evenly spaced ones are counted, not added up: no error grows.
  work_ = kind_ == LoadKind::kUniform ? static_cast<double>(sent_) : work_ + gap();
  ++sent_;
  if (work_ >= work_max_) {
    next_ = kNever;
    return;
  }
  const auto at = from_ + static_cast<TimeNs>(std::llround(seconds_at(work_) * 1e9));
  next_ = at < to_ ? std::max(at, next_) : kNever;
}

double OpenLoop::gap() {
  return kind_ == LoadKind::kGamma ? draw_gamma(random_, cv_) : draw_exponential(random_);
}

double OpenLoop::seconds_at(double work) const {
  // rate * t + slope * t^2 / 2 = work, solved so that no slope is as good as any.
  const double root = std::sqrt(std::max(0.0, rate_ * rate_ + 2 * slope_ * work));
  const double clock = work == 0 ? 0 : 2 * work / (rate_ + root);
  if (kind_ != LoadKind::kOnOff) return clock;
  return clock + std::floor(clock / on_s_) * off_s_;
}

}  // namespace sluice::traces
