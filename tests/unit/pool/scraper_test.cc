#include "host/pool/scraper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/pool/pool_limits.h"
#include "host/scheduler/scheduler.h"
#include "tests/unit/pool/tiny_server.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using Miss = ScrapeObserver::Miss;

constexpr char kPage[] = "vllm:num_requests_waiting 2\nvllm:num_requests_running 5\nbroken{ 1\n";
constexpr char kModels[] = R"({"data":[{"id":"m1"},{"id":"m2"}]})";

struct Seen : ScrapeObserver {
  void on_asking(uint32_t) override { asked++; }
  void on_reading(uint32_t, EngineReading reading) override {
    readings.push_back(std::move(reading));
  }
  void on_miss(uint32_t, Miss miss, const std::string& why) override {
    misses.push_back(miss);
    last_why = why;
  }
  void on_models(uint32_t, std::vector<std::string> names) override { models.push_back(names); }
  void on_round(uint32_t) override { rounds++; }

  std::vector<EngineReading> readings;
  std::vector<Miss> misses;
  std::vector<std::vector<std::string>> models;
  std::string last_why;
  uint64_t rounds = 0, asked = 0;
};

class ScraperTest : public testing::Test {
 protected:
  ScraperTest() {
    server.replies["/metrics"].body = kPage;
    server.replies["/v1/models"].body = kModels;
    options.interval_ns = kScrapeIntervalMinNs;
  }
  ~ScraperTest() override {
    if (scraper) scraper->stop();
    server.shut();
    run_for(io, std::chrono::milliseconds(1));
  }

  void start(std::string host = "127.0.0.1") {
    EndpointAddress address{"e", host, server.port(), host + ":" + std::to_string(server.port())};
    scraper = std::make_shared<Scraper>(io, seen, 7, address, options);
    scraper->start();
  }
  bool until(std::function<bool()> done) { return run_until(io, done); }

  asio::io_context io;
  TinyServer server{io};
  Seen seen;
  ScrapeOptions options;
  std::shared_ptr<Scraper> scraper;
};

TEST_F(ScraperTest, ReadsMetricsAgainAndAgainOverOneConnection) {
  const TimeNs began = Scheduler::now();
  start();
  ASSERT_TRUE(until([&] { return seen.readings.size() >= 10; }));
  EXPECT_EQ(server.connections, 1u);
  EXPECT_EQ(server.last_host, "127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(seen.readings[0].report.waiting, 2u);
  EXPECT_EQ(seen.readings[0].report.running, 5u);
  EXPECT_EQ(seen.readings[0].malformed, 1u);
  TimeNs last = began;
  for (const EngineReading& reading : seen.readings) {
    EXPECT_GE(reading.report.taken_ns, last);
    last = reading.report.taken_ns;
  }
  EXPECT_LE(last, Scheduler::now());
  EXPECT_TRUE(seen.misses.empty());
}

TEST_F(ScraperTest, LearnsModelsOnceAndAgainWhenAsked) {
  start();
  ASSERT_TRUE(until([&] { return seen.rounds >= 5; }));
  ASSERT_EQ(seen.models.size(), 1u);
  EXPECT_THAT(seen.models[0], ElementsAre("m1", "m2"));
  scraper->ask_models();
  ASSERT_TRUE(until([&] { return seen.models.size() == 2; }));
  EXPECT_EQ(server.connections, 1u);
}

TEST_F(ScraperTest, DoesNotAskForModelsThatAreConfigured) {
  options.learn_models = false;
  start();
  ASSERT_TRUE(until([&] { return seen.rounds >= 5; }));
  EXPECT_EQ(server.requests["/v1/models"], 0u);
}

TEST_F(ScraperTest, LocalhostIsResolvedWithoutAnyLookUp) {
  start("localhost");
  EXPECT_TRUE(until([&] { return !seen.readings.empty(); }));
}

TEST_F(ScraperTest, ServerThatClosesIdleConnectionsIsNoMiss) {
  server.replies["/metrics"].close = true;
  start();
  ASSERT_TRUE(until([&] { return seen.readings.size() >= 4; }));
  EXPECT_TRUE(seen.misses.empty());
  EXPECT_GE(server.connections, 3u);
}

TEST_F(ScraperTest, ServerThatSaysCloseIsNoMiss) {
  server.replies["/metrics"].headers = "Connection: close\r\n";
  start();
  ASSERT_TRUE(until([&] { return seen.readings.size() >= 4; }));
  EXPECT_TRUE(seen.misses.empty());
}

TEST_F(ScraperTest, RefusedConnectionAndRecovery) {
  server.shut();
  start();
  ASSERT_TRUE(until([&] { return seen.misses.size() >= 3; }));
  EXPECT_EQ(seen.misses[0], Miss::kNoConnection);
  EXPECT_TRUE(seen.models.empty());
  server.open();
  EXPECT_TRUE(until([&] { return !seen.readings.empty() && !seen.models.empty(); }));
}

TEST_F(ScraperTest, ServerThatDiesMidwayIsNoticed) {
  start();
  ASSERT_TRUE(until([&] { return !seen.readings.empty(); }));
  server.shut();
  ASSERT_TRUE(until([&] { return !seen.misses.empty(); }));
  EXPECT_EQ(seen.misses[0], Miss::kNoConnection);
}

struct Bad {
  const char* name;
  TinyServer::Reply reply;
  Miss miss;
};

class ScraperBadPage : public ScraperTest, public testing::WithParamInterface<Bad> {};

TEST_P(ScraperBadPage, IsAMissAndModelsAreStillLearnt) {
  server.replies["/metrics"] = GetParam().reply;
  start();
  ASSERT_TRUE(until([&] { return seen.misses.size() >= 2 && !seen.models.empty(); }));
  EXPECT_EQ(seen.misses[0], GetParam().miss) << seen.last_why;
  EXPECT_FALSE(seen.last_why.empty());
  EXPECT_TRUE(seen.readings.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Pages, ScraperBadPage,
    testing::Values(
        Bad{"NotFound", {.status = 404, .body = kPage}, Miss::kStatus},
        Bad{"Redirect",
            {.status = 302, .headers = "Location: http://127.0.0.2/\r\n"},
            Miss::kStatus},
        Bad{"OtherPage", {.body = "<html>hello</html>"}, Miss::kUnusable},
        Bad{"Empty", {.body = ""}, Miss::kUnusable},
        Bad{"Garbage", {.raw = std::string("\x16\x03\x01\x02\x00\x01\x00", 7)}, Miss::kBroken},
        Bad{"ClosedAtOnce", {.raw = "\r"}, Miss::kBroken},
        Bad{"ShortBody",
            {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nvllm"},
            Miss::kBroken},
        Bad{"TooLarge",
            {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n"},
            Miss::kBroken},
        Bad{"HugeHeader",
            {.raw = "HTTP/1.1 200 OK\r\nX: " + std::string(64 << 10, 'x') + "\r\n\r\n"},
            Miss::kBroken}),
    [](const auto& bad) { return bad.param.name; });

TEST_F(ScraperTest, PageThatGrowsWithoutEndIsRefused) {
  // No length given: the limit must hold while it is read.
  server.replies["/metrics"].raw =
      "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + std::string(kPageBytesMax + (1 << 20), 'x');
  start();
  ASSERT_TRUE(until([&] { return !seen.misses.empty(); }));
  EXPECT_EQ(seen.misses[0], Miss::kBroken);
}

TEST_F(ScraperTest, AnAnswerThatComesASecondLateIsHeard) {
  server.replies["/metrics"].delay = std::chrono::milliseconds(1100);
  start();
  ASSERT_TRUE(until([&] { return !seen.readings.empty() || !seen.misses.empty(); }));
  EXPECT_TRUE(seen.misses.empty());
}

TEST_F(ScraperTest, HangingServerIsAskedOncePerTimeout) {
  server.replies["/metrics"].hang = true;
  start();
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(until([&] { return !seen.misses.empty(); }));
  EXPECT_EQ(seen.misses[0], Miss::kBroken);
  EXPECT_GE(std::chrono::steady_clock::now() - began,
            std::chrono::nanoseconds(kScrapeTimeoutMinNs) * 9 / 10);
  EXPECT_EQ(server.requests["/metrics"], 1u);
}

TEST_F(ScraperTest, AfterManyMissesItAsksLessOften) {
  server.replies["/metrics"].status = 404;
  start();
  ASSERT_TRUE(until([&] { return seen.misses.size() >= kMissesPatient; }));
  const uint64_t before = seen.misses.size();
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(until([&] { return seen.misses.size() >= before + 2; }));
  EXPECT_GE(std::chrono::steady_clock::now() - began,
            std::chrono::nanoseconds(kScrapeIntervalMissingNs) * 9 / 10);
}

TEST_F(ScraperTest, StopInTheMiddleEndsEverythingAndCallsNobody) {
  server.replies["/metrics"].hang = true;
  start();
  ASSERT_TRUE(until([&] { return server.requests["/metrics"] == 1; }));
  std::weak_ptr<Scraper> weak = scraper;
  scraper->stop();
  scraper = nullptr;
  EXPECT_TRUE(until([&] { return weak.expired(); }));
  EXPECT_TRUE(seen.misses.empty());
  EXPECT_EQ(seen.rounds, 0u);
}

TEST_F(ScraperTest, DestroyedWithItsIoContextWhileRunning) {
  auto other = std::make_unique<asio::io_context>();
  EndpointAddress address{"e", "127.0.0.1", server.port(), "x"};
  auto orphan = std::make_shared<Scraper>(*other, seen, 1, address, options);
  orphan->start();
  other->poll();
  orphan->stop();
  orphan = nullptr;
  other = nullptr;  // the sanitizers judge
}

}  // namespace
}  // namespace sluice
