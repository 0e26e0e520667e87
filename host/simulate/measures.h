// What happens in a run, counted into a RunResult.
//
// Threads: one. Memory: bounded, whatever the run's length: histograms and timelines.
// Times are the run's own, from its start.
#pragma once

#include <bitset>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "host/simulate/result.h"
#include "host/simulate/setup.h"
#include "host/simulate/timeline.h"

namespace sluice::simulate {

inline constexpr size_t kTenantsTimedMax = 200;  // whose service is kept over time

struct MeasureOptions {
  TimeNs warmup_ns = 0;  // from the first arrival; latencies are of requests that arrive after it
  TimeNs slo_ttft_ns = 1'000'000'000, slo_itl_ns = 100'000'000;
};

// A request from its arrival to its end.
struct RequestRecord {
  uint32_t band = 0, tenant = 0;
  uint32_t prompt = 0, output = 0;  // as it asked for
  uint32_t made = 0, cached = 0;    // tokens
  TimeNs arrival = 0, dispatched = kNever, admitted = kNever, first_token = kNever;
  TimeNs alone = 0;  // what its own prefill takes
  TimeNs regret = 0;
};

class Measures {
 public:
  using ServerSet = std::bitset<kServersMax>;

  Measures(const Setup& setup, const MeasureOptions& options);

  uint32_t tenant(const std::string& name, double weight);
  void arrived(TimeNs now, const RequestRecord& r);
  void ended(TimeNs now, const RequestRecord& r, Outcome outcome, uint32_t server);
  // Of R's band so many are parked now.
  void parked(TimeNs now, uint32_t band, uint32_t count);
  // R's tenant has one more request waiting, or one less; waiting ends with its admission.
  void waits(TimeNs now, uint32_t tenant, int by);
  void server(TimeNs now, uint32_t server, uint32_t running, uint32_t waiting, float kv_used);
  // From now on so many servers idle, and slots are free, though eligible work waits.
  void unused(TimeNs now, uint32_t servers, uint32_t slots);
  // Of a prompt, what one cache for all would have had, and what a boundless one would.
  void prefix(uint64_t prompt_tokens, uint64_t pooled_tokens, uint64_t ideal_tokens);

  // END: when the last request arrived.
  RunResult result(TimeNs last_arrival, TimeNs now);

 private:
  struct Tenant {
    Group group;
    double weight = 1;
    uint32_t waiting = 0;
    bool timed = false;
    size_t served = 0, asked = 0, waited = 0;  // in tenants_over_time_
  };
  bool in_window(const RequestRecord& r) const { return r.arrival >= window_from(); }
  TimeNs window_from() const {
    return (first_arrival_ == kNever ? 0 : first_arrival_) + options_.warmup_ns;
  }
  double service(uint64_t prompt, uint64_t output) const {
    return static_cast<double>(prompt) + static_cast<double>(output) * output_cost_;
  }
  template <typename F>
  void each_group(const RequestRecord& r, F&& f);
  std::vector<Series> levels(size_t first, const std::vector<std::string>& names) const;

  const Setup& setup_;
  MeasureOptions options_;
  double output_cost_;
  TimeNs first_arrival_ = kNever;
  Group all_;
  std::vector<Group> bands_;
  std::vector<Tenant> tenants_;
  std::unordered_map<std::string, uint32_t> tenant_index_;
  Timeline over_time_{0};
  Timeline tenants_over_time_{0};
  size_t parked_ = 0, running_ = 0, waiting_ = 0, kv_used_ = 0;  // the first of each
  std::vector<ServerResult> servers_;
  struct Busy {
    TimeNs since = 0;
    uint32_t running = 0;
  };
  std::vector<Busy> busy_;
  TimeNs unused_since_ = 0;
  uint32_t unused_servers_ = 0, unused_slots_ = 0;
  double unused_server_ns_ = 0, unused_slot_ns_ = 0;
  uint64_t prefix_tokens_ = 0, pooled_tokens_ = 0, ideal_tokens_ = 0;
  // Tokens that came, and that were made, in the window.
  uint64_t offered_tokens_ = 0, offered_requests_ = 0;
  size_t made_prompt_ = 0, made_output_ = 0, made_requests_ = 0;  // in over_time_
};

}  // namespace sluice::simulate
