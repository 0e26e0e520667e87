// The small parts that the engine is made of.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/picker.h"
#include "core/policy_slot.h"
#include "core/pool_clocks.h"
#include "core/rate_meter.h"
#include "core/request.h"
#include "core/slab.h"

namespace sluice {
namespace {

TEST(Slab, GivesEmptyChunksBackAndKeepsTheOthersInPlace) {
  Slab<std::string> slab;
  std::vector<uint32_t> all;
  for (int i = 0; i < 1000; ++i) {
    all.push_back(slab.allocate());
    slab.at(all.back()) = std::to_string(i);
  }
  EXPECT_EQ(std::set<uint32_t>(all.begin(), all.end()).size(), 1000u);
  for (int i = 0; i < 1000; ++i)
    if (i % 300 != 0) slab.free(all[static_cast<size_t>(i)]);
  EXPECT_EQ(slab.size(), 4u);
  for (int i = 0; i < 1000; i += 300)
    EXPECT_EQ(slab.at(all[static_cast<size_t>(i)]), std::to_string(i));
  EXPECT_EQ(slab.find(all[1]), nullptr);
  for (int i = 0; i < 1000; i += 300) slab.free(all[static_cast<size_t>(i)]);
  EXPECT_EQ(slab.size(), 0u);
  std::set<uint32_t> again;
  for (int i = 0; i < 600; ++i) again.insert(slab.allocate());
  EXPECT_EQ(again.size(), 600u) << "indices are not given out twice";
}

TEST(OrderedQueue, AgreesWithASetUnderRandomChanges) {
  Random random(5);
  std::vector<Request> requests(200);
  FlowQueue queue;
  std::set<std::pair<uint64_t, uint64_t>> model;
  for (size_t i = 0; i < requests.size(); ++i) requests[i].id.seq = i;
  for (int step = 0; step < 20000; ++step) {
    Request& r = requests[random.below(requests.size())];
    if (!r.in_flow.queued()) {
      // In order most of the time, as arrivals are.
      r.key = random.below(4) == 0 ? random.below(50) : 1000 + static_cast<uint64_t>(step);
      queue.push(&r);
      model.insert({r.key, r.id.seq});
    } else {
      queue.remove(&r);
      model.erase({r.key, r.id.seq});
    }
    if (step % 1000 == 999) {  // all keys change at once
      model.clear();
      for (Request& each : requests) {
        if (!each.in_flow.queued()) continue;
        each.key = random.below(100'000);
        model.insert({each.key, each.id.seq});
      }
      queue.rebuild();
    }
    ASSERT_EQ(queue.size(), model.size());
    ASSERT_EQ(queue.empty(), model.empty());
    if (!model.empty()) {
      ASSERT_EQ(std::pair(queue.top()->key, queue.top()->id.seq), *model.begin());
    }
  }
}

TEST(PoolClocks, EachRunsOnlyInItsOwnTime) {
  PoolClocks clocks(100);
  EXPECT_EQ(clocks.running(), PoolClocks::kEmpty);
  clocks.set_running(PoolClocks::kServing, 150);
  clocks.set_running(PoolClocks::kEmpty, 175);
  EXPECT_EQ(clocks.read(PoolClocks::kEmpty, 180), 55u);
  EXPECT_EQ(clocks.read(PoolClocks::kServing, 180), 25u);
  EXPECT_EQ(clocks.when(PoolClocks::kEmpty, 60), 185u);
  EXPECT_EQ(clocks.when(PoolClocks::kServing, 60), kNever);
}

TEST(RateMeter, FollowsARateAndForgetsIt) {
  RateMeter meter;
  TimeNs now = 1'000'000'000'000;
  for (int i = 0; i < 3000; ++i) meter.add(now += 10'000'000, 1);
  EXPECT_NEAR(meter.per_second(now), 100, 2);
  EXPECT_LT(meter.per_second(now + 6'000'000'000), 70);
  EXPECT_EQ(meter.per_second(now + 60'000'000'000), 0);
}

TEST(RateMeter, IsNotMovedByBeingRead) {
  RateMeter read, unread;
  for (RateMeter* meter : {&read, &unread}) meter->add(7'000'000'000, 5);
  EXPECT_GT(read.per_second(13'500'000'000), 0);
  for (RateMeter* meter : {&read, &unread}) meter->add(20'000'000'000, 1);
  EXPECT_EQ(read.per_second(23'000'000'000), unread.per_second(23'000'000'000));
}

TEST(Picker, EqualEndpointsShareEquallyAndTheAnswerIsReproducible) {
  const std::vector<uint32_t> slots = {0, 1, 2, 3, 4, 5};
  std::vector<uint32_t> in_flight(6, 3);
  std::vector<float> scores(6, 1);
  const Candidates same{slots, scores, in_flight};
  Random random(1);
  std::vector<int> count(6);
  for (uint64_t seq = 0; seq < 6000; ++seq) {
    const uint32_t pick = pick_endpoint(PickerKind::kMaxScore, same, seq, random);
    EXPECT_EQ(pick, pick_endpoint(PickerKind::kMaxScore, same, seq, random));
    ++count[pick];
  }
  for (int n : count) EXPECT_NEAR(n, 1000, 120);
  in_flight[2] = 2;
  EXPECT_EQ(pick_endpoint(PickerKind::kMaxScore, same, 7, random), 2u);
  for (const uint32_t best : {1u, 5u}) {
    std::ranges::fill(scores, 1);
    scores[best] = 1.5;
    EXPECT_EQ(pick_endpoint(PickerKind::kMaxScore, same, 7, random), best);
  }
}

TEST(Picker, WeightedRandomFollowsTheScoresAndPowerOfTwoAvoidsTheWorst) {
  const std::vector<uint32_t> slots = {0, 1, 2}, in_flight(3);
  const std::vector<float> scores = {1, 3, 0};
  const Candidates three{slots, scores, in_flight};
  Random random(9);
  std::vector<int> weighted(3), two(3);
  for (uint64_t seq = 0; seq < 8000; ++seq) {
    ++weighted[pick_endpoint(PickerKind::kWeightedRandom, three, seq, random)];
    ++two[pick_endpoint(PickerKind::kPowerOfTwo, three, seq, random)];
  }
  EXPECT_NEAR(weighted[0], 2000, 200);
  EXPECT_NEAR(weighted[1], 6000, 200);
  EXPECT_EQ(weighted[2], 0);
  EXPECT_EQ(two[2], 0) << "the worst of three loses every pair";
  EXPECT_NEAR(two[1], 8000 * 2 / 3, 250) << "the best wins both of its pairs";
  const std::vector<float> nothing(2);
  const Candidates zero{std::span(slots).first(2), nothing, in_flight};
  std::vector<int> even(2);
  for (uint64_t seq = 0; seq < 2000; ++seq)
    ++even[pick_endpoint(PickerKind::kWeightedRandom, zero, seq, random)];
  EXPECT_NEAR(even[0], 1000, 150);
}

TEST(RoundRobin, VisitsEveryReadySlotOnceALap) {
  std::vector<uint64_t> bits(3);
  for (uint32_t slot : {0u, 5u, 63u, 64u, 130u}) bits[slot / 64] |= uint64_t{1} << (slot % 64);
  sluice_flows flows{};
  flows.slots = 131;
  flows.ready_bits = bits.data();
  std::vector<uint32_t> order;
  uint32_t cursor = 5;
  for (int i = 0; i < 6; ++i) order.push_back(cursor = round_robin(flows, cursor));
  EXPECT_EQ(order, (std::vector<uint32_t>{63, 64, 130, 0, 5, 63}));
  bits = {0, 0, 0};
  EXPECT_EQ(round_robin(flows, 5), SLUICE_NONE);
  bits[0] = 1 << 5;
  EXPECT_EQ(round_robin(flows, 5), 5u) << "the only one is also the next one";
}

}  // namespace
}  // namespace sluice
