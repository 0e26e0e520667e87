#include "host/simulate/model_server.h"

#include <gmock/gmock.h>

#include <map>

#include "tests/unit/simulate/rig.h"

namespace sluice::simulate {
namespace {

// 10 ms a prefill and 1 ms a token of it; 10 ms a step, nothing for sequences and context.
ServerModel plain() {
  ServerModel m = one_at_a_time();
  m.max_running = 4;
  return m;
}

class ModelServerTest : public ::testing::Test {
 protected:
  void start(const ServerModel& model) { server_ = std::make_unique<ModelServer>(model, ghosts_); }
  void submit(TimeNs at, uint32_t request, uint32_t prompt, uint32_t output,
              std::vector<uint64_t> prefix = {}) {
    run(at);
    ASSERT_EQ(server_->submit(at, {request, prompt, output, std::move(prefix)}),
              ModelServer::Answer::kQueued);
  }
  GhostId ghost(TimeNs at, uint32_t prompt, uint32_t output = 10) {
    run(at);
    const GhostId id = ghosts_.add(at);
    server_->add_ghost(at, id, prompt, output);
    return id;
  }
  void run(TimeNs until = kNever - 1) {
    std::vector<ServerEvent> events;
    server_->advance(until, events);
    TimeNs last = 0;
    for (const ServerEvent& e : events) {
      EXPECT_GE(e.at, last) << "events come in order";
      last = e.at;
      if (e.kind == ServerEvent::Kind::kAdmitted) {
        EXPECT_FALSE(admitted_.contains(e.request));
        admitted_[e.request] = e.at;
        cached_[e.request] = e.tokens;
      }
      if (e.kind == ServerEvent::Kind::kFirstToken) first_[e.request] = e.at;
      if (e.kind == ServerEvent::Kind::kFinished) finished_[e.request] = e.at;
      if (e.kind == ServerEvent::Kind::kProgress || e.kind == ServerEvent::Kind::kFinished)
        made_[e.request] = e.tokens;
    }
  }
  TimeNs wait(GhostId id) { return ghosts_.remove(id); }

  Ghosts ghosts_;
  std::unique_ptr<ModelServer> server_;
  std::map<uint32_t, TimeNs> admitted_, first_, finished_;
  std::map<uint32_t, uint32_t> made_, cached_;
};

TEST_F(ModelServerTest, OneRequestTakesItsPrefillAndAStepForEachFurtherToken) {
  start(plain());
  submit(5 * kMs, 1, 100, 11);
  run();
  EXPECT_EQ(admitted_[1], 5 * kMs);
  EXPECT_EQ(first_[1], (5 + 10 + 100) * kMs);
  EXPECT_EQ(finished_[1], (115 + 10 * 10) * kMs);
  EXPECT_EQ(made_[1], 11u);
  EXPECT_EQ(server_->next_at(), kNever);
  EXPECT_EQ(server_->kv_used(1000 * kMs), 0);
  EXPECT_EQ(server_->prefill_alone(100, 0), 110 * kMs);
}

// 64 bits of picoseconds are 213 days.
TEST_F(ModelServerTest, YearsFromTheBeginningTimesAreAsExact) {
  constexpr TimeNs kYear = TimeNs{365} * 24 * 3600 * 1000 * kMs;
  start(plain());
  submit(0, 1, 100, 11);
  submit(9 * kYear, 2, 100, 11);
  run();
  EXPECT_EQ(finished_[1], 210 * kMs);
  EXPECT_EQ(admitted_[2], 9 * kYear);
  EXPECT_EQ(first_[2], 9 * kYear + 110 * kMs);
  EXPECT_EQ(finished_[2], 9 * kYear + 210 * kMs);
}

TEST_F(ModelServerTest, StepsCostWhatTheirSequencesAndContextDo) {
  ServerModel m = plain();
  m.step_ps = {10 * kPsPerMs, kPsPerMs, kPsPerMs / 100};
  start(m);
  submit(0, 1, 100, 3);
  run();
  // Context 101 and 102 tokens when the second and the third are made.
  EXPECT_EQ(finished_[1] - first_[1], TimeNs(2 * 11 * kMs + 2.03 * kMs));
}

TEST_F(ModelServerTest, ANewcomerWaitsForTheStepUnderWayAndStopsTheOthersForItsPrefill) {
  start(plain());
  submit(0, 1, 90, 100);  // first token at 100 ms
  submit(123 * kMs, 2, 40, 2);
  run();
  EXPECT_EQ(admitted_[2], 130 * kMs);
  EXPECT_EQ(first_[2], 180 * kMs);
  EXPECT_EQ(finished_[2], 190 * kMs);
  EXPECT_EQ(finished_[1], (100 + 99 * 10 + 50) * kMs);
}

TEST_F(ModelServerTest, ItsQueueIsFirstComeFirstServed) {
  start(plain());
  for (uint32_t r = 1; r <= 4; ++r) submit(0, r, 10, 10 * r);
  submit(kMs, 5, 10, 10);
  submit(2 * kMs, 6, 10, 10);
  run(200 * kMs);
  EXPECT_EQ(server_->running(), 4u);
  EXPECT_EQ(server_->room(), 0u);
  run();
  EXPECT_EQ(admitted_[5], finished_[1]);
  EXPECT_EQ(admitted_[6], std::min(finished_[2], finished_[5]));
}

TEST_F(ModelServerTest, PrefillsShareAStepUpToTheirTokens) {
  ServerModel m = plain();
  m.max_prefill_tokens = 100;
  start(m);
  submit(0, 1, 10, 5);
  for (uint32_t r = 2; r <= 4; ++r) submit(kMs, r, 50, 5);  // after the first's prefill: 2 and 3
  run();
  EXPECT_EQ(admitted_[2], 20 * kMs);
  EXPECT_EQ(admitted_[3], 20 * kMs);
  EXPECT_EQ(admitted_[4], 130 * kMs);
}

TEST_F(ModelServerTest, APromptLongerThanAStepIsPrefilledAlone) {
  ServerModel m = plain();
  m.max_prefill_tokens = 100;
  start(m);
  submit(0, 1, 300, 2);
  run();
  EXPECT_EQ(first_[1], 310 * kMs);
}

TEST_F(ModelServerTest, ChunksShareStepsWithDecoding) {
  ServerModel m = plain();
  m.chunked_prefill = true;
  m.max_prefill_tokens = 50;
  start(m);
  submit(0, 1, 20, 20);  // first token at 30 ms
  submit(31 * kMs, 2, 100, 2);
  run();
  EXPECT_EQ(admitted_[2], 40 * kMs);
  // 49 + 49 + 2 tokens beside a decode step of 10 ms each.
  EXPECT_EQ(first_[2], (40 + 3 * 10 + 100) * kMs);
  EXPECT_EQ(finished_[1] - first_[1], (19 * 10 + 100) * kMs);
  EXPECT_EQ(server_->prefill_alone(100, 0), (2 * 10 + 100) * kMs);
}

TEST_F(ModelServerTest, WaitsTheStepsBetweenPrefills) {
  ServerModel m = plain();
  m.steps_between_prefills = 10;
  start(m);
  submit(0, 1, 10, 100);       // first token at 20 ms
  submit(30 * kMs, 2, 10, 5);  // steps end at 30, 40, ... 120
  run();
  EXPECT_EQ(admitted_[2], 120 * kMs);
}

TEST_F(ModelServerTest, GreedyAdmissionThrowsTheNewestOutWhenTheCacheIsFull) {
  ServerModel m = plain();
  m.kv_tokens = 100;
  start(m);
  submit(0, 1, 40, 30);
  submit(0, 2, 40, 30);
  run();
  EXPECT_EQ(server_->preemptions(), 1u);
  EXPECT_LT(finished_[1], finished_[2]);
  EXPECT_EQ(made_[1], 30u);
  EXPECT_EQ(made_[2], 30u);
  EXPECT_EQ(server_->kv_used(0), 0);
}

TEST_F(ModelServerTest, PeakMemoryAdmissionNeverThrowsOut) {
  ServerModel m = plain();
  m.kv_tokens = 100;
  m.admit = ServerModel::Admit::kPeakMemory;
  start(m);
  submit(0, 1, 40, 30);
  submit(0, 2, 40, 30);
  run();
  EXPECT_EQ(server_->preemptions(), 0u);
  // Together they would need 140. Once the first has 27 tokens to go, 40 + 3 .. at its end: 70 of
  // the first and 40 + what the second has made by then, at most 100: it has 30 left then at most.
  EXPECT_GT(admitted_[2], first_[1]);
  EXPECT_LE(admitted_[2], finished_[1]);
}

TEST_F(ModelServerTest, LongOutputsEndWhereTheCacheIsFull) {
  ServerModel m = plain();
  m.kv_tokens = 100;
  start(m);
  submit(0, 1, 40, 1000);
  run();
  EXPECT_EQ(made_[1], 60u);
  EXPECT_EQ(server_->submit(finished_[1], {2, 100, 1}), ModelServer::Answer::kTooLong);
}

TEST_F(ModelServerTest, AFullQueueAnswersThatItIs) {
  ServerModel m = plain();
  m.max_running = 1;
  m.max_waiting = 1;
  start(m);
  submit(0, 1, 10, 10);
  submit(0, 2, 10, 10);
  EXPECT_EQ(server_->submit(0, {3, 10, 10}), ModelServer::Answer::kFull);
}

TEST_F(ModelServerTest, TheCacheSparesWhatAnEarlierPromptBeganWith) {
  ServerModel m = plain();
  m.prefix_cache = true;
  start(m);
  submit(0, 1, 200, 2, {11, 12, 13});
  run(1000 * kMs);
  submit(1000 * kMs, 2, 200, 2, {11, 12, 99});
  run(2000 * kMs);
  EXPECT_EQ(cached_[2], 128u);
  EXPECT_EQ(first_[2], (1000 + 10 + 72) * kMs);
  // Even a prompt that is there in full has a token to compute.
  submit(2000 * kMs, 3, 192, 2, {11, 12, 13});
  run();
  EXPECT_EQ(cached_[3], 191u);
  EXPECT_EQ(server_->kv_used(3000 * kMs), 0);
}

TEST_F(ModelServerTest, OldBlocksGiveWay) {
  ServerModel m = plain();
  m.prefix_cache = true;
  m.kv_tokens = 300;
  start(m);
  submit(0, 1, 200, 2, {11, 12, 13});
  run(1000 * kMs);
  submit(1000 * kMs, 2, 250, 2, {21, 22, 23});
  run(2000 * kMs);
  submit(2000 * kMs, 3, 200, 2, {11, 12, 13});
  run();
  EXPECT_EQ(cached_[3], 0u);
}

TEST_F(ModelServerTest, WhoLeavesIsNoLongerTold) {
  start(plain());
  submit(0, 1, 10, 100);
  submit(0, 2, 10, 100);
  run(205 * kMs);
  server_->cancel(205 * kMs, 1);
  run(300 * kMs);
  EXPECT_EQ(server_->running(), 1u);
  run();
  EXPECT_FALSE(finished_.contains(1));
  EXPECT_TRUE(finished_.contains(2));
  EXPECT_EQ(server_->kv_used(0), 0);
  // In its prefill, and in the queue.
  const TimeNs at = finished_[2];
  submit(at, 3, 100, 10);
  server_->cancel(at, 3);
  run();
  EXPECT_EQ(server_->running(), 0u);
  EXPECT_EQ(server_->kv_used(0), 0);
}

TEST_F(ModelServerTest, AThousandTokensAreAFewEvents) {
  start(plain());
  submit(0, 1, 10, 1000);
  int calls = 0;
  std::vector<ServerEvent> events;
  while (server_->next_at() != kNever && calls < 1000) {
    server_->advance(server_->next_at(), events);
    ++calls;
  }
  EXPECT_LT(calls, 40);
}

// ---- hindsight: what a request would have waited here ----

TEST_F(ModelServerTest, GhostsFindAnIdleServerAtOnce) {
  start(plain());
  EXPECT_EQ(wait(ghost(5 * kMs, 10)), 0u);
}

TEST_F(ModelServerTest, GhostsWaitForTheStepUnderWay) {
  start(plain());
  submit(0, 1, 90, 100);
  const GhostId g = ghost(123 * kMs, 10);
  run(140 * kMs);
  EXPECT_EQ(wait(g), 7 * kMs);
}

TEST_F(ModelServerTest, GhostsWaitForAPlaceButTakeNone) {
  start(plain());
  for (uint32_t r = 1; r <= 4; ++r) submit(0, r, 10, 10 * r);
  const GhostId g = ghost(kMs, 10), h = ghost(2 * kMs, 10);
  submit(3 * kMs, 5, 10, 10);
  run();
  EXPECT_EQ(wait(g), finished_[1] - kMs);
  EXPECT_EQ(wait(h), finished_[1] - 2 * kMs);
  EXPECT_EQ(admitted_[5], finished_[1]);
}

TEST_F(ModelServerTest, GhostsWaitBehindWhoWasThereBefore) {
  start(plain());
  for (uint32_t r = 1; r <= 4; ++r) submit(0, r, 10, 10 * r);
  submit(kMs, 5, 10, 100);
  const GhostId g = ghost(2 * kMs, 10);
  run();
  EXPECT_EQ(admitted_[5], finished_[1]);
  EXPECT_EQ(wait(g), finished_[2] - 2 * kMs);
}

TEST_F(ModelServerTest, ALargeGhostNeedsTheRoomThatItsRequestWould) {
  ServerModel m = plain();
  m.kv_tokens = 100;
  start(m);
  submit(0, 1, 40, 10);
  const GhostId large = ghost(kMs, 80, 1), small = ghost(kMs, 20, 1);
  run();
  EXPECT_EQ(wait(small), 50 * kMs - kMs);
  EXPECT_EQ(wait(large), finished_[1] - kMs);
}

}  // namespace
}  // namespace sluice::simulate
