// Gives requests a tenant and a band by lot, where the trace names none.
//
// A request with a flow keeps it, and one with an objective gets no band. The draws are a hash of
// (seed, place in the trace, what is drawn): neither speed nor piece nor the other draw matters.
// Threads: one. Complexity: O(log tenants) a request, memory O(tenants).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/traces/options.h"
#include "host/traces/source.h"

namespace sluice::traces {

class Mixed final : public Source {
 public:
  Mixed(std::unique_ptr<Source> inner, const TraceOptions& options);

  TimeNs next_at() override { return inner_->next_at(); }
  const Arrival& take() override;
  void ended(uint32_t client, TimeNs now) override { inner_->ended(client, now); }
  std::optional<std::string> failure() const override { return inner_->failure(); }
  double progress() const override { return inner_->progress(); }

 private:
  std::unique_ptr<Source> inner_;
  uint64_t seed_;
  std::vector<double> tenants_, shares_;  // running sums that end at 1; empty = nothing to draw
  std::vector<std::string> bands_;
  std::string tenant_;  // the name that arrival_ shows
  Arrival arrival_;
};

}  // namespace sluice::traces
