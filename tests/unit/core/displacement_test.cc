// Who leaves a full queue: what the engine asks of eviction policies, and what it makes of the
// answers.

#include <functional>
#include <optional>

#include "core/limits.h"
#include "tests/unit/core/engine_fixture.h"
#include "tests/unit/core/policy_double.h"

namespace sluice {
namespace {

// The lowest slot with something parked.
uint32_t first_holder(const sluice_flows& flows, const sluice_band&, const sluice_need&) {
  for (uint32_t slot = 0; slot < flows.slots; ++slot)
    if (flows.parked[slot] != 0) return slot;
  return SLUICE_NONE;
}

// Three bands that evict by POLICY, an endpoint that never has room.
class Full {
 public:
  explicit Full(const PolicyPtr& policy, const std::function<void(Pipeline&)>& limits)
      : pipeline(three_bands()) {
    for (BandConfig& band : pipeline.bands) band.eviction = policy;
    limits(pipeline);
    driver.emplace(pipeline);
    driver->add_endpoint(0, 0);
  }
  RequestId submit(uint32_t band, uint64_t bytes = 100, const std::string& flow = "f") {
    return driver->submit({.flow = flow,
                           .band = band,
                           .bytes = bytes,
                           .generation = driver->engine->pipeline().generation});
  }
  void reload(const std::function<void(Pipeline&)>& change) {
    ++pipeline.generation;
    change(pipeline);
    ASSERT_TRUE(driver->engine->reconfigure(driver->now, pipeline).ok());
    driver->settle();
  }
  bool ended(RequestId id) const { return driver->ended.count(id.seq) != 0; }
  Reason reason(RequestId id) { return driver->ended[id.seq].reason; }
  size_t gone() const { return driver->ended.size(); }

  Pipeline pipeline;
  std::optional<EngineDriver> driver;
};

TEST(Displacement, TheLowestBandGivesWayFirstAndTheNewestOfTheFlowThere) {
  EvictionDouble any{.pick = first_holder};
  Full f(any.policy(), [](Pipeline& p) { p.requests_max = 3; });
  const RequestId mid = f.submit(1), low1 = f.submit(2), low2 = f.submit(2);
  EXPECT_FALSE(f.ended(f.submit(0)));
  EXPECT_TRUE(f.ended(low2));
  EXPECT_EQ(f.reason(low2), Reason::kEvictedPriority);
  f.submit(0);
  EXPECT_TRUE(f.ended(low1));
  f.submit(0);
  EXPECT_TRUE(f.ended(mid));
  EXPECT_EQ(f.gone(), 3u);
}

TEST(Displacement, AFullBandIsRelievedInsideItself) {
  EvictionDouble any{.pick = first_holder};
  Full f(any.policy(), [](Pipeline& p) { p.bands[0].requests_max = 2; });
  f.submit(2);
  const RequestId a = f.submit(0, 100, "a"), b = f.submit(0, 100, "b");
  EXPECT_FALSE(f.ended(f.submit(0, 100, "c")));
  EXPECT_EQ(f.gone(), 1u);
  EXPECT_TRUE(f.ended(a) || f.ended(b));
  EXPECT_EQ(f.reason(f.ended(a) ? a : b), Reason::kEvictedPressure);
}

TEST(Displacement, BytesMayCostSeveralVictimsAndTheyRelieveBandAndHost) {
  std::vector<uint64_t> needs;
  EvictionDouble any{
      .pick = [&](const sluice_flows& flows, const sluice_band& band, const sluice_need& need) {
        EXPECT_EQ(need.reason, uint32_t{SLUICE_NEED_BYTES});
        EXPECT_EQ(need.newcomer->bytes[0], 900u);
        needs.push_back(need.bytes);
        return first_holder(flows, band, need);
      }};
  Full f(any.policy(), [](Pipeline& p) {
    p.bands[0].bytes_max = 1000;
    p.bytes_max = 2000;
  });
  for (int i = 0; i < 4; ++i) f.submit(2, 250);
  for (int i = 0; i < 4; ++i) f.submit(0, 250);
  const RequestId big = f.submit(0, 900);
  EXPECT_FALSE(f.ended(big));
  EXPECT_EQ(f.gone(), 4u) << "900 bytes in its own band are four of 250, which the host needed too";
  EXPECT_EQ(needs, (std::vector<uint64_t>{900, 650, 400, 150}));
  EXPECT_EQ(f.driver->engine->stats().bands[2].ledger.parked, 4u);
}

TEST(Displacement, NobodyIsEvictedIfItIsNotEnough) {
  int asked = 0;
  EvictionDouble two{
      .pick = [&](const sluice_flows& flows, const sluice_band& band, const sluice_need& need) {
        return asked++ < 2 ? first_holder(flows, band, need) : SLUICE_NONE;
      }};
  Full f(two.policy(), [](Pipeline& p) { p.bytes_max = 1000; });
  for (int i = 0; i < 10; ++i) f.submit(2, 100);
  const RequestId big = f.submit(0, 500);
  EXPECT_EQ(f.gone(), 1u);
  EXPECT_EQ(f.reason(big), Reason::kBytesFull);
  EXPECT_GE(asked, 3);
}

TEST(Displacement, TheLargestKeyLeavesAndTheNewestOfEqualOnes) {
  EvictionDouble keyed{.pick = first_holder,
                       .key = [](const sluice_requests& r, uint32_t row) { return r.bytes[row]; }};
  Full f(keyed.policy(), [](Pipeline& p) { p.requests_max = 4; });
  f.submit(2, 100);
  const RequestId old = f.submit(2, 300), fresh = f.submit(2, 300);
  f.submit(2, 200);
  f.submit(0);
  EXPECT_TRUE(f.ended(fresh));
  f.submit(0);
  EXPECT_TRUE(f.ended(old));
}

TEST(Displacement, ANewcomerCostsAtMostSoMany) {
  EvictionDouble any{.pick = first_holder};
  Full f(any.policy(), [](Pipeline& p) { p.bytes_max = kVictimRowsMax + 10; });
  for (uint32_t i = 0; i < kVictimRowsMax + 10; ++i) f.submit(2, 1);
  const RequestId fits = f.submit(0, kVictimRowsMax + 1);
  EXPECT_TRUE(f.ended(fits)) << "one victim more than it may cost";
  EXPECT_EQ(f.gone(), 1u);
  EXPECT_FALSE(f.ended(f.submit(0, kVictimRowsMax)));
  EXPECT_EQ(f.gone(), 1u + kVictimRowsMax);
}

TEST(Displacement, ABandWithNothingParkedIsNotAsked) {
  std::vector<uint32_t> asked;
  EvictionDouble none{
      .pick = [&](const sluice_flows&, const sluice_band& band, const sluice_need&) {
        asked.push_back(band.rank);
        return SLUICE_NONE;
      }};
  Full f(none.policy(), [](Pipeline& p) { p.requests_max = 1; });
  f.submit(1);
  f.submit(0);
  EXPECT_EQ(asked, (std::vector<uint32_t>{1, 0}));
}

TEST(Displacement, AnIllegalPickIsAFaultAndFreesNothing) {
  EvictionDouble wild{
      .pick = [](const sluice_flows&, const sluice_band&, const sluice_need&) { return 77777u; }};
  Full f(wild.policy(), [](Pipeline& p) { p.bands[0].requests_max = 1; });
  f.submit(0);
  EXPECT_TRUE(f.ended(f.submit(0)));
  EXPECT_EQ(f.driver->engine->stats().policies[2].faults, 1u);
}

TEST(Displacement, AfterALimitWasLoweredANewcomerCostsItsOwnPartOnly) {
  EvictionDouble lower{
      .pick = [](const sluice_flows& flows, const sluice_band& band, const sluice_need& need) {
        return band.rank > need.newcomer_rank ? first_holder(flows, band, need) : SLUICE_NONE;
      }};
  Full f(lower.policy(), [](Pipeline&) {});
  for (int i = 0; i < 400; ++i) f.submit(2, 100);
  f.reload([](Pipeline& p) {
    p.requests_max = 10;
    p.bytes_max = 1000;
  });
  EXPECT_FALSE(f.ended(f.submit(0, 250))) << "39,000 bytes too many, 250 of them its own";
  EXPECT_EQ(f.gone(), 3u);
  f.reload([](Pipeline& p) {
    p.bytes_max = 0;
    p.bands[2].requests_max = 5;
  });
  f.submit(0);
  EXPECT_EQ(f.gone(), 4u) << "one request for one request";
  EXPECT_EQ(f.reason(f.submit(2)), Reason::kQueueFull) << "nothing below it gives way";
}

}  // namespace
}  // namespace sluice
