#include "host/request/errors.h"

#include <algorithm>

#include "core/limits.h"
#include "host/request/text.h"

namespace sluice {
namespace {

struct Row {
  uint16_t status;
  std::string_view reason, dropped_reason, type, message;
};

Row row_of(Outcome outcome, Reason reason, bool timed_out) {
  switch (outcome) {
    case Outcome::kUpstreamError:
      if (timed_out) {
        return {504, "upstream-error", "", "server_error",
                "the model server did not answer in time"};
      }
      return {502, "upstream-error", "", "server_error", "the model server could not be reached"};
    case Outcome::kRejectedFull:
      switch (reason) {
        case Reason::kBytesFull:
          return {429, "bytes-full", "rejected-saturated", "rate_limit_error",
                  "too many bytes are waiting; try again later"};
        case Reason::kFlowFull:
          return {429, "flow-full", "rejected-saturated", "rate_limit_error",
                  "too many of your requests are waiting; try again later"};
        default:
          return {429, "queue-full", "rejected-saturated", "rate_limit_error",
                  "too many requests are waiting; try again later"};
      }
    case Outcome::kRejectedNoEndpoint:
      return {503, "no-endpoint", "rejected-no-endpoints", "server_error",
              "no model server is available; try again later"};
    case Outcome::kRejectedUnknownModel:
      return {404, "unknown-model", "", "invalid_request_error",
              "no model server serves this model"};
    case Outcome::kRejectedDraining:
    case Outcome::kDrained:
      return {503, "draining", "rejected-shutting-down", "server_error",
              "the gateway is shutting down; try again"};
    case Outcome::kExpired:
      return {429, "ttl-expired", "rejected-ttl-expired", "rate_limit_error",
              "no capacity became free in time; try again later"};
    case Outcome::kEvicted:
      if (reason == Reason::kEvictedPriority) {
        return {429, "evicted", "evicted-priority", "rate_limit_error",
                "gave way to more important work; try again later"};
      }
      return {429, "evicted", "evicted-queue-pressure", "rate_limit_error",
              "gave way to other waiting requests; try again later"};
    case Outcome::kRevoked:
      return {429, "revoked", "evicted", "rate_limit_error",
              "was taken back from the model server; try again later"};
    case Outcome::kRejectedBad:
      return {400, "bad-request", "", "invalid_request_error", "the request is malformed"};
    case Outcome::kClientGone:
    case Outcome::kCancelled:
      return {499, "client-gone",
              outcome == Outcome::kCancelled ? "rejected-context-cancelled" : "", "server_error",
              "the client closed the connection"};
    case Outcome::kCompleted:
      break;
  }
  return {500, "internal", "", "server_error", "internal error"};
}

// The words of llm-d's error replies: "inference error: <Code> - <message>".
std::string_view llm_d_code(uint16_t status) {
  switch (status) {
    case 404:
      return "NotFound";
    case 429:
      return "ResourceExhausted";
    case 502:
    case 503:
    case 504:
      return "ServiceUnavailable";
    default:
      return status < 500 ? "BadRequest" : "Internal";
  }
}

void write_body(ErrorAnswer& answer, config::ErrorFormat format, std::string_view type,
                std::string_view code, std::string_view message) {
  if (format == config::ErrorFormat::kLlmD) {
    answer.content_type = "text/plain";
    answer.body = "inference error: ";
    answer.body += llm_d_code(answer.status);
    answer.body += " - ";
    answer.body += message;
    return;
  }
  answer.content_type = "application/json";
  answer.body = R"({"error":{"message":)";
  append_json_string(answer.body, message);
  answer.body += R"(,"type":)";
  append_json_string(answer.body, type);
  answer.body += R"(,"code":)";
  append_json_string(answer.body, code);
  answer.body += R"(,"param":null}})";
}

// OpenAI's codes are words joined by '_', the reason header's by '-'.
std::string code_of(std::string_view reason) {
  std::string code(reason);
  std::replace(code.begin(), code.end(), '-', '_');
  return code;
}

}  // namespace

ErrorAnswer describe(Outcome outcome, Reason reason, uint32_t retry_after_s, bool timed_out,
                     config::ErrorFormat format) {
  const Row row = row_of(outcome, reason, timed_out);
  ErrorAnswer answer{row.status, row.reason, row.dropped_reason, 0, {}, {}};
  if (row.status == 429 || row.status == 503) {
    answer.retry_after_s = std::clamp(retry_after_s, kRetryAfterMinSeconds, kRetryAfterMaxSeconds);
  }
  const std::string code =
      outcome == Outcome::kRejectedUnknownModel ? "model_not_found" : code_of(row.reason);
  write_body(answer, format, row.type, code, row.message);
  return answer;
}

ErrorAnswer describe(const Refusal& refusal, config::ErrorFormat format) {
  ErrorAnswer answer{refusal.status, refusal.reason, "", 0, {}, {}};
  const bool theirs = refusal.status < 500;
  write_body(answer, format, theirs ? "invalid_request_error" : "server_error", refusal.code,
             refusal.message);
  return answer;
}

}  // namespace sluice
