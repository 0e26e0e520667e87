// The small parts: histograms, timelines, fairness, room history, prefix cache.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "core/picker.h"
#include "host/simulate/earliest.h"
#include "host/simulate/fairness.h"
#include "host/simulate/histogram.h"
#include "host/simulate/prefix_cache.h"
#include "host/simulate/room_history.h"
#include "host/simulate/timeline.h"

namespace sluice::simulate {
namespace {

using ::testing::ElementsAre;

constexpr TimeNs kUs = 1000, kMs = 1'000'000, kS = 1'000'000'000;

TEST(Histogram, QuantilesAreWithinHalfAPercent) {
  std::mt19937_64 random(7);
  Histogram h;
  std::vector<TimeNs> values;
  for (int i = 0; i < 20000; ++i) {
    values.push_back((TimeNs{1} << (random() % 30 + 12)) + random() % (1 << 12));
    h.add(values.back());
  }
  std::ranges::sort(values);
  for (const double q : {0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<size_t>(std::max(1.0, std::ceil(q * 20000)));
    const double exact = static_cast<double>(values[rank - 1]) / 1e9;
    EXPECT_NEAR(h.quantile_s(q), exact, exact * 0.005 + 1e-6) << q;
  }
  EXPECT_EQ(h.count(), values.size());
  EXPECT_EQ(h.max_s(), static_cast<double>(values.back()) / 1e9);
}

TEST(Histogram, AQuantileIsTheLeastThatSoManyDoNotExceed) {
  Histogram h;
  for (const TimeNs ms : {1, 2, 3, 4}) h.add(ms * kMs);
  EXPECT_NEAR(h.quantile_s(0.5), 0.002, 1e-5);
  EXPECT_NEAR(h.quantile_s(0.51), 0.003, 2e-5);
  EXPECT_NEAR(h.quantile_s(0.99), 0.004, 1e-5);
  EXPECT_NEAR(h.quantile_s(0), 0.001, 1e-5);
}

TEST(Histogram, HoldsTheSmallestAndTheLargest) {
  Histogram h;
  EXPECT_EQ(h.quantile_s(0.5), 0);
  EXPECT_EQ(h.mean_s(), 0);
  h.add(0);
  EXPECT_EQ(h.quantile_s(0.5), 0);
  h.add(kNever);
  EXPECT_EQ(h.quantile_s(0), 0);
  EXPECT_GT(h.quantile_s(1), 200'000);
}

TEST(Histogram, SharesAndCurvesEndAtOne) {
  Histogram h;
  h.add(10 * kMs, 3);
  h.add(1 * kS);
  EXPECT_EQ(h.share_within(20 * kMs), 0.75);
  EXPECT_EQ(h.share_within(5 * kMs), 0);
  EXPECT_EQ(h.share_within(2 * kS), 1);
  std::vector<double> shares;
  h.each([&](double, double share) { shares.push_back(share); });
  EXPECT_THAT(shares, ElementsAre(0.75, 1.0));
}

TEST(Timeline, SpreadsLevelsAndAmountsOverItsSteps) {
  Timeline t(kS);
  const size_t level = t.add_quantity(), amount = t.add_quantity();
  t.set_level(level, kS + 50 * kMs, 4);
  t.set_level(level, kS + 250 * kMs, 0);
  t.add_amount(amount, kS + 50 * kMs, kS + 250 * kMs, 8);
  ASSERT_EQ(t.step_ns(), 100 * kMs);
  const double ns = kMs;
  EXPECT_THAT(t.sums(level), ElementsAre(4 * 50 * ns, 4 * 100 * ns, 4 * 50 * ns));
  EXPECT_THAT(t.sums(amount), ElementsAre(2.0, 4.0, 2.0));
}

TEST(Timeline, MemoryIsBoundedAndNothingIsLost) {
  Timeline t(0);
  const size_t a = t.add_quantity(), b = t.add_quantity();
  for (TimeNs at = 0; at < 3600 * kS; at += kS) t.add_amount(a, at, at, 1);
  t.add_amount(b, 0, 86400 * kS, 100);
  EXPECT_LE(t.sums(a).size(), Timeline::kStepsMax);
  EXPECT_LE(t.sums(b).size(), Timeline::kStepsMax);
  double sum_a = 0, sum_b = 0;
  for (const double v : t.sums(a)) sum_a += v;
  for (const double v : t.sums(b)) sum_b += v;
  EXPECT_NEAR(sum_a, 3600, 1e-6);
  EXPECT_NEAR(sum_b, 100, 1e-6);
}

TenantService tenant(std::vector<double> served, std::vector<double> asked,
                     std::vector<double> waited, double weight = 1) {
  return {weight, std::move(served), std::move(asked), std::move(waited)};
}

TEST(Fairness, TheGapIsOfTheTimeInWhichBothWait) {
  // From the second step on both wait; the third tenant never does.
  const Fairness f = fairness_of({tenant({9, 3, 3, 1}, {9, 9, 9, 9}, {0, 1, 1, 1}),
                                  tenant({0, 1, 1, 4}, {9, 9, 9, 9}, {1, 1, 1, 1}),
                                  tenant({99, 99, 99, 99}, {0, 0, 0, 0}, {0, 0.5, 0, 0})},
                                 1);
  EXPECT_DOUBLE_EQ(f.accumulated_gap, 4);  // 2, 4, then 1
}

TEST(Fairness, ABreakEndsTheInterval) {
  const Fairness f = fairness_of(
      {tenant({2, 2, 2, 2}, {}, {1, 1, 0.9, 1}), tenant({1, 1, 1, 1}, {}, {1, 1, 1, 1})}, 1);
  EXPECT_DOUBLE_EQ(f.accumulated_gap, 2);
}

TEST(Fairness, SharesAreOverWeights) {
  const Fairness f =
      fairness_of({tenant({4, 4, 4}, {}, {1, 1, 1}, 2), tenant({2, 2, 2}, {}, {1, 1, 1}, 1)}, 1);
  EXPECT_DOUBLE_EQ(f.accumulated_gap, 0);
  EXPECT_DOUBLE_EQ(f.jain, 1);
  EXPECT_EQ(f.tenants, 2u);
}

TEST(Fairness, JainsIndexIsThatOfThePaper) {
  const std::vector<double> one(10, 1.0), three(10, 3.0), waits(10, 1.0);
  const Fairness f = fairness_of({tenant(one, {}, waits), tenant(three, {}, waits)}, 1);
  EXPECT_DOUBLE_EQ(f.jain, 16.0 / (2 * 10.0));
}

TEST(Fairness, WhoAsksForNoMoreIsNotBehindInAWindow) {
  const std::vector<double> most(60, 10.0), little(60, 2.0), waits(60, 1.0), idle(60, 0.0);
  const std::vector<double> asked_most(60, 20.0), asked_little(60, 3.0);
  const Fairness waiting =
      fairness_of({tenant(most, asked_most, waits), tenant(little, asked_little, waits)}, 1);
  EXPECT_DOUBLE_EQ(waiting.window_s, 60);
  EXPECT_DOUBLE_EQ(waiting.windowed_max, 480);
  const Fairness content =
      fairness_of({tenant(most, asked_most, waits), tenant(little, asked_little, idle)}, 1);
  EXPECT_DOUBLE_EQ(content.windowed_max, 60);
  EXPECT_DOUBLE_EQ(content.windowed_mean, 60);
}

TEST(Fairness, OfNobodyIsEven) {
  EXPECT_EQ(fairness_of({}, 1).jain, 1);
  EXPECT_EQ(fairness_of({tenant({}, {}, {})}, 1).accumulated_gap, 0);
}

TEST(Earliest, IsTheFirstOfTheLeast) {
  for (const uint32_t count : {1U, 2U, 5U, 8U, 100U}) {
    Random random(count);
    Earliest earliest(count);
    EXPECT_EQ(earliest.at(), kNever);
    std::vector<TimeNs> due(count, kNever);
    for (int i = 0; i < 1000; ++i) {
      const auto index = static_cast<uint32_t>(random.next() % count);
      earliest.set(index, due[index] = random.next() % 8 == 0 ? kNever : random.next() % 20);
      const auto least = std::ranges::min_element(due);
      ASSERT_EQ(earliest.at(), *least);
      ASSERT_EQ(earliest.index(), least - due.begin());
    }
  }
}

TEST(RoomHistory, CountsWhatWasLargeEnoughWhile) {
  RoomHistory h;
  h.set(0, 100);
  const TimeNs at_5 = h.with_room(5, 1);
  h.set(10, 0);
  h.set(30, 50);
  EXPECT_EQ(h.with_room(40, 50), 20u);
  EXPECT_EQ(h.with_room(40, 51), 10u);
  EXPECT_EQ(h.with_room(40, 101), 0u);
  EXPECT_EQ(h.with_room(40, 1) - at_5, 15u);
  EXPECT_EQ(h.with_room(40, 1) - h.with_room(35, 1), 5u);
}

TEST(RoomHistory, IsWhatASumOverAllChangesSays) {
  Random random(7);
  RoomHistory h;
  std::vector<std::pair<TimeNs, uint32_t>> changes;
  TimeNs now = 0;
  for (int i = 0; i < 500; ++i) {
    now += random.next() % 100;
    changes.emplace_back(now, static_cast<uint32_t>(random.next() % 250));
    h.set(now, changes.back().second);
  }
  for (uint32_t prompt = 1; prompt < 256; prompt += 3) {
    TimeNs sum = 0;
    for (size_t i = 0; i < changes.size(); ++i)
      if (changes[i].second >= prompt)
        sum += (i + 1 < changes.size() ? changes[i + 1].first : now + 10) - changes[i].first;
    EXPECT_EQ(h.with_room(now + 10, prompt), sum) << prompt;
  }
  h.set(now + 20, UINT32_MAX);
  EXPECT_EQ(h.with_room(now + 50, UINT32_MAX), 30u);
}

TEST(PrefixCache, KeepsWhatIsHeldAndForgetsTheOldestOfTheRest) {
  PrefixCache cache;
  const std::vector<uint64_t> a = {1, 2, 3}, b = {1, 2, 9}, c = {7};
  EXPECT_EQ(cache.hold(a), 3u);
  EXPECT_EQ(cache.hits(b), 2u);
  EXPECT_EQ(cache.unheld(b), 1u);
  EXPECT_EQ(cache.hold(b), 1u);
  EXPECT_EQ(cache.release(a), 1u);  // 1 and 2 are still held by b
  EXPECT_EQ(cache.hold(c), 1u);
  EXPECT_EQ(cache.release(c), 1u);
  EXPECT_EQ(cache.idle_blocks(), 2u);
  cache.shrink(1);
  EXPECT_EQ(cache.hits(a), 2u);
  EXPECT_EQ(cache.hits(c), 1u);
  EXPECT_EQ(cache.release(b), 3u);
  // Of one prompt the end goes first: its beginning is of use without it.
  cache.shrink(2);
  EXPECT_EQ(cache.hits(a), 2u);
}

}  // namespace
}  // namespace sluice::simulate
