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
  EXPECT_EQ(e.tokens_of_time(1, 1'000'000'000, 50), 0u) << "nothing is known of its pace";
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
  EXPECT_NEAR(e.tokens_of_time(1, 1'000'000'000, 500), 50, 2);
  EXPECT_EQ(e.tokens_of_time(1, 1'000'000'000, 20), 20u) << "no more than was expected";
  EXPECT_EQ(e.prompt_tokens(2, 400), 100u) << "other models are others";
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
