#include "host/traces/draws.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sluice::traces {
namespace {

constexpr int kDraws = 200'000;

struct Moments {
  double mean = 0, cv = 0, least = 0;
};

template <typename F>
Moments moments(F&& draw) {
  Random random(7);
  double sum = 0, squares = 0, least = 1e300;
  for (int i = 0; i < kDraws; ++i) {
    const double x = draw(random);
    sum += x;
    squares += x * x;
    least = std::min(least, x);
  }
  const double mean = sum / kDraws;
  return {mean, std::sqrt(squares / kDraws - mean * mean) / mean, least};
}

TEST(Draws, ExponentialHasMeanAndVariationOfOne) {
  const Moments got = moments(draw_exponential);
  EXPECT_NEAR(got.mean, 1, 0.01);
  EXPECT_NEAR(got.cv, 1, 0.01);
  EXPECT_GE(got.least, 0);
}

TEST(Draws, NormalHasItsShape) {
  Random random(3);
  int within_one = 0, within_two = 0, above = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = draw_normal(random);
    within_one += std::abs(x) < 1 ? 1 : 0;
    within_two += std::abs(x) < 2 ? 1 : 0;
    above += x > 0 ? 1 : 0;
  }
  EXPECT_NEAR(within_one / double{kDraws}, 0.6827, 0.005);
  EXPECT_NEAR(within_two / double{kDraws}, 0.9545, 0.005);
  EXPECT_NEAR(above / double{kDraws}, 0.5, 0.005);
}

TEST(Draws, GammaHasMeanOneAndTheVariationAskedFor) {
  for (const double cv : {0.1, 0.5, 1.0, 2.0, 4.0}) {
    const Moments got = moments([&](Random& random) { return draw_gamma(random, cv); });
    EXPECT_NEAR(got.mean, 1, 0.01 + 0.01 * cv) << cv;
    EXPECT_NEAR(got.cv, cv, 0.02 * cv) << cv;
    EXPECT_GE(got.least, 0) << cv;
  }
}

TEST(Draws, LogNormalHasMeanOneAndTheVariationAskedFor) {
  for (const double cv : {0.0, 0.2, 1.0, 2.0}) {
    const Moments got = moments([&](Random& random) { return draw_log_normal(random, cv); });
    EXPECT_NEAR(got.mean, 1, 0.01 + 0.01 * cv) << cv;
    EXPECT_NEAR(got.cv, cv, 0.05 * cv + 1e-6) << cv;
    EXPECT_GT(got.least, 0) << cv;
  }
}

}  // namespace
}  // namespace sluice::traces
