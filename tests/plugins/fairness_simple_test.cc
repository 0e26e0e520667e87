// Round robin and first come, first served: turns, starvation bound, one queue.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "toy_band.h"

namespace sluice::testing {
namespace {

TEST(FairnessRoundRobin, TurnsAreEqualWhateverTheyCost) {
  const Policy rr("fairness_round_robin");
  ToyBand band(5, &rr);
  for (uint32_t slot = 0; slot < 5; ++slot) {
    band.add_flow();
    for (int i = 0; i < 100; ++i) band.park(slot, slot * slot * 100 + 1);
  }
  std::map<uint32_t, int> turns;
  for (int i = 0; i < 203; ++i) ++turns[band.dispatch().value().slot];
  for (const auto& [slot, n] : turns) EXPECT_NEAR(n, 203 / 5, 1) << slot;
}

// Flows come, go, are blocked and unblocked at random. Between two dispatches of a flow that stays
// ready nobody else is served twice.
TEST(FairnessRoundRobin, NobodyIsServedTwiceWhileAReadyFlowWaits) {
  constexpr uint32_t kFlows = 40;
  const Policy rr("fairness_round_robin");
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    std::mt19937 random(seed);
    ToyBand band(kFlows, &rr);
    for (uint32_t slot = 0; slot < kFlows; ++slot) band.add_flow();
    std::vector<bool> blocked(kFlows);
    std::vector<std::map<uint32_t, int>> passed(
        kFlows);  // by a ready flow: who was served meanwhile
    for (int i = 0; i < 20000; ++i) {
      const uint32_t slot = random() % kFlows;
      switch (random() % 4) {
        case 0:
          if (random() % 2 == 0 || slot < 5) band.park(slot, 1 + random() % 9);
          break;
        case 1:
          if (band.parked(slot) != 0 && slot >= 5) {
            band.shed_newest(slot);
            if (band.parked(slot) == 0) blocked[slot] = false, passed[slot].clear();
          }
          break;
        case 2:
          if (band.parked(slot) != 0 && slot >= 5) {
            blocked[slot] ? band.unblock(slot) : band.block(slot);
            blocked[slot] = !blocked[slot];
            passed[slot].clear();
          }
          break;
        default:
          if (const auto request = band.dispatch()) {
            passed[request->slot].clear();
            for (uint32_t other = 0; other < kFlows; ++other) {
              if (other == request->slot || band.parked(other) == 0 || blocked[other]) continue;
              ASSERT_LE(++passed[other][request->slot], 1) << "seed " << seed << " step " << i;
            }
          }
      }
    }
  }
}

TEST(FairnessRoundRobin, WhoComesIsServedWhenTheRoundReachesIt) {
  const Policy rr("fairness_round_robin");
  ToyBand band(4, &rr);
  for (int i = 0; i < 4; ++i) band.add_flow();
  for (const uint32_t slot : {0U, 1U, 2U})
    for (int i = 0; i < 10; ++i) band.park(slot, 1);
  ASSERT_EQ(band.dispatch().value().slot, 0U);
  band.park(3, 1);
  std::vector<uint32_t> order;
  for (int i = 0; i < 8; ++i) order.push_back(band.dispatch().value().slot);
  EXPECT_EQ(order, (std::vector<uint32_t>{1, 2, 3, 0, 1, 2, 0, 1}));
}

// The case that matters most: one flow keeps a queue, another sends now and then and should not
// wait for two turns.
TEST(FairnessRoundRobin, AFlowThatSendsNowAndThenGoesBeforeTheNextOfAFlood) {
  const Policy rr("fairness_round_robin");
  ToyBand band(2, &rr);
  band.add_flow();
  band.add_flow();
  for (int i = 0; i < 100; ++i) band.park(0, 1);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(band.dispatch().value().slot, 0U);
    band.park(1, 1);
    EXPECT_EQ(band.dispatch().value().slot, 1U);
  }
}

TEST(FairnessRoundRobin, ABlockedFlowDoesNotMakeUpForTurnsItMissed) {
  const Policy rr("fairness_round_robin");
  ToyBand band(3, &rr);
  for (uint32_t slot = 0; slot < 3; ++slot) {
    band.add_flow();
    for (int i = 0; i < 30; ++i) band.park(slot, 1);
  }
  band.pick();
  band.block(0);
  for (int i = 0; i < 20; ++i) EXPECT_NE(band.dispatch().value().slot, 0U);
  band.unblock(0);
  std::vector<uint32_t> order;
  for (int i = 0; i < 4; ++i) order.push_back(band.dispatch().value().slot);
  EXPECT_EQ(order, (std::vector<uint32_t>{0, 1, 2, 0}));
}

TEST(FairnessFcfs, TheBandIsOneQueue) {
  const Policy fcfs("fairness_fcfs");
  const Policy order("ordering_fcfs");
  std::mt19937 random(5);
  ToyBand band(20, &fcfs, &order);
  for (int i = 0; i < 20; ++i) band.add_flow();
  for (int i = 0; i < 1000; ++i) band.park(random() % 20, 1 + random() % 100);
  for (uint64_t seq = 1; seq <= 1000; ++seq) ASSERT_EQ(band.dispatch().value().seq, seq);
  EXPECT_FALSE(band.dispatch());
}

TEST(FairnessFcfs, TheBandFollowsAnotherOrderingAsOneQueue) {
  const Policy fcfs("fairness_fcfs");
  const Policy order("ordering_edf");
  std::mt19937 random(5);
  ToyBand band(20, &fcfs, &order);
  for (int i = 0; i < 20; ++i) band.add_flow();
  for (int i = 0; i < 1000; ++i) band.park(random() % 20, 1, 1000 + random() % 300);
  ToyRequest last;
  for (int i = 0; i < 1000; ++i) {
    const ToyRequest next = band.dispatch().value();
    ASSERT_TRUE(i == 0 || last < next) << "deadlines, then arrival, across all flows";
    last = next;
  }
}

TEST(FairnessFcfs, PassesOverBlockedFlowsAndComesBackToThem) {
  const Policy fcfs("fairness_fcfs");
  ToyBand band(3, &fcfs);
  for (int i = 0; i < 3; ++i) band.add_flow();
  for (const uint32_t slot : {2U, 1U, 0U, 2U, 1U, 0U}) band.park(slot, 1);
  band.pick();
  band.block(2);
  EXPECT_EQ(band.dispatch().value().seq, 2U);
  EXPECT_EQ(band.dispatch().value().seq, 3U);
  band.unblock(2);
  for (const uint64_t seq : {1U, 4U, 5U, 6U}) EXPECT_EQ(band.dispatch().value().seq, seq);
}

}  // namespace
}  // namespace sluice::testing
