// The model server in virtual time, which reckons many steps at once, against the one behind
// sim-server, which goes through each: written apart, they must tell the same times to the
// nanosecond.
#include <gtest/gtest.h>

#include <map>

#include "core/picker.h"
#include "host/sim_server/step_batch.h"
#include "host/simulate/model_server.h"

namespace sluice::simulate {
namespace {

struct Times {
  TimeNs first = 0, last = 0;
  bool operator==(const Times&) const = default;
};
void PrintTo(const Times& t, std::ostream* out) { *out << t.first << " .. " << t.last; }

struct Request {
  TimeNs at = 0;
  uint32_t prompt = 1, output = 1;
};

struct Scenario {
  sim_server::StepTimes times;
  sim_server::BatchLimits limits;
  std::vector<Request> requests;
};

Scenario drawn(uint64_t seed) {
  Random random(seed);
  const auto draw = [&](uint64_t from, uint64_t to) { return from + random.below(to - from + 1); };
  Scenario s;
  s.times = {.base_ns = draw(1, 20'000'000),
             .per_sequence_ns = draw(0, 1'000'000),
             .per_context_token_ns = draw(0, 3'000),
             .prefill_base_ns = draw(0, 20'000'000),
             .prefill_per_token_ns = draw(0, 200'000),
             .max_prefill_tokens = draw(1, 1500),
             .chunked_prefill = draw(0, 1) == 1};
  s.limits = {.max_num_seqs = static_cast<uint32_t>(draw(1, 12)), .kv_tokens = draw(800, 4000)};
  TimeNs now = 1'000'000'000;
  for (int i = 0; i < 200; ++i) {
    // Some at the same moment, some after all is over.
    if (draw(0, 3) != 0) now += draw(1, draw(0, 20) == 0 ? 5'000'000'000 : 100'000'000);
    s.requests.push_back({now, static_cast<uint32_t>(draw(1, 600)),
                          static_cast<uint32_t>(draw(1, draw(0, 5) == 0 ? 180 : 20))});
  }
  return s;
}

struct Told {
  std::map<uint64_t, Times> times;
  uint64_t preemptions = 0;
};

Told by_steps(const Scenario& s) {
  sim_server::StepBatch batch(s.times, s.limits);
  Told told;
  const auto run = [&](TimeNs until) {
    while (batch.next_deadline() <= until) {
      const TimeNs at = batch.next_deadline();
      std::vector<sim_server::Batching::Token> tokens;
      batch.advance(at, tokens);
      for (const auto& token : tokens) {
        if (token.index == 1) told.times[token.id].first = at;
        if (token.last) told.times[token.id].last = at;
      }
    }
  };
  for (size_t i = 0; i < s.requests.size(); ++i) {
    const Request& r = s.requests[i];
    run(r.at);
    EXPECT_EQ(batch.submit(i, r.prompt, r.output, r.at),
              sim_server::Batching::Admission::kAccepted);
  }
  run(kNever - 1);
  told.preemptions = batch.preemptions();
  return told;
}

Told by_reckoning(const Scenario& s) {
  constexpr uint64_t kPsPerNs = 1000;
  ServerModel model;
  model.prefill_ps = {s.times.prefill_base_ns * kPsPerNs, s.times.prefill_per_token_ns * kPsPerNs,
                      0};
  model.step_ps = {s.times.base_ns * kPsPerNs, s.times.per_sequence_ns * kPsPerNs,
                   s.times.per_context_token_ns * kPsPerNs};
  model.kv_tokens = s.limits.kv_tokens;
  model.max_running = s.limits.max_num_seqs;
  model.max_prefill_tokens = static_cast<uint32_t>(s.times.max_prefill_tokens);
  model.chunked_prefill = s.times.chunked_prefill;
  Ghosts ghosts;
  ModelServer server(model, ghosts);
  Told told;
  const auto run = [&](TimeNs until) {
    std::vector<ServerEvent> events;
    server.advance(until, events);
    for (const ServerEvent& event : events) {
      if (event.kind == ServerEvent::Kind::kFirstToken) told.times[event.request].first = event.at;
      if (event.kind == ServerEvent::Kind::kFinished) told.times[event.request].last = event.at;
    }
  };
  for (uint32_t i = 0; i < s.requests.size(); ++i) {
    const Request& r = s.requests[i];
    run(r.at);
    EXPECT_EQ(server.submit(r.at, {i, r.prompt, r.output}), ModelServer::Answer::kQueued);
  }
  run(kNever - 1);
  told.preemptions = server.preemptions();
  return told;
}

TEST(TwoModels, TellTheSameTimes) {
  uint64_t preemptions = 0;
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    const Scenario s = drawn(seed);
    const Told steps = by_steps(s), reckoned = by_reckoning(s);
    ASSERT_EQ(steps.times.size(), s.requests.size());
    ASSERT_EQ(reckoned.times.size(), s.requests.size());
    for (uint64_t id = 0; id < s.requests.size() && !HasFailure(); ++id) {
      EXPECT_EQ(steps.times.at(id), reckoned.times.at(id)) << "seed " << seed << ", request " << id;
    }
    EXPECT_EQ(steps.preemptions, reckoned.preemptions) << "seed " << seed;
    preemptions += steps.preemptions;
    if (HasFailure()) return;
  }
  EXPECT_GT(preemptions, 1000u);
}

}  // namespace
}  // namespace sluice::simulate
