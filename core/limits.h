// Every fixed limit of the engine, in one place. What an operator may set is in pipeline.toml
// instead.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

inline constexpr uint32_t kEndpointsMax = 1024;  // slots of the pool; bit sets are this wide
inline constexpr uint32_t kBandsMax = 64;        // bands of a pipeline
inline constexpr uint32_t kScorersMax = 32;      // scoring policies of a pipeline
inline constexpr uint32_t kVictimRowsMax =
    256;  // rows that an eviction policy is shown, and victims a newcomer may cost
inline constexpr uint32_t kEventBatchMax =
    512;  // events kept back for one policy before it must hear them
inline constexpr uint32_t kFaultsMax = 8;  // illegal answers ...
inline constexpr uint64_t kFaultWindowNs =
    10'000'000'000;  // ... in this time put a policy into quarantine
inline constexpr uint64_t kRejectionPauseMinNs =
    50'000'000;  // an engine that answers 429/503 is left alone this
inline constexpr uint64_t kRejectionPauseMaxNs =
    2'000'000'000;  // long; doubles while it goes on rejecting
inline constexpr uint64_t kPromptMaxNs =
    30'000'000'000;  // an answer that has not begun after so long keeps no other prompt back
inline constexpr uint32_t kRetryAfterMinSeconds = 1;
inline constexpr uint32_t kRetryAfterMaxSeconds = 30;
inline constexpr uint32_t kExclusionsMax =
    8;  // endpoints that failed one request and are kept from it
inline constexpr uint32_t kTenantFlowsMax =
    4096;  // slots of each band for flows of configured tenants, which are not put into the overflow
inline constexpr uint32_t kBetterHeldMax =
    64;  // flows that pass over a free endpoint for a better one, at a time
inline constexpr size_t kModelsEstimatedMax = 1024;  // models with estimates of their own
inline constexpr uint64_t kEstimateKeptNs =
    1'000'000'000;  // a request that waited longer is estimated again
inline constexpr size_t kGenerationsKept =
    4;  // pipelines whose band and tenant numbers are still understood
inline constexpr uint32_t kPrefixBlocksPerEndpoint =
    31250;  // that the prefix index takes an endpoint to hold, unless its cache is smaller

}  // namespace sluice
