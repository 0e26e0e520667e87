// What one run of the simulator found out: plain values, from which every output is made.
//
// Units: seconds and tokens unless a name says otherwise. Requests are counted by what became of
// them over the whole run; latencies and rates are of the window (RunResult::window_*).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/types.h"
#include "host/simulate/histogram.h"

namespace sluice::simulate {

// One request that is over; a row of requests.csv. Times are since the run began, kNever = never.
struct FinishedRequest {
  uint64_t id = 0;
  TimeNs arrival = 0, dispatched = kNever, first_token = kNever, finished = kNever;
  std::string_view flow, band, model, endpoint;  // "" = none
  uint32_t prompt_tokens = 0, output_tokens = 0;
  Outcome outcome = Outcome::kCompleted;
  TimeNs regret = 0;  // not a column
};

// Requests that have something in common: a band, a tenant, or all of them.
struct Group {
  std::string name;
  uint64_t requests = 0;                                             // arrived
  std::array<uint64_t, kOutcomes> ended{};                           // by Outcome
  uint64_t prompt_tokens = 0, output_tokens = 0, cached_tokens = 0;  // of completed requests
  double service = 0;      // prompt + output cost, as [cost] weighs them
  uint64_t in_window = 0;  // that are over, and arrived in the window
  uint64_t slo_met = 0;    // of them: completed with TTFT and inter-token time in bounds
  // Of requests that got an answer. WAIT is TTFT less the time that its own prefill takes; ITL the
  // mean time between the tokens of a request; E2E from arrival to the last token.
  Histogram wait, ttft, itl, e2e;
  Histogram parked;  // from arrival to the last dispatch
  Histogram regret;  // docs/simulate.md

  uint64_t completed() const { return ended[static_cast<size_t>(Outcome::kCompleted)]; }
};

// A quantity over time: values[i] is its mean over [i * step_s, (i + 1) * step_s).
struct Series {
  std::string name;
  std::vector<float> values;
};

struct ServerResult {
  std::string name;
  uint64_t requests = 0;  // completed there
  uint64_t prompt_tokens = 0, output_tokens = 0, cached_tokens = 0, preemptions = 0;
  double busy_s = 0;  // with something running
  double mean_running = 0, mean_kv_used = 0;
  uint32_t most_waiting = 0;  // in its own queue
};

// Service of tenants against each other, in the window; docs/simulate.md has the definitions.
struct Fairness {
  double accumulated_gap = 0;  // the most that two tenants' service drifted apart while both waited
  double windowed_mean = 0, windowed_max = 0;  // service difference in windows of window_s
  double window_s = 0;
  double jain = 1;  // of service over weight, of tenants that waited most of the time; 1 = even
  uint32_t tenants = 0;  // that JAIN is of
};

struct RunResult {
  std::string label;    // as users tell the runs apart: "pipeline", "pipeline, direct"
  std::string config;   // the file
  bool direct = false;  // --baseline direct
  uint64_t seed = 0;
  std::string trace, servers;  // the files
  uint64_t hash = 0;           // of everything that was decided
  double simulated_s = 0, cpu_s = 0;
  double window_from_s = 0, window_to_s = 0;  // [first arrival + warm-up, last arrival]
  double slo_ttft_s = 0, slo_itl_s = 0;
  double tokens_per_s = 0, output_tokens_per_s = 0, requests_per_s = 0;  // made in the window
  double offered_tokens_per_s = 0, offered_requests_per_s = 0;           // that arrived in it
  double idle_while_waiting_s = 0;   // server seconds without work while eligible work waited
  double slots_while_waiting_s = 0;  // slot seconds free while eligible work waited
  // Cached prompt tokens over all; of one cache as large as all servers' together; of a boundless one.
  double hit_rate = 0, pooled_hit_rate = 0, ideal_hit_rate = 0;
  Group all;
  std::vector<Group> bands;    // highest priority first
  std::vector<Group> tenants;  // most service first; at most kTenantsMax
  std::vector<ServerResult> servers_used;
  Fairness fairness;
  double step_s = 1;            // of the Series below
  std::vector<Series> parked;   // requests parked, by band
  std::vector<Series> running;  // requests running, by server
  std::vector<Series> waiting;  // requests in a server's own queue, by server
  std::vector<Series> kv_used;  // 0 .. 1, by server
  double service_step_s = 1;    // of the series below
  std::vector<Series> service;  // accumulated service by tenant, at the end of each step
};

inline constexpr size_t kTenantsMax = 50;

}  // namespace sluice::simulate
