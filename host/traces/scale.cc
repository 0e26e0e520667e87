#include "host/traces/scale.h"

#include <algorithm>

#include "host/traces/limits.h"

namespace sluice::traces {

TimeNs Scaled::next_at() {
  const TimeNs at = inner_->next_at();
  if (at == kNever) return kNever;
  if (static_cast<double>(at) / scale_ > static_cast<double>(kTraceMaxNs)) too_long_ = true;
  return too_long_ ? kNever : scaled(at);
}

const Arrival& Scaled::take() {
  arrival_ = inner_->take();
  arrival_.at = scaled(arrival_.at);
  return arrival_;
}

void Scaled::ended(uint32_t client, TimeNs now) {
  const double inner_now = static_cast<double>(now) * scale_;
  inner_->ended(client, static_cast<TimeNs>(std::min(inner_now, static_cast<double>(kTraceMaxNs))));
}

std::optional<std::string> Scaled::failure() const {
  if (too_long_) return "error: played this slowly the trace lasts over 87600h; scale time less";
  return inner_->failure();
}

}  // namespace sluice::traces
