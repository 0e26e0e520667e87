#include "host/sim_server/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <ostream>

namespace sluice::sim_server {
namespace {

using testing::ElementsAre;

constexpr uint64_t kMs = 1'000'000;

BatchLimits limits(uint32_t slots = 2) {
  return {.max_num_seqs = slots,
          .time_to_first_token_ns = 50 * kMs,
          .inter_token_latency_ns = 10 * kMs};
}

// "id.index", with a full stop after the last token of a request.
std::vector<std::string> tokens_at(Batch& batch, TimeNs now) {
  std::vector<Batch::Token> tokens;
  batch.advance(now, tokens);
  std::vector<std::string> out;
  for (const auto& token : tokens) {
    out.push_back(std::to_string(token.id) + "." + std::to_string(token.index) +
                  (token.last ? "." : ""));
  }
  return out;
}

TEST(Batch, TokensComeAtTheFirstTokenTimeAndThenOneALatency) {
  Batch batch(limits());
  batch.submit(1, 4, 3, 1000);
  EXPECT_EQ(batch.next_deadline(), 1000 + 50 * kMs);
  EXPECT_THAT(tokens_at(batch, 999 + 50 * kMs), ElementsAre());
  EXPECT_THAT(tokens_at(batch, 1000 + 50 * kMs), ElementsAre("1.1"));
  EXPECT_EQ(batch.next_deadline(), 1000 + 60 * kMs);
  EXPECT_THAT(tokens_at(batch, 1000 + 60 * kMs), ElementsAre("1.2"));
  EXPECT_THAT(tokens_at(batch, 1000 + 70 * kMs), ElementsAre("1.3."));
  EXPECT_EQ(batch.next_deadline(), kNever);
  EXPECT_EQ(batch.running(), 0u);
}

TEST(Batch, ALateTokenDoesNotDelayTheNext) {
  Batch batch(limits());
  batch.submit(1, 4, 4, 0);
  EXPECT_THAT(tokens_at(batch, 57 * kMs), ElementsAre("1.1"));
  EXPECT_EQ(batch.next_deadline(), 60 * kMs);
  EXPECT_THAT(tokens_at(batch, 75 * kMs), ElementsAre("1.2", "1.3"));
  EXPECT_EQ(batch.next_deadline(), 80 * kMs);
}

TEST(Batch, TokensOfSeveralRequestsComeInOrderOfTime) {
  Batch batch(limits());
  batch.submit(1, 4, 2, 0);
  batch.submit(2, 4, 2, 5 * kMs);
  EXPECT_THAT(tokens_at(batch, 100 * kMs), ElementsAre("1.1", "2.1", "1.2.", "2.2."));
}

TEST(Batch, WaitingRequestsStartInOrderOfArrivalWhenASlotIsFreed) {
  Batch batch(limits(1));
  for (uint64_t id = 1; id <= 3; ++id) batch.submit(id, 4, 1, 0);
  EXPECT_EQ(batch.running(), 1u);
  EXPECT_EQ(batch.waiting(), 2u);
  EXPECT_THAT(tokens_at(batch, 50 * kMs), ElementsAre("1.1."));
  EXPECT_EQ(batch.next_deadline(),
            100 * kMs);  // its own first token, from the moment it got the slot
  EXPECT_THAT(tokens_at(batch, 100 * kMs), ElementsAre("2.1."));
  EXPECT_THAT(tokens_at(batch, 150 * kMs), ElementsAre("3.1."));
}

TEST(Batch, RefusesBeyondTheWaitingLimit) {
  BatchLimits l = limits(1);
  l.max_waiting = 1;
  Batch batch(l);
  EXPECT_EQ(batch.submit(1, 4, 1, 0), Batch::Admission::kAccepted);
  EXPECT_EQ(batch.submit(2, 4, 1, 0), Batch::Admission::kAccepted);
  EXPECT_EQ(batch.submit(3, 4, 1, 0), Batch::Admission::kQueueFull);
  batch.cancel(2, 0);
  EXPECT_EQ(batch.submit(4, 4, 1, 0), Batch::Admission::kAccepted);
}

TEST(Batch, TheCacheHoldsBackARequestUntilItFitsAndNobodyOvertakesIt) {
  BatchLimits l = limits(8);
  l.kv_tokens = 100;
  Batch batch(l);
  batch.submit(1, 50, 10, 0);
  batch.submit(2, 50, 10, 0);  // its prompt would fill the cache, without room for a token
  batch.submit(3, 1, 1, 0);    // would fit, but came later
  EXPECT_EQ(batch.running(), 1u);
  EXPECT_EQ(batch.waiting(), 2u);
  EXPECT_EQ(batch.resident_tokens(), 50u);
  tokens_at(batch, 90 * kMs);
  EXPECT_EQ(batch.resident_tokens(), 55u);
  tokens_at(batch, 140 * kMs);
  EXPECT_EQ(batch.running(), 2u);
  EXPECT_EQ(batch.resident_tokens(), 51u);
  EXPECT_EQ(batch.preemptions(), 0u);
}

TEST(Batch, AFullCachePreemptsTheYoungestWhichComputesAnewAllItHad) {
  BatchLimits l = limits(8);
  l.kv_tokens = 100;
  Batch batch(l);
  batch.submit(1, 48, 6, 0);
  batch.submit(2, 48, 6, 0);
  batch.submit(3, 1, 1, 0);  // 97 in the cache: it fits as well
  EXPECT_EQ(batch.running(), 3u);
  // Each takes a token of the 3 that are left; then 1 wants another, and 2 is the youngest.
  EXPECT_THAT(tokens_at(batch, 50 * kMs), ElementsAre("1.1", "2.1", "3.1."));
  EXPECT_THAT(tokens_at(batch, 60 * kMs), ElementsAre("1.2", "2.2"));
  EXPECT_EQ(batch.resident_tokens(), 100u);
  EXPECT_THAT(tokens_at(batch, 70 * kMs), ElementsAre("1.3"));
  EXPECT_EQ(batch.preemptions(), 1u);
  EXPECT_EQ(batch.waiting(), 1u);
  EXPECT_EQ(batch.resident_tokens(), 51u);
  EXPECT_THAT(tokens_at(batch, 100 * kMs), ElementsAre("1.4", "1.5", "1.6."));
  EXPECT_EQ(batch.resident_tokens(), 50u);  // the prompt and the two tokens it had made
  EXPECT_THAT(tokens_at(batch, 150 * kMs), ElementsAre("2.3"));
  EXPECT_THAT(tokens_at(batch, 180 * kMs), ElementsAre("2.4", "2.5", "2.6."));
}

TEST(Batch, WhatWantsATokenMayBeTheYoungestItself) {
  BatchLimits l = limits(8);
  l.kv_tokens = 100;
  Batch batch(l);
  batch.submit(1, 50, 9, 0);
  batch.submit(2, 48, 9, 1);
  EXPECT_THAT(tokens_at(batch, 51 * kMs), ElementsAre("1.1", "2.1"));
  EXPECT_THAT(tokens_at(batch, 61 * kMs), ElementsAre("1.2"));
  EXPECT_EQ(batch.preemptions(), 1u);
  EXPECT_EQ(batch.running(), 1u);
}

TEST(Batch, RefusesWhatCanNeverFit) {
  BatchLimits l = limits();
  l.kv_tokens = 100;
  Batch batch(l);
  EXPECT_EQ(batch.submit(1, 91, 10, 0), Batch::Admission::kTooLarge);
  EXPECT_EQ(batch.submit(2, 90, 10, 0), Batch::Admission::kAccepted);
}

TEST(Batch, ACancelledRequestFreesItsSlotAtOnceAndSaysNothingMore) {
  Batch batch(limits(1));
  batch.submit(1, 4, 9, 0);
  batch.submit(2, 4, 1, 0);
  EXPECT_TRUE(batch.cancel(1, 20 * kMs));
  EXPECT_FALSE(batch.cancel(1, 20 * kMs));
  EXPECT_EQ(batch.running(), 1u);
  EXPECT_THAT(tokens_at(batch, 70 * kMs), ElementsAre("2.1."));
}

TEST(Batch, ChangedLimitsApplyToWhoeverWaitsAndToTheNextTokens) {
  Batch batch(limits(1));
  batch.submit(1, 4, 3, 0);
  batch.submit(2, 4, 1, 0);
  BatchLimits l = limits(2);
  l.inter_token_latency_ns = 100 * kMs;
  batch.set_limits(l, 10 * kMs);
  EXPECT_EQ(batch.running(), 2u);
  EXPECT_THAT(tokens_at(batch, 60 * kMs), ElementsAre("1.1", "2.1."));
  EXPECT_EQ(batch.next_deadline(), 150 * kMs);
}

TEST(Batch, ACacheMadeTooSmallForAWaitingRequestDoesNotStrandIt) {
  BatchLimits l = limits(1);
  Batch batch(l);
  batch.submit(1, 4, 1, 0);
  batch.submit(2, 500, 1, 0);
  l.kv_tokens = 100;
  batch.set_limits(l, 0);
  EXPECT_THAT(tokens_at(batch, 50 * kMs), ElementsAre("1.1."));
  EXPECT_THAT(tokens_at(batch, 100 * kMs), ElementsAre("2.1."));
}

struct Step {
  uint8_t kind = 0;  // 0, 1: submit; 2: cancel; 3: let time pass
  uint64_t prompt = 0, size = 0;
};
std::ostream& operator<<(std::ostream& out, const Step& step) {
  return out << int{step.kind} << ':' << step.prompt << ':' << step.size;
}

RC_GTEST_PROP(BatchProperty, BoundsHoldOrderHoldsAndEveryRequestGetsItsTokens, ()) {
  BatchLimits l = limits(3);
  l.kv_tokens = 200;
  Batch batch(l);
  std::map<uint64_t, uint32_t> wanted, made;
  std::vector<uint64_t> first_tokens;
  TimeNs now = 0;
  uint64_t last = 0;
  auto advance = [&](TimeNs to) {
    std::vector<Batch::Token> tokens;
    while (batch.next_deadline() <= to) {
      now = batch.next_deadline();
      tokens.clear();
      batch.advance(now, tokens);
      RC_ASSERT(batch.running() <= l.max_num_seqs);
      RC_ASSERT(batch.resident_tokens() <= l.kv_tokens);
      for (const auto& token : tokens) {
        RC_ASSERT(wanted.count(token.id) == 1);
        RC_ASSERT(token.index == ++made[token.id]);
        RC_ASSERT(token.last == (token.index == wanted[token.id]));
        if (token.index == 1) first_tokens.push_back(token.id);
      }
    }
    now = std::max(now, to);
  };
  const auto steps = *rc::gen::container<std::vector<Step>>(
      rc::gen::construct<Step>(rc::gen::inRange<uint8_t>(0, 4), rc::gen::inRange<uint64_t>(1, 80),
                               rc::gen::inRange<uint64_t>(1, 40)));
  for (const Step& step : steps) {
    if (step.kind <= 1) {
      wanted[++last] = static_cast<uint32_t>(step.size);
      RC_ASSERT(batch.submit(last, step.prompt, wanted[last], now) == Batch::Admission::kAccepted);
    } else if (step.kind == 2 && last != 0) {
      const uint64_t id = 1 + step.prompt % last;
      const bool alive = wanted.count(id) != 0 && made[id] != wanted[id];
      RC_ASSERT(batch.cancel(id, now) == alive);
      if (alive) wanted.erase(id);
    } else {
      advance(now + step.size * kMs);
    }
    RC_ASSERT(batch.running() <= l.max_num_seqs);
    RC_ASSERT(batch.resident_tokens() <= l.kv_tokens);
    RC_ASSERT(batch.waiting() == 0 || batch.running() > 0);
  }
  advance(kNever - 1);
  RC_ASSERT(batch.running() + batch.waiting() == 0);
  RC_ASSERT(batch.resident_tokens() == 0);
  for (const auto& [id, tokens] : wanted) RC_ASSERT(made[id] == tokens);
  RC_ASSERT(std::is_sorted(first_tokens.begin(), first_tokens.end()));
}

}  // namespace
}  // namespace sluice::sim_server
