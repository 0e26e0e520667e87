// What the engine counts, as plain values for /metrics, /status and tests.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/types.h"

namespace sluice {

// Counts of requests by what became of them. submitted = parked + in_flight + sum(ended), always.
struct Ledger {
  uint64_t submitted = 0, parked = 0, in_flight = 0;
  std::array<uint64_t, kOutcomes> ended{};
  uint64_t dispatches = 0, requeues = 0;
  uint64_t parked_bytes = 0, in_flight_bytes = 0;
  uint64_t parked_cost = 0, in_flight_cost = 0, served_cost = 0;
  uint64_t in_flight_tokens = 0;                                     // of endpoints' room
  uint64_t prompt_tokens = 0, cached_tokens = 0, output_tokens = 0;  // of ended requests with usage
};

struct BandStats {
  std::string name;
  int32_t priority = 0;
  Ledger ledger;
  uint32_t flows = 0;                 // remembered
  uint32_t waiting_flows = 0;         // with something parked
  double dispatches_per_second = 0;   // recent; what Retry-After is reckoned from
  TimeNs oldest_arrival_ns = kNever;  // of what is parked
};

struct EndpointStats {
  uint32_t slot = 0;
  bool up = false, ghost = false;  // ghost: removed, its last requests still in flight
  uint32_t limit = 0, in_flight = 0;
  uint64_t in_flight_cost = 0, dispatches = 0;
  TimeNs paused_until_ns = 0;
  uint64_t limit_tokens = 0, in_flight_tokens = 0;  // limit 0 = none
  // Of prompts whose answers have not begun; limit 0 = none.
  uint64_t limit_prefill_tokens = 0, prefill_tokens = 0;
  bool learns = false;     // its limits are the engine's own finding
  bool doubted = false;    // its reports do not count what it has in flight
  bool earmarked = false;  // it is being emptied for a large request
};

struct PolicyStats {
  std::string band;  // "" for scoring
  std::string kind;  // "ordering", "fairness", "eviction", "scoring"
  std::string name;  // "sluice/fcfs"; "built-in" where none was given
  uint64_t faults = 0;
  bool quarantined = false;
  std::string last_fault;
};

struct FlowStats {
  std::string name;
  uint32_t band = 0, weight_milli = 0, parked = 0, in_flight = 0;
  uint64_t parked_bytes = 0, in_flight_cost = 0, served_cost = 0, dispatches = 0;
  TimeNs head_arrival_ns = kNever;
  bool overflow = false;
};

struct Stats {
  Ledger total;
  std::vector<BandStats> bands;
  std::vector<EndpointStats> endpoints;
  std::vector<PolicyStats> policies;
  uint64_t passes_hold = 0;     // rounds that ended because a band holds for its picked flow
  uint64_t passes_idle = 0;     // rounds that ended because a fairness policy chose to idle
  uint64_t passes_ceiling = 0;  // rounds that ended at a band's ceiling although there was room
  uint64_t holds_size = 0;      // requests that were kept back for want of room for their size
  uint64_t holds_better = 0;    // requests that passed over a free endpoint for a better one
};

}  // namespace sluice
