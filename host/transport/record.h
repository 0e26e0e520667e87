// What became of one request, for logs and metrics; told once, when its last byte has gone.
//
// Threads: the sink is called on the proxy's own threads, several at a time, and must not block.
// Views live for the call only. Units: nanoseconds, bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "core/types.h"

namespace sluice {

struct RequestRecord {
  std::string_view request_id, method, path, flow, band, model, target, endpoint;  // "" = not known
  Outcome outcome = Outcome::kCompleted;
  Reason reason = Reason::kNone;
  std::string_view refusal;  // x-sluice-reason of an answer of our own, else ""
  uint16_t status = 0;       // as the client was told; 499 if it had gone
  bool parked = false;    // the scheduler decided about it; false: refused before, or never parked
  bool streamed = false;  // answered with server-sent events
  uint32_t attempts = 0;  // dispatches
  uint64_t queue_ns = 0;  // parked, in all
  uint64_t first_byte_ns =
      0;                  // from the request's last byte to the answer's first; 0 = there was none
  uint64_t total_ns = 0;  // from the request's first byte to the answer's last
  uint64_t bytes_in = 0, bytes_out = 0;  // bodies
  bool has_usage = false;  // the token counts are the server's, else output_tokens counts events
  uint32_t prompt_tokens = 0, cached_tokens = 0, output_tokens = 0;
};

using RecordSink = std::function<void(const RequestRecord&)>;

}  // namespace sluice
