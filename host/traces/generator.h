// Requests of several loads, merged by time; at one time, in the order of the file.
//
// Each load draws from the seed and its place in the file, and the sizes of its n-th request from n
// too: a change to one load leaves the others as they were, and another rate leaves the sizes.
// Threads: one. Complexity: O(loads) a request, memory O(loads + clients).
#pragma once

#include <variant>
#include <vector>

#include "host/traces/closed_loop.h"
#include "host/traces/loads.h"
#include "host/traces/open_loop.h"
#include "host/traces/source.h"

namespace sluice::traces {

class Generator final : public Source {
 public:
  // There is at least one load. Nothing is sent from END on, whatever the loads say.
  Generator(std::vector<Load> loads, uint64_t seed, TimeNs end = kNever);

  TimeNs next_at() override;
  const Arrival& take() override;
  void ended(uint32_t client, TimeNs now) override;
  double progress() const override;

 private:
  struct Lane {
    std::variant<OpenLoop, ClosedLoop> clock;
    uint64_t seed;
    uint32_t first_client;  // of those of all loads
    uint64_t sent = 0;
    std::vector<uint64_t> blocks;  // that its prompts share

    TimeNs next_at() const;
  };
  size_t next_lane() const;

  std::vector<Load> loads_;
  std::vector<Lane> lanes_;  // by load
  TimeNs end_;
  uint64_t ordinal_ = 0;
  Arrival arrival_;
};

}  // namespace sluice::traces
