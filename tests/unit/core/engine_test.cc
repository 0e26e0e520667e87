#include "core/engine.h"

#include <set>
#include <tuple>

#include "core/limits.h"

#include "tests/unit/core/engine_fixture.h"
#include "tests/unit/core/policy_double.h"

namespace sluice {
namespace {

constexpr TimeNs kMs = 1'000'000;

TEST(Engine, DispatchesAtOnceWhereThereIsRoomAndParksWhereThereIsNot) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 2);
  const RequestId a = d.submit({});
  const RequestId b = d.submit({});
  const RequestId c = d.submit({});
  EXPECT_EQ(d.dispatched, (std::vector<uint64_t>{a.seq, b.seq}));
  d.now += 7 * kMs;
  d.complete(a);
  ASSERT_EQ(d.dispatched.size(), 3u);
  EXPECT_EQ(d.dispatched.back(), c.seq);
  EXPECT_EQ(d.all.back().parked_ns, 7 * kMs);
}

TEST(Engine, BandsAreStrict) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  const RequestId running = d.submit({.band = 2});
  const RequestId low = d.submit({.band = 2});
  const RequestId mid = d.submit({.band = 1});
  const RequestId high = d.submit({.band = 0});
  d.complete(running);
  d.complete(high);
  d.complete(mid);
  d.complete(low);
  EXPECT_EQ(d.dispatched, (std::vector<uint64_t>{running.seq, high.seq, mid.seq, low.seq}));
}

TEST(Engine, BuiltInFairnessTakesTurnsBetweenFlows) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  const RequestId first = d.submit({.flow = "flood"});
  std::vector<RequestId> flood;
  for (int i = 0; i < 4; ++i) flood.push_back(d.submit({.flow = "flood"}));
  const RequestId polite = d.submit({.flow = "polite"});
  d.complete(first);
  d.complete(d.ids[d.dispatched.back()]);
  EXPECT_TRUE(d.dispatched[1] == polite.seq || d.dispatched[2] == polite.seq);
}

TEST(Engine, AFullClassBlocksOnlyItself) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  d.add_endpoint(1, 1);
  const RequestId a1 = d.submit({.flow = "a", .eligible = 1});
  const RequestId a2 = d.submit({.flow = "a", .eligible = 1});
  const RequestId b1 = d.submit({.flow = "b", .eligible = 2});
  EXPECT_EQ(d.dispatched, (std::vector<uint64_t>{a1.seq, b1.seq}));
  d.complete(b1);
  const RequestId b2 = d.submit({.flow = "b", .eligible = 2});
  EXPECT_EQ(d.where[b2.seq], 1u);
  d.complete(a1);
  EXPECT_EQ(d.where[a2.seq], 0u);
}

TEST(Engine, ABlockedFlowIsPassedOverUnlessItsBandHolds) {
  for (bool hold : {false, true}) {
    Pipeline p = three_bands();
    p.bands[1].hold_when_blocked = hold;
    EngineDriver d(p);
    d.add_endpoint(0, 1);
    d.add_endpoint(1, 1);
    // Both endpoints are taken; flow a then waits for endpoint 0, flow b for endpoint 1, and a's
    // turn comes first.
    const RequestId x = d.submit({.flow = "a", .band = 1, .eligible = 1});
    const RequestId y = d.submit({.flow = "b", .band = 1, .eligible = 2});
    const RequestId a = d.submit({.flow = "a", .band = 1, .eligible = 1});
    const RequestId b = d.submit({.flow = "b", .band = 1, .eligible = 2});
    d.complete(y);
    EXPECT_EQ(d.where.count(b.seq), hold ? 0u : 1u) << "hold " << hold;
    d.complete(x);
    EXPECT_EQ(d.where.count(a.seq), 1u);
    EXPECT_EQ(d.where.count(b.seq), 1u);
    EXPECT_EQ(d.engine->stats().passes_hold > 0, hold);
  }
}

TEST(Engine, ParkedRequestsExpireToTheNanosecondAndNeverLater) {
  Pipeline p = three_bands();
  p.bands[0].ttl_ns = 100 * kMs;
  EngineDriver d(p);
  d.add_endpoint(0, 1);
  const RequestId running = d.submit({});
  const RequestId parked = d.submit({});
  EXPECT_EQ(d.engine->next_deadline(), d.now + 100 * kMs);
  d.advance(100 * kMs - 1);
  EXPECT_TRUE(d.ended.empty());
  // The deadline and the free slot come in the same nanosecond: the deadline wins.
  d.now += 1;
  d.complete(running);
  ASSERT_EQ(d.ended.count(parked.seq), 1u);
  EXPECT_EQ(d.ended[parked.seq].outcome, Outcome::kExpired);
  EXPECT_EQ(d.engine->next_deadline(), kNever);
}

TEST(Engine, TheTwoTtlClocksRunInTurnAndAFlipResetsNeither) {
  Pipeline p = three_bands();
  p.bands[0].ttl_ns = 100 * kMs;
  p.bands[0].no_endpoint_ttl_ns = 50 * kMs;
  EngineDriver d(p);
  d.add_endpoint(0, 1);
  const RequestId running = d.submit({});
  const RequestId parked = d.submit({});
  d.advance(60 * kMs);
  d.engine->set_endpoint(d.now, 0, 1, false);  // 40 ms left on one clock, 50 on the other
  d.settle();
  d.advance(40 * kMs);
  d.engine->set_endpoint(d.now, 0, 1, true);  // 40 and 10 left
  d.settle();
  EXPECT_EQ(d.engine->next_deadline(), d.now + 40 * kMs);
  d.advance(30 * kMs);
  d.engine->set_endpoint(d.now, 0, 1, false);
  d.settle();
  EXPECT_EQ(d.engine->next_deadline(), d.now + 10 * kMs);
  EXPECT_TRUE(d.ended.empty());
  d.advance(10 * kMs);
  EXPECT_EQ(d.ended[parked.seq].outcome, Outcome::kRejectedNoEndpoint);
  d.complete(running);
}

TEST(Engine, AHeaderDeadlineShortensBothClocks) {
  Pipeline p = three_bands();
  p.bands[0].ttl_ns = 100 * kMs;
  EngineDriver d(p);
  const RequestId id = d.submit({.wall = d.now + 5 * kMs});
  d.advance(5 * kMs);
  EXPECT_EQ(d.ended[id.seq].outcome, Outcome::kRejectedNoEndpoint);
  const RequestId late = d.submit({.wall = d.now});
  EXPECT_EQ(d.ended.count(late.seq), 1u) << "a deadline that has passed on arrival";
}

TEST(Engine, CancelParkedEndsWithoutADecisionAndInFlightIsTheDriversToEnd) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  const RequestId running = d.submit({});
  const RequestId parked = d.submit({});
  EXPECT_EQ(d.engine->cancel(d.now, parked), Engine::Cancel::kEnded);
  EXPECT_EQ(d.engine->cancel(d.now, parked), Engine::Cancel::kUnknown);
  EXPECT_EQ(d.engine->cancel(d.now, running), Engine::Cancel::kInFlight);
  d.settle();
  EXPECT_TRUE(d.ended.empty());
  d.complete(running, {.outcome = Outcome::kClientGone});
  EXPECT_FALSE(d.engine->complete(d.now, running, {})) << "an id ends once";
  const Ledger l = d.engine->stats().total;
  EXPECT_EQ(l.ended[static_cast<size_t>(Outcome::kCancelled)], 1u);
  EXPECT_EQ(l.ended[static_cast<size_t>(Outcome::kClientGone)], 1u);
  EXPECT_EQ(l.served_cost, 0u) << "neither got anything, so neither is charged";
}

TEST(Engine, ABrokenEndpointIsKeptFromTheRequestThatItBroke) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  d.add_endpoint(1, 1);
  const RequestId a = d.submit({});
  const uint32_t first = d.where[a.seq];
  EXPECT_TRUE(d.engine->requeue(d.now, a, Engine::Requeue::kBroken));
  d.settle();
  EXPECT_EQ(d.where[a.seq], 1 - first);
  EXPECT_EQ(d.all.back().attempt, 2u);
  // Both have failed it now: rather again than never.
  EXPECT_TRUE(d.engine->requeue(d.now, a, Engine::Requeue::kBroken));
  d.settle();
  EXPECT_EQ(d.dispatched.size(), 3u);
  d.complete(a);
  EXPECT_EQ(d.engine->stats().total.requeues, 2u);
}

TEST(Engine, ABrokenEndpointIsTriedAgainWhileEveryOtherOneIsDown) {
  EngineDriver d(three_bands());
  for (uint32_t slot : {0u, 1u}) d.add_endpoint(slot, 1);
  const auto set_up = [&](uint32_t slot, bool up) {
    d.engine->set_endpoint(d.now, slot, 1, up);
    d.settle();
  };
  const auto broken = [&](RequestId id) {
    EXPECT_TRUE(d.engine->requeue(d.now, id, Engine::Requeue::kBroken));
    d.settle();
  };
  // The other one is down already.
  const RequestId a = d.submit({});
  const uint32_t breaks = d.where[a.seq], other = 1 - breaks;
  set_up(other, false);
  broken(a);
  EXPECT_EQ(d.dispatched, (std::vector<uint64_t>{a.seq, a.seq}));
  EXPECT_EQ(d.where[a.seq], breaks);
  d.complete(a);

  // It goes down, or away, while the request waits for it.
  for (const bool removed : {false, true}) {
    set_up(other, true);
    const RequestId b = d.submit({}), c = d.submit({});
    const RequestId& ours = d.where[b.seq] == breaks ? b : c;
    const RequestId& theirs = d.where[b.seq] == breaks ? c : b;
    broken(ours);
    EXPECT_EQ(d.engine->stats().total.parked, 1u) << "waits for the other one";
    if (removed) {
      d.engine->remove_endpoint(d.now, other);
      d.settle();
    } else {
      set_up(other, false);
    }
    EXPECT_EQ(d.engine->stats().total.parked, 0u);
    EXPECT_EQ(d.where[ours.seq], breaks);
    d.complete(ours);
    d.complete(theirs);
  }
}

TEST(Engine, ARequeuedRequestIsTheHeadOfItsFlowAndKeepsItsDeadline) {
  Pipeline p = three_bands();
  p.bands[0].ttl_ns = 100 * kMs;
  EngineDriver d(p);
  d.add_endpoint(0, 1);
  const RequestId a = d.submit({});
  const RequestId b = d.submit({});
  d.now += 10 * kMs;
  d.engine->requeue(d.now, a, Engine::Requeue::kBroken);
  d.settle();
  EXPECT_EQ(d.dispatched, (std::vector<uint64_t>{a.seq, a.seq}))
      << "same place as before, so first";
  d.now += 90 * kMs;
  d.engine->requeue(d.now, a, Engine::Requeue::kBroken);
  d.settle();
  EXPECT_EQ(d.ended[a.seq].outcome, Outcome::kExpired);
  EXPECT_EQ(d.ended[b.seq].outcome, Outcome::kExpired);
}

TEST(Engine, OrderingsSeeADeadlineThatDoesNotDependOnThePool) {
  OrderingDouble edf{.key = [](const sluice_requests& r, uint32_t row) {
    EXPECT_NE(r.flow_hash[row], 0u);
    return r.deadline_ns[row];
  }};
  Pipeline p = three_bands();
  p.bands[0].ordering = edf.policy();
  p.bands[0].ttl_ns = 10'000 * kMs;
  p.bands[0].no_endpoint_ttl_ns = 60'000 * kMs;
  EngineDriver d(p);
  const RequestId first = d.submit({});  // while there is no endpoint
  const RequestId second = d.submit({});
  d.now += 1000 * kMs;
  d.add_endpoint(0, 1);
  const RequestId later = d.submit({});
  const RequestId urgent = d.submit({.wall = d.now + 5000 * kMs});
  d.complete(first);
  d.complete(urgent);
  d.complete(second);
  EXPECT_EQ(d.dispatched, (std::vector<uint64_t>{first.seq, urgent.seq, second.seq, later.seq}));
}

TEST(Engine, AWithdrawnReportHasNoAgeAndNoLoadButItsColumns) {
  using Seen = std::tuple<uint64_t, uint32_t, int64_t>;  // age, waiting, label
  Seen seen;
  ScorerDouble scorer{
      .score = [&](const sluice_requests&, const sluice_endpoints& e, uint32_t row) {
        if (e.slot[row] == 0) seen = {e.metrics_age_ns[row], e.waiting[row], e.ints[0][row]};
        return 0.0F;
      }};
  Pipeline p = three_bands();
  p.scorers = {{scorer.policy(), 1}};
  p.endpoint_absent.ints = {-1};
  EngineDriver d(p);
  d.add_endpoint(0, 9);
  d.add_endpoint(1, 9);
  d.submit({});
  EXPECT_EQ(seen, (Seen{SLUICE_NEVER, 0, -1}));
  d.engine->report(d.now, 0, {.taken_ns = d.now - 5, .waiting = 3, .ints = {8}});
  d.submit({});
  EXPECT_EQ(seen, (Seen{5, 3, 8}));
  d.engine->report(d.now, 0, {.taken_ns = 0, .waiting = 3, .ints = {8}});
  d.submit({});
  EXPECT_EQ(seen, (Seen{SLUICE_NEVER, 0, 8}));
}

TEST(Engine, AnEndpointThatBrokeIsKeptFromItsRequestAsSoonAsAnotherComesUp) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  d.add_endpoint(1, 1);
  d.engine->set_endpoint(d.now, 1, 1, false);
  const RequestId a = d.submit({});
  d.engine->requeue(d.now, a, Engine::Requeue::kBroken);
  d.settle();
  EXPECT_EQ(d.dispatched.size(), 2u) << "nothing else is up, so it is tried there again";
  const RequestId other = d.submit({.eligible = 2});
  d.engine->set_endpoint(d.now, 1, 1, true);
  d.settle();
  EXPECT_EQ(d.where[other.seq], 1u);
  d.engine->requeue(d.now, a, Engine::Requeue::kBroken);
  d.settle();
  EXPECT_EQ(d.dispatched.size(), 3u) << "it waits for the other, which is full, not for the broken";
  d.complete(other);
  EXPECT_EQ(d.where[a.seq], 1u);
}

TEST(Engine, AnEngineThatRejectsIsLeftAloneForAMomentAndLongerEachTime) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 4);
  const RequestId a = d.submit({});
  TimeNs pause = 0;
  for (int i = 0; i < 4; ++i) {
    d.engine->requeue(d.now, a, Engine::Requeue::kRejected);
    d.settle();
    const size_t before = d.dispatched.size();
    const TimeNs due = d.engine->next_deadline();
    ASSERT_NE(due, kNever) << "it must be tried again without another event";
    EXPECT_GT(due - d.now, pause);
    pause = due - d.now;
    d.advance(pause - 1);
    EXPECT_EQ(d.dispatched.size(), before);
    d.advance(1);
    EXPECT_EQ(d.dispatched.size(), before + 1);
  }
  d.complete(a);
}

TEST(Engine, LimitsOfFlowTenantBandAndHost) {
  Pipeline p = three_bands();
  p.bands[0].requests_per_flow_max = 2;
  p.bands[1].requests_max = 3;
  p.bands[2].bytes_max = 2500;
  p.tenants.push_back({"gold", 1});
  p.requests_max = 7;
  EngineDriver d(p);
  d.add_endpoint(0, 0);  // an endpoint that exists and never has room
  d.submit({.flow = "a"});
  d.submit({.flow = "a"});
  EXPECT_EQ(d.ended[d.submit({.flow = "a"}).seq].reason, Reason::kFlowFull);
  for (int i = 0; i < 3; ++i) d.submit({.flow = "b" + std::to_string(i), .band = 1});
  EXPECT_EQ(d.ended[d.submit({.flow = "b9", .band = 1}).seq].reason, Reason::kQueueFull);
  d.submit({.flow = "c", .band = 2, .bytes = 2000});
  EXPECT_EQ(d.ended[d.submit({.flow = "c", .band = 2, .bytes = 501}).seq].reason,
            Reason::kBytesFull);
  d.submit({.flow = "c", .band = 2, .bytes = 1});
  EXPECT_EQ(d.ended[d.submit({.flow = "c", .band = 2, .bytes = 1}).seq].reason, Reason::kQueueFull)
      << "the host's seven";
  d.engine->cancel(d.now, d.ids[1]);
  d.submit({.flow = "g1", .tenant = 0});
  d.engine->cancel(d.now, d.ids[2]);
  EXPECT_EQ(d.ended[d.submit({.flow = "g2", .tenant = 0}).seq].reason, Reason::kFlowFull)
      << "a tenant's limit is over all of its flows";
}

TEST(Engine, WithoutAnyEndpointAFullQueueSaysSo) {
  Pipeline p = three_bands();
  p.requests_max = 1;
  EngineDriver d(p);
  d.submit({});
  EXPECT_EQ(d.ended[d.submit({}).seq].outcome, Outcome::kRejectedNoEndpoint);
}

TEST(Engine, AFullQueueRefusesNothingThatCanGoAtOnce) {
  Pipeline p = three_bands();
  p.requests_max = 1;
  EngineDriver d(p);
  d.add_endpoint(0, 1);
  d.add_endpoint(1, 1);
  d.submit({.flow = "a", .eligible = 1});
  d.submit({.flow = "a", .eligible = 1});  // parked: the queue is full
  const RequestId other = d.submit({.flow = "b", .eligible = 2});
  EXPECT_EQ(d.where.count(other.seq), 1u);
  EXPECT_TRUE(d.ended.empty());
}

TEST(Engine, DrainRefusesNewWorkServesTheParkedAndThenCutsTheRest) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  const RequestId running = d.submit({});
  const RequestId parked = d.submit({});
  const RequestId last = d.submit({});
  d.engine->drain(d.now);
  const RequestId late = d.submit({});
  EXPECT_EQ(d.ended[late.seq].outcome, Outcome::kRejectedDraining);
  d.complete(running);
  EXPECT_EQ(d.where.count(parked.seq), 1u);
  d.engine->drain_now(d.now);
  d.settle();
  EXPECT_EQ(d.ended[last.seq].outcome, Outcome::kDrained);
  const auto revoked = std::ranges::find(d.all, Decision::Kind::kRevoke, &Decision::kind);
  ASSERT_NE(revoked, d.all.end());
  EXPECT_EQ(revoked->id, parked);
  // An upstream that breaks in that moment does not park the request again for ever.
  d.engine->requeue(d.now, parked, Engine::Requeue::kBroken);
  d.settle();
  EXPECT_EQ(d.engine->stats().total.in_flight + d.engine->stats().total.parked, 0u);
}

TEST(Engine, ARemovedEndpointIsAGhostUntilItsLastRequestEnds) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  const RequestId a = d.submit({});
  d.engine->remove_endpoint(d.now, 0);
  d.settle();
  EXPECT_FALSE(d.engine->endpoint_idle(0));
  const RequestId b = d.submit({});
  EXPECT_EQ(d.where.count(b.seq), 0u);
  d.complete(a);
  EXPECT_TRUE(d.engine->endpoint_idle(0));
  EXPECT_TRUE(d.engine->stats().endpoints.empty());
  d.engine->set_endpoint(d.now, 0, 1, true);
  d.settle();
  EXPECT_EQ(d.where.count(b.seq), 1u);
}

TEST(Engine, RetryAfterIsTheQueueOverItsRate) {
  Pipeline p = three_bands();
  p.bands[0].requests_max = 20;
  EngineDriver d(p);
  d.add_endpoint(0, 1);
  d.submit({});
  for (int i = 0; i < 20; ++i) d.submit({});
  for (int i = 0; i < 40; ++i) {  // two a second
    d.advance(500 * kMs);
    d.complete(d.ids[d.dispatched.back()]);
    d.submit({});
  }
  const RequestId refused = d.submit({});
  ASSERT_EQ(d.ended.count(refused.seq), 1u);
  EXPECT_GE(d.ended[refused.seq].retry_after_s, 8u);
  EXPECT_LE(d.ended[refused.seq].retry_after_s, 11u)
      << "21 parked at 2 a second, less up to a quarter of jitter";
}

TEST(Engine, RetryAfterIsSpreadAlsoWhereItIsAtItsLongest) {
  Pipeline p = three_bands();
  p.bands[0].requests_max = 1;
  EngineDriver d(p);
  d.add_endpoint(0, 0);
  d.submit({});
  std::set<uint32_t> seconds;
  for (int i = 0; i < 200; ++i) seconds.insert(d.ended[d.submit({}).seq].retry_after_s);
  EXPECT_GT(seconds.size(), 5u);
  EXPECT_GE(*seconds.begin(), 1u);
  EXPECT_LE(*seconds.rbegin(), kRetryAfterMaxSeconds);
}

TEST(Engine, CostIsChargedAtDispatchGrownByProgressAndSettledByUsage) {
  Pipeline p = three_bands();
  p.cost = {.output = 2.0, .cached = 0.5};
  EngineDriver d(p);
  d.add_endpoint(0, 1);
  const RequestId a = d.submit({.prompt = 100, .output = 10});
  EXPECT_EQ(d.engine->flow_stats()[0].served_cost, 120u);
  d.engine->progress(d.now, a, 5);
  EXPECT_EQ(d.engine->flow_stats()[0].served_cost, 120u) << "within the estimate";
  d.engine->progress(d.now, a, 30);
  d.settle();
  EXPECT_EQ(d.engine->flow_stats()[0].served_cost, 160u);
  d.complete(a, {.has_usage = true, .prompt_tokens = 80, .cached_tokens = 40, .output_tokens = 31});
  EXPECT_EQ(d.engine->flow_stats()[0].served_cost, 40u + 20 + 62);
  const RequestId b = d.submit({.prompt = 100, .output = 10});
  d.complete(b, {.outcome = Outcome::kUpstreamError});
  EXPECT_EQ(d.engine->flow_stats()[0].served_cost, 122u) << "returned in full";
}

TEST(Engine, FlowsAreForgottenLeastRecentFirstAndTheRestShareOne) {
  Pipeline p = three_bands();
  p.flows_max = 3;
  p.tenants.push_back({"gold", 0});
  EngineDriver d(p);
  for (int i = 0; i < 5; ++i) d.submit({.flow = "busy" + std::to_string(i)});
  auto flows = d.engine->flow_stats();
  EXPECT_EQ(flows.size(), 4u) << "three of their own and the overflow flow";
  EXPECT_TRUE(flows[0].overflow);
  EXPECT_EQ(flows[0].parked, 2u);
  d.submit({.flow = "gold|x", .tenant = 0});
  EXPECT_EQ(d.engine->flow_stats().size(), 5u) << "a configured tenant is never in it";
  d.engine->cancel(d.now, d.ids[2]);  // busy1 is idle now and gives its place
  d.submit({.flow = "fresh"});
  flows = d.engine->flow_stats();
  EXPECT_TRUE(std::ranges::count(flows, "fresh", &FlowStats::name));
  EXPECT_FALSE(std::ranges::count(flows, "busy1", &FlowStats::name));
}

TEST(Engine, WhatAnEndpointHoldsOfPromptsIsBoundedByItsCache) {
  Pipeline p = three_bands();
  std::vector<uint32_t> cached;
  ScorerDouble scoring{.score = [&](const sluice_requests& r, const sluice_endpoints&, uint32_t) {
    cached.push_back(r.cached_tokens[0]);
    return 0.0F;
  }};
  p.scorers.push_back({scoring.policy(), 1});
  scoring.descriptor.inputs = SLUICE_IN_PREFIX;
  EngineDriver d(std::move(p));
  d.add_endpoint(0, 8);
  d.add_endpoint(1, 8);
  d.engine->report(d.now, 0, {.taken_ns = d.now, .kv_tokens_max = 2 * 64});
  EngineDriver::Ask ask{.eligible = 1, .prompt = 512, .prefix = {1, 2, 3, 4, 5, 6, 7, 8}};
  d.submit(ask);
  ask.eligible = 0;
  d.submit(ask);
  ASSERT_FALSE(cached.empty());
  EXPECT_EQ(cached.front(), 2u * 64);
}

TEST(Engine, PoliciesSeeTheTokensOfAllChoices) {
  Pipeline p = three_bands();
  std::vector<uint32_t> seen;
  ScorerDouble scoring{.score = [&](const sluice_requests& r, const sluice_endpoints&, uint32_t) {
    seen = {r.output_expected[0], r.output_max[0]};
    return 0.0F;
  }};
  p.scorers.push_back({scoring.policy(), 1});
  EngineDriver d(std::move(p));
  d.add_endpoint(0, 8);
  d.add_endpoint(1, 8);
  Submission s;
  s.flow = "f";
  s.prompt_bytes = 400;
  s.output_max = 100;
  s.choices = 3;
  d.engine->submit(d.now, s);
  d.settle();
  EXPECT_EQ(seen, (std::vector<uint32_t>{300, 300}));
}

}  // namespace
}  // namespace sluice
