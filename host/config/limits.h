// Every fixed limit of the configuration reader, in one place.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::config {

inline constexpr size_t kFileBytesMax = size_t{4} << 20;  // of pipeline.toml or an endpoints_file
inline constexpr size_t kSourceLinesMax = 200'000;        // lines kept for messages
inline constexpr size_t kNestingMax = 16;  // of brackets, and of dots in one key; deeper is refused
inline constexpr size_t kDiagnosticsMax = 100;  // errors, and warnings; the rest is counted
inline constexpr size_t kSourceWidthMax = 100;  // characters of a source line that a message shows
inline constexpr size_t kQuoteMax = 60;         // bytes of a value that a message quotes
inline constexpr size_t kExpandedMax = 64 << 10;  // bytes of a string after ${VAR} was filled in
inline constexpr size_t kNameMax = 256;  // bytes of the name of a band, endpoint, model, objective
inline constexpr size_t kHeaderNameMax = 128;    // bytes of a header's name
inline constexpr size_t kEntriesMax = 100'000;   // elements of any other array
inline constexpr size_t kFlowComponentsMax = 8;  // components of flow.key
inline constexpr uint32_t kRoomMax = 1'000'000;  // requests in flight on one endpoint
inline constexpr uint32_t kRetriesMax = 8;  // the engine keeps a request from no more endpoints
inline constexpr uint32_t kGatewaysMax = 1000;
inline constexpr uint32_t kFlowsMax = 1'000'000;  // flows remembered; also what max_flows = 0 means
inline constexpr double kWeightMin = 0.001;       // of a model or tenant: one weight_milli
inline constexpr double kWeightMax = 1000;        // of a model or tenant
inline constexpr uint32_t kFixedRoom = 8;  // max_in_flight of mode = "fixed" that does not say one
inline constexpr double kShareMax = 1'000'000;  // weight of a target or scorer, and cost of a token
inline constexpr uint64_t kDurationMaxNs = uint64_t{87'600} * 3600 * 1'000'000'000;  // 10 years
inline constexpr uint64_t kScrapeIntervalMinNs = 1'000'000;

}  // namespace sluice::config
