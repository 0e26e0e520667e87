// Regret, reckoned by hand. A request with a prompt of 10 and an output of n tokens takes 10 n + 10
// ms on an idle server: it is short if n = 1 (20 ms), and long if n = 9 (100 ms).
#include <gmock/gmock.h>

#include "tests/unit/simulate/rig.h"

namespace sluice::simulate {
namespace {

struct RegretCase {
  std::string name;
  std::string toml;
  std::vector<ServerModel> servers;
  bool direct = false;
  std::vector<Asks> asks;
  std::vector<double> regret_ms;  // of each request, in order of arrival
};

void PrintTo(const RegretCase& c, std::ostream* out) { *out << c.name; }

ServerModel with(const std::function<void(ServerModel&)>& change) {
  ServerModel model = one_at_a_time();
  change(model);
  return model;
}

// Requests that each endpoint may have in flight.
std::string room(int requests, const std::string& more = "") {
  return "[pool.capacity]\nmode = \"fixed\"\nmax_in_flight = " + std::to_string(requests) + "\n" +
         more;
}

std::vector<RegretCase> cases() {
  const ServerModel one = one_at_a_time();
  const ServerModel two = with([](ServerModel& m) { m.max_running = 2; });
  const ServerModel three = with([](ServerModel& m) { m.max_running = 3; });
  const Asks a_long{0, 10, 9}, a_short{0, 10, 1};
  const std::string only_s0 =
      "[[pool.endpoints]]\nname = \"s0\"\naddress = \"127.0.0.1:2\"\nmodels = [\"m0\"]\n"
      "[[pool.endpoints]]\nname = \"s1\"\naddress = \"127.0.0.1:3\"\nmodels = [\"m1\"]\n";
  // m0 and m1 say where a request goes; "any" goes where fewer are in flight.
  const std::string pinned =
      "[[pool.endpoints]]\nname = \"s0\"\naddress = \"127.0.0.1:2\"\nmodels = [\"m0\", "
      "\"any\"]\n"
      "[[pool.endpoints]]\nname = \"s1\"\naddress = \"127.0.0.1:3\"\nmodels = [\"m1\", "
      "\"any\"]\n";
  const std::string bands =
      "[flow]\ndefault_band = \"low\"\n[[band]]\nname = \"high\"\npriority = 1\nttl = \"0s\"\n"
      "[[band]]\nname = \"low\"\npriority = 0\nttl = \"0s\"\n";
  return {
      {"NothingToRegretAlone", room(1), {one}, false, {a_short}, {0}},
      // The second waits 20 ms, and would have anywhere.
      {"OneServerIsNoChoice", "", {one}, true, {a_short, a_short}, {0, 0}},
      // The fourth joins the long one's queue, where fewer are, for 99 ms; the other server is free
      // after 39.
      {"DirectJoinsTheLongerQueue",
       pinned,
       {one, one},
       true,
       {{0, 10, 9, "m0"}, {0, 10, 1, "m1"}, {0, 10, 1, "m1"}, {1, 10, 1, "any"}},
       {0, 0, 0, 60}},
      // It waits until a server is free, and none had room before.
      {"CentralWaitsForTheFirst",
       pinned + room(1),
       {one, one},
       false,
       {{0, 10, 9, "m0"}, {0, 10, 1, "m1"}, {0, 10, 1, "m1"}, {1, 10, 1, "any"}},
       {0, 0, 0, 0}},
      // More in flight than a server runs is a queue at the server again.
      {"ARoomTooLargeIsDirect",
       pinned + room(2),
       {one, one},
       false,
       {{0, 10, 9, "m0"}, {0, 10, 1, "m1"}, {0, 10, 1, "m1"}, {1, 10, 1, "any"}},
       {0, 0, 0, 60}},
      // Parked for 75 ms with a place free; let in at 30 ms, with the step under way, it would
      // have waited for 5.
      {"ARoomTooSmallIsRegretted", room(1), {two}, false, {a_long, {25}}, {0, 70}},
      // What is known only later counts: 60 ms at the second server, 90 at the first.
      {"HindsightKnowsWhatIsToCome",
       pinned,
       {one, one},
       true,
       {{0, 10, 9, "m0"}, {0, 10, 4, "m1"}, {0, 10, 1, "m1"}, {10, 10, 1, "any"}},
       {0, 0, 0, 30}},
      // The same, and a later one that comes to the first server behind it: 100 ms; at the second,
      // behind another one, it would have been 70.
      {"WhoIsInFrontCounts",
       pinned,
       {one, one},
       true,
       {{0, 10, 9, "m0"},
        {0, 10, 4, "m1"},
        {0, 10, 1, "m1"},
        {10, 10, 1, "any"},
        {15, 10, 1, "m1"},
        {20, 10, 1, "any"}},
       {0, 0, 0, 30, 0, 30}},
      // The other server idles, but does not have the model.
      {"OnlyEligibleServersCount",
       only_s0,
       {one, one},
       true,
       {{0, 10, 9, "m0"}, {1, 10, 1, "m0"}},
       {0, 0}},
      // Who is overtaken has waited, but there was no room: 120 ms in all.
      {"BeingOvertakenIsNoRegret",
       bands + room(1),
       {one},
       false,
       {{0, 10, 9, "", "low"}, {1, 10, 1, "", "low"}, {2, 10, 1, "", "high"}},
       {0, 0, 0}},
      // 60 of 100 tokens are taken until 100 ms: the prompt of 60 fits nowhere before.
      {"RoomIsRoomForItsSize",
       "",
       {with([](ServerModel& m) { m.max_running = 4, m.kv_tokens = 100; })},
       true,
       {{0, 51, 5}, {70, 60, 1}},
       {0, 0}},
      // The same, 31 ms, but another server has the memory, and room when its step ends after 10.
      {"MemoryElsewhereIsRegretted",
       pinned,
       {with([](ServerModel& m) { m.max_running = 4, m.kv_tokens = 100; }),
        with([](ServerModel& m) { m.max_running = 4; })},
       true,
       {{0, 51, 5, "m0"}, {0, 10, 30, "m1"}, {0, 10, 30, "m1"}, {70, 60, 1, "any"}},
       {0, 0, 0, 21}},
      // Arrives at 25 ms in a step that ends at 30, on both.
      {"AStepUnderWayIsTheSameForAll", "", {two, two}, true, {a_long, a_long, {25}}, {0, 0, 0}},
      // The first server is at a long prompt until 110 ms, the second at a short one until 40.
      {"APromptUnderWayIsRegretted",
       pinned,
       {three, three},
       true,
       {{0, 100, 2, "m0"}, {0, 10, 9, "m1"}, {0, 10, 9, "m1"}, {35, 10, 1, "any"}},
       {0, 0, 0, 70}},
      // It is held until the first answer begins, at 60 ms, and so comes too late for the step that
      // begins then: that step is what holding costs.
      {"OnePromptAtATimeCostsAStep",
       room(2, "max_prefill_tokens = 1\n"),
       {two, two},
       false,
       {{0, 100, 2}, {0, 50, 2}, {35}},
       {0, 0, 10}},
      // Prefills wait for ten steps, which end at 120 ms, everywhere.
      {"StepsBetweenPrefillsCount",
       "",
       {with([](ServerModel& m) { m.max_running = 2, m.steps_between_prefills = 10; })},
       true,
       {{0, 10, 50}, {30}},
       {0, 0}},
      // The last comes to the server with fewer. Its prompt does not fit into the step of 100 tokens
      // that the one before it is in, and would not have without it: 108 ms. The other server is at
      // a long prompt until 210.
      {"AFullStepCounts",
       pinned,
       {with([](ServerModel& m) { m.max_running = 4, m.max_prefill_tokens = 100; }),
        with([](ServerModel& m) { m.max_running = 4; })},
       true,
       {{0, 10, 3, "m0"},
        {0, 200, 3, "m1"},
        {1, 80, 1, "m0"},
        {1, 10, 1, "m1"},
        {1, 10, 1, "m1"},
        {2, 80, 1, "any"}},
       {0, 0, 0, 0, 0, 0}},
      // The third is turned away, left out for 50 ms and let in at once at 52. There was room for 12
      // ms, but anywhere else it would have waited for 38.
      {"BeingTurnedAwayIsNoWorse",
       room(8),
       {with([](ServerModel& m) { m.max_waiting = 1; })},
       false,
       {a_short, {1}, {2}},
       {0, 0, 0}},
      // A free server is found at once, whatever stands at the other.
      {"AFreeServerLeavesNothing", "", {one, one}, true, {a_long, {1}}, {0, 0}},
      // Both servers are at long ones, and their queues grow alike.
      {"AQueueEverywhereIsTheSame",
       "",
       {one, one},
       true,
       {a_long, a_long, {1}, {1}, {2}, {2}},
       {0, 0, 0, 0, 0, 0}},
  };
}

class Regret : public ::testing::TestWithParam<RegretCase> {};

TEST_P(Regret, IsAsReckonedByHand) {
  const RegretCase& c = GetParam();
  RunOptions options;
  options.direct = c.direct;
  const Ran ran = run_list(setup_of(c.toml, c.servers), c.asks, options);
  std::vector<double> regret;
  for (const auto& [id, request] : ran.requests) {
    EXPECT_EQ(request.outcome, Outcome::kCompleted) << id;
    regret.push_back(static_cast<double>(request.regret) / kMs);
  }
  EXPECT_THAT(regret, ::testing::Pointwise(::testing::DoubleNear(1e-6), c.regret_ms));
}

INSTANTIATE_TEST_SUITE_P(All, Regret, ::testing::ValuesIn(cases()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace sluice::simulate
