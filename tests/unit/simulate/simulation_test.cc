#include "host/simulate/simulation.h"

#include <gmock/gmock.h>

#include "tests/unit/simulate/rig.h"

namespace sluice::simulate {
namespace {

using ::testing::ElementsAre;

constexpr const char* kThreeBands =
    "[flow]\nkey = [\"model\", \"header:x-llm-d-inference-fairness-id\"]\n"
    "[pool.capacity]\nmode = \"fixed\"\nmax_in_flight = 1\n";

std::vector<TimeNs> dispatches(const Ran& ran) {
  std::vector<TimeNs> out;
  for (const auto& [id, request] : ran.requests) out.push_back(request.dispatched / kMs);
  return out;
}

TEST(Simulation, OneRequestTakesWhatItsServerTakes) {
  const Ran ran = run_list(setup_of("", {one_at_a_time()}), {{5, 100, 11}});
  const Finished& r = ran.requests.at(1);
  EXPECT_EQ(r.arrival, 5 * kMs);
  EXPECT_EQ(r.dispatched, 5 * kMs);
  EXPECT_EQ(r.first_token, 115 * kMs);
  EXPECT_EQ(r.finished, 215 * kMs);
  EXPECT_EQ(r.endpoint, "s0");
  EXPECT_EQ(r.band, "default");
  EXPECT_EQ(ran.result.all.wait.max_s(), 0);
  EXPECT_NEAR(ran.result.all.ttft.mean_s(), 0.110, 1e-6);
  EXPECT_NEAR(ran.result.all.itl.mean_s(), 0.010, 1e-6);
  EXPECT_NEAR(ran.result.all.e2e.mean_s(), 0.210, 1e-6);
  EXPECT_EQ(ran.result.all.output_tokens, 11u);
  EXPECT_NEAR(ran.result.servers_used[0].busy_s, 0.210, 1e-6);
}

TEST(Simulation, HigherBandsOvertakeWhatIsParkedAndNotWhatIsAtAServer) {
  const std::vector<Asks> asks = {{0, 10, 9, "", "default"},
                                  {1, 10, 1, "", "sheddable"},
                                  {2, 10, 1, "", "default"},
                                  {3, 10, 1, "", "critical"}};
  const auto setup = setup_of(kThreeBands, {one_at_a_time()});
  const Ran central = run_list(setup, asks);
  EXPECT_THAT(dispatches(central), ElementsAre(0, 140, 120, 100));
  RunOptions direct;
  direct.direct = true;
  const Ran at_once = run_list(setup, asks, direct);
  EXPECT_THAT(dispatches(at_once), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(at_once.requests.at(4).first_token, 160 * kMs);
  EXPECT_TRUE(at_once.result.direct);
}

TEST(Simulation, WhatNobodyServesIsRefused) {
  const auto setup =
      setup_of("[[pool.endpoints]]\nname = \"s0\"\naddress = \"127.0.0.1:2\"\nmodels = [\"a\"]\n",
               {one_at_a_time()});
  const Ran ran = run_list(setup, {{0, 10, 1, "b"}, {0, 10, 1, "a"}});
  EXPECT_EQ(ran.requests.at(1).outcome, Outcome::kRejectedUnknownModel);
  EXPECT_EQ(ran.requests.at(1).endpoint, "");
  EXPECT_EQ(ran.requests.at(2).outcome, Outcome::kCompleted);
}

TEST(Simulation, LimitsAndTtlsActAsTheyDoWhenServing) {
  const auto setup = setup_of(
      "[pool.capacity]\nmode = \"fixed\"\nmax_in_flight = 1\n"
      "[[band]]\nname = \"default\"\npriority = 0\nttl = \"50ms\"\nmax_requests = 1\n",
      {one_at_a_time()});
  const Ran ran = run_list(setup, {{0, 10, 9}, {1}, {2}});
  EXPECT_EQ(ran.requests.at(2).outcome, Outcome::kExpired);
  EXPECT_EQ(ran.requests.at(2).finished, 51 * kMs);
  EXPECT_EQ(ran.requests.at(3).outcome, Outcome::kRejectedFull);
  EXPECT_EQ(ran.requests.at(3).finished, 2 * kMs);
}

TEST(Simulation, AServerThatIsFullIsTriedAgain) {
  ServerModel full = one_at_a_time();
  full.max_waiting = 1;
  const Ran ran =
      run_list(setup_of("[pool.capacity]\nmode = \"fixed\"\nmax_in_flight = 8\n", {full}),
               {{0, 10, 9}, {1}, {2}, {3}});
  for (const auto& [id, request] : ran.requests) EXPECT_EQ(request.outcome, Outcome::kCompleted);
}

TEST(Simulation, WithoutAQueueAServerThatIsFullRefuses) {
  ServerModel full = one_at_a_time();
  full.max_waiting = 1;
  RunOptions direct;
  direct.direct = true;
  const Ran ran = run_list(setup_of("", {full}), {{0, 10, 9}, {1}, {2}, {200}}, direct);
  EXPECT_EQ(ran.requests.at(2).outcome, Outcome::kCompleted);
  EXPECT_EQ(ran.requests.at(3).outcome, Outcome::kRejectedFull);
  EXPECT_EQ(ran.requests.at(3).finished, 2 * kMs);
  EXPECT_EQ(ran.requests.at(4).outcome, Outcome::kCompleted);
}

TEST(Simulation, APromptThatFitsNoCacheIsAnsweredWithAnError) {
  const Ran ran = run_list(setup_of("", {one_at_a_time()}), {{0, 20000, 5}, {1}});
  EXPECT_EQ(ran.requests.at(1).outcome, Outcome::kRejectedBad);
  EXPECT_EQ(ran.requests.at(1).first_token, kNever);
  EXPECT_EQ(ran.requests.at(2).outcome, Outcome::kCompleted);
  EXPECT_EQ(ran.result.all.ttft.count(), 1u);
}

TEST(Simulation, WhatNothingWillEverServeIsDrained) {
  // No time to live, and no room, ever.
  const auto setup = setup_of(
      "[pool.capacity]\nmode = \"fixed\"\nmax_in_flight_tokens = 100\n"
      "[[band]]\nname = \"default\"\npriority = 0\nttl = \"0s\"\nno_endpoint_ttl = \"0s\"\n"
      "ceiling = 0.5\n",
      {one_at_a_time()});
  const Ran ran = run_list(setup, {{0, 10, 3}, {0, 10, 3}});
  EXPECT_EQ(ran.requests.size(), 2u);
}

TEST(Simulation, ServersTakeThePlacesOfEndpointsInOrder) {
  const auto setup = setup_of(
      "[[pool.endpoints]]\nname = \"gpu-a\"\naddress = \"127.0.0.1:2\"\nmodels = [\"m*\"]\n"
      "[[pool.endpoints]]\nname = \"gpu-b\"\naddress = \"127.0.0.1:3\"\nmodels = [\"n\"]\n",
      {one_at_a_time(), one_at_a_time()});
  const Ran ran = run_list(setup, {{0, 10, 1, "n"}, {0, 10, 1, "m-7"}});
  EXPECT_EQ(ran.requests.at(1).endpoint, "gpu-b");
  EXPECT_EQ(ran.requests.at(2).endpoint, "gpu-a");
}

TEST(Simulation, TenantsAreFlowsOfTheirOwnAndTurnsAreTaken) {
  std::vector<Asks> asks = {{0, 10, 9, "", "", "first"}};
  for (int i = 0; i < 3; ++i) asks.push_back({1, 10, 1, "", "", "busy"});
  asks.push_back({2, 10, 1, "", "", "polite"});
  const Ran ran = run_list(setup_of(kThreeBands, {one_at_a_time()}), asks);
  EXPECT_EQ(ran.requests.at(5).flow, "model|polite");
  EXPECT_LT(ran.requests.at(5).dispatched, ran.requests.at(3).dispatched);
  ASSERT_EQ(ran.result.tenants.size(), 3u);
  EXPECT_EQ(ran.result.tenants[0].name, "busy");  // 36 of service, the first 28
}

TEST(Simulation, TheSameSeedGivesTheSameRunAndAnotherDoesNot) {
  std::vector<Asks> asks;
  for (int i = 0; i < 400; ++i)
    asks.push_back({i * 3.7, 10u + static_cast<uint32_t>(i * 37 % 90),
                    1u + static_cast<uint32_t>(i * 13 % 20), "", i % 3 == 0 ? "critical" : "",
                    "t" + std::to_string(i % 5)});
  ServerModel model = one_at_a_time();
  model.max_running = 8;
  const auto setup = setup_of("[picker]\nuse = \"power-of-two\"\n", {model, model, model, model});
  auto drawn = setup;
  drawn.pipeline.picker = PickerKind::kPowerOfTwo;
  RunOptions one, two;
  two.seed = 2;
  const uint64_t hash = run_list(drawn, asks, one).result.hash;
  EXPECT_EQ(run_list(drawn, asks, one).result.hash, hash);
  EXPECT_NE(run_list(drawn, asks, two).result.hash, hash);
  EXPECT_NE(run_list(setup, asks, one).result.hash, hash);
}

TEST(Simulation, EveryRequestEndsOnceAndCountsAddUp) {
  std::vector<Asks> asks;
  for (int i = 0; i < 3000; ++i)
    asks.push_back({i * 2.0, 1u + static_cast<uint32_t>(i * 7919 % 200),
                    1u + static_cast<uint32_t>(i * 104729 % 40), "",
                    i % 4 == 0 ? "critical" : "sheddable", "t" + std::to_string(i % 7)});
  ServerModel model = one_at_a_time();
  model.max_running = 6;
  model.kv_tokens = 600;  // with requests thrown out
  const Ran ran = run_list(setup_of("[[band]]\nname = \"critical\"\npriority = 1\nttl = \"2s\"\n"
                                    "[[band]]\nname = \"sheddable\"\npriority = 0\nttl = \"1s\"\n"
                                    "max_requests = 50\n[flow]\ndefault_band = \"sheddable\"\n",
                                    {model, model}),
                           asks);
  EXPECT_EQ(ran.requests.size(), asks.size());
  uint64_t ended = 0, of_bands = 0, of_tenants = 0, of_servers = 0;
  for (const uint64_t n : ran.result.all.ended) ended += n;
  for (const Group& band : ran.result.bands) of_bands += band.requests;
  for (const Group& tenant : ran.result.tenants) of_tenants += tenant.requests;
  for (const ServerResult& server : ran.result.servers_used) of_servers += server.requests;
  EXPECT_EQ(ended, asks.size());
  EXPECT_EQ(of_bands, asks.size());
  EXPECT_EQ(of_tenants, asks.size());
  EXPECT_EQ(of_servers, ran.result.all.completed());
  EXPECT_GT(ran.result.all.ended[static_cast<size_t>(Outcome::kExpired)], 0u);
  EXPECT_GT(ran.result.all.ended[static_cast<size_t>(Outcome::kRejectedFull)], 0u);
  for (const auto& [id, r] : ran.requests) {
    if (r.outcome != Outcome::kCompleted) continue;
    EXPECT_LE(r.arrival, r.dispatched) << id;
    EXPECT_LT(r.dispatched, r.first_token) << id;
    EXPECT_LE(r.first_token, r.finished) << id;
  }
}

TEST(Simulation, WarmUpIsNotMeasured) {
  RunOptions options;
  options.measures.warmup_ns = 500 * kMs;
  const Ran ran = run_list(setup_of("", {one_at_a_time()}), {{0}, {100}, {600}, {700}}, options);
  EXPECT_EQ(ran.result.all.requests, 4u);
  EXPECT_EQ(ran.result.all.ttft.count(), 2u);
  EXPECT_EQ(ran.result.all.in_window, 2u);
  EXPECT_EQ(ran.result.window_from_s, 0.5);
  EXPECT_EQ(ran.result.window_to_s, 0.7);
}

// Who got least comes last in the list of tenants, which is cut off.
TEST(Simulation, FairnessIsOfThoseWhoStarveToo) {
  std::vector<Asks> asks;
  for (int i = 0; i < 60; ++i)
    asks.push_back({90.0 * i, 90, 1, "", "high", "h" + std::to_string(i)});
  for (int i = 0; i < 5; ++i)
    asks.insert(asks.begin() + 1, {0, 10, 1, "", "low", "l" + std::to_string(i)});
  const Ran ran = run_list(setup_of("[flow]\nkey = [\"header:x-t\"]\ndefault_band = \"low\"\n"
                                    "[[trust]]\nfrom = [\"any\"]\nheaders = [\"x-t\"]\n"
                                    "[[band]]\nname = \"high\"\npriority = 1\nttl = \"0s\"\n"
                                    "[[band]]\nname = \"low\"\npriority = 0\nttl = \"0s\"\n"
                                    "[pool.capacity]\nmode = \"fixed\"\nmax_in_flight = 1\n",
                                    {one_at_a_time()}),
                           asks);
  EXPECT_EQ(ran.result.tenants.size(), kTenantsMax);
  EXPECT_EQ(ran.result.fairness.tenants, 5u);
}

TEST(Simulation, TheWindowBeginsWithTheFirstArrival) {
  std::vector<Asks> asks;
  for (int i = 0; i <= 50; ++i) asks.push_back({60'000 + 200.0 * i});
  RunOptions options;
  options.measures.warmup_ns = 2000 * kMs;
  const Ran ran = run_list(setup_of("", {one_at_a_time()}), asks, options);
  EXPECT_EQ(ran.result.window_from_s, 62);
  EXPECT_EQ(ran.result.window_to_s, 70);
  EXPECT_EQ(ran.result.all.ttft.count(), 41u);
  EXPECT_NEAR(ran.result.requests_per_s, 5, 0.2);
  EXPECT_NEAR(ran.result.offered_requests_per_s, 41 / 8.0, 1e-9);
}

TEST(Simulation, ArrivalsOfOneMomentAreNoRate) {
  const Ran ran = run_list(setup_of("", {one_at_a_time()}), {{0}, {0}});
  EXPECT_EQ(ran.result.offered_tokens_per_s, 0);
}

TEST(Simulation, SloAttainmentIsOfWhatEnded) {
  RunOptions options;
  options.measures.slo_ttft_ns = 25 * kMs;
  const Ran ran = run_list(setup_of("", {one_at_a_time()}), {{0}, {100}, {101}}, options);
  EXPECT_EQ(ran.result.all.slo_met, 2u);
  EXPECT_EQ(ran.result.all.in_window, 3u);
}

TEST(Simulation, IdleServersAndFreeSlotsAreCountedWhileEligibleWorkWaits) {
  ServerModel two = one_at_a_time();
  two.max_running = 2;
  const std::string pinned =
      "[[pool.endpoints]]\nname = \"s0\"\naddress = \"127.0.0.1:2\"\nmodels = [\"a\"]\n"
      "[[pool.endpoints]]\nname = \"s1\"\naddress = \"127.0.0.1:3\"\nmodels = [\"b\"]\n";
  RunOptions direct;
  direct.direct = true;
  // The second waits 80 ms behind the first while the other server is of no use to it.
  const Ran other = run_list(setup_of(pinned, {one_at_a_time(), two}),
                             {{0, 10, 9, "a"}, {20, 10, 1, "a"}}, direct);
  EXPECT_NEAR(other.result.idle_while_waiting_s, 0, 1e-9);
  EXPECT_NEAR(other.result.slots_while_waiting_s, 0, 1e-9);
  // Room for one where there are two places: parked from 25 to 100 ms beside a free one.
  const Ran held =
      run_list(setup_of("[pool.capacity]\nmode = \"fixed\"\nmax_in_flight = 1\n", {two}),
               {{0, 10, 9}, {25}});
  EXPECT_NEAR(held.result.slots_while_waiting_s, 0.075, 1e-6);
}

TEST(Simulation, PrefixesAreFoundWhereTheyWereSentAndMeasuredAgainstTheBestPossible) {
  ServerModel model = one_at_a_time();
  model.prefix_cache = true;
  std::vector<Asks> asks;
  for (int i = 0; i < 4; ++i) asks.push_back({i * 1000.0, 640, 2, "", "", "", {1, 2, 3, 4, 5}});
  const Ran ran = run_list(setup_of("", {model}), asks);
  EXPECT_NEAR(ran.result.hit_rate, 3 * 320 / (4 * 640.0), 1e-9);
  EXPECT_EQ(ran.result.pooled_hit_rate, ran.result.hit_rate);
  EXPECT_EQ(ran.result.ideal_hit_rate, ran.result.hit_rate);
  model.kv_tokens = 700;  // forgets the first by the time that it comes back
  std::vector<Asks> turns;
  for (int i = 0; i < 4; ++i) {
    const uint64_t first = i % 2 == 0 ? 1 : 100;
    turns.push_back({i * 1000.0,
                     640,
                     2,
                     "",
                     "",
                     "",
                     {first, first + 1, first + 2, first + 3, first + 4, first + 5}});
  }
  const Ran small = run_list(setup_of("", {model}), turns);
  EXPECT_LT(small.result.hit_rate, small.result.ideal_hit_rate);
  EXPECT_NEAR(small.result.ideal_hit_rate, 2 * 384 / (4 * 640.0), 1e-9);
}

TEST(Simulation, ATraceThatBreaksOffIsAnError) {
  class Broken : public ListSource {
   public:
    using ListSource::ListSource;
    std::optional<std::string> failure() const override { return "t.csv:7: error: no number"; }
  };
  Broken source(std::vector<Asks>{{0}});
  const auto result = run(setup_of("", {one_at_a_time()}), source, {});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error(), "t.csv:7: error: no number");
}

// Ten scrapes a second for nine years would take an hour.
TEST(Simulation, YearsOfSilenceAreSkipped) {
  constexpr double kYearMs = 365.0 * 24 * 3600 * 1000;
  const Ran ran = run_list(setup_of("", {one_at_a_time(), one_at_a_time()}), {{0}, {9 * kYearMs}});
  EXPECT_EQ(ran.result.all.completed(), 2u);
  EXPECT_EQ(ran.requests.at(2).finished - ran.requests.at(2).arrival, 20 * kMs);
}

TEST(Simulation, WhatWouldNeverEndIsAnError) {
  ServerModel model = one_at_a_time();
  model.kv_tokens = 2'000'000;
  model.step_ps.base = 10'000'000 * kPsPerMs;  // three hours
  ListSource source({{0, 10, 1'000'000}});
  const auto result =
      run(setup_of("[pool.scrape]\ninterval = \"100h\"\nstale_after = \"1000h\"\n", {model}),
          source, {});
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error(), ::testing::HasSubstr("1 requests are still under way"));
}

TEST(Simulation, NothingArrives) {
  const Ran ran = run_list(setup_of("", {one_at_a_time()}), {});
  EXPECT_EQ(ran.result.all.requests, 0u);
}

}  // namespace
}  // namespace sluice::simulate
