// Every fixed limit of the HTTP proxy. What an operator may set is in pipeline.toml instead.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

inline constexpr uint64_t kSecondNs = 1'000'000'000;

inline constexpr size_t kRequestHeadersMax = 256;               // header lines of a request
inline constexpr size_t kConnectionNamesMax = 64;               // in Connection headers, in all
inline constexpr size_t kEmptyLinesMax = 4;                     // before a request line
inline constexpr size_t kUpstreamHeaderMax = size_t{64} << 10;  // bytes of an answer's head
inline constexpr size_t kInterimAnswersMax = 8;                 // 1xx answers before the real one
inline constexpr size_t kReadStep = size_t{16} << 10;           // bytes asked of a socket at a time
inline constexpr size_t kHeadStep = size_t{4} << 10;            // the same, where a request begins
inline constexpr size_t kBodyPadding = 64;  // capacity behind a body, for the JSON parser
inline constexpr size_t kChunkHeaderMax =
    size_t{64} << 10;  // bytes of a chunk's header line, or of all trailers
inline constexpr size_t kLookaheadMax =
    size_t{16} << 10;  // bytes kept of a pipelined next request while one is served
inline constexpr size_t kOneWriteMax = size_t{16}
                                       << 10;  // bytes worth copying together for one write
inline constexpr size_t kLingerBytesMax = size_t{1} << 20;  // read and thrown away after a refusal
inline constexpr uint64_t kLingerNs = 2 * kSecondNs;
inline constexpr uint64_t kKeepAliveIdleNs =
    75 * kSecondNs;  // a client's connection without a request
inline constexpr uint64_t kClientWriteNs =
    60 * kSecondNs;  // one write to a client that does not read
inline constexpr uint64_t kUpstreamIdleNs = 30 * kSecondNs;  // an upstream connection nobody uses
inline constexpr size_t kUpstreamIdleMax = 256;  // such connections, per endpoint and thread
inline constexpr uint64_t kAcceptPauseNs =
    100'000'000;                                    // after accept failed for want of descriptors
inline constexpr size_t kConnectionsMax = 100'000;  // clients at a time, per server

}  // namespace sluice
