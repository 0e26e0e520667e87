// Every fixed limit of the ext_proc server. What an operator may set is in pipeline.toml instead.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::ext_proc {

inline constexpr size_t kChunkMax = 62'000;  // bytes of a body chunk that is made here
inline constexpr size_t kChunkPassedMax = size_t{64} << 10;  // of one that passes as it came
inline constexpr size_t kStreamedPeekMax = size_t{16}
                                           << 10;           // of a STREAMED body that is waited for
inline constexpr size_t kBodyReserveMax = size_t{1} << 20;  // taken at once on a header's word
inline constexpr size_t kBodyPadding = 64;  // capacity behind a body, for the JSON parser
inline constexpr size_t kOutboxBytesMax = size_t{256} << 10;  // unsent, before less is read
inline constexpr uint32_t kOwedChunksMax = 1024;              // unanswered, before less is read
inline constexpr uint64_t kEndNs = 5'000'000'000;  // for a gateway to take what ends its stream
inline constexpr size_t kHeadersMax = 1024;        // of a request or an answer
inline constexpr size_t kSubsetMax = 4096;         // endpoints that a hint names
inline constexpr size_t kCallsMax = 100'000;       // of whatever method, at a time
inline constexpr int kStreamsPerConnectionMax = 20'000;      // a gateway opens another one
inline constexpr size_t kMessageExtraMax = size_t{1} << 20;  // bytes of a message beside a body
inline constexpr int kKeepaliveMs = 30'000;         // a connection without traffic is probed
inline constexpr int kKeepaliveTimeoutMs = 10'000;  // and given up
inline constexpr int kPingIntervalMinMs = 1'000;    // a gateway's own probes
inline constexpr unsigned kCertificateCheckS = 1;   // between two looks at certificate files
inline constexpr uint64_t kTickNs = 100'000'000;    // between two looks for silent streams

}  // namespace sluice::ext_proc
