// What is kept back although endpoints have room: size, ceilings, better endpoints.
#include <gtest/gtest.h>

#include "tests/unit/core/engine_fixture.h"
#include "tests/unit/core/policy_double.h"

namespace sluice {
namespace {

class Holding : public ::testing::Test {
 protected:
  void add(EngineDriver& d, uint32_t slot, uint64_t tokens, uint32_t requests = kNone) {
    EndpointLimits limits(requests);
    limits.tokens = tokens;
    d.members.push_back(slot);
    d.engine->set_endpoint(d.now, slot, limits, true);
    d.engine->set_class(d.now, slot + 1, {slot});
    d.engine->set_class(d.now, 0, d.members);
    d.settle();
  }
  static bool dispatched(const EngineDriver& d, RequestId id) {
    return std::ranges::count(d.dispatched, id.seq) != 0;
  }
  static EngineDriver::Ask ask(std::string flow, uint32_t band, uint32_t tokens) {
    return {.flow = std::move(flow), .band = band, .prompt = tokens, .output = 0};
  }
};

TEST_F(Holding, TokensInFlightAreBounded) {
  EngineDriver d(three_bands());
  add(d, 0, 1000);
  const RequestId a = d.submit(ask("a", 1, 600));
  const RequestId b = d.submit(ask("b", 1, 500));
  EXPECT_TRUE(dispatched(d, a));
  EXPECT_FALSE(dispatched(d, b));
  EXPECT_EQ(d.engine->stats().endpoints[0].in_flight_tokens, 600u);
  EXPECT_TRUE(d.engine->stats().endpoints[0].earmarked);
  d.complete(a);
  EXPECT_TRUE(dispatched(d, b));
  EXPECT_FALSE(d.engine->stats().endpoints[0].earmarked);
}

TEST_F(Holding, WhatIsLargerThanTheWholeGoesWhereNothingElseIs) {
  EngineDriver d(three_bands());
  add(d, 0, 1000);
  const RequestId small = d.submit(ask("a", 1, 10));
  const RequestId huge = d.submit(ask("b", 1, 30'000));
  EXPECT_FALSE(dispatched(d, huge));
  d.complete(small);
  EXPECT_TRUE(dispatched(d, huge));
}

// ---- prompts whose answers have not begun ----

class Prompts : public Holding {
 protected:
  Prompts() : d(three_bands()) { add_limited(0, 1); }
  void add_limited(uint32_t slot, uint64_t prefill_tokens) {
    d.add_endpoint(slot, 8);
    EndpointLimits limits(8);
    limits.prefill_tokens = prefill_tokens;
    d.engine->set_endpoint(d.now, slot, limits, true);
    d.settle();
  }
  RequestId stream(uint32_t band = 1, ClassId eligible = 0) {
    return d.submit({.flow = "f", .band = band, .eligible = eligible, .streams = true});
  }
  EngineDriver d;
};

TEST_F(Prompts, TheNextGoesWhenTheAnswerBeforeItBegins) {
  const RequestId a = stream(), b = stream();
  EXPECT_TRUE(dispatched(d, a));
  EXPECT_FALSE(dispatched(d, b));
  EXPECT_EQ(d.engine->stats().endpoints[0].prefill_tokens, 100u);
  d.progress(a, 1);
  EXPECT_TRUE(dispatched(d, b));
  d.progress(a, 2);  // only the first counts
  const RequestId c = stream();
  EXPECT_FALSE(dispatched(d, c));
}

TEST_F(Prompts, WhoIsMoreUrgentStillOvertakes) {
  const RequestId first = stream();
  const RequestId ordinary = stream(1), critical = stream(0);
  d.progress(first, 1);
  EXPECT_TRUE(dispatched(d, critical));
  EXPECT_FALSE(dispatched(d, ordinary));
}

TEST_F(Prompts, EveryEndOfOneMakesRoomForTheNext) {
  const RequestId broken = stream();
  EXPECT_TRUE(d.engine->requeue(d.now, broken, Engine::Requeue::kRejected));
  d.settle();
  EXPECT_EQ(d.engine->stats().endpoints[0].prefill_tokens, 0u);
  d.advance(10'000'000'000);  // past the pause
  EXPECT_EQ(d.engine->stats().endpoints[0].prefill_tokens, 100u);
  const RequestId next = stream();
  d.complete(broken, {.outcome = Outcome::kClientGone});
  EXPECT_TRUE(dispatched(d, next));
}

TEST_F(Prompts, AnswersInOnePieceDoNotCount) {
  const RequestId a = d.submit({.flow = "f", .band = 1}), b = stream();
  EXPECT_TRUE(dispatched(d, a));
  EXPECT_TRUE(dispatched(d, b));
  EXPECT_FALSE(dispatched(d, d.submit({.flow = "f", .band = 1})));  // but they wait for room
}

TEST_F(Prompts, SeveralGoTogetherWithinTheLimit) {
  add_limited(1, 250);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(dispatched(d, stream(1, 2)));
  EXPECT_FALSE(dispatched(d, stream(1, 2)));
}

TEST_F(Prompts, TheyMoveWithTheirRequest) {
  add_limited(1, 1);
  const RequestId a = stream(1, 1);
  EXPECT_TRUE(d.engine->served_by(d.now, a, 1));
  d.settle();
  EXPECT_TRUE(dispatched(d, stream(1, 1)));
  EXPECT_FALSE(dispatched(d, stream(1, 2)));
}

// A server that takes requests and never answers must not keep the others from its slots for ever.
TEST_F(Prompts, AnAnswerThatNeverBeginsKeepsNobodyBackForLong) {
  const RequestId hung = stream(), next = stream(), last = stream();
  EXPECT_LE(d.engine->next_deadline(), d.now + 30'000'000'000);
  d.advance(29'999'999'999);
  EXPECT_FALSE(dispatched(d, next));
  d.advance(1);
  EXPECT_TRUE(dispatched(d, next));
  EXPECT_FALSE(dispatched(d, last));
  d.progress(hung, 1);
  EXPECT_FALSE(dispatched(d, last));
  d.complete(hung);
  d.progress(next, 1);
  EXPECT_TRUE(dispatched(d, last));
}

TEST_F(Prompts, AChangedLimitActsAtOnce) {
  stream();
  const RequestId b = stream();
  EXPECT_FALSE(dispatched(d, b));
  d.engine->set_endpoint(d.now, 0, EndpointLimits(8), true);
  d.settle();
  EXPECT_TRUE(dispatched(d, b));
}

// A request that an endpoint is emptied for also waits for the prompts there, and is not forgotten.
TEST_F(Prompts, WhoIsKeptBackForSizeGoesOnceTheyAreDone) {
  EndpointLimits limits(8);
  limits.tokens = 1000;
  limits.prefill_tokens = 1;
  d.engine->set_endpoint(d.now, 0, limits, true);
  const auto sized = [](uint32_t tokens) {
    return EngineDriver::Ask{
        .flow = "f", .band = 1, .prompt = tokens, .output = 0, .streams = true};
  };
  const RequestId a = d.submit(sized(300));
  d.progress(a, 1);
  const RequestId b = d.submit(sized(300));
  const RequestId large = d.submit(sized(600));
  EXPECT_FALSE(dispatched(d, large));
  d.complete(a);
  EXPECT_FALSE(dispatched(d, large));
  d.progress(b, 1);
  EXPECT_TRUE(dispatched(d, large));
}

// The must of the design: small work of lower bands does not pass a large head for ever.
TEST_F(Holding, SmallSheddableWorkNeverPassesALargeCriticalHeadForEver) {
  EngineDriver d(three_bands());
  add(d, 0, 32'000);
  add(d, 1, 32'000);
  std::vector<RequestId> flying;
  for (int i = 0; i < 400; ++i) flying.push_back(d.submit(ask("small", 2, 500)));
  const RequestId large = d.submit(ask("large", 0, 30'000));
  int completions = 0;
  for (size_t i = 0; i < flying.size() && !dispatched(d, large); ++i) {
    if (!dispatched(d, flying[i])) continue;
    d.submit(ask("small", 2, 500));  // there is always more of it
    d.complete(flying[i]);
    ++completions;
  }
  EXPECT_TRUE(dispatched(d, large));
  // As long as the one endpoint needs to have 30,000 of its tokens free, and the other is not idle.
  EXPECT_LE(completions, 2 * 60);
  const Stats stats = d.engine->stats();
  EXPECT_GE(stats.holds_size, 1u);
  EXPECT_GT(stats.total.dispatches, 128u) << "the other endpoint went on";
}

TEST_F(Holding, NothingLaterInTheSameBandTakesWhatIsBeingEmptied) {
  EngineDriver d(three_bands());
  add(d, 0, 1000);
  const RequestId a = d.submit(ask("a", 1, 500)), b = d.submit(ask("b", 1, 300));
  const RequestId large = d.submit(ask("large", 1, 900));
  const RequestId small = d.submit(ask("small", 1, 100));
  EXPECT_FALSE(dispatched(d, small)) << "100 tokens would have been free";
  d.complete(a);
  EXPECT_FALSE(dispatched(d, small));
  d.complete(b);
  EXPECT_TRUE(dispatched(d, large));
  EXPECT_TRUE(dispatched(d, small));
}

TEST_F(Holding, AHigherBandTakesWhatIsBeingEmptiedForALowerOne) {
  EngineDriver d(three_bands());
  add(d, 0, 1000);
  d.submit(ask("a", 1, 500));
  const RequestId large = d.submit(ask("large", 1, 900));
  const RequestId critical = d.submit(ask("c", 0, 400));
  EXPECT_TRUE(dispatched(d, critical));
  EXPECT_FALSE(dispatched(d, large));
  EXPECT_TRUE(d.engine->stats().endpoints[0].earmarked) << "and it goes on being emptied";
}

TEST_F(Holding, ALargeHeadGoesElsewhereIfThatIsFreeFirst) {
  EngineDriver d(three_bands());
  add(d, 0, 1000);
  add(d, 1, 1000);
  d.submit({.flow = "a", .band = 1, .eligible = 1, .prompt = 500, .output = 0});
  const RequestId other =
      d.submit({.flow = "b", .band = 1, .eligible = 2, .prompt = 600, .output = 0});
  const RequestId large = d.submit(ask("large", 1, 900));
  d.complete(other);  // endpoint 0 had more room, and is the one kept for it
  EXPECT_EQ(d.where.at(large.seq), 1u);
  EXPECT_FALSE(d.engine->stats().endpoints[0].earmarked);
}

TEST_F(Holding, AnEarmarkEndsWithItsRequest) {
  EngineDriver d(three_bands());
  add(d, 0, 1000);
  d.submit(ask("a", 1, 500));
  const RequestId large = d.submit(ask("large", 1, 900));
  const RequestId small = d.submit(ask("small", 1, 100));
  d.engine->cancel(d.now, large);
  d.settle();
  EXPECT_TRUE(dispatched(d, small));
  EXPECT_FALSE(d.engine->stats().endpoints[0].earmarked);
}

TEST_F(Holding, AStreamThatGrowsTakesMoreAndOnlyBlocks) {
  EngineDriver d(three_bands());
  add(d, 0, 1000);
  const RequestId a = d.submit(ask("a", 1, 600));
  d.engine->progress(d.now, a, 700);
  d.settle();
  EXPECT_EQ(d.engine->stats().endpoints[0].in_flight_tokens, 1300u);
  const RequestId b = d.submit(ask("b", 1, 1));
  EXPECT_FALSE(dispatched(d, b));
  d.complete(a, {.has_usage = true, .prompt_tokens = 600, .output_tokens = 700});
  EXPECT_TRUE(dispatched(d, b));
}

TEST_F(Holding, CeilingsAreNested) {
  Pipeline p = three_bands();
  p.bands[1].ceiling = 0.75;
  p.bands[2].ceiling = 0.5;
  EngineDriver d(std::move(p));
  d.add_endpoint(0, 8);
  std::vector<RequestId> sheddable, normal, critical;
  for (int i = 0; i < 8; ++i) sheddable.push_back(d.submit({.band = 2}));
  EXPECT_EQ(d.dispatched.size(), 4u);
  for (int i = 0; i < 8; ++i) normal.push_back(d.submit({.band = 1}));
  EXPECT_EQ(d.dispatched.size(), 6u) << "its own and those below count";
  for (int i = 0; i < 8; ++i) critical.push_back(d.submit({.band = 0}));
  EXPECT_EQ(d.dispatched.size(), 8u);
  d.complete(sheddable[0]);
  EXPECT_TRUE(dispatched(d, critical[2])) << "strict priority comes first";
  EXPECT_GE(d.engine->stats().passes_ceiling, 2u);
  EXPECT_FALSE(dispatched(d, sheddable[4]));
}

TEST_F(Holding, ACeilingLeavesAtLeastOne) {
  Pipeline p = three_bands();
  p.bands[2].ceiling = 0.01;
  EngineDriver d(std::move(p));
  d.add_endpoint(0, 8);
  const RequestId a = d.submit({.band = 2}), b = d.submit({.band = 2});
  EXPECT_TRUE(dispatched(d, a));
  EXPECT_FALSE(dispatched(d, b));
}

TEST_F(Holding, ACeilingIsAShareOfTokensAsWell) {
  Pipeline p = three_bands();
  p.bands[2].ceiling = 0.5;
  EngineDriver d(std::move(p));
  add(d, 0, 10'000, 100);
  const RequestId a = d.submit(ask("a", 2, 5000)), b = d.submit(ask("a", 2, 100));
  EXPECT_TRUE(dispatched(d, a));
  EXPECT_FALSE(dispatched(d, b)) << "half of the tokens are taken, and few of the requests";
  EXPECT_TRUE(dispatched(d, d.submit(ask("a", 1, 5000))));
  d.complete(a);
  EXPECT_TRUE(dispatched(d, b));
}

// What a broken endpoint has in flight is not a part of the others' room.
TEST_F(Holding, AnEndpointThatBrokeTakesNothingOfACeiling) {
  Pipeline p = three_bands();
  p.bands[2].ceiling = 0.5;
  EngineDriver d(std::move(p));
  d.add_endpoint(0, 8);
  d.add_endpoint(1, 8);
  for (int i = 0; i < 8; ++i) d.submit({.band = 2, .eligible = 1});
  ASSERT_EQ(d.dispatched.size(), 8u);
  const RequestId next = d.submit({.band = 2, .eligible = 2});
  EXPECT_FALSE(dispatched(d, next));
  d.engine->set_endpoint(d.now, 0, 8, false);
  d.settle();
  EXPECT_TRUE(dispatched(d, next));
}

TEST_F(Holding, AHeadAtACeilingWaitsNoLongerForABetterEndpointThanSaid) {
  Pipeline p = three_bands();
  ScorerDouble scoring{.score = [](const sluice_requests&, const sluice_endpoints& e,
                                   uint32_t row) { return e.slot[row] == 0 ? 1.0F : 0.1F; }};
  p.scorers.push_back({scoring.policy(), 1});
  p.wait_for_better = {.min_gain = 0.5, .wait_max_ns = 100};
  p.bands[2].ceiling = 0.5;
  EngineDriver d(std::move(p));
  d.add_endpoint(0, 1);
  d.add_endpoint(1, 3);
  d.submit({.band = 2});  // takes the better one
  const RequestId waits = d.submit({.flow = "g", .band = 2});
  EXPECT_FALSE(dispatched(d, waits));
  d.submit({.flow = "h", .band = 2, .eligible = 2});
  d.advance(100);
  EXPECT_FALSE(dispatched(d, waits)) << "the ceiling";
  EXPECT_GT(d.engine->next_deadline(), d.now);
}

// One that is busy with prompts will have room sooner than one that is full.
TEST_F(Holding, ABetterEndpointIsWaitedForThatIsBusyWithPrompts) {
  Pipeline p = three_bands();
  ScorerDouble scoring{.score = [](const sluice_requests&, const sluice_endpoints& e,
                                   uint32_t row) { return e.slot[row] == 0 ? 1.0F : 0.1F; }};
  p.scorers.push_back({scoring.policy(), 1});
  p.wait_for_better = {.min_gain = 0.5, .wait_max_ns = 100};
  EngineDriver d(std::move(p));
  d.add_endpoint(0, 8);
  d.add_endpoint(1, 8);
  EndpointLimits limits(8);
  limits.prefill_tokens = 1;
  d.engine->set_endpoint(d.now, 0, limits, true);
  d.settle();
  const auto stream = [&](const char* flow) {
    return d.submit({.flow = flow, .band = 1, .streams = true});
  };
  const RequestId first = stream("f"), second = stream("g");
  EXPECT_FALSE(dispatched(d, second));
  d.progress(first, 1);
  EXPECT_EQ(d.where.at(second.seq), 0u);
  const RequestId third = stream("h");
  EXPECT_FALSE(dispatched(d, third));
  d.advance(100);
  EXPECT_EQ(d.where.at(third.seq), 1u) << "not for longer than said";
}

// The bounds that a band holds for are those of its fairness policy: nobody goes first.
TEST_F(Holding, ABandThatHoldsWaitsForABetterEndpointAsAWhole) {
  Pipeline p = three_bands();
  ScorerDouble scoring{.score = [](const sluice_requests&, const sluice_endpoints& e,
                                   uint32_t row) { return e.slot[row] == 0 ? 1.0F : 0.1F; }};
  p.scorers.push_back({scoring.policy(), 1});
  p.wait_for_better = {.min_gain = 0.5, .wait_max_ns = 100};
  p.bands[1].hold_when_blocked = true;
  EngineDriver d(std::move(p));
  d.add_endpoint(0, 1);
  d.add_endpoint(1, 1);
  d.submit({.band = 1});
  const RequestId waits = d.submit({.flow = "g", .band = 1});
  const RequestId later = d.submit({.flow = "h", .band = 1, .eligible = 2});
  EXPECT_FALSE(dispatched(d, waits) || dispatched(d, later));
  d.advance(100);
  EXPECT_EQ(d.where.at(waits.seq), 1u);
}

TEST_F(Holding, AnEarmarkEndsWhenItsEndpointLeavesTheClass) {
  EngineDriver d(three_bands());
  add(d, 0, 1000);
  add(d, 1, 1000);
  const RequestId a = d.submit(ask("a", 1, 600)), b = d.submit(ask("b", 1, 700));
  const RequestId large = d.submit(ask("large", 1, 900));
  const uint32_t earmarked = d.engine->stats().endpoints[0].earmarked ? 0 : 1;
  d.engine->set_class(d.now, 0, {1 - earmarked});
  d.settle();
  EXPECT_FALSE(d.engine->stats().endpoints[earmarked].earmarked);
  EXPECT_TRUE(d.engine->stats().endpoints[1 - earmarked].earmarked);
  d.complete(d.where.at(a.seq) == earmarked ? b : a);
  EXPECT_EQ(d.where.at(large.seq), 1 - earmarked);
}

TEST_F(Holding, EachHeadThatIsHeldCountsOnce) {
  EngineDriver d(three_bands());
  add(d, 0, 1000);
  std::vector<RequestId> flying;
  for (int i = 0; i < 4; ++i) flying.push_back(d.submit(ask("a", 1, 200)));
  d.submit(ask("large", 2, 900));
  for (const RequestId id : flying) {
    d.complete(id);
    d.submit(ask("a", 1, 200));  // a higher band takes back what is being emptied
  }
  EXPECT_EQ(d.engine->stats().holds_size, 1u);
}

// Slot 0 is always the better one by far.
ScorerDouble first_is_best() {
  return {.score = [](const sluice_requests&, const sluice_endpoints& e, uint32_t row) {
    return e.slot[row] == 0 ? 1.0F : 0.1F;
  }};
}

TEST_F(Holding, ABetterEndpointIsWorthAWaitButNoLongerThanSaid) {
  Pipeline p = three_bands();
  ScorerDouble scoring = first_is_best();
  p.scorers.push_back({scoring.policy(), 1});
  p.wait_for_better = {.min_gain = 0.5, .wait_max_ns = 100};
  EngineDriver d(std::move(p));
  d.add_endpoint(0, 1);
  d.add_endpoint(1, 1);
  const RequestId a = d.submit({}), b = d.submit({});
  EXPECT_EQ(d.where.at(a.seq), 0u);
  EXPECT_FALSE(dispatched(d, b)) << "endpoint 1 is free, but endpoint 0 is better";
  EXPECT_EQ(d.engine->next_deadline(), d.now + 100);
  d.complete(a);
  EXPECT_EQ(d.where.at(b.seq), 0u);
  const RequestId c = d.submit({});
  d.advance(99);
  EXPECT_FALSE(dispatched(d, c));
  d.advance(1);
  EXPECT_EQ(d.where.at(c.seq), 1u) << "its time is up";
  EXPECT_EQ(d.engine->stats().holds_better, 2u);
}

TEST_F(Holding, ASmallGainIsNotWaitedFor) {
  Pipeline p = three_bands();
  ScorerDouble scoring = first_is_best();
  p.scorers.push_back({scoring.policy(), 1});
  p.wait_for_better = {.min_gain = 0.95, .wait_max_ns = 100};
  EngineDriver d(std::move(p));
  d.add_endpoint(0, 1);
  d.add_endpoint(1, 1);
  d.submit({});
  EXPECT_EQ(d.where.at(d.submit({}).seq), 1u);
}

TEST_F(Holding, AReloadLetsGoOfAllThatIsHeld) {
  EngineDriver d(three_bands());
  add(d, 0, 1000);
  d.submit(ask("a", 1, 500));
  const RequestId large = d.submit(ask("large", 1, 900));
  Pipeline next = three_bands();
  next.bands.erase(next.bands.begin() + 1);
  next.default_band = 1;
  ASSERT_TRUE(d.engine->reconfigure(d.now, std::move(next)).ok());
  d.settle();
  EXPECT_FALSE(dispatched(d, large));
  EXPECT_TRUE(d.engine->stats().endpoints[0].earmarked);
}

// ---- what a request costs ----

TEST_F(Holding, WhatIsBilledIsWhatWasSeen) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 8);
  const auto served = [&] { return d.engine->stats().total.served_cost; };
  const RequestId whole = d.submit({.prompt = 100, .output = 50});
  d.complete(whole, {.has_usage = true, .prompt_tokens = 90, .output_tokens = 10});
  EXPECT_EQ(served(), 90u + 2 * 10);
  const RequestId cut = d.submit({.prompt = 100, .output = 50});
  d.complete(cut, {.outcome = Outcome::kUpstreamError, .output_events = 7});
  EXPECT_EQ(served(), 110u + 100 + 2 * 7);
  const RequestId cancelled = d.submit({.prompt = 100, .output = 50});
  d.complete(cancelled, {.outcome = Outcome::kClientGone, .output_events = 3});
  EXPECT_EQ(served(), 224u + 100 + 2 * 3);
  const RequestId failed = d.submit({.prompt = 100, .output = 50});
  d.complete(failed, {.outcome = Outcome::kUpstreamError});
  EXPECT_EQ(served(), 330u) << "nothing came: nothing is owed";
  const RequestId early = d.submit({.prompt = 100, .output = 50});
  d.advance(1'000'000'000);
  d.complete(early, {.outcome = Outcome::kClientGone, .is_stream = true});
  EXPECT_EQ(served(), 330u) << "a stream that had not begun";
  const RequestId again = d.submit({.prompt = 100, .output = 50});
  d.engine->requeue(d.now, again, Engine::Requeue::kBroken);
  d.settle();
  d.complete(again, {.output_events = 5});
  EXPECT_EQ(served(), 330u + 100 + 2 * 5);
  const RequestId error = d.submit({.prompt = 100, .output = 50});
  d.complete(error, {.made_nothing = true});
  const RequestId empty = d.submit({.prompt = 100, .output = 50});
  d.complete(empty, {.is_stream = true});
  EXPECT_EQ(served(), 440u) << "an error, and a stream without an event";
  const RequestId revoked = d.submit({.prompt = 100, .output = 50});
  d.engine->drain_now(d.now);
  d.advance(1'000'000'000);
  d.engine->requeue(d.now, revoked, Engine::Requeue::kRejected);
  d.settle();
  EXPECT_EQ(served(), 440u) << "taken back, and the server had refused it";
}

// What is known when it is dispatched counts, not what was when it came.
TEST_F(Holding, AnEstimateIsRenewedForWhatWaitedLong) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  const auto submit = [&] {
    Submission s;
    s.flow = "f";
    s.prompt_bytes = 400;
    const RequestId id = d.engine->submit(d.now, s);
    d.settle();
    return id;
  };
  const RequestId first = submit();
  submit();
  d.advance(10'000'000'000);
  d.complete(first, {.has_usage = true, .prompt_tokens = 100, .output_tokens = 2000});
  EXPECT_EQ(d.engine->stats().endpoints[0].in_flight_tokens, 2100u);
}

// Whoever leaves before an answer that comes in one piece pays for what was probably made of it.
TEST_F(Holding, LeavingAnAnswerInOnePieceIsNoFreeService) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  for (int i = 0; i < 300; ++i) {
    const RequestId id = d.submit({.prompt = 100, .output = 50});
    d.advance(50 * 10'000'000);
    d.complete(id, {.has_usage = true, .prompt_tokens = 100, .output_tokens = 50});
  }
  const uint64_t before = d.engine->stats().total.served_cost;
  const RequestId id = d.submit({.prompt = 100, .output = 50});
  d.advance(30 * 10'000'000);
  d.complete(id, {.outcome = Outcome::kClientGone});
  EXPECT_NEAR(static_cast<double>(d.engine->stats().total.served_cost - before), 100 + 2 * 30, 3);
}

}  // namespace
}  // namespace sluice
