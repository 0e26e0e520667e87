#include "core/estimates.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Estimates, OfAModelNeverHeardOf) {
  const Estimates e;
  EXPECT_EQ(e.prompt_tokens(1, 400), 100u);
  EXPECT_EQ(e.output_tokens(1, 0, 1), 256u);
  EXPECT_EQ(e.output_tokens(1, 10, 1), 10u);
  EXPECT_EQ(e.output_tokens(1, 1000, 2), 512u);
  EXPECT_EQ(e.output_tokens(1, 0, 0), 0u) << "an embedding";
  EXPECT_EQ(e.tokens_of_events(1, 7), 7u);
  EXPECT_EQ(e.tokens_of_time(1, 1'000'000'000, 50, 1), 0u) << "nothing is known of its pace";
}

TEST(Estimates, FollowWhatTheModelDoes) {
  Estimates e;
  for (uint32_t i = 0; i < 2000; ++i)
    e.learn(1, {.prompt_bytes = 3000,
                .prompt_tokens = 1000,
                .output_tokens = 10 + i % 100,  // p75 = 85
                .events = (10 + i % 100) / 2,
                .elapsed = (10 + i % 100) * 20'000'000ull});
  EXPECT_NEAR(e.prompt_tokens(1, 3000), 1000, 10);
  EXPECT_NEAR(e.output_tokens(1, 0, 1), 85, 3);
  EXPECT_EQ(e.output_tokens(1, 40, 1), 40u);
  EXPECT_NEAR(e.tokens_of_events(1, 50), 100, 3);
  EXPECT_NEAR(e.tokens_of_time(1, 1'010'000'000, 500, 1), 50, 1);
  EXPECT_EQ(e.prompt_tokens(2, 400), 100u) << "other models are others";
}

// A second until the first token, 10 ms to each that follows.
TEST(Estimates, TheTimeToTheFirstTokenIsToldFromTheTimeBetweenTokens) {
  Estimates e;
  for (uint32_t i = 0; i < 100; ++i) {
    const uint32_t tokens = 10 + i;
    e.learn(1, {.output_tokens = 2 * tokens,
                .choices = 2,
                .elapsed = 1'000'000'000 + (tokens - 1) * 10'000'000ull});
  }
  EXPECT_EQ(e.tokens_of_time(1, 990'000'000, 0, 1), 0u) << "nobody has seen a token yet";
  EXPECT_EQ(e.tokens_of_time(1, 1'005'000'000, 0, 1), 1u);
  EXPECT_EQ(e.tokens_of_time(1, 1'205'000'000, 0, 1), 21u);
  EXPECT_EQ(e.tokens_of_time(1, 1'205'000'000, 0, 2), 42u);
  EXPECT_EQ(e.tokens_of_time(1, 1'205'000'000, 5, 2), 10u) << "no more than was asked for";
  EXPECT_EQ(e.tokens_of_time(1, 900'000'000'000, 0, 1), 109u) << "it hung: the longest so far";
  EXPECT_EQ(e.tokens_of_time(1, 1'505'000'000, 500, 1), 51u) << "longer than most, but asked for";
}

TEST(Estimates, APrefixIsCachedAsFarAsServersHaveSaidSo) {
  Estimates e;
  EXPECT_EQ(e.cached_tokens(1, 1000), 0u) << "nobody has said that it was";
  for (int i = 0; i < 2000; ++i)
    e.learn(1, {.prompt_tokens = 500, .prefix_tokens = 400, .cached_tokens = 300});
  EXPECT_NEAR(e.cached_tokens(1, 1000), 750, 5);
  for (int i = 0; i < 2000; ++i)
    e.learn(2, {.prompt_tokens = 500, .prefix_tokens = 400, .cached_tokens = 500});
  EXPECT_LE(e.cached_tokens(2, 1000), 1000u);
}

TEST(Estimates, TimesThatShowNoLineAreSharedOutEvenly) {
  Estimates same, falling;
  for (uint64_t i = 0; i < 100; ++i) {
    same.learn(1, {.output_tokens = 50, .elapsed = 500'000'000});
    falling.learn(
        1, {.output_tokens = 1 + static_cast<uint32_t>(i), .elapsed = (200 - i) * 1'000'000});
  }
  EXPECT_EQ(same.tokens_of_time(1, 305'000'000, 0, 1), 30u);
  EXPECT_GT(falling.tokens_of_time(1, 100'000'000, 0, 1), 10u);
  EXPECT_EQ(falling.tokens_of_time(1, 900'000'000'000, 0, 1), 100u);
}

TEST(Estimates, AnImageDoesNotChangeWhatTextCosts) {
  Estimates e;
  for (int i = 0; i < 500; ++i) e.learn(1, {.prompt_bytes = 400, .prompt_tokens = 100});
  e.learn(1, {.prompt_bytes = 8'000'000, .prompt_tokens = 1500});
  EXPECT_EQ(e.prompt_tokens(1, 400), 100u);
}

TEST(Estimates, ModelsBeyondTheLimitShareOne) {
  Estimates e;
  for (uint64_t model = 0; model < kModelsEstimatedMax + 50; ++model)
    for (int i = 0; i < 20; ++i) e.learn(model, {.prompt_tokens = 1, .output_tokens = 30});
  EXPECT_EQ(e.output_tokens(5, 0, 1), 30u);
  EXPECT_EQ(e.output_tokens(kModelsEstimatedMax + 7, 0, 1), 30u);
  EXPECT_EQ(e.output_tokens(999'999, 0, 1), 30u);
}

}  // namespace
}  // namespace sluice
