#include "host/sim_server/step_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::sim_server {
namespace {

using testing::ElementsAre;

constexpr uint64_t kMs = 1'000'000;

// 10 ms a prefill and 1 ms a token of it; 20 ms a step.
StepTimes times(bool chunked = false) {
  return {.base_ns = 20 * kMs,
          .prefill_base_ns = 10 * kMs,
          .prefill_per_token_ns = 1 * kMs,
          .max_prefill_tokens = 100,
          .chunked_prefill = chunked};
}

BatchLimits limits(uint32_t slots = 4) { return {.max_num_seqs = slots}; }

// "ms:id.index", with a full stop after the last token of a request.
std::vector<std::string> tokens_by(StepBatch& batch, TimeNs now) {
  std::vector<std::string> out;
  while (batch.next_deadline() <= now) {
    const TimeNs at = batch.next_deadline();
    std::vector<Batching::Token> tokens;
    batch.advance(at, tokens);
    for (const auto& token : tokens) {
      out.push_back(std::to_string(at / kMs) + ":" + std::to_string(token.id) + "." +
                    std::to_string(token.index) + (token.last ? "." : ""));
    }
  }
  return out;
}

TEST(StepBatch, APrefillThenAStepForEachToken) {
  StepBatch batch(times(), limits());
  batch.submit(1, 5, 3, 100 * kMs);
  EXPECT_EQ(batch.next_deadline(), 115 * kMs);
  EXPECT_THAT(tokens_by(batch, 1000 * kMs), ElementsAre("115:1.1", "135:1.2", "155:1.3."));
  EXPECT_EQ(batch.next_deadline(), kNever);
  EXPECT_EQ(batch.running() + batch.waiting() + batch.resident_tokens(), 0u);
}

TEST(StepBatch, ANewcomerWaitsForTheStepUnderWayAndHoldsUpWhoDecodes) {
  StepBatch batch(times(), limits());
  batch.submit(1, 5, 3, 0);
  EXPECT_THAT(tokens_by(batch, 20 * kMs), ElementsAre("15:1.1"));
  batch.submit(2, 10, 2, 20 * kMs);
  EXPECT_EQ(batch.waiting(), 1u);
  EXPECT_THAT(tokens_by(batch, 1000 * kMs), ElementsAre("35:1.2", "55:2.1", "75:1.3.", "75:2.2."));
}

TEST(StepBatch, ChunksShareStepsWithDecoding) {
  StepTimes t = times(true);
  t.max_prefill_tokens = 11;
  StepBatch batch(t, limits());
  batch.submit(1, 5, 4, 0);
  EXPECT_THAT(tokens_by(batch, 16 * kMs), ElementsAre("15:1.1"));
  batch.submit(2, 15, 2, 16 * kMs);
  // From 35 on 10 of its tokens, then 5, in steps of 20 ms.
  EXPECT_THAT(tokens_by(batch, 1000 * kMs),
              ElementsAre("35:1.2", "65:1.3", "90:1.4.", "90:2.1", "110:2.2."));
}

TEST(StepBatch, StepsTakeLongerTheMoreTheyHold) {
  StepTimes t = times();
  t.per_sequence_ns = 3 * kMs;
  t.per_context_token_ns = 2 * kMs;
  StepBatch batch(t, limits());
  batch.submit(1, 1, 3, 0);
  // 11 ms, then 20 + 3 + 2 * 2, then 20 + 3 + 2 * 3.
  EXPECT_THAT(tokens_by(batch, 1000 * kMs), ElementsAre("11:1.1", "38:1.2", "67:1.3."));
}

TEST(StepBatch, OneStepPrefillsSoManyTokensAndALongPromptAlone) {
  StepBatch batch(times(), limits());
  batch.submit(1, 1, 1, 0);
  batch.submit(2, 60, 1, 1 * kMs);
  batch.submit(3, 60, 1, 1 * kMs);
  batch.submit(4, 300, 1, 1 * kMs);
  EXPECT_THAT(tokens_by(batch, 1000 * kMs),
              ElementsAre("11:1.1.", "81:2.1.", "151:3.1.", "461:4.1."));
}

TEST(StepBatch, SlotsAndTheCacheBoundWhoRuns) {
  BatchLimits l = limits(2);
  l.kv_tokens = 30;
  StepBatch batch(times(), l);
  EXPECT_EQ(batch.submit(1, 29, 2, 0), Batching::Admission::kTooLarge);
  batch.submit(2, 10, 20, 0);
  batch.submit(3, 10, 20, 0);
  batch.submit(4, 1, 1, 0);
  tokens_by(batch, 55 * kMs);
  EXPECT_EQ(batch.running(), 2u);
  EXPECT_EQ(batch.preemptions(), 0u);
  tokens_by(batch, 200 * kMs);
  EXPECT_EQ(batch.running(), 1u);  // the younger makes room and comes back before the last
  EXPECT_EQ(batch.waiting(), 2u);
  EXPECT_EQ(batch.preemptions(), 1u);
  const auto rest = tokens_by(batch, 10'000 * kMs);
  EXPECT_THAT(rest.back(), testing::EndsWith("3.20."));
  EXPECT_EQ(batch.running() + batch.waiting(), 0u);
}

TEST(StepBatch, TheQueueIsBoundedAndWhoLeavesMakesRoom) {
  BatchLimits l = limits(1);
  l.max_waiting = 1;
  StepBatch batch(times(), l);
  EXPECT_EQ(batch.submit(1, 5, 9, 0), Batching::Admission::kAccepted);
  EXPECT_EQ(batch.submit(2, 5, 1, 0), Batching::Admission::kAccepted);
  EXPECT_EQ(batch.submit(3, 5, 1, 0), Batching::Admission::kQueueFull);
  EXPECT_TRUE(batch.cancel(1, 1 * kMs));
  EXPECT_FALSE(batch.cancel(1, 1 * kMs));
  EXPECT_THAT(tokens_by(batch, 1000 * kMs), ElementsAre("30:2.1."));
}

TEST(StepBatch, ALateCallDelaysNoLaterStep) {
  StepBatch batch(times(), limits());
  batch.submit(1, 5, 5, 0);
  std::vector<Batching::Token> tokens;
  batch.advance(60 * kMs, tokens);
  EXPECT_EQ(tokens.size(), 3u);
  EXPECT_EQ(batch.next_deadline(), 75 * kMs);
}

}  // namespace
}  // namespace sluice::sim_server
