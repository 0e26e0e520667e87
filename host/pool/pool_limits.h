// Every fixed limit of the pool, in one place. What an operator may set is in pipeline.toml
// instead.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/types.h"

namespace sluice {

// What one endpoint may tell about itself.
inline constexpr size_t kPageBytesMax = 4 << 20;       // of /metrics or /v1/models
inline constexpr size_t kModelsPerEndpointMax = 1024;  // names; more are ignored
inline constexpr size_t kModelNameBytesMax = 256;      // longer ones are ignored

// Eligibility classes, one a model name or pattern.
inline constexpr size_t kClassesMax = 8192;
inline constexpr TimeNs kClassForgetNs =
    3'600'000'000'000;  // unserved this long, a name may give up its place

// Scraping.
inline constexpr TimeNs kScrapeIntervalMinNs = 5'000'000;
inline constexpr uint64_t kScrapesPerSecondMax =
    4000;  // over all endpoints; more endpoints, longer intervals
inline constexpr TimeNs kScrapeTimeoutMinNs =
    2'000'000'000;                              // an engine under load may answer a second late
inline constexpr uint32_t kMissesPatient = 20;  // after so many misses in a row an endpoint is ...
inline constexpr TimeNs kScrapeIntervalMissingNs =
    250'000'000;  // ... asked no more often than this
inline constexpr TimeNs kModelsIntervalNs = 10'000'000'000;
inline constexpr TimeNs kModelsRetryNs = 1'000'000'000;  // after no answer or a 5xx

// Passive health.
inline constexpr uint32_t kFailuresMax = 3;  // in a row; then the endpoint is ejected
inline constexpr TimeNs kBackoffMinNs =
    1'000'000'000;  // ejected at least this long, unless proven well
inline constexpr TimeNs kBackoffMaxNs = 30'000'000'000;  // doubles up to this
inline constexpr TimeNs kProbationNs =
    30'000'000'000;  // well this long, and the backoff starts anew

// Slots and files.
inline constexpr TimeNs kSlotRestNs =
    10'000'000'000;  // a removed endpoint's slot is not given away before
inline constexpr TimeNs kFileDebounceNs = 200'000'000;
inline constexpr TimeNs kFilePollNs = 5'000'000'000;
inline constexpr size_t kFileBytesMax = 4 << 20;

}  // namespace sluice
