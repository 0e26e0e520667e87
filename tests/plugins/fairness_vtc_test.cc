// Virtual token counter: the bound of the paper, no credit for being idle, and what blocked flows
// may catch up.
#include <gtest/gtest.h>

#include <random>

#include "toy_band.h"

namespace sluice::testing {
namespace {

constexpr uint64_t kCostMax = 1000;

// Keeps SLOTS backlogged with costs of 1 .. kCostMax.
void refill(ToyBand& band, std::initializer_list<uint32_t> slots, std::mt19937& random) {
  for (const uint32_t slot : slots)
    while (band.parked(slot) < 3) band.park(slot, 1 + random() % kCostMax);
}

TEST(FairnessVtc, BackloggedFlowsDifferByAtMostTwiceTheLargestRequest) {
  const Policy vtc("fairness_vtc");
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    ToyBand band(2, &vtc);
    band.add_flow();
    band.add_flow();
    for (int i = 0; i < 2000; ++i) {
      refill(band, {0, 1}, random);
      const auto request = band.dispatch();
      ASSERT_TRUE(request);
      // The estimate was wrong: the truth is known at the end.
      band.complete(*request, 1 + random() % kCostMax);
      const auto gap = static_cast<int64_t>(band.served_cost(0) - band.served_cost(1));
      ASSERT_LE(std::abs(gap), static_cast<int64_t>(2 * kCostMax)) << "seed " << seed;
    }
  }
}

TEST(FairnessVtc, SharesFollowWeights) {
  const Policy vtc("fairness_vtc");
  std::mt19937 random(3);
  ToyBand band(3, &vtc);
  const double weight[] = {0.5, 1, 1000};
  for (const double w : weight) band.add_flow(static_cast<uint32_t>(w * 1000));
  for (int i = 0; i < 20000; ++i) {
    refill(band, {0, 1, 2}, random);
    band.complete(band.dispatch().value());
  }
  // In units of one weight, any two differ by at most the largest request of each.
  for (const uint32_t a : {0U, 1U, 2U}) {
    for (const uint32_t b : {0U, 1U, 2U}) {
      const double gap = static_cast<double>(band.served_cost(a)) / weight[a] -
                         static_cast<double>(band.served_cost(b)) / weight[b];
      EXPECT_LE(gap, kCostMax / weight[a] + kCostMax / weight[b]) << a << " against " << b;
    }
  }
}

TEST(FairnessVtc, TheReturningFlowHasNoCredit) {
  const Policy vtc("fairness_vtc");
  ToyBand band(2, &vtc);
  const uint32_t busy = band.add_flow();
  const uint32_t sleeper = band.add_flow();
  for (int i = 0; i < 1000; ++i) {
    band.park(busy, 100);
    if (i != 0) band.complete(band.dispatch().value());
  }
  const uint64_t busy_before = band.served_cost(busy);
  for (int i = 0; i < 100; ++i) {
    while (band.parked(busy) < 2) band.park(busy, 100);
    while (band.parked(sleeper) < 2) band.park(sleeper, 100);
    band.complete(band.dispatch().value());
  }
  // Without the lift all of the hundred would be the sleeper's.
  EXPECT_NEAR(static_cast<double>(band.served_cost(busy) - busy_before), 5000, 200);
}

TEST(FairnessVtc, AfterAPauseOfAllTheNextIsLiftedToWhoLeftLast) {
  const Policy vtc("fairness_vtc");
  ToyBand band(2, &vtc);
  const uint32_t busy = band.add_flow();
  const uint32_t sleeper = band.add_flow();
  for (int i = 0; i < 50; ++i) {
    band.park(busy, 100);
    band.complete(band.dispatch().value());
  }
  // Nobody waits. The sleeper comes first, so the lift cannot look at a waiting flow.
  for (int i = 0; i < 20; ++i) band.park(sleeper, 100);
  for (int i = 0; i < 20; ++i) band.park(busy, 100);
  int served_busy = 0;
  for (int i = 0; i < 20; ++i) served_busy += band.dispatch().value().slot == busy ? 1 : 0;
  EXPECT_NEAR(served_busy, 10, 1);
}

TEST(FairnessVtc, ABlockedFlowCatchesUpButOnlySoMuch) {
  const Policy vtc("fairness_vtc", {{"catch_up_tokens", 1000}});
  ToyBand band(3, &vtc);
  const uint32_t blocked = band.add_flow();
  const uint32_t busy = band.add_flow();
  const uint32_t sleeper = band.add_flow();
  for (int i = 0; i < 60; ++i) {
    band.park(blocked, 100);
    band.park(sleeper, 100);
  }
  for (int i = 0; i < 60; ++i) band.shed_newest(sleeper);
  band.block(blocked);
  for (int i = 0; i < 100; ++i) {
    band.park(busy, 100);
    band.complete(band.dispatch().value());
    band.park(busy, 100);
  }
  // It lags by 10,000. Of that it may have 1,000 at once, being backlogged all the time; then they
  // take turns.
  band.unblock(blocked);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(band.dispatch().value().slot, blocked) << i;
  int served_blocked = 0;
  for (int i = 0; i < 40; ++i) served_blocked += band.dispatch().value().slot == blocked ? 1 : 0;
  EXPECT_NEAR(served_blocked, 20, 1);
}

TEST(FairnessVtc, WhoReturnsBesideABlockedFlowGetsNoMoreThanIt) {
  const Policy vtc("fairness_vtc", {{"catch_up_tokens", 1000}});
  ToyBand band(3, &vtc);
  const uint32_t blocked = band.add_flow();
  const uint32_t busy = band.add_flow();
  const uint32_t sleeper = band.add_flow();
  band.park(blocked, 100);
  band.pick();
  band.block(blocked);
  for (int i = 0; i < 300; ++i) band.park(busy, 100);
  for (int i = 0; i < 100; ++i) band.complete(band.dispatch().value());
  for (int i = 0; i < 100; ++i) band.park(sleeper, 100);
  int served_sleeper = 0;
  for (int i = 0; i < 50; ++i) served_sleeper += band.dispatch().value().slot == sleeper ? 1 : 0;
  // 10 to catch up with the busy one, as far as catch_up_tokens lets it, and half of the other 40.
  EXPECT_NEAR(served_sleeper, 30, 1);
}

TEST(FairnessVtc, WrongEstimatesDoNotPay) {
  const Policy vtc("fairness_vtc");
  ToyBand band(2, &vtc);
  const uint32_t honest = band.add_flow();
  const uint32_t liar = band.add_flow();
  for (int i = 0; i < 1000; ++i) {
    while (band.parked(honest) < 2) band.park(honest, 200);
    while (band.parked(liar) < 2) band.park(liar, 20);
    band.complete(*band.dispatch(), 200);
  }
  EXPECT_NEAR(static_cast<double>(band.served_cost(honest)),
              static_cast<double>(band.served_cost(liar)), 400);
}

TEST(FairnessVtc, ARequeueReturnsItsCharge) {
  const Policy vtc("fairness_vtc");
  ToyBand band(2, &vtc);
  band.add_flow();
  band.add_flow();
  for (int i = 0; i < 4; ++i) band.park(0, 100);
  for (int i = 0; i < 4; ++i) band.park(1, 100);
  const ToyRequest first = band.dispatch().value();
  band.requeue(first);
  EXPECT_EQ(band.dispatch().value().seq, first.seq);
}

TEST(FairnessVtc, TiesGoBySequenceNotBySlot) {
  const Policy vtc("fairness_vtc");
  ToyBand band(8, &vtc);
  for (int i = 0; i < 8; ++i) band.add_flow();
  for (uint32_t slot = 8; slot-- > 0;) band.park(slot, 50);
  for (uint32_t slot = 8; slot-- > 0;) EXPECT_EQ(band.dispatch().value().slot, slot);
}

}  // namespace
}  // namespace sluice::testing
