// Every fixed limit of the trace readers and generators, in one place.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/types.h"

namespace sluice::traces {

inline constexpr size_t kLineBytesMax = 256 << 10;  // of a trace file
inline constexpr size_t kReorderRowsMax = 1024;     // a row may stand this many rows too late
inline constexpr uint32_t kTokensMax = 1'000'000;   // of a prompt or an output
inline constexpr size_t kNameBytesMax = 256;        // of a flow, an objective, a model, a band
inline constexpr uint32_t kBlockTokens = 64;        // of one block of a prompt
inline constexpr size_t kBlocksMax = 2048;          // of one prompt; what lies behind is left out
inline constexpr uint32_t kIdTokens = 512;          // that one of Mooncake's hash_ids stands for
inline constexpr TimeNs kTraceMaxNs = TimeNs{87'600} * 3600 * 1'000'000'000;  // 10 years
inline constexpr double kTimeScaleMin = 1e-6;
inline constexpr double kTimeScaleMax = 1e6;
inline constexpr uint32_t kRepeatMax = 10'000;
inline constexpr uint32_t kTenantsMax = 100'000;  // of --tenants
inline constexpr double kZipfExponentMax = 10;
inline constexpr size_t kBandsDrawnMax = 64;          // of --bands
inline constexpr size_t kLoadsMax = 256;              // [[load]] of one file
inline constexpr double kRateMax = 1'000'000;         // requests a second of one load
inline constexpr double kCvMin = 0.01;                // of gamma gaps
inline constexpr double kCvMax = 20;                  // of gamma gaps and of tokens
inline constexpr uint32_t kClientsMax = 100'000;      // of all closed loops of one file
inline constexpr TimeNs kClientGapMinNs = 1'000'000;  // a client sends no more often than this

}  // namespace sluice::traces
