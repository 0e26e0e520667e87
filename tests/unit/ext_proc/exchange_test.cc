// One request through the state machine, in the orders in which gateways ask.
#include "host/ext_proc/exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/ext_proc/limits.h"
#include "tests/unit/ext_proc/rig.h"

namespace sluice::ext_proc {
namespace {

using testing::ElementsAre;

std::string body_in(const std::vector<pb::ProcessingResponse>& responses) {
  std::string body;
  for (const auto& r : responses)
    if (r.has_request_body())
      body += r.request_body().response().body_mutation().streamed_response().body();
  return body;
}

std::string answer_in(const std::vector<pb::ProcessingResponse>& responses) {
  std::string body;
  for (const auto& r : responses)
    body += r.response_body().response().body_mutation().streamed_response().body();
  return body;
}

std::string destination(const pb::ProcessingResponse& response) {
  const auto& common = response.has_request_headers() ? response.request_headers().response()
                                                      : response.request_body().response();
  return set_to(common.header_mutation(), "x-gateway-destination-endpoint").value_or("");
}

class ExchangeTest : public testing::Test {
 protected:
  ~ExchangeTest() override {
    const Stats stats = rig.stats();
    EXPECT_EQ(stats.total.parked + stats.total.in_flight, 0u);
    EXPECT_EQ(rig.audit(), std::nullopt);
    EXPECT_EQ(rig.body_bytes, 0u);
  }
  uint64_t ended(Outcome outcome) { return rig.stats().total.ended[static_cast<size_t>(outcome)]; }
  static config::Config renaming() {
    config::Config config;
    config.bands.emplace_back().limits.name = "default";
    config.flow_key = {{config::FlowComponent::Kind::kModel, ""}};
    config.models.emplace_back().name = "m";
    config.models.back().targets = {{"target-model", 1}};
    return config;
  }
  Rig rig;
};

TEST_F(ExchangeTest, HoldsBackAllUntilItIsDispatchedAndLetsItGoUnchanged) {
  const auto stream = rig.open();
  stream->send(post({{"accept-encoding", "gzip"}, {"x-request-id", "mine"}}));
  const std::string body = kBody;
  stream->send(request_body(body.substr(0, 10), false));
  EXPECT_TRUE(stream->take().empty());
  stream->send(request_body(body.substr(10), true));
  const auto responses = stream->take();
  ASSERT_EQ(responses.size(), 2u);
  const auto& common = responses[0].request_headers().response();
  EXPECT_EQ(destination(responses[0]), "10.0.0.1:8000");
  EXPECT_EQ(set_to(common.header_mutation(), "content-length"), std::to_string(body.size()));
  EXPECT_EQ(set_to(common.header_mutation(), "x-request-id"), "mine");
  EXPECT_TRUE(removes(common.header_mutation(), "accept-encoding"));
  EXPECT_TRUE(common.clear_route_cache());
  EXPECT_FALSE(common.header_mutation().set_headers(0).has_append());
  EXPECT_EQ(responses[0]
                .dynamic_metadata()
                .fields()
                .at("envoy.lb")
                .struct_value()
                .fields()
                .at("x-gateway-destination-endpoint")
                .string_value(),
            "10.0.0.1:8000");
  EXPECT_EQ(body_in(responses), body);
  EXPECT_TRUE(
      responses[1].request_body().response().body_mutation().streamed_response().end_of_stream());

  stream->send(ok());
  const auto head = stream->take();
  ASSERT_EQ(head.size(), 1u);
  EXPECT_EQ(set_to(head[0].response_headers().response().header_mutation(), "x-sluice-endpoint"),
            "gpu-0");
  stream->send(response_body(kAnswer));
  EXPECT_EQ(answer_in(stream->take()), kAnswer);
  EXPECT_TRUE(stream->exchange().over());
  EXPECT_TRUE(stream->exchange().status().ok());
  EXPECT_EQ(ended(Outcome::kCompleted), 1u);
  ASSERT_EQ(rig.records.size(), 1u);
  EXPECT_EQ(rig.records[0].record.status, 200);
  EXPECT_EQ(rig.records[0].record.output_tokens, 7u);
  EXPECT_EQ(rig.records[0].endpoint, "gpu-0");
  EXPECT_EQ(rig.backends.successes, 1);
}

TEST_F(ExchangeTest, ChunksAreNeverLongerThanTheirLimit) {
  for (const size_t size : {0, 61'900, 61'999, 62'000, 62'001, 124'000, 124'001, 700'000}) {
    const auto stream = rig.open();
    std::string body = kBody;
    body.insert(body.size() - 1, ",\"pad\":\"\"");
    if (size > body.size()) body.insert(body.size() - 2, size - body.size(), 'x');
    stream->send(post());
    for (size_t at = 0; at < body.size(); at += 65'536)
      stream->send(request_body(body.substr(at, 65'536), at + 65'536 >= body.size()));
    const auto responses = stream->take();
    EXPECT_EQ(body_in(responses), body) << size;
    for (size_t i = 1; i < responses.size(); ++i) {
      const auto& chunk =
          responses[i].request_body().response().body_mutation().streamed_response();
      EXPECT_LE(chunk.body().size(), kChunkMax);
      EXPECT_EQ(chunk.end_of_stream(), i + 1 == responses.size());
    }
    stream->exchange().closed();
  }
}

TEST_F(ExchangeTest, AnAnswersChunkUpTo64KiBPassesAsItIsAndALongerOneIsCut) {
  const auto stream = rig.open();
  stream->send(post());
  stream->send(request_body(kBody));
  stream->send(ok("application/octet-stream"));
  stream->take();
  stream->send(response_body(std::string(65'536, 'a'), false));
  EXPECT_EQ(stream->take().size(), 1u);
  stream->send(response_body(std::string(65'537, 'b'), true));
  const auto responses = stream->take();
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_EQ(answer_in(responses), std::string(65'537, 'b'));
  EXPECT_FALSE(
      responses[0].response_body().response().body_mutation().streamed_response().end_of_stream());
  EXPECT_TRUE(
      responses[1].response_body().response().body_mutation().streamed_response().end_of_stream());
}

TEST_F(ExchangeTest, TrailersEndTheBodyAndAreAnsweredLast) {
  const auto stream = rig.open();
  stream->send(post());
  stream->send(request_body(kBody, false));
  EXPECT_TRUE(stream->take().empty());
  stream->send(request_trailers({{"x-sum", "1"}, {"x-gateway-destination-endpoint", "6.6.6.6:6"}}));
  auto responses = stream->take();
  ASSERT_EQ(responses.size(), 3u);
  EXPECT_FALSE(
      responses[1].request_body().response().body_mutation().streamed_response().end_of_stream());
  ASSERT_TRUE(responses[2].has_request_trailers());
  // With a length a server would be sent no trailers.
  EXPECT_EQ(set_to(responses[0].request_headers().response().header_mutation(), "content-length"),
            std::nullopt);
  const auto& mutation = responses[2].request_trailers().header_mutation();
  EXPECT_THAT(mutation.remove_headers(), ElementsAre("x-gateway-destination-endpoint"));
  stream->send(ok("text/plain"));
  stream->send(response_body("text", false));
  stream->send(response_trailers({{"x-sluice-endpoint", "lie"}, {"grpc-status", "0"}}));
  responses = stream->take();
  ASSERT_EQ(responses.size(), 3u);
  EXPECT_THAT(responses[2].response_trailers().header_mutation().remove_headers(),
              ElementsAre("x-sluice-endpoint"));
  EXPECT_TRUE(stream->exchange().over());
}

TEST_F(ExchangeTest, BufferedBodiesStayWithTheGateway) {
  const auto stream = rig.open();
  stream->send(with_modes(post(), ProcessingMode::BUFFERED, ProcessingMode::BUFFERED));
  auto responses = stream->take();
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_TRUE(responses[0].has_request_headers());
  EXPECT_EQ(destination(responses[0]), "");
  stream->send(request_body(kBody));
  responses = stream->take();
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(destination(responses[0]), "10.0.0.1:8000");
  EXPECT_TRUE(responses[0].request_body().response().clear_route_cache());
  EXPECT_FALSE(responses[0].request_body().response().has_body_mutation());
  stream->send(ok());
  stream->send(response_body(kAnswer));
  responses = stream->take();
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_FALSE(responses[1].response_body().response().has_body_mutation());
  EXPECT_EQ(rig.records.at(0).record.output_tokens, 7u);
}

TEST_F(ExchangeTest, StreamedRequestsGoByTheirHeadersAndEachChunkIsAnswered) {
  const auto stream = rig.open();
  stream->send(with_modes(post(), ProcessingMode::STREAMED, ProcessingMode::STREAMED));
  auto responses = stream->take();
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(destination(responses[0]), "10.0.0.1:8000");
  stream->send(request_body("anything", false));
  stream->send(request_body(" at all", true));
  responses = stream->take();
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_FALSE(responses[0].request_body().response().has_body_mutation());
  stream->send(ok());
  stream->send(response_body(std::string(kAnswer).substr(0, 20), false));
  stream->send(response_body(std::string(kAnswer).substr(20), true));
  EXPECT_EQ(stream->take().size(), 3u);
  EXPECT_EQ(rig.records.at(0).record.output_tokens, 7u);
  EXPECT_EQ(rig.records.at(0).record.bytes_in, 15u);
}

TEST_F(ExchangeTest, StreamedBodiesThatComeUnaskedAreReadIfTheyAreShort) {
  Rig renamed({8}, renaming());
  auto first = with_modes(post(), ProcessingMode::STREAMED, ProcessingMode::STREAMED);
  first.mutable_protocol_config()->set_send_body_without_waiting_for_header_response(true);
  const auto stream = renamed.open();
  stream->send(first);
  const std::string body = kBody;
  stream->send(request_body(body.substr(0, 5), false));
  EXPECT_TRUE(stream->take().empty());
  stream->send(request_body(body.substr(5), true));
  auto responses = stream->take();
  ASSERT_EQ(responses.size(), 3u);
  EXPECT_EQ(responses[1].request_body().response().body_mutation().body(),
            R"({"model":"target-model","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_TRUE(responses[2].request_body().response().body_mutation().clear_body());
  stream->exchange().closed();

  const auto longer = renamed.open();
  longer->send(first);
  longer->send(request_body(std::string(kStreamedPeekMax, 'x'), false));
  EXPECT_TRUE(longer->take().empty());
  longer->send(request_body("y", false));
  responses = longer->take();
  ASSERT_EQ(responses.size(), 3u);
  EXPECT_FALSE(responses[1].request_body().response().has_body_mutation());
  longer->exchange().closed();
}

TEST_F(ExchangeTest, ABodyThatIsNotShownIsNotAskedFor) {
  Rig one({1});
  const auto stream = one.open(), waits = one.open();
  for (const auto* each : {&stream, &waits})
    (*each)->send(with_modes(post(), ProcessingMode::NONE, ProcessingMode::NONE));
  EXPECT_EQ(destination(stream->take().at(0)), "10.0.0.1:8000");
  EXPECT_EQ(one.stats().total.parked, 1u);  // queued like any other
  stream->send(request_trailers({{"x-gateway-destination-endpoint", "6.6.6.6:6"}}));
  EXPECT_TRUE(removes(stream->take().at(0).request_trailers().header_mutation(),
                      "x-gateway-destination-endpoint"));
  stream->send(ok());
  EXPECT_EQ(one.stats().total.in_flight, 1u);  // until the gateway says that it is over
  stream->exchange().closed();
  EXPECT_EQ(one.records.at(0).record.outcome, Outcome::kCompleted);
  waits->deliver();
  EXPECT_EQ(destination(waits->take().at(0)), "10.0.0.1:8000");
  waits->exchange().closed();
}

TEST_F(ExchangeTest, GetsAreNeverParkedAndModelsAreListedHere) {
  Rig full({0});
  const auto stream = full.open();
  stream->send(get("/health"));
  const auto picked = stream->take();
  EXPECT_EQ(destination(picked.at(0)), "10.0.0.1:8000");
  stream->send(response_headers({{":status", "204"}}, true));
  EXPECT_TRUE(stream->exchange().over());
  EXPECT_EQ(full.records.at(0).record.status, 204);

  const auto models = rig.open();
  models->send(get("/v1/models"));
  const auto listed = models->take();
  EXPECT_EQ(listed.at(0).immediate_response().status().code(), 200);
  EXPECT_THAT(listed[0].immediate_response().body(), testing::HasSubstr("\"learnt\""));

  Rig empty(std::vector<uint32_t>{});
  const auto nobody = empty.open();
  nobody->send(get("/health"));
  const auto refused = nobody->take().at(0).immediate_response();
  EXPECT_EQ(refused.status().code(), 503);
  EXPECT_EQ(set_to(refused.headers(), "x-sluice-reason"), "no-endpoint");
  EXPECT_EQ(set_to(refused.headers(), "retry-after"), "30");
}

TEST_F(ExchangeTest, SubsetsLeaveTheirEndpointsOnly) {
  Rig three({1, 1, 1});
  const auto stream = three.open();
  stream->send(with_subset(post(), {"10.0.0.3:8000", "10.0.0.9"}));
  stream->send(request_body(kBody));
  EXPECT_EQ(destination(stream->take().at(0)), "10.0.0.3:8000");
  // It waits though others have room, and is no reason for them to wait.
  const auto waits = three.open(), goes = three.open();
  waits->send(post());
  waits->send(with_subset(request_body(kBody), {"10.0.0.3,10.0.0.3:8000"}));
  goes->send(post());
  goes->send(request_body(kBody));
  EXPECT_TRUE(waits->take().empty());
  EXPECT_NE(destination(goes->take().at(0)), "");
  stream->exchange().closed();
  waits->deliver();
  EXPECT_EQ(destination(waits->take().at(0)), "10.0.0.3:8000");

  for (const auto& hint : {std::vector<std::string>{}, {"10.0.0.9:8000"}, {"nonsense"}}) {
    const auto none = three.open(), got = three.open();
    none->send(with_subset(post(), hint));
    none->send(request_body(kBody));
    const auto answer = none->take().at(0).immediate_response();
    EXPECT_EQ(answer.status().code(), 503);
    EXPECT_EQ(set_to(answer.headers(), "x-llm-d-request-dropped-reason"), "rejected-no-endpoints");
    got->send(with_subset(get("/health"), hint));
    EXPECT_EQ(got->take().at(0).immediate_response().status().code(), 503);
  }
  const auto got = three.open();
  got->send(with_subset(get("/health"), {"10.0.0.2"}));
  EXPECT_EQ(destination(got->take().at(0)), "10.0.0.2:8000");
  waits->exchange().closed();
  goes->exchange().closed();
  got->exchange().closed();
}

TEST_F(ExchangeTest, ListsToFallBackOnAndScoresAreToldIfAsked) {
  Pipeline pipeline = Rig::one_band();
  pipeline.ranks = true;
  Rig three({4, 4, 4}, {}, pipeline);
  three.settings.max_endpoints = 2;
  three.settings.scores = true;
  const auto stream = three.open();
  stream->send(post());
  stream->send(request_body(kBody));
  const auto response = stream->take().at(0);
  const std::string list = destination(response);
  EXPECT_EQ(std::ranges::count(list, ','), 1);
  const auto& fields = response.dynamic_metadata().fields().at("envoy.lb").struct_value().fields();
  EXPECT_EQ(fields.at("x-gateway-destination-endpoint").string_value(), list);
  const auto& scores = fields.at("x-gateway-destination-endpoint-scores").struct_value().fields();
  EXPECT_EQ(scores.size(), 3u);
  EXPECT_EQ(scores.at(list.substr(0, list.find(','))).number_value(), 1);  // nothing in flight

  // The gateway fell back on the second one.
  auto served = ok();
  auto& space = (*served.mutable_metadata_context()->mutable_filter_metadata())["envoy.lb"];
  (*space.mutable_fields())["x-gateway-destination-endpoint-served"].set_string_value(
      list.substr(list.find(',') + 1));
  stream->send(served);
  const std::string name = *set_to(
      stream->take().at(0).response_headers().response().header_mutation(), "x-sluice-endpoint");
  for (const EndpointStats& endpoint : three.stats().endpoints)
    EXPECT_EQ(endpoint.in_flight, "gpu-" + std::to_string(endpoint.slot) == name ? 1u : 0u);
  EXPECT_NE("10.0.0." + std::to_string(std::stoi(name.substr(4)) + 1) + ":8000",
            list.substr(0, list.find(',')));
  stream->send(response_body(kAnswer));
  EXPECT_EQ(three.audit(), std::nullopt);
}

TEST_F(ExchangeTest, ModelNamesAreRewrittenBothWaysHoweverTheyAreCut) {
  Rig renamed({8}, renaming());
  const std::string answer = R"({"model":"target-model","usage":{"prompt_tokens":5,)"
                             R"("completion_tokens":7}})";
  for (size_t cut = 0; cut <= answer.size(); ++cut) {
    const auto stream = renamed.open();
    stream->send(post());
    stream->send(request_body(kBody));
    EXPECT_EQ(body_in(stream->take()),
              R"({"model":"target-model","messages":[{"role":"user","content":"hi"}]})");
    stream->send(ok());
    stream->send(response_body(answer.substr(0, cut), false));
    stream->send(response_body(answer.substr(cut), true));
    EXPECT_EQ(answer_in(stream->take()),
              R"({"model":"m","usage":{"prompt_tokens":5,"completion_tokens":7}})");
    EXPECT_EQ(renamed.records.back().record.output_tokens, 7u);
  }
}

TEST_F(ExchangeTest, HeadersAreBelievedAndPassedOnAsTheConfigurationSays) {
  for (const bool trusted : {true, false}) {
    const auto stream = rig.open(IpAddress::parse(trusted ? "127.0.0.1" : "192.168.0.1"));
    stream->send(post({{"x-llm-d-inference-fairness-id", "a"},
                       {"x-gateway-inference-objective", "b"},
                       {"x-gateway-model-name-rewrite", "c"},
                       {"X-Gateway-Destination-Endpoint-Subset", "d"},
                       {"x_gateway_destination_endpoint", "6.6.6.6:6"},
                       {"x-gateway-destination-endpoint", "6.6.6.6:6"}}));
    stream->send(request_body(kBody));
    const auto answer = stream->take().at(0);
    const auto& mutation = answer.request_headers().response().header_mutation();
    EXPECT_EQ(removes(mutation, "x-llm-d-inference-fairness-id"), !trusted);
    EXPECT_EQ(removes(mutation, "x-gateway-inference-objective"), !trusted);
    EXPECT_TRUE(removes(mutation, "x-gateway-model-name-rewrite"));
    EXPECT_TRUE(removes(mutation, "X-Gateway-Destination-Endpoint-Subset"));
    EXPECT_TRUE(removes(mutation, "x_gateway_destination_endpoint"));
    EXPECT_EQ(set_to(mutation, "x-gateway-destination-endpoint"), "10.0.0.1:8000");
    EXPECT_FALSE(removes(mutation, "x-gateway-destination-endpoint"));
    stream->exchange().closed();
  }
}

TEST_F(ExchangeTest, ErrorsAreToldInEitherFormat) {
  auto stream = rig.open();
  stream->send(post());
  stream->send(request_body("{"));
  auto answer = stream->take().at(0).immediate_response();
  EXPECT_EQ(answer.status().code(), 400);
  EXPECT_EQ(set_to(answer.headers(), "content-type"), "application/json");
  EXPECT_EQ(set_to(answer.headers(), "x-sluice-reason"), "bad-request");
  EXPECT_EQ(answer.details(), "sluice_bad_request");
  EXPECT_TRUE(stream->exchange().over());

  rig.settings.error_format = config::ErrorFormat::kLlmD;
  stream = rig.open();
  stream->send(post());
  stream->send(request_body(R"({"model":"unknown","messages":[{}]})"));
  answer = stream->take().at(0).immediate_response();
  EXPECT_EQ(answer.status().code(), 404);
  EXPECT_THAT(answer.body(), testing::StartsWith("inference error: NotFound - "));
}

TEST_F(ExchangeTest, LimitsOfBodies) {
  rig.settings.max_body = 100;
  auto stream = rig.open();
  stream->send(post({{"content-length", "101"}}));
  EXPECT_EQ(stream->take().at(0).immediate_response().status().code(), 413);
  stream = rig.open();
  stream->send(post());
  stream->send(request_body(std::string(60, ' '), false));
  stream->send(request_body(std::string(41, ' '), false));
  EXPECT_EQ(stream->take().at(0).immediate_response().status().code(), 413);
  EXPECT_EQ(rig.body_bytes, 0u);

  rig.settings.body_bytes_max = 100;
  const auto other = rig.open();
  other->send(post());
  other->send(request_body(std::string(70, ' '), false));
  stream = rig.open();
  stream->send(post());
  stream->send(request_body(std::string(70, ' '), false));
  const auto answer = stream->take().at(0).immediate_response();
  EXPECT_EQ(answer.status().code(), 429);
  EXPECT_EQ(set_to(answer.headers(), "x-sluice-reason"), "bytes-full");
  other->exchange().closed();
}

TEST_F(ExchangeTest, AGatewayThatLeavesFreesItsRoomOrItsPlace) {
  Rig one({1});
  const auto flies = one.open(), parked = one.open();
  flies->send(post());
  flies->send(request_body(kBody));
  parked->send(post());
  parked->send(request_body(kBody));
  EXPECT_EQ(one.stats().total.parked, 1u);
  parked->exchange().closed();
  EXPECT_EQ(one.stats().total.parked, 0u);
  flies->send(ok());
  flies->exchange().closed();
  EXPECT_EQ(one.stats().total.in_flight, 0u);
  EXPECT_EQ(one.records.at(0).record.outcome, Outcome::kCancelled);
  EXPECT_EQ(one.records.at(1).record.outcome, Outcome::kClientGone);
  EXPECT_EQ(one.records.at(1).record.status, 499);
}

TEST_F(ExchangeTest, AGatewaysOwnAnswerEndsWhatIsParked) {
  Rig one({0});
  const auto stream = one.open();
  stream->send(post());
  stream->send(request_body(kBody));
  EXPECT_EQ(one.stats().total.parked, 1u);
  stream->send(response_headers({{":status", "504"}}));
  EXPECT_EQ(one.stats().total.parked, 0u);
  stream->send(response_body("timeout"));
  const auto responses = stream->take();
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_EQ(answer_in(responses), "timeout");
  EXPECT_EQ(
      set_to(responses[0].response_headers().response().header_mutation(), "x-sluice-endpoint"),
      std::nullopt);
  stream->exchange().closed();
  EXPECT_EQ(one.records.at(0).record.outcome, Outcome::kCancelled);
}

TEST_F(ExchangeTest, AStreamMayBeginWithTheAnswer) {
  const auto stream = rig.open();
  stream->send(response_headers({{":status", "403"}, {"x-sluice-reason", "lie"}}));
  stream->send(response_body("no", false));
  stream->send(response_trailers());
  const auto responses = stream->take();
  ASSERT_EQ(responses.size(), 3u);
  EXPECT_TRUE(
      removes(responses[0].response_headers().response().header_mutation(), "x-sluice-reason"));
  EXPECT_TRUE(stream->exchange().over());
  EXPECT_TRUE(rig.records.empty());
}

TEST_F(ExchangeTest, LocalRepliesAreNoAnswersOfTheServer) {
  for (const std::string why :
       {"upstream_reset_before_response_started{x}", "request_overall_timeout", "via_upstream"}) {
    const auto stream = rig.open();
    const int failures = rig.backends.failures;
    stream->send(post());
    stream->send(request_body(kBody));
    auto reply = response_headers({{":status", "503"}});
    (*(*reply.mutable_attributes())["envoy.filters.http.ext_proc"]
          .mutable_fields())["response.code_details"]
        .set_string_value(why);
    stream->send(reply);
    stream->send(response_body("x"));
    EXPECT_EQ(rig.records.back().record.outcome,
              why == "via_upstream" ? Outcome::kCompleted : Outcome::kUpstreamError);
    EXPECT_EQ(rig.backends.failures - failures, why.starts_with("upstream") ? 1 : 0);
  }
  // The last one was the server's own 503: it is left alone for a moment.
  EXPECT_NE(rig.stats().endpoints.at(0).paused_until_ns, 0u);
}

TEST_F(ExchangeTest, WhatIsTakenBackIsTold) {
  const auto early = rig.open(), late = rig.open();
  for (const auto* stream : {&early, &late}) {
    (*stream)->send(post());
    (*stream)->send(request_body(kBody));
  }
  late->send(ok());
  early->take();
  late->take();
  rig.scheduler->with_engine([](Engine& engine, TimeNs now) { engine.drain_now(now); });
  early->deliver();
  late->deliver();
  EXPECT_EQ(early->take().at(0).immediate_response().status().code(), 429);
  EXPECT_TRUE(late->take().empty());
  EXPECT_EQ(late->exchange().status().error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(ended(Outcome::kRevoked), 2u);
}

TEST_F(ExchangeTest, SilenceIsBornForALimitedTime) {
  const auto nothing = rig.open(), half = rig.open(), flies = rig.open(), speaks = rig.open();
  half->send(post());
  half->send(request_body("{", false));
  EXPECT_EQ(half->exchange().patience_ns(), rig.settings.body_timeout_ns);
  for (const auto* stream : {&flies, &speaks}) {
    (*stream)->send(post());
    (*stream)->send(request_body(kBody));
    (*stream)->take();
  }
  EXPECT_EQ(flies->exchange().patience_ns(), rig.settings.upstream.idle_timeout_ns);
  speaks->send(ok());
  for (const auto* stream : {&nothing, &half, &flies, &speaks}) (*stream)->exchange().silent();
  EXPECT_EQ(nothing->exchange().status().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(half->take().at(0).immediate_response().status().code(), 408);
  EXPECT_EQ(flies->take().at(0).immediate_response().status().code(), 504);
  EXPECT_EQ(speaks->exchange().status().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(ended(Outcome::kUpstreamError), 2u);
  // Of one that had begun to answer it may be the client that does not read.
  EXPECT_EQ(rig.backends.failures, 1);

  Rig full({0});
  const auto parked = full.open();
  parked->send(post());
  parked->send(request_body(kBody));
  EXPECT_EQ(parked->exchange().patience_ns(), 0u);
  parked->exchange().closed();
}

TEST_F(ExchangeTest, AClientThatStopsToSendIsNotTheEndpointsFault) {
  const auto stream = rig.open();
  stream->send(with_modes(post(), ProcessingMode::STREAMED, ProcessingMode::STREAMED));
  stream->send(request_body("{", false));
  EXPECT_EQ(stream->exchange().patience_ns(), rig.settings.body_timeout_ns);
  stream->take();
  stream->exchange().silent();
  EXPECT_EQ(stream->take().at(0).immediate_response().status().code(), 408);
  EXPECT_EQ(ended(Outcome::kClientGone), 1u);
  EXPECT_EQ(rig.backends.failures, 0);
}

TEST_F(ExchangeTest, AnAnswerThatIsNotShownAsItComesMayTakeAsLongAsItLikes) {
  for (const BodyMode mode : {ProcessingMode::NONE, ProcessingMode::BUFFERED}) {
    const auto stream = rig.open();
    stream->send(with_modes(post(), ProcessingMode::FULL_DUPLEX_STREAMED, mode));
    stream->send(request_body(kBody));
    EXPECT_NE(stream->exchange().patience_ns(), 0u);
    stream->send(ok());
    EXPECT_EQ(stream->exchange().patience_ns(), 0u);
    stream->exchange().closed();
  }
}

constexpr char kAsksForAStream[] =
    R"({"model":"m","stream":true,"max_tokens":500,"messages":[{"role":"user","content":"hi"}]})";

TEST_F(ExchangeTest, AStreamThatIsNotShownIsNotFree) {
  for (const BodyMode mode : {ProcessingMode::NONE, ProcessingMode::FULL_DUPLEX_STREAMED}) {
    const auto stream = rig.open();
    const uint64_t before = rig.stats().total.served_cost;
    stream->send(with_modes(post(), ProcessingMode::FULL_DUPLEX_STREAMED, mode));
    stream->send(request_body(kAsksForAStream));
    stream->send(ok("text/event-stream"));
    const bool shown = mode != ProcessingMode::NONE;
    if (shown) stream->send(response_body("", true));
    stream->exchange().closed();
    // Of one that was shown to be empty nothing is owed, of the other nobody knows.
    EXPECT_EQ(rig.stats().total.served_cost - before == 0, shown);
  }
}

TEST_F(ExchangeTest, AnAnswersFirstEventShowsThatItsPromptIsDone) {
  const auto stream = rig.open();
  stream->send(post());
  stream->send(request_body(kAsksForAStream));
  EXPECT_NE(rig.stats().endpoints[0].prefill_tokens, 0u);
  stream->send(ok("text/event-stream"));
  EXPECT_NE(rig.stats().endpoints[0].prefill_tokens, 0u);
  stream->send(response_body("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", false));
  EXPECT_EQ(rig.stats().endpoints[0].prefill_tokens, 0u);
  stream->exchange().closed();
}

TEST_F(ExchangeTest, APromptWhoseAnswerIsNotShownAsItComesTakesNoRoom) {
  for (const BodyMode mode :
       {ProcessingMode::NONE, ProcessingMode::BUFFERED, ProcessingMode::BUFFERED_PARTIAL}) {
    const auto stream = rig.open();
    stream->send(with_modes(post(), ProcessingMode::FULL_DUPLEX_STREAMED, mode));
    stream->send(request_body(kAsksForAStream));
    EXPECT_EQ(rig.stats().total.in_flight, 1u);
    EXPECT_EQ(rig.stats().endpoints[0].prefill_tokens, 0u);
    stream->exchange().closed();
  }
}

TEST_F(ExchangeTest, WhatWasDecidedBeforeTheGatewayAnsweredItselfIsNotTold) {
  Rig one({1});
  const auto busy = one.open(), late = one.open();
  for (const auto* stream : {&busy, &late}) {
    (*stream)->send(post());
    (*stream)->send(request_body(kBody));
  }
  busy->exchange().closed();                           // the decision about the other one is made
  late->send(response_headers({{":status", "504"}}));  // and comes when it is too late
  const auto responses = late->take();
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_TRUE(responses[0].has_response_headers());
  EXPECT_EQ(one.stats().total.in_flight, 0u);
  late->send(response_body("timeout"));
  late->exchange().closed();
  EXPECT_EQ(one.backends.successes, 0);
}

TEST_F(ExchangeTest, ARequestGoesNowhereOnceItHasBeenAnswered) {
  const auto stream = rig.open();
  stream->send(post());
  stream->send(request_body("{", false));
  stream->send(response_headers({{":status", "503"}}));
  stream->send(request_body("}", true));
  stream->send(response_body("x", true));
  const auto responses = stream->take();
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_TRUE(responses[0].has_response_headers());
  EXPECT_TRUE(responses[1].has_response_body());
  EXPECT_EQ(rig.stats().total.submitted, 0u);
  stream->exchange().closed();
}

TEST_F(ExchangeTest, ChunksThatWaitForAnAnswerAreBounded) {
  Rig full({0});
  const auto stream = full.open();
  auto first = with_modes(post(), ProcessingMode::STREAMED, ProcessingMode::STREAMED);
  first.mutable_protocol_config()->set_send_body_without_waiting_for_header_response(true);
  stream->send(first);
  stream->send(request_body(std::string(kStreamedPeekMax + 1, ' '), false));
  for (uint32_t sent = 1; sent < kOwedChunksMax; ++sent) {
    EXPECT_TRUE(stream->exchange().wants_more());
    stream->send(request_body(" ", false));
  }
  EXPECT_FALSE(stream->exchange().wants_more());
  full.scheduler->with_engine(
      [](Engine& engine, TimeNs now) { engine.set_endpoint(now, 0, 1, true); });
  stream->deliver();
  EXPECT_EQ(stream->take().size(), 1u + kOwedChunksMax);
  EXPECT_TRUE(stream->exchange().wants_more());
  stream->exchange().closed();
}

TEST_F(ExchangeTest, BuffersThatAreCutOffGoByTheirHeaders) {
  const auto stream = rig.open(), whole = rig.open();
  for (const auto* each : {&stream, &whole})
    (*each)->send(with_modes(post(), ProcessingMode::BUFFERED_PARTIAL, ProcessingMode::NONE));
  stream->send(request_body("{\"model\":\"m", false));
  whole->send(request_body(R"({"model":"unknown","messages":[{}]})", true));
  auto responses = stream->take();
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_EQ(destination(responses[1]), "10.0.0.1:8000");
  EXPECT_FALSE(responses[1].request_body().response().has_body_mutation());
  EXPECT_EQ(whole->take().at(1).immediate_response().status().code(), 404);
  stream->exchange().closed();
}

TEST_F(ExchangeTest, ABufferedBodyThatChangesIsSentWithThePick) {
  Rig renamed({8}, renaming());
  const auto stream = renamed.open();
  stream->send(with_modes(post(), ProcessingMode::BUFFERED, ProcessingMode::BUFFERED));
  stream->send(request_body(kBody));
  const auto response = stream->take().at(1);
  const std::string changed =
      R"({"model":"target-model","messages":[{"role":"user","content":"hi"}]})";
  EXPECT_EQ(destination(response), "10.0.0.1:8000");
  EXPECT_TRUE(response.has_dynamic_metadata());
  EXPECT_EQ(response.request_body().response().body_mutation().body(), changed);
  EXPECT_EQ(set_to(response.request_body().response().header_mutation(), "content-length"),
            std::to_string(changed.size()));
  stream->send(ok());
  stream->send(response_body(R"({"model":"target-model"})"));
  const auto answers = stream->take();
  EXPECT_TRUE(
      removes(answers.at(0).response_headers().response().header_mutation(), "content-length"));
  EXPECT_EQ(answers.at(1).response_body().response().body_mutation().body(), R"({"model":"m"})");
}

TEST_F(ExchangeTest, ModesThatNobodyKnowsAreNamed) {
  for (const int mode : {5, 6, -1}) {
    const auto stream = rig.open();
    stream->send(with_modes(post(), static_cast<BodyMode>(mode), ProcessingMode::NONE));
    EXPECT_EQ(stream->exchange().status().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(stream->exchange().status().error_message(), testing::HasSubstr("body mode"));
  }
}

TEST_F(ExchangeTest, A5xxOfWhoKnowsWhomIsNoSuccess) {
  for (const char* status : {"503", "429"}) {
    const auto stream = rig.open();
    stream->send(get("/x"));
    stream->send(response_headers({{":status", status}}, true));
  }
  EXPECT_EQ(rig.backends.successes, 1);
  EXPECT_EQ(rig.backends.failures, 0);
}

TEST_F(ExchangeTest, AnObserverIsAnsweredNothing) {
  const auto stream = rig.open();
  auto first = post();
  first.set_observability_mode(true);
  stream->send(first);
  stream->send(request_body(kBody));
  stream->send(ok());
  EXPECT_TRUE(stream->take().empty());
  EXPECT_EQ(rig.stats().total.submitted, 0u);
  stream->exchange().closed();
}

}  // namespace
}  // namespace sluice::ext_proc
