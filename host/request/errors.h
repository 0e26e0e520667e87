// How an outcome is told to a client: status, reason headers, Retry-After and a body, the same for
// every transport.
//
// Threads: [any]. The table stands in docs/operations.md under "What a client is told"; describe()
// is that table.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/types.h"
#include "host/config/config.h"

namespace sluice {

// Why a transport itself refuses a request.
struct Refusal {
  uint16_t status = 400;  // 400, 404, 405, 408, 413, 431 ...
  std::string_view reason = "bad-request";
  std::string_view code = "invalid_request";
  std::string message;
};

struct ErrorAnswer {
  uint16_t status = 500;
  std::string_view reason;          // x-sluice-reason
  std::string_view dropped_reason;  // x-llm-d-request-dropped-reason; "" = none
  uint32_t retry_after_s = 0;       // Retry-After; 0 = none
  std::string_view content_type;
  std::string body;
};

// What the client of a request that ended as OUTCOME is told. OUTCOME is neither kCompleted nor one
// where the client is gone. TIMED_OUT tells 504 from 502 for kUpstreamError. RETRY_AFTER_S, the
// decision's figure, is said with 429 and 503, at least kRetryAfterMinSeconds.
ErrorAnswer describe(Outcome outcome, Reason reason, uint32_t retry_after_s, bool timed_out,
                     config::ErrorFormat format);
ErrorAnswer describe(const Refusal& refusal, config::ErrorFormat format);

}  // namespace sluice
