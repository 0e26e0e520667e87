#include "host/demo/stats.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>

namespace sluice::demo {
namespace {

std::vector<double> one_to(int n) {
  std::vector<double> values(n);
  std::iota(values.begin(), values.end(), 1.0);
  return values;
}

TEST(Percentile, IsTheNearestRank) {
  EXPECT_EQ(percentile(one_to(100), 50), 50);
  EXPECT_EQ(percentile(one_to(100), 99), 99);
  EXPECT_EQ(percentile(one_to(100), 100), 100);
  EXPECT_EQ(percentile(one_to(200), 99), 198);
  EXPECT_EQ(percentile(one_to(10), 99), 10);
  EXPECT_EQ(percentile(one_to(3), 50), 2);
  EXPECT_EQ(percentile(one_to(4), 50), 2);
  EXPECT_EQ(percentile(one_to(1), 1), 1);
}

RC_GTEST_PROP(PercentileProperty, IsTheSmallestValueThatEnoughDoNotExceed, ()) {
  auto values = *rc::gen::nonEmpty(rc::gen::container<std::vector<double>>(
      rc::gen::map(rc::gen::inRange(0, 50), [](int i) { return static_cast<double>(i); })));
  const int p = *rc::gen::inRange(1, 101);
  std::sort(values.begin(), values.end());
  const double got = percentile(values, p);
  auto not_above = [&](double x) {
    return std::count_if(values.begin(), values.end(), [x](double v) { return v <= x; });
  };
  const auto n = static_cast<int64_t>(values.size());
  RC_ASSERT(not_above(got) * 100 >= p * n);
  const auto below = std::lower_bound(values.begin(), values.end(), got) - values.begin();
  RC_ASSERT(below * 100 < p * n);
}

TEST(Summarise, DoesNotNeedOrder) {
  const Summary s = summarise({3, 1, 2, 10});
  EXPECT_EQ(s.count, 4u);
  EXPECT_EQ(s.mean, 4);
  EXPECT_EQ(s.p50, 2);
  EXPECT_EQ(s.p99, 10);
  EXPECT_EQ(s.max, 10);
  EXPECT_EQ(summarise({}).count, 0u);
  EXPECT_EQ(summarise({}).p99, 0);
}

TEST(Median, IsTheMiddleOrBetweenTheTwoInTheMiddle) {
  EXPECT_EQ(median(std::vector<double>{9, 1, 5}), 5);
  EXPECT_EQ(median(std::vector<double>{9, 1, 5, 6}), 5.5);
  EXPECT_EQ(median(std::vector<double>{}), 0);
}

TEST(Median, TakesEachFigureOnItsOwn) {
  const std::vector<Summary> runs = {{10, 1, 20, 300, 9}, {30, 2, 10, 100, 8}, {20, 3, 30, 200, 7}};
  const Summary m = median(runs);
  EXPECT_EQ(m.count, 20u);
  EXPECT_EQ(m.mean, 2);
  EXPECT_EQ(m.p50, 20);
  EXPECT_EQ(m.p99, 200);
  EXPECT_EQ(m.max, 8);
}

}  // namespace
}  // namespace sluice::demo
