// What is done to a trace before it is replayed, and the small languages that say so.
//
// In this order: a piece of it is taken, the piece is played again, then faster or slower. Tenants
// and bands are drawn by lot for requests that have none; a draw depends on the seed and on the
// request's place in the trace alone, so that the same request is the same tenant's at any speed.
// Units: nanoseconds of the trace, before scaling.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/types.h"

namespace sluice::traces {

// Flows tenant-0 .. tenant-(count - 1), the k-th with a share in proportion to (k + 1)^-exponent.
struct TenantMix {
  double exponent = 0;
  uint32_t count = 1;
};

struct BandShare {
  std::string band;
  double share = 0;
};

struct TraceOptions {
  TimeNs start = 0, duration = kNever;  // the piece [start, start + duration); start becomes 0
  uint32_t repeat = 1;  // how often in all; a copy begins a mean gap after the one before it ended
  double time_scale = 1;             // 2 = twice as fast
  std::optional<TenantMix> tenants;  // for requests without a flow
  std::vector<BandShare> bands;      // for requests without an objective; empty = none
  uint64_t seed = 1;
};

// "zipf:1.1:20": exponent and number of tenants.
Result<TenantMix> parse_tenants(std::string_view text);
// "critical=0.1,default=0.6,sheddable=0.3": shares that add up to 1.
Result<std::vector<BandShare>> parse_bands(std::string_view text);
// Whether the numbers among them are within their limits.
Result<void> check(const TraceOptions& options);

}  // namespace sluice::traces
