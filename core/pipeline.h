// The engine's configuration: what pipeline.toml says, with names resolved and policies loaded.
//
// For every limit and TTL 0 means none. Bands are listed highest priority first; the engine keeps
// that order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/policy.h"
#include "core/types.h"

namespace sluice {

struct BandConfig {
  std::string name;
  int32_t priority = 0;
  TimeNs ttl_ns = 0;              // longest wait while the pool has endpoints
  TimeNs no_endpoint_ttl_ns = 0;  // longest wait while it has none
  uint64_t requests_max = 0;
  uint64_t bytes_max = 0;
  uint64_t requests_per_flow_max = 0;
  double ceiling = 1;  // share of the pool's room that this band and those below may take together
  bool hold_when_blocked = false;  // wait for the picked flow instead of passing it over
  PolicyPtr ordering, fairness,
      eviction;  // null = built-in: arrival; round robin; refuse the newcomer
};

struct TenantConfig {
  std::string name;  // for messages
  uint64_t requests_max = 0;
};

struct ScorerConfig {
  PolicyPtr policy;
  float weight = 1;
};

// Waiting for a better endpoint than those with room: the score must be better by this, and the
// request waits so long at most. 0 = never.
struct WaitForBetter {
  double min_gain = 0;  // in weighted score
  TimeNs wait_max_ns = 0;
};

enum class PickerKind : uint8_t { kMaxScore, kWeightedRandom, kPowerOfTwo };

struct CostConfig {
  double output = 2.0;  // cost units per output token
  double cached = 0.0;  // per prompt token found in a prefix cache; an uncached one costs 1
};

// What a row holds in each declared column that its source is missing from. Columns are never taken
// back, so these lists only grow from one pipeline to the next.
struct AbsentColumns {
  std::vector<int64_t> ints;
  std::vector<double> floats;
};

struct Pipeline {
  uint64_t generation = 0;        // the driver's number for this pipeline; each one its own
  std::vector<BandConfig> bands;  // 1 .. kBandsMax, priorities strictly falling
  uint32_t default_band = 0;
  std::vector<TenantConfig> tenants;
  uint64_t requests_max = 0;  // whole host
  uint64_t bytes_max = 0;
  uint32_t flows_max = 10000;  // flows remembered per band; one more takes the overflow
  TimeNs flow_idle_ttl_ns = 0;
  std::vector<ScorerConfig> scorers;  // none = built-in: least in flight
  PickerKind picker = PickerKind::kMaxScore;
  bool ranks = false;  // decisions say which endpoints there were, and their scores
  WaitForBetter wait_for_better;
  CostConfig cost;
  AbsentColumns request_absent, endpoint_absent;
  uint32_t prefix_block_tokens = 64;  // tokens that one entry of Submission::prefix stands for
};

}  // namespace sluice
