#include "host/demo/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "host/demo/http_client.h"
#include "host/sim_server/server.h"

namespace sluice::demo {
namespace {

using namespace std::chrono_literals;
using sim_server::SimServerOptions;
using sim_server::SimServerThread;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr uint64_t kMs = 1'000'000;

class LoadTest : public testing::Test {
 protected:
  SimServerThread& serve(std::function<void(SimServerOptions&)> change = {}) {
    SimServerOptions options;
    options.settings.time_to_first_token_ns = 5 * kMs;
    options.settings.inter_token_latency_ns = 1 * kMs;
    if (change) change(options);
    servers_.push_back(std::make_unique<SimServerThread>(options));
    EXPECT_FALSE(servers_.back()->start());
    Target target;
    target.port = servers_.back()->port();
    plan_.targets.push_back(target);
    return *servers_.back();
  }

  Group& group(const std::string& name, uint32_t open) {
    Group g;
    g.name = name;
    g.open = open;
    g.tokens_min = 2;
    g.tokens_max = 6;
    plan_.groups.push_back(g);
    return plan_.groups.back();
  }

  LoadTest() {
    plan_.duration = 500ms;
    plan_.drain = 20s;
  }

  std::vector<std::unique_ptr<SimServerThread>> servers_;
  LoadPlan plan_;
};

TEST_F(LoadTest, EveryRequestIsAnsweredWithItsTokensAndTimed) {
  auto& server = serve();
  group("a", 3);
  group("b", 1);
  const LoadReport report = run_load(plan_);
  EXPECT_GT(report.sent(), 4u);
  EXPECT_EQ(report.answered(), report.sent());
  EXPECT_EQ(report.first_error, "");
  for (const GroupReport& g : report.groups) {
    EXPECT_THAT(g.statuses, ElementsAre(Pair(200u, g.sent)));
    EXPECT_EQ(g.inexact, 0u);
    EXPECT_GE(g.first_byte_ms.p50, 5.0);
    EXPECT_GE(g.total_ms.p50, g.first_byte_ms.p50 + 1);
    EXPECT_GT(g.per_second, 0);
    EXPECT_EQ(g.queue_ms.count, 0u);  // nobody sent the header
  }
  EXPECT_EQ(server.stats().completed, report.sent());
  EXPECT_EQ(server.stats().peak_running, 4u);  // as many as are kept open, and never more
}

TEST_F(LoadTest, AsksForTheSameLengthsInEveryRunOfASeed) {
  auto& server = serve([](auto& o) {
    o.settings.time_to_first_token_ns = 0;
    o.settings.inter_token_latency_ns = 0;
  });
  Group& g = group("a", 8);
  g.tokens_min = 1;
  g.tokens_max = 1000;
  plan_.duration = 1ns;  // each client sends one request
  auto tokens = [&](uint64_t seed) {
    plan_.seed = seed;
    const uint64_t before = server.stats().generation_tokens;
    EXPECT_EQ(run_load(plan_).answered(), 8u);
    return server.stats().generation_tokens - before;
  };
  const uint64_t first = tokens(1);
  EXPECT_EQ(tokens(1), first);
  EXPECT_NE(tokens(2), first);
}

TEST_F(LoadTest, TakesTheServersInTurn) {
  auto& one = serve();
  auto& two = serve();
  group("a", 4);
  const LoadReport report = run_load(plan_);
  EXPECT_EQ(one.stats().requests + two.stats().requests, report.sent());
  EXPECT_LE(std::max(one.stats().requests, two.stats().requests) -
                std::min(one.stats().requests, two.stats().requests),
            1u);
}

TEST_F(LoadTest, SendsAModelOnlyWhereItIsServed) {
  auto& one = serve([](auto& o) { o.models = {"x"}; });
  auto& two = serve([](auto& o) { o.models = {"y"}; });
  plan_.targets[0].model = "x";
  plan_.targets[1].model = "y";
  group("a", 2).model = "y";
  const LoadReport report = run_load(plan_);
  EXPECT_EQ(one.stats().requests, 0u);
  EXPECT_EQ(two.stats().completed, report.sent());
}

TEST_F(LoadTest, CountsOtherAnswersByTheirStatusAndNotAsThroughput) {
  serve([](auto& o) {
    o.settings.failure = sim_server::Failure::kError;
    o.settings.failure_status = 429;
  });
  group("a", 2);
  const LoadReport report = run_load(plan_);
  EXPECT_EQ(report.answered(), report.sent());
  EXPECT_THAT(report.groups[0].statuses, ElementsAre(Pair(429u, report.sent())));
  EXPECT_EQ(report.per_second, 0);
}

TEST_F(LoadTest, AStreamThatBreaksOffIsNoAnswer) {
  serve([](auto& o) {
    o.settings.failure = sim_server::Failure::kReset;
    o.settings.failure_after_tokens = 2;
  });
  group("a", 1);
  const LoadReport report = run_load(plan_);
  EXPECT_GT(report.sent(), 0u);
  EXPECT_EQ(report.answered(), 0u);
  EXPECT_THAT(report.first_error, HasSubstr("a: "));
}

TEST_F(LoadTest, GivesUpOnServersThatNeverAnswer) {
  serve([](auto& o) { o.settings.failure = sim_server::Failure::kHang; });
  group("a", 3);
  plan_.duration = 1ms;
  plan_.drain = 20ms;
  const LoadReport report = run_load(plan_);
  EXPECT_EQ(report.sent(), 3u);
  EXPECT_EQ(report.answered(), 0u);
}

TEST_F(LoadTest, RefusedConnectionsAreNotHammered) {
  serve([](auto& o) { o.settings.failure = sim_server::Failure::kRefuse; });
  group("a", 1);
  const LoadReport report = run_load(plan_);
  EXPECT_EQ(report.answered(), 0u);
  EXPECT_LE(report.sent(), 6u);  // a tenth of a second apart
}

TEST_F(LoadTest, WhatEndsDuringTheWarmUpIsNotMeasured) {
  serve();
  group("a", 1);
  plan_.warmup = 200ms;
  plan_.duration = 1ns;
  const LoadReport report = run_load(plan_);
  EXPECT_GT(report.answered(), 1u);
  EXPECT_LE(report.groups[0].first_byte_ms.count, 1u);
}

TEST_F(LoadTest, ArrivalsComeAtTheirTimeWhateverIsOpen) {
  auto& server = serve([](auto& o) {
    o.settings.max_num_seqs = 1;
    o.settings.time_to_first_token_ns = 200 * kMs;
  });
  group("trace", 0);
  plan_.arrivals = {{0, 0, 8, 1}, {0, 0, 8, 1}, {1 * kMs, 0, 8, 3}, {2 * kMs, 0, 100, 1}};
  plan_.duration = 60s;  // ends when all are answered
  const auto begin = Clock::now();
  const LoadReport report = run_load(plan_);
  EXPECT_LT(Clock::now() - begin, 50s);
  EXPECT_EQ(report.sent(), 4u);
  EXPECT_EQ(report.answered(), 4u);
  EXPECT_EQ(report.groups[0].inexact, 0u);
  EXPECT_EQ(server.stats().peak_waiting, 3u);  // all were sent before the first was answered
  EXPECT_EQ(server.stats().generation_tokens, 6u);
  EXPECT_GE(server.stats().prompt_tokens, 100u);
  EXPECT_GE(report.seconds, 0.8);
}

TEST_F(LoadTest, TellsHowItStands) {
  serve();
  group("a", 2);
  uint64_t done = 0;
  int calls = 0;
  const LoadReport report = run_load(
      plan_,
      [&](const LoadProgress& p) {
        ++calls;
        ASSERT_EQ(p.lines.size(), 1u);
        EXPECT_LE(p.lines[0].open, 2u);
        EXPECT_GE(p.lines[0].done, done);
        done = p.lines[0].done;
      },
      20ms);
  EXPECT_GE(calls, 3);
  EXPECT_GT(done, 0u);
  EXPECT_LE(done, report.sent());
}

// Answers one connection's first request with HEADERS and nothing more, and keeps what it was sent.
class OneShot {
 public:
  explicit OneShot(std::string answer)
      : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}),
        seen_(std::async(std::launch::async, [this, answer = std::move(answer)] {
          tcp::socket socket = acceptor_.accept();
          std::string text;
          ErrorCode error;
          while (text.find("\r\n\r\n") == std::string::npos && !error) {
            char some[1024];
            text.append(some, socket.read_some(asio::buffer(some), error));
          }
          asio::write(socket, asio::buffer(answer), error);
          return text;
        })) {}
  uint16_t port() const { return acceptor_.local_endpoint().port(); }
  std::string seen() { return seen_.get(); }

 private:
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::future<std::string> seen_;
};

TEST_F(LoadTest, SendsTenantAndObjectiveAndReadsTheQueueTime) {
  OneShot server(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nx-sluice-queue-ms: 12.5\r\n"
      "Content-Length: 35\r\nConnection: close\r\n\r\ndata: 1\n\ndata: 2\n\ndata: [DONE]\n\n   ");
  Target target;
  target.port = server.port();
  plan_.targets = {target};
  Group& g = group("a", 0);
  g.tenant = "acme";
  g.objective = "critical";
  plan_.arrivals = {{0, 0, 4, 2}};
  const LoadReport report = run_load(plan_);
  EXPECT_EQ(report.answered(), 1u);
  EXPECT_EQ(report.groups[0].inexact, 0u);
  EXPECT_EQ(report.groups[0].queue_ms.max, 12.5);
  const std::string seen = server.seen();
  EXPECT_THAT(seen, HasSubstr("x-llm-d-inference-fairness-id: acme\r\n"));
  EXPECT_THAT(seen, HasSubstr("x-llm-d-inference-objective: critical\r\n"));
}

TEST(Upstream, ReplacesAKeptConnectionThatWasClosedMeanwhile) {
  SimServerOptions options;
  options.settings.time_to_first_token_ns = 0;
  SimServerThread server(options);
  ASSERT_FALSE(server.start());
  asio::io_context io(1);
  Upstream upstream(io, {asio::ip::address_v4::loopback(), server.port()});
  const std::string text = "GET /health HTTP/1.1\r\nHost: t\r\n\r\n";
  auto ask = [&] {
    Exchange exchange;
    asio::co_spawn(
        io, [&]() -> asio::awaitable<void> { exchange = co_await upstream.exchange(text); },
        asio::detached);
    io.restart();
    io.run();
    return exchange;
  };
  EXPECT_TRUE(ask().answered);
  auto settings = server.settings();
  settings.failure = sim_server::Failure::kRefuse;  // closes the kept connection
  server.configure(settings);
  settings.failure = sim_server::Failure::kOff;
  server.configure(settings);
  EXPECT_TRUE(ask().answered);
  server.stop();
  EXPECT_FALSE(ask().answered);
}

}  // namespace
}  // namespace sluice::demo
