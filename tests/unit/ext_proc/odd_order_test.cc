// Messages that no gateway sends in this order: each ends its stream with words, and nothing is
// lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/unit/ext_proc/rig.h"

namespace sluice::ext_proc {
namespace {

struct Odd {
  const char* name;
  std::vector<pb::ProcessingRequest> messages;
  const char* words;
};

class OddOrder : public testing::TestWithParam<Odd> {};

TEST_P(OddOrder, EndsTheStreamAndSaysWhy) {
  Rig rig;
  const auto stream = rig.open();
  for (const pb::ProcessingRequest& message : GetParam().messages) {
    EXPECT_FALSE(stream->exchange().over());
    stream->send(message);
  }
  ASSERT_TRUE(stream->exchange().over());
  EXPECT_EQ(stream->exchange().status().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(stream->exchange().status().error_message(), testing::HasSubstr(GetParam().words));
  stream->send(post());
  stream->exchange().closed();
  stream->exchange().silent();
  const Stats stats = rig.stats();
  EXPECT_EQ(stats.total.parked + stats.total.in_flight, 0u);
  EXPECT_EQ(rig.body_bytes, 0u);
}

const std::vector<Odd> kOdd = {
    {"body_first", {request_body(kBody)}, "request_body came before request_headers"},
    {"trailers_first", {request_trailers()}, "request_trailers came before request_headers"},
    {"answer_body_first", {response_body("x")}, "response_body came before response_headers"},
    {"answer_trailers_first", {response_trailers()}, "response_trailers came before"},
    {"headers_twice", {post(), post()}, "request_headers came a second time"},
    {"headers_after_the_pick", {post(), request_body(kBody), post()}, "a second time"},
    {"data_after_end", {post(), request_body(kBody), request_body("x")}, "after the request's end"},
    {"trailers_after_end",
     {post(), request_body(kBody), request_trailers()},
     "after the request's end"},
    {"trailers_twice",
     {post(), request_body(kBody, false), request_trailers(), request_trailers()},
     "a second time"},
    {"data_after_trailers",
     {post(), request_body(kBody, false), request_trailers(), request_body("x")},
     "after the request's end"},
    {"body_of_a_get", {get("/health"), request_body("x")}, "after the request's end"},
    {"answer_headers_twice",
     {post(), request_body(kBody), ok(), ok()},
     "response_headers came a second time"},
    {"answer_after_its_end",
     {get("/health"), response_headers({{":status", "200"}}), request_trailers()},
     "after the request's end"},
    {"request_after_an_answer", {ok(), post()}, "request_headers came after response_headers"},
    {"nothing_set", {pb::ProcessingRequest()}, "says nothing that is known here"},
    {"nothing_set_later", {post(), pb::ProcessingRequest()}, "says nothing that is known here"},
};

INSTANTIATE_TEST_SUITE_P(All, OddOrder, testing::ValuesIn(kOdd),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(OddBytes, EndTheStream) {
  Rig rig;
  const auto stream = rig.open();
  stream->send_bytes("\x12\xff");
  EXPECT_EQ(stream->exchange().status().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

// Whatever comes in whatever order, every request ends and the books balance.
TEST(AnyOrder, LosesNothing) {
  const std::vector<pb::ProcessingRequest> alphabet = {
      post(),
      with_modes(post(), ProcessingMode::BUFFERED, ProcessingMode::BUFFERED),
      with_modes(post(), ProcessingMode::STREAMED, ProcessingMode::STREAMED),
      with_modes(post(), ProcessingMode::NONE, ProcessingMode::NONE),
      get("/x"),
      request_body(kBody),
      request_body(kBody, false),
      request_body("{", false),
      request_trailers(),
      ok(),
      ok("text/event-stream"),
      response_headers({{":status", "503"}}, true),
      response_body(kAnswer),
      response_body("data: {\"choices\":[{}]}\n\n", false),
      response_trailers(),
      with_subset(request_body(kBody), {"10.0.0.2"}),
  };
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    Rig rig({1, 1});
    std::vector<std::unique_ptr<Rig::Stream>> streams;
    for (int s = 0; s < 4; ++s) streams.push_back(rig.open());
    for (int step = 0; step < 24; ++step) {
      Rig::Stream& stream = *streams[random() % streams.size()];
      switch (random() % 16) {
        case 0:
          stream.exchange().closed();
          break;
        case 1:
          if (stream.exchange().patience_ns() != 0) stream.exchange().silent();
          break;
        default:
          stream.send(alphabet[random() % alphabet.size()]);
      }
      for (const auto& other : streams) other->deliver();
      for (const auto& other : streams) other->take();
      ASSERT_EQ(rig.audit(), std::nullopt);
    }
    for (const auto& stream : streams) stream->exchange().closed();
    const Ledger total = rig.stats().total;
    ASSERT_EQ(total.parked + total.in_flight, 0u) << round;
    ASSERT_EQ(rig.body_bytes, 0u) << round;
  }
}

}  // namespace
}  // namespace sluice::ext_proc
