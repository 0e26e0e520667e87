// Evictions on a full queue: who makes room for whom, and how evenly the room ends up.
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "toy_band.h"

namespace sluice::testing {
namespace {

// One band that may hold LIMIT requests (or bytes), as the host fills it: a newcomer over the limit
// is refused unless the policy names flows whose newest requests make room.
class FullBand {
 public:
  FullBand(const Policy& policy, uint32_t flows, uint64_t limit,
           uint32_t reason = SLUICE_NEED_REQUESTS)
      : policy_(policy),
        state_(policy, flows),
        band_(flows, nullptr),
        limit_(limit),
        reason_(reason) {
    for (uint32_t i = 0; i < flows; ++i) band_.add_flow();
  }

  // Parks a request of SLOT; evicts or refuses. True if it is parked.
  bool offer(uint32_t slot, uint64_t cost = 1) {
    for (uint32_t victims = 0; held() + size(cost) > limit_; ++victims) {
      const uint32_t loser = pick(0, 0, slot, cost);
      if (loser == SLUICE_NONE) {
        EXPECT_EQ(victims, 0U) << "the toy host does not undo";
        return false;
      }
      band_.shed_newest(loser);
      ++evicted;
    }
    band_.park(slot, cost);
    return true;
  }

  // The flow that loses in this band of RANK for a newcomer of NEWCOMER_RANK.
  uint32_t pick(uint32_t rank, uint32_t newcomer_rank, uint32_t newcomer_slot, uint64_t cost = 1) {
    const OneRequest newcomer(
        {.seq = 1'000'000, .cost = cost, .bytes = cost * 4, .slot = newcomer_slot});
    const sluice_need need{sizeof(need),
                           reason_,
                           reason_ == SLUICE_NEED_REQUESTS ? 1U : 0U,
                           newcomer_rank,
                           reason_ == SLUICE_NEED_BYTES ? cost * 4 : 0,
                           newcomer_slot,
                           0,
                           &newcomer.get()};
    const sluice_band band{sizeof(band), rank, 0, 0, 0, 0, 0, 0};
    const auto* vtable = static_cast<const sluice_eviction_v1*>(policy_.vtable(SLUICE_EVICTION_ID));
    const uint32_t slot =
        vtable->pick(policy_.object(), state_.get(), &band_.flows(), &band, &need);
    EXPECT_EQ(vtable->pick(policy_.object(), state_.get(), &band_.flows(), &band, &need), slot);
    EXPECT_TRUE(slot == SLUICE_NONE || (slot < band_.flows().slots && band_.parked(slot) != 0));
    return slot;
  }

  ToyBand& band() { return band_; }
  // Jain's index of what the flows hold: 1 = equal, 1/n = one has all.
  double fairness() {
    double sum = 0;
    double squares = 0;
    for (uint32_t slot = 0; slot < band_.flows().slots; ++slot) {
      const auto n = static_cast<double>(holds(slot));
      sum += n;
      squares += n * n;
    }
    return sum * sum / (squares * band_.flows().slots);
  }
  uint64_t holds(uint32_t slot) {
    return reason_ == SLUICE_NEED_BYTES ? band_.flows().parked_bytes[slot] : band_.parked(slot);
  }

  uint32_t evicted = 0;

 private:
  uint64_t size(uint64_t cost) const { return reason_ == SLUICE_NEED_BYTES ? cost * 4 : 1; }
  uint64_t held() {
    uint64_t sum = 0;
    for (uint32_t slot = 0; slot < band_.flows().slots; ++slot) sum += holds(slot);
    return sum;
  }

  const Policy& policy_;
  PolicyState state_;
  ToyBand band_;
  uint64_t limit_;
  uint32_t reason_;
};

constexpr uint32_t kFlows = 10;
constexpr uint32_t kLimit = 200;

// Flow 0 sends nine of ten requests; the other nine flows share the rest.
void flood(FullBand& full, int requests) {
  std::mt19937 random(11);
  for (int i = 0; i < requests; ++i)
    full.offer(random() % 10 != 0 ? 0 : 1 + random() % (kFlows - 1));
}

TEST(EvictionLongestFlow, AFullQueueEvensOutBetweenTheFlows) {
  const Policy fair("eviction_longest_flow");
  const Policy plain("eviction_reject_newest");
  FullBand fair_band(fair, kFlows, kLimit);
  FullBand plain_band(plain, kFlows, kLimit);
  flood(fair_band, 5000);
  flood(plain_band, 5000);
  EXPECT_GT(fair_band.fairness(), 0.99);
  EXPECT_LT(plain_band.fairness(), 0.2);
}

TEST(EvictionLongestFlow, EvensOutBytesWhereBytesAreShort) {
  const Policy fair("eviction_longest_flow");
  FullBand full(fair, 4, 40000, SLUICE_NEED_BYTES);
  std::mt19937 random(12);
  for (int i = 0; i < 20000; ++i) {
    const uint32_t slot = random() % 4;
    full.offer(slot, slot == 0 ? 100 : 5);  // flow 0 sends large ones
  }
  EXPECT_GT(full.fairness(), 0.97);
}

TEST(EvictionLongestFlow, ThePoliteFlowLosesNothing) {
  const Policy fair("eviction_longest_flow");
  FullBand full(fair, kFlows, kLimit);
  for (int i = 0; i < 1000; ++i) full.offer(0);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(full.offer(5));
  for (int i = 0; i < 1000; ++i) full.offer(0);
  EXPECT_EQ(full.band().parked(5), 20U);
  EXPECT_EQ(full.band().parked(0), kLimit - 20);
}

TEST(EvictionLongestFlow, EqualFlowsDoNotThrowEachOtherOut) {
  const Policy fair("eviction_longest_flow");
  FullBand full(fair, 2, 100);
  for (int i = 0; i < 50; ++i) full.offer(0), full.offer(1);
  for (int i = 0; i < 100; ++i) full.offer(0), full.offer(1);
  EXPECT_EQ(full.evicted, 0U);
  // Nor do flows that differ by one.
  FullBand odd(fair, 2, 101);
  for (int i = 0; i < 200; ++i) odd.offer(0), odd.offer(1);
  EXPECT_EQ(odd.evicted, 0U);
}

TEST(EvictionLongestFlow, LowerBandsLoseFirstEvenOneRequest) {
  const Policy fair("eviction_longest_flow");
  FullBand lower(fair, 3, 100);
  lower.offer(1);
  EXPECT_EQ(lower.pick(2, 0, 1), 1U) << "slot 1 here is not the newcomer's flow";
}

TEST(EvictionLowestBandFirst, TakesFromTheLargestFlowOfALowerBandOnly) {
  const Policy policy("eviction_lowest_band_first");
  FullBand band(policy, 4, 1000);
  EXPECT_EQ(band.pick(1, 0, 0), SLUICE_NONE) << "nothing is parked";
  for (const uint32_t slot : {0U, 1U, 1U, 1U, 2U, 2U}) band.offer(slot);
  EXPECT_EQ(band.pick(1, 0, 0), 1U);
  EXPECT_EQ(band.pick(0, 0, 0), SLUICE_NONE) << "its own band";
  // Lower bands are drained evenly: after each victim the then largest.
  std::vector<uint32_t> losers;
  for (int i = 0; i < 6; ++i) {
    losers.push_back(band.pick(1, 0, 0));
    band.band().shed_newest(losers.back());
  }
  EXPECT_EQ(losers, (std::vector<uint32_t>{1, 2, 1, 2, 1, 0}));
  EXPECT_EQ(band.pick(1, 0, 0), SLUICE_NONE);
}

TEST(EvictionLowestBandFirst, EqualFlowsLoseByTheLaterHead) {
  const Policy policy("eviction_lowest_band_first");
  FullBand band(policy, 4, 1000);
  for (const uint32_t slot : {3U, 0U, 2U}) band.offer(slot);
  EXPECT_EQ(band.pick(1, 0, 0), 2U);
}

TEST(EvictionRejectNewest, NobodyMakesRoom) {
  const Policy policy("eviction_reject_newest");
  FullBand full(policy, 2, 10);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(full.offer(0), i < 10);
  EXPECT_EQ(full.pick(3, 0, 1), SLUICE_NONE);
}

}  // namespace
}  // namespace sluice::testing
