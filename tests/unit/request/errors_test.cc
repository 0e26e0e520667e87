#include "host/request/errors.h"

#include <gtest/gtest.h>
#include <simdjson.h>

namespace sluice {
namespace {

struct Case {
  Outcome outcome;
  Reason reason;
  bool timed_out;
  int status;
  const char* sluice_reason;
  const char* dropped;
};

class Errors : public testing::TestWithParam<Case> {};

TEST_P(Errors, FollowTheTable) {
  const Case& c = GetParam();
  const ErrorAnswer answer =
      describe(c.outcome, c.reason, 7, c.timed_out, config::ErrorFormat::kOpenAi);
  EXPECT_EQ(answer.status, c.status);
  EXPECT_EQ(answer.reason, c.sluice_reason);
  EXPECT_EQ(answer.dropped_reason, c.dropped);
  EXPECT_EQ(answer.retry_after_s, c.status == 429 || c.status == 503 ? 7u : 0u);
  simdjson::dom::parser parser;
  const simdjson::padded_string json(answer.body);
  const auto body = parser.parse(json);
  EXPECT_FALSE(std::string_view(body["error"]["message"]).empty());
  EXPECT_FALSE(std::string_view(body["error"]["type"]).empty());
  EXPECT_FALSE(std::string_view(body["error"]["code"]).empty());
  EXPECT_TRUE(body["error"]["param"].is_null());
}

INSTANTIATE_TEST_SUITE_P(
    All, Errors,
    testing::Values(
        Case{Outcome::kUpstreamError, Reason::kNone, false, 502, "upstream-error", ""},
        Case{Outcome::kUpstreamError, Reason::kNone, true, 504, "upstream-error", ""},
        Case{Outcome::kRejectedFull, Reason::kQueueFull, false, 429, "queue-full",
             "rejected-saturated"},
        Case{Outcome::kRejectedFull, Reason::kBytesFull, false, 429, "bytes-full",
             "rejected-saturated"},
        Case{Outcome::kRejectedFull, Reason::kFlowFull, false, 429, "flow-full",
             "rejected-saturated"},
        Case{Outcome::kRejectedNoEndpoint, Reason::kNone, false, 503, "no-endpoint",
             "rejected-no-endpoints"},
        Case{Outcome::kRejectedUnknownModel, Reason::kNone, false, 404, "unknown-model", ""},
        Case{Outcome::kRejectedDraining, Reason::kNone, false, 503, "draining",
             "rejected-shutting-down"},
        Case{Outcome::kDrained, Reason::kNone, false, 503, "draining", "rejected-shutting-down"},
        Case{Outcome::kExpired, Reason::kNone, false, 429, "ttl-expired", "rejected-ttl-expired"},
        Case{Outcome::kEvicted, Reason::kEvictedPriority, false, 429, "evicted",
             "evicted-priority"},
        Case{Outcome::kEvicted, Reason::kEvictedPressure, false, 429, "evicted",
             "evicted-queue-pressure"},
        Case{Outcome::kRevoked, Reason::kNone, false, 429, "revoked", "evicted"}));

TEST(Errors, RetryAfterIsAlwaysGivenAndBounded) {
  EXPECT_EQ(describe(Outcome::kExpired, Reason::kNone, 0, false, config::ErrorFormat::kOpenAi)
                .retry_after_s,
            1u);
  EXPECT_EQ(describe(Outcome::kDrained, Reason::kNone, 900, false, config::ErrorFormat::kOpenAi)
                .retry_after_s,
            30u);
}

TEST(Errors, LlmDFormatIsPlainText) {
  const ErrorAnswer answer =
      describe(Outcome::kExpired, Reason::kNone, 1, false, config::ErrorFormat::kLlmD);
  EXPECT_EQ(answer.content_type, "text/plain");
  EXPECT_TRUE(answer.body.starts_with("inference error: ResourceExhausted - ")) << answer.body;
}

TEST(Errors, RefusalsCarryTheirWords) {
  const ErrorAnswer answer = describe(Refusal{413, "too-large", "too_large", "the body is \"big\""},
                                      config::ErrorFormat::kOpenAi);
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.reason, "too-large");
  EXPECT_EQ(
      answer.body,
      R"({"error":{"message":"the body is \"big\"","type":"invalid_request_error","code":"too_large","param":null}})");
}

}  // namespace
}  // namespace sluice
