// Plays another source faster or slower.
//
// Threads: one. Complexity: O(1). Closed loops think in the source's own time, so that at twice the
// speed a client thinks half as long.
#pragma once

#include <memory>

#include "host/traces/source.h"

namespace sluice::traces {

class Scaled final : public Source {
 public:
  // SCALE is within kTimeScaleMin .. kTimeScaleMax.
  Scaled(std::unique_ptr<Source> inner, double scale) : inner_(std::move(inner)), scale_(scale) {}

  TimeNs next_at() override;
  const Arrival& take() override;
  void ended(uint32_t client, TimeNs now) override;
  std::optional<std::string> failure() const override;
  double progress() const override { return inner_->progress(); }

 private:
  TimeNs scaled(TimeNs at) const { return static_cast<TimeNs>(static_cast<double>(at) / scale_); }

  std::unique_ptr<Source> inner_;
  double scale_;
  bool too_long_ = false;  // it would last more than kTraceMaxNs
  Arrival arrival_;
};

}  // namespace sluice::traces
