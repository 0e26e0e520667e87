#include "core/policy_slot.h"
#include "tests/unit/core/engine_fixture.h"
#include "tests/unit/core/policy_double.h"

namespace sluice {
namespace {

uint32_t first_ready(const sluice_flows& flows, uint64_t*) {
  for (uint32_t slot = 0; slot < flows.slots; ++slot)
    if (flows.ready_bits[slot / 64] >> (slot % 64) & 1) return slot;
  return SLUICE_NONE;
}

TEST(Reconfigure, ParkedRequestsKeepTheirBandByNameTheirOrderAndTheirDeadlines) {
  Pipeline p = three_bands();
  p.bands[2].ttl_ns = 1000;
  EngineDriver d(p);
  d.add_endpoint(0, 1);
  const RequestId running = d.submit({.band = 2});
  const RequestId low = d.submit({.band = 2});
  const RequestId high = d.submit({.band = 0});
  // The same bands in another order of priority, with a new one between them and another TTL.
  Pipeline next = three_bands();
  std::swap(next.bands[0].name, next.bands[2].name);
  next.bands[0].ttl_ns = 99999;
  next.bands.insert(next.bands.begin() + 1, BandConfig{.name = "new", .priority = 50});
  next.default_band = 2;
  next.generation = 1;
  ASSERT_TRUE(d.engine->reconfigure(d.now, next).ok());
  d.settle();
  EXPECT_EQ(d.engine->next_deadline(), d.now + 1000) << "what is parked keeps its deadline";
  d.complete(running);
  EXPECT_EQ(d.dispatched.back(), low.seq) << "sheddable is on top now";
  d.complete(low);
  EXPECT_EQ(d.dispatched.back(), high.seq);
}

TEST(Reconfigure, RequestsOfARemovedBandGoToTheDefaultBandInOrder) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  const RequestId running = d.submit({.flow = "x", .band = 0});
  const RequestId a = d.submit({.flow = "x", .band = 0});
  const RequestId b = d.submit({.flow = "x", .band = 1});
  Pipeline next = three_bands();
  next.bands.erase(next.bands.begin());
  next.default_band = 0;
  next.generation = 1;
  ASSERT_TRUE(d.engine->reconfigure(d.now, next).ok());
  d.settle();
  EXPECT_EQ(d.engine->stats().bands[0].ledger.parked, 2u);
  EXPECT_EQ(d.engine->stats().bands[0].ledger.in_flight, 1u);
  d.complete(running);
  d.complete(a);
  d.complete(b);
  EXPECT_EQ(d.dispatched, (std::vector<uint64_t>{running.seq, a.seq, b.seq}));
}

TEST(Reconfigure, ASubmissionReadByTheOldPipelineFindsItsBandAndTenantInTheNew) {
  Pipeline p = three_bands();
  p.generation = 7;
  p.tenants = {{"gold", 0}, {"silver", 1}};
  EngineDriver d(p);
  Pipeline next = three_bands();
  next.bands.insert(next.bands.begin(), BandConfig{.name = "top", .priority = 500});
  next.default_band = 2;
  next.generation = 8;
  next.tenants = {{"silver", 1}};
  ASSERT_TRUE(d.engine->reconfigure(d.now, next).ok());
  d.add_endpoint(0, 0);
  d.submit({.flow = "s", .band = 0, .tenant = 1, .generation = 7});
  EXPECT_EQ(d.engine->stats().bands[1].ledger.parked, 1u) << "critical, by name";
  const RequestId second = d.submit({.flow = "s2", .band = 1, .tenant = 0, .generation = 8});
  EXPECT_EQ(d.ended[second.seq].reason, Reason::kFlowFull) << "silver's limit is over both numbers";
  d.submit({.flow = "g", .band = 99, .tenant = 99, .generation = 3});
  EXPECT_EQ(d.engine->stats().bands[2].ledger.parked, 1u) << "an unknown one goes to the default";
}

TEST(Reconfigure, RowsOfBeforeAColumnWasDeclaredHoldItsAbsentValue) {
  std::vector<int64_t> ints;
  std::vector<double> floats;
  OrderingDouble ordering{.key = [&](const sluice_requests& r, uint32_t row) {
    ints.push_back(r.ints[0][row]);
    floats.push_back(r.floats[1][row]);
    return r.seq[row];
  }};
  ScorerDouble scorer{
      .score = [&](const sluice_requests& r, const sluice_endpoints& e, uint32_t row) {
        EXPECT_EQ(r.ints[0][0], -7);
        EXPECT_EQ(e.ints[0][row], -9);
        EXPECT_EQ(e.floats[0][row], row == 0 ? 3.0 : 0.25);
        return row == 1 ? 1.0F : 0.0F;
      }};
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  d.add_endpoint(1, 1);
  const RequestId a = d.submit({});
  const RequestId b = d.submit({});
  const RequestId c = d.submit({});
  d.submit({});
  Pipeline next = three_bands();
  next.generation = 1;
  next.bands[0].ordering = ordering.policy();
  next.scorers = {{scorer.policy(), 1}};
  next.request_absent = {.ints = {-7}, .floats = {0, 1.5}};
  next.endpoint_absent = {.ints = {-9}, .floats = {0.25}};
  ASSERT_TRUE(d.engine->reconfigure(d.now, next).ok());
  d.settle();
  EXPECT_EQ(ints, (std::vector<int64_t>{-7, -7}));
  EXPECT_EQ(floats, (std::vector<double>{1.5, 1.5}));
  d.engine->report(d.now, 0, {.taken_ns = d.now, .floats = {3.0}});
  d.engine->set_endpoint(d.now, 0, 0, true);
  d.engine->set_endpoint(d.now, 1, 0, true);
  d.complete(a);
  d.complete(b);
  d.engine->set_class(d.now, 0, {});
  d.engine->set_endpoint(d.now, 0, 1, true);
  d.engine->set_endpoint(d.now, 1, 1, true);
  d.engine->set_class(d.now, 0, {0, 1});
  d.settle();
  EXPECT_EQ(d.where[c.seq], 1u) << "two endpoints had room, so the scorer was asked";
}

TEST(Reconfigure, AFailureChangesNothing) {
  PolicyDouble broken{.pick = first_ready, .heard = {}, .state_fails = true};
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  d.submit({});
  d.submit({});
  Pipeline next = three_bands();
  next.bands.erase(next.bands.begin());
  next.bands[1].fairness = broken.policy();
  const Result<void> result = d.engine->reconfigure(d.now, next);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().find("no room for a state"), std::string::npos) << result.error();
  EXPECT_EQ(d.engine->pipeline().bands.size(), 3u);
  d.settle();
  EXPECT_EQ(d.engine->stats().bands[0].ledger.parked, 1u);
}

TEST(Reconfigure, ANewFairnessPolicyIsToldOfTheLiveFlowsAndNotChargedForOldWork) {
  PolicyDouble listener{.pick = first_ready, .heard = {}};
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  const RequestId running = d.submit({.flow = "a"});
  const RequestId parked = d.submit({.flow = "b"});
  Pipeline next = three_bands();
  next.bands[0].fairness = listener.policy();
  next.generation = 1;
  ASSERT_TRUE(d.engine->reconfigure(d.now, next).ok());
  d.settle();
  const auto count = [&](uint32_t type) {
    return std::ranges::count(listener.heard, type, &sluice_event::type);
  };
  EXPECT_EQ(count(SLUICE_EV_FLOW_ADDED), 2);
  EXPECT_EQ(count(SLUICE_EV_WAITING), 1);
  d.complete(running, {.has_usage = true, .prompt_tokens = 9, .output_tokens = 9});
  d.complete(parked, {.has_usage = true, .prompt_tokens = 200, .output_tokens = 50});
  d.submit({.flow = "c"});
  std::vector<int64_t> settled;
  for (const sluice_event& e : listener.heard)
    if (e.type == SLUICE_EV_COMPLETED) {
      settled.push_back(e.change);
      EXPECT_EQ(e.flags == SLUICE_EVF_INHERITED, e.seq == running.seq);
    }
  EXPECT_EQ(settled, (std::vector<int64_t>{0, 100})) << "the first was never charged to it";

  // The same policy object again: its state goes on and hears nothing twice.
  const auto added = count(SLUICE_EV_FLOW_ADDED);
  next.generation = 2;
  next.bands[0].ttl_ns = 5;
  ASSERT_TRUE(d.engine->reconfigure(d.now, next).ok());
  d.settle();
  EXPECT_EQ(count(SLUICE_EV_FLOW_ADDED), added);
}

TEST(Reconfigure, AnotherOrderingAlonePicksAnotherHeadAndTheFairnessPolicyHearsOfIt) {
  PolicyDouble listener{.pick = first_ready, .heard = {}};
  OrderingDouble shortest{
      .key = [](const sluice_requests& r, uint32_t row) { return uint64_t{r.prompt_tokens[row]}; }};
  Pipeline p = three_bands();
  p.bands[0].fairness = listener.policy();
  const PolicyPtr fairness = p.bands[0].fairness;
  EngineDriver d(p);
  d.add_endpoint(0, 1);
  const RequestId running = d.submit({});
  const RequestId large = d.submit({.prompt = 900});
  const RequestId small = d.submit({.prompt = 10});
  listener.heard.clear();
  Pipeline next = three_bands();
  next.bands[0].fairness = fairness;
  next.bands[0].ordering = shortest.policy();
  next.generation = 1;
  ASSERT_TRUE(d.engine->reconfigure(d.now, next).ok());
  d.settle();
  d.complete(running);
  EXPECT_EQ(d.dispatched.back(), small.seq);
  EXPECT_EQ(std::ranges::count(listener.heard, uint32_t{SLUICE_EV_HEAD}, &sluice_event::type), 1);
  d.complete(small);
  EXPECT_EQ(d.dispatched.back(), large.seq);
}

TEST(Reconfigure, APolicyThatStaysIsStillInQuarantine) {
  PolicyDouble wild{.pick = [](const sluice_flows&, uint64_t*) { return 12345u; }, .heard = {}};
  Pipeline p = three_bands();
  p.bands[0].fairness = wild.policy();
  EngineDriver d(p);
  d.add_endpoint(0, 1000);
  for (int i = 0; i < 8; ++i) d.submit({});
  ASSERT_TRUE(d.engine->stats().policies[1].quarantined);
  p.generation = 1;
  p.bands[0].ttl_ns = 5;
  ASSERT_TRUE(d.engine->reconfigure(d.now, p).ok());
  EXPECT_TRUE(d.engine->stats().policies[1].quarantined);
  EXPECT_EQ(d.engine->stats().policies[1].faults, 8u);
}

TEST(Reconfigure, AnEvictionPolicyThatStaysHearsNothingTwice) {
  EvictionDouble eviction{.pick = [](const sluice_flows&, const sluice_band&, const sluice_need&) {
    return SLUICE_NONE;
  }};
  Pipeline p = three_bands();
  p.bands[0].eviction = eviction.policy();
  EngineDriver d(p);
  d.add_endpoint(0, 1);
  d.submit({.flow = "a"});
  d.submit({.flow = "b"});
  p.generation = 1;
  p.bands[0].ttl_ns = 5;
  ASSERT_TRUE(d.engine->reconfigure(d.now, p).ok());
  d.settle();
  EXPECT_EQ(std::ranges::count(eviction.heard, uint32_t{SLUICE_EV_FLOW_ADDED}, &sluice_event::type),
            2)
      << "each flow once";
}

TEST(Reconfigure, ATenantThatIsAddedKeepsTheStatesAndLimitsItsLiveFlow) {
  PolicyDouble listener{.pick = first_ready, .heard = {}};
  Pipeline p = three_bands();
  p.bands[0].fairness = listener.policy();
  EngineDriver d(p);
  d.add_endpoint(0, 1);
  d.submit({.flow = "x"});
  d.submit({.flow = "x"});
  listener.heard.clear();
  p.tenants = {{"x", 1}};
  p.generation = 1;
  ASSERT_TRUE(d.engine->reconfigure(d.now, p).ok());
  d.settle();
  EXPECT_EQ(std::ranges::count(listener.heard, uint32_t{SLUICE_EV_FLOW_ADDED}, &sluice_event::type),
            0);
  const RequestId third = d.submit({.flow = "x", .tenant = 0, .generation = 1});
  EXPECT_EQ(d.ended[third.seq].reason, Reason::kFlowFull);
}

TEST(PolicySlot, AReportedFaultCountsLikeAnIllegalAnswer) {
  PolicyDouble reporter{.pick =
                            [](const sluice_flows& f, uint64_t* r) {
                              report_fault("lost its books");
                              return first_ready(f, r);
                            },
                        .heard = {}};
  Pipeline p = three_bands();
  p.bands[0].fairness = reporter.policy();
  EngineDriver d(p);
  d.add_endpoint(0, 1000);
  for (int i = 0; i < 8; ++i) d.submit({});
  const auto policy = d.engine->stats().policies[1];
  EXPECT_TRUE(policy.quarantined);
  EXPECT_NE(policy.last_fault.find("lost its books"), std::string::npos) << policy.last_fault;
  report_fault("nobody is being called");  // ignored
  d.submit({});
  EXPECT_EQ(d.engine->stats().policies[1].faults, 8u);
}

TEST(PolicySlot, AnOrderingInQuarantineLeavesItsKeysBehind) {
  bool wild = false;
  OrderingDouble ordering{.key = [&](const sluice_requests& r, uint32_t row) {
    if (wild) throw 1;
    return uint64_t{r.prompt_tokens[row]};
  }};
  Pipeline p = three_bands();
  p.bands[0].ordering = ordering.policy();
  EngineDriver d(p);
  d.add_endpoint(0, 1);
  RequestId running = d.submit({});
  const RequestId first = d.submit({.prompt = 900});
  const RequestId second = d.submit({.prompt = 10});
  wild = true;
  for (int i = 0; i < 8; ++i) d.submit({.prompt = 500});
  ASSERT_TRUE(d.engine->stats().policies[0].quarantined);
  d.complete(running);
  EXPECT_EQ(d.dispatched.back(), first.seq) << "in the order of arrival now";
  d.complete(first);
  EXPECT_EQ(d.dispatched.back(), second.seq);
}

TEST(PolicySlot, IllegalPicksFallBackAndEndInQuarantineUntilReleased) {
  bool legal = false;
  PolicyDouble wild{.pick = [&](const sluice_flows& f,
                                uint64_t* r) { return legal ? first_ready(f, r) : 12345u; },
                    .heard = {}};
  Pipeline p = three_bands();
  p.bands[0].fairness = wild.policy();
  EngineDriver d(p);
  d.add_endpoint(0, 1000);
  for (int i = 0; i < 7; ++i) d.submit({});
  const auto policy = [&] { return d.engine->stats().policies[1]; };
  EXPECT_EQ(d.dispatched.size(), 7u) << "served all the same";
  EXPECT_EQ(policy().faults, 7u);
  EXPECT_FALSE(policy().quarantined);
  d.submit({});
  EXPECT_TRUE(policy().quarantined);
  EXPECT_NE(policy().last_fault.find("not ready"), std::string::npos);
  d.submit({});
  EXPECT_EQ(policy().faults, 8u) << "it is not asked any more";
  legal = true;
  EXPECT_FALSE(d.engine->release_policy(d.now, "sluice/other"));
  EXPECT_TRUE(d.engine->release_policy(d.now, "test/double"));
  d.submit({});
  EXPECT_EQ(policy().faults, 8u);
  EXPECT_FALSE(policy().quarantined);
}

TEST(PolicySlot, FaultsFarApartAreForgiven) {
  PolicyDouble wild{.pick = [](const sluice_flows&, uint64_t*) { return 12345u; }, .heard = {}};
  Pipeline p = three_bands();
  p.bands[0].fairness = wild.policy();
  EngineDriver d(p);
  d.add_endpoint(0, 1000);
  for (int i = 0; i < 40; ++i) {
    d.submit({});
    d.advance(2'000'000'000);
  }
  EXPECT_FALSE(d.engine->stats().policies[1].quarantined);
}

TEST(PolicySlot, AThrowingPickIsAFault) {
  PolicyDouble wild{.pick = [](const sluice_flows&, uint64_t*) -> uint32_t { throw 1; },
                    .heard = {}};
  Pipeline p = three_bands();
  p.bands[0].fairness = wild.policy();
  EngineDriver d(p);
  d.add_endpoint(0, 1);
  d.submit({});
  EXPECT_EQ(d.dispatched.size(), 1u);
  EXPECT_EQ(d.engine->stats().policies[1].faults, 1u);
}

TEST(PolicySlot, AnIdlingPolicyIsAskedAgainWhenItSaid) {
  TimeNs opens = 0;
  EngineDriver* driver = nullptr;
  PolicyDouble idler{.pick =
                         [&](const sluice_flows& f, uint64_t* retry) {
                           if (driver->now >= opens) return first_ready(f, retry);
                           *retry = opens;
                           return SLUICE_NONE;
                         },
                     .heard = {},
                     .flags = SLUICE_MAY_IDLE};
  Pipeline p = three_bands();
  p.bands[0].fairness = idler.policy();
  EngineDriver d(p);
  driver = &d;
  opens = d.now + 500;
  d.add_endpoint(0, 1);
  d.submit({});
  EXPECT_TRUE(d.dispatched.empty());
  EXPECT_EQ(d.engine->next_deadline(), opens);
  d.advance(500);
  EXPECT_EQ(d.dispatched.size(), 1u);
  EXPECT_EQ(d.engine->stats().policies[1].faults, 0u);
}

TEST(PolicySlot, AnIdlingPolicyWhoseWorkIsGoneIsNotAskedAgain) {
  PolicyDouble idler{.pick =
                         [](const sluice_flows& f, uint64_t* retry) {
                           *retry = f.now_ns + 500;
                           return SLUICE_NONE;
                         },
                     .heard = {},
                     .flags = SLUICE_MAY_IDLE};
  Pipeline p = three_bands();
  p.bands[0].fairness = idler.policy();
  p.bands[1].ttl_ns = 9000;
  EngineDriver d(p);
  d.add_endpoint(0, 1);
  const RequestId idle = d.submit({});
  EXPECT_EQ(d.engine->next_deadline(), d.now + 500);
  d.engine->cancel(d.now, idle);
  d.submit({.band = 1});
  d.submit({.band = 1});
  EXPECT_EQ(d.engine->next_deadline(), d.now + 9000) << "what is next is the other band's TTL";
}

}  // namespace
}  // namespace sluice
