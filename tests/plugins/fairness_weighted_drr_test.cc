// Deficit round robin: shares and their bound, interrupted turns, flows that come and go, many
// flows.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "toy_band.h"

namespace sluice::testing {
namespace {

TEST(FairnessWeightedDrr, ShareErrorIsAtMostARequestAndAQuantum) {
  constexpr uint64_t kCostMax = 800;
  for (const int64_t quantum : {1, 100, 256, 5000}) {
    const Policy drr("fairness_weighted_drr", {{"quantum", quantum}});
    std::mt19937 random(7);
    ToyBand band(3, &drr);
    const uint32_t weight[] = {1, 2, 4};
    for (const uint32_t w : weight) band.add_flow(w * 1000);
    for (int i = 0; i < 10000; ++i) {
      // Mixed costs, and each flow with a mix of its own.
      for (uint32_t slot = 0; slot < 3; ++slot)
        while (band.parked(slot) < 2)
          band.park(slot, random() % (slot + 2) == 0 ? kCostMax : 1 + random() % 50);
      band.complete(band.dispatch().value());
      const auto [least, most] = std::minmax(
          {band.served_cost(0) / 1.0, band.served_cost(1) / 2.0, band.served_cost(2) / 4.0});
      ASSERT_LE(most - least, static_cast<double>(kCostMax + quantum)) << "quantum " << quantum;
    }
  }
}

TEST(FairnessWeightedDrr, ATurnLastsAQuantum) {
  const Policy drr("fairness_weighted_drr", {{"quantum", 300}});
  ToyBand band(2, &drr);
  band.add_flow();
  band.add_flow();
  for (int i = 0; i < 12; ++i) band.park(0, 100);
  for (int i = 0; i < 12; ++i) band.park(1, 100);
  std::vector<uint32_t> order;
  for (int i = 0; i < 12; ++i) order.push_back(band.dispatch().value().slot);
  EXPECT_EQ(order, (std::vector<uint32_t>{0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1}));
}

TEST(FairnessWeightedDrr, AnInterruptedTurnIsResumed) {
  const Policy drr("fairness_weighted_drr", {{"quantum", 1000}});
  ToyBand band(2, &drr);
  band.add_flow();
  band.add_flow();
  for (int i = 0; i < 40; ++i) band.park(0, 100);
  for (int i = 0; i < 40; ++i) band.park(1, 100);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(band.dispatch().value().slot, 0U);
  band.block(0);
  for (int i = 0; i < 25; ++i) ASSERT_EQ(band.dispatch().value().slot, 1U);
  band.unblock(0);
  // Seven are left of its turn; the rounds that it missed are gone.
  for (int i = 0; i < 7; ++i) EXPECT_EQ(band.dispatch().value().slot, 0U) << i;
  EXPECT_EQ(band.dispatch().value().slot, 1U);
}

TEST(FairnessWeightedDrr, BlockedRoundsAreNotGathered) {
  const Policy drr("fairness_weighted_drr", {{"quantum", 100}});
  ToyBand band(2, &drr);
  band.add_flow();
  band.add_flow();
  for (int i = 0; i < 100; ++i) band.park(0, 100);
  for (int i = 0; i < 200; ++i) band.park(1, 100);
  band.pick();
  band.block(0);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(band.dispatch().value().slot, 1U);
  band.unblock(0);
  int served = 0;
  for (int i = 0; i < 20; ++i) served += band.dispatch().value().slot == 0 ? 1 : 0;
  EXPECT_NEAR(served, 10, 1);
}

TEST(FairnessWeightedDrr, GoingIdleLosesTheCreditButNotTheDebt) {
  const Policy drr("fairness_weighted_drr", {{"quantum", 1000}});
  {
    ToyBand band(2, &drr);
    const uint32_t saver = band.add_flow();
    const uint32_t busy = band.add_flow();
    for (int i = 0; i < 20; ++i) {  // uses 10 of 1,000 each time
      band.park(saver, 10);
      ASSERT_TRUE(band.dispatch());
    }
    for (int i = 0; i < 60; ++i) band.park(busy, 100);
    for (int i = 0; i < 60; ++i) band.park(saver, 100);
    int served = 0;
    for (int i = 0; i < 60; ++i) served += band.dispatch().value().slot == saver ? 1 : 0;
    EXPECT_EQ(served, 30);  // in turns of ten
  }
  {
    ToyBand band(2, &drr);
    const uint32_t liar = band.add_flow();
    const uint32_t honest = band.add_flow();
    for (int i = 0; i < 60; ++i) band.park(honest, 100);
    band.park(liar, 1);
    const uint64_t seq = 61;
    for (std::optional<ToyRequest> r = band.dispatch(); r; r = band.dispatch()) {
      if (r->seq == seq) {
        band.complete(*r, 3000);  // and was idle meanwhile
        break;
      }
      band.complete(*r);
    }
    for (int i = 0; i < 20; ++i) band.park(liar, 100);
    // Three rounds of the other for what it took.
    for (int i = 0; i < 30; ++i) ASSERT_EQ(band.dispatch().value().slot, honest) << i;
  }
}

TEST(FairnessWeightedDrr, ComingAndGoingGainsNothing) {
  const Policy drr("fairness_weighted_drr", {{"quantum", 100}});
  ToyBand band(2, &drr);
  const uint32_t hopper = band.add_flow();
  const uint32_t steady = band.add_flow();
  for (int i = 0; i < 1000; ++i) {
    while (band.parked(steady) < 2) band.park(steady, 100);
    if (band.parked(hopper) == 0) band.park(hopper, 100);  // idle after every dispatch
    band.complete(band.dispatch().value());
  }
  EXPECT_LE(band.served_cost(hopper), band.served_cost(steady) + 200);
}

TEST(FairnessWeightedDrr, AStreamOfNewFlowsDoesNotStarveAnOldOne) {
  const Policy drr("fairness_weighted_drr", {{"quantum", 100}});
  ToyBand band(2000, &drr);
  const uint32_t old = band.add_flow();
  for (int i = 0; i < 500; ++i) band.park(old, 100);
  for (int i = 0; i < 10; ++i) band.park(band.add_flow(), 100);
  int since = 0;
  int longest = 0;
  for (int i = 0; i < 1000; ++i) {
    band.park(band.add_flow(), 100);  // one more for each that leaves
    since = band.dispatch().value().slot == old ? 0 : since + 1;
    longest = std::max(longest, since);
  }
  // About as many as wait at once: ten at first, and one more for every turn of the old flow.
  EXPECT_LE(longest, 150);
  EXPECT_GE(500 - band.parked(old), 10U);
}

TEST(FairnessWeightedDrr, ARequestThatAlwaysComesBackDoesNotHoldTheTurn) {
  const Policy drr("fairness_weighted_drr");
  ToyBand band(2, &drr);
  const uint32_t poisoned = band.add_flow();
  const uint32_t healthy = band.add_flow();
  for (int i = 0; i < 3; ++i) band.park(poisoned, 10);
  for (int i = 0; i < 100; ++i) band.park(healthy, 100);
  for (int i = 0; i < 100; ++i) {
    const ToyRequest request = band.dispatch().value();
    if (request.slot == poisoned) {
      band.requeue(request);
    } else {
      band.complete(request);
    }
  }
  EXPECT_GE(band.served_cost(healthy), 5000U);
}

TEST(FairnessWeightedDrr, ManyFlowsAndAQuantumFarBelowTheCosts) {
  // Laps that nobody can send in are jumped: one by one they would be 10^6 x 50,000 steps a
  // dispatch.
  constexpr uint32_t kFlows = 50000;
  const Policy drr("fairness_weighted_drr", {{"quantum", 1}});
  ToyBand band(kFlows, &drr);
  for (uint32_t i = 0; i < kFlows; ++i) band.park(band.add_flow(), 1'000'000);
  for (uint32_t i = 0; i < kFlows; ++i) band.park(i, 1'000'000);
  std::vector<int> turns(kFlows);
  for (uint32_t i = 0; i < kFlows; ++i) ++turns[band.dispatch().value().slot];
  EXPECT_EQ(std::count(turns.begin(), turns.end(), 1), kFlows);
}

TEST(FairnessWeightedDrr, AChangedWeightCountsFromTheNextTurnOn) {
  const Policy drr("fairness_weighted_drr", {{"quantum", 100}});
  ToyBand band(2, &drr);
  band.add_flow();
  band.add_flow();
  for (int i = 0; i < 1000; ++i) band.park(0, 100), band.park(1, 100);
  for (int i = 0; i < 100; ++i) band.dispatch();
  band.set_weight(1, 4000);
  int served = 0;
  for (int i = 0; i < 500; ++i) served += band.dispatch().value().slot == 1 ? 1 : 0;
  EXPECT_NEAR(served, 400, 5);
}

}  // namespace
}  // namespace sluice::testing
