// mode = "auto" against model servers in virtual time: slots, KV cache, preemption, late metrics.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "core/engine.h"
#include "core/room_learner.h"
#include "tests/unit/core/engine_fixture.h"

namespace sluice {
namespace {

constexpr TimeNs kMs = 1'000'000;

// Continuous batching, a step a millisecond. Not sim-server's code, so that each checks the other.
class ModelServer {
 public:
  uint32_t slots = 8;
  uint64_t kv_tokens = 0;  // 0 = no limit
  bool preempts = false;   // admits by the prompt alone, and puts the newest back when it runs out
  double ttft_ms = 50, itl_ms = 10;

  struct Job {
    uint32_t prompt = 0, output = 0;
    int gateway = 0;
    std::function<void()> done;
    double left_ms = 0;
    uint64_t tokens = 0;  // resident
  };
  void submit(Job job) {
    job.left_ms = ttft_ms + itl_ms * job.output;
    waiting_.push_back(std::move(job));
  }
  void step() {
    for (auto& job : running_) {
      job.left_ms -= 1;
      if (preempts) {
        const double made = job.output - job.left_ms / itl_ms;
        job.tokens = job.prompt + static_cast<uint64_t>(std::max(made, 0.0));
      }
    }
    while (kv_tokens != 0 && preempts && resident() > kv_tokens && running_.size() > 1) {
      Job job = std::move(running_.back());
      running_.pop_back();
      job.left_ms = ttft_ms + itl_ms * job.output;
      ++preemptions;
      waiting_.push_front(std::move(job));
    }
    for (size_t i = 0; i < running_.size();) {
      if (running_[i].left_ms > 0) {
        ++i;
        continue;
      }
      Job job = std::move(running_[i]);
      running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
      served_tokens += job.prompt + job.output;
      ++served;
      ++served_of[job.gateway];
      if (job.done) job.done();
    }
    while (!waiting_.empty() && running_.size() < slots && fits(waiting_.front())) {
      running_.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
      running_.back().tokens = running_.back().prompt + (preempts ? 0 : running_.back().output);
    }
  }
  uint64_t resident() const {
    uint64_t sum = 0;
    for (const Job& job : running_) sum += job.tokens;
    return sum;
  }
  bool fits(const Job& job) const {
    if (kv_tokens == 0 || running_.empty()) return true;
    return resident() + job.prompt + (preempts ? 0 : job.output) <= kv_tokens;
  }
  EndpointReport report(TimeNs now) const {
    EndpointReport r;
    r.taken_ns = now;
    r.waiting = static_cast<uint32_t>(waiting_.size());
    r.running = static_cast<uint32_t>(running_.size());
    if (kv_tokens != 0) {
      r.kv_used = std::min(1.0F, static_cast<float>(resident()) / static_cast<float>(kv_tokens));
      r.kv_tokens_max = kv_tokens;
    }
    return r;
  }
  size_t waiting() const { return waiting_.size(); }
  size_t running() const { return running_.size(); }

  uint64_t served = 0, served_tokens = 0, preemptions = 0;
  std::map<int, uint64_t> served_of;

 private:
  std::deque<Job> waiting_;
  std::vector<Job> running_;
};

using Sizes = std::function<std::pair<uint32_t, uint32_t>(std::mt19937_64&)>;
std::pair<uint32_t, uint32_t> equal_sizes(std::mt19937_64& random) {
  return {100, 20 + static_cast<uint32_t>(random() % 61)};  // so that they do not end together
}
std::pair<uint32_t, uint32_t> mixed_sizes(std::mt19937_64& random) {
  return {100 + static_cast<uint32_t>(random() % 7901), 20 + static_cast<uint32_t>(random() % 61)};
}

// Gateways with more to do than the servers can take, on the same servers.
class Room : public ::testing::Test {
 protected:
  struct Gateway {
    std::unique_ptr<Engine> engine;
    uint64_t rejections = 0;
  };

  void start(size_t servers_count, size_t gateways_count, EndpointLimits limits,
             double ceiling = 1) {
    servers.resize(servers_count);
    limits.learn = true;
    limits.gateways = static_cast<uint32_t>(gateways_count);
    for (size_t g = 0; g < gateways_count; ++g) {
      Pipeline p;
      p.bands.emplace_back().name = "default";
      p.bands[0].ceiling = ceiling;
      auto made = Engine::create(std::move(p), g + 1, now);
      ASSERT_TRUE(made.ok());
      gateways.push_back({std::move(*made)});
      std::vector<uint32_t> all;
      for (uint32_t s = 0; s < servers_count; ++s) all.push_back(s);
      gateways[g].engine->set_class(now, 0, all);
      for (uint32_t s = 0; s < servers_count; ++s) {
        gateways[g].engine->set_endpoint(now, s, limits, true);
        asked.push_back(0);
      }
    }
  }

  void feed(size_t g) {
    Engine& engine = *gateways[g].engine;
    for (int n = 0; n < 100 && engine.stats().total.parked < 40; ++n) {
      const auto [prompt, output] = sizes(random);
      Submission s;
      s.flow = "f";
      s.prompt_tokens = prompt;
      s.output_expected = output;
      const RequestId id = engine.submit(now, s);
      jobs[{g, id.seq}] = {prompt, output};
      act(g);
    }
  }

  void act(size_t g) {
    Engine& engine = *gateways[g].engine;
    const std::vector<Decision> decisions = std::exchange(engine.decisions(), {});
    for (const Decision& d : decisions) {
      if (d.kind != Decision::Kind::kDispatch) continue;
      const auto [prompt, output] = jobs[{g, d.id.seq}];
      ModelServer& server = servers[d.endpoint];
      if (max_waiting != 0 && server.running() + server.waiting() >= server.slots + max_waiting) {
        ++gateways[g].rejections;
        engine.requeue(now, d.id, Engine::Requeue::kRejected);
        act(g);
        continue;
      }
      server.submit({prompt, output, static_cast<int>(g), [this, g, id = d.id] {
                       gateways[g].engine->complete(now, id, {});
                       jobs.erase({g, id.seq});
                       act(g);
                     }});
    }
  }

  // Metrics that are read every INTERVAL, and come DELAY after they were asked for.
  void scrape(size_t g, uint32_t s) {
    Asked& a = asked[g * servers.size() + s];
    if (a.answer_at == 0 && now >= a.next) {
      a.sent = now;
      a.answer_at = now + delay;
      gateways[g].engine->report_asked(now, s);
      if (!read_late) a.report = servers[s].report(now);
    }
    if (a.answer_at != 0 && now >= a.answer_at) {
      if (read_late) a.report = servers[s].report(now);
      a.report.taken_ns = a.sent;
      if (lie) lie(a.report);
      a.answer_at = 0;
      a.next = std::max(a.sent + 50 * kMs, now);
      if (missing) a.report = {};  // as the pool does when they are stale
      gateways[g].engine->report(now, s, a.report);
    }
  }

  void run(double seconds) {
    const uint64_t steps = static_cast<uint64_t>(seconds * 1000);
    for (ModelServer& server : servers) {
      server.served = server.served_tokens = 0;
      server.served_of.clear();
    }
    double waiting_sum = 0;
    for (uint64_t i = 0; i < steps; ++i) {
      now += kMs;
      for (ModelServer& server : servers) server.step();
      for (size_t g = 0; g < gateways.size(); ++g) {
        gateways[g].engine->advance(now);
        act(g);
        if (i % 50 == 0) feed(g);
        for (uint32_t s = 0; s < servers.size(); ++s) {
          scrape(g, s);
          act(g);
        }
      }
      for (const ModelServer& server : servers)
        waiting_sum += static_cast<double>(server.waiting());
    }
    waiting = waiting_sum / static_cast<double>(steps) / static_cast<double>(servers.size());
    tokens_per_second = 0;
    for (const ModelServer& server : servers)
      tokens_per_second += static_cast<double>(server.served_tokens) / seconds;
    for (size_t g = 0; g < gateways.size(); ++g) {
      const auto wrong = gateways[g].engine->audit();
      EXPECT_FALSE(wrong) << *wrong;
    }
  }

  // What one such server gives alone, with always something in its queue.
  double alone(ModelServer server, double seconds) {
    std::mt19937_64 other(5);
    server.served_tokens = 0;
    const uint64_t steps = static_cast<uint64_t>(seconds * 1000);
    for (uint64_t i = 0; i < steps; ++i) {
      while (server.waiting() < 40) {
        const auto [prompt, output] = sizes(other);
        server.submit({prompt, output, 0, {}});
      }
      server.step();
    }
    return static_cast<double>(server.served_tokens) / seconds;
  }

  uint32_t limit(size_t g, uint32_t s) { return gateways[g].engine->stats().endpoints[s].limit; }

  struct Asked {
    Asked(TimeNs at) : next(at) {}
    TimeNs sent = 0, answer_at = 0, next = 0;
    EndpointReport report;
  };
  TimeNs now = 1'000'000'000;
  std::vector<ModelServer> servers;
  std::vector<Gateway> gateways;
  std::vector<Asked> asked;
  std::map<std::pair<size_t, uint64_t>, std::pair<uint32_t, uint32_t>> jobs;
  std::mt19937_64 random{7};
  Sizes sizes = equal_sizes;
  TimeNs delay = 2 * kMs;
  bool read_late = false, missing = false;
  uint64_t max_waiting = 0;
  std::function<void(EndpointReport&)> lie;
  double waiting = 0, tokens_per_second = 0;  // of the last run
};

TEST_F(Room, SlotsAreFoundAndNothingIsQueuedThere) {
  start(2, 1, {});
  run(3);
  run(20);
  EXPECT_GE(tokens_per_second, 0.97 * 2 * alone(ModelServer(), 20));
  EXPECT_LE(waiting, 0.2);
}

TEST_F(Room, SlotsThatChangeAreFollowedInThreeSeconds) {
  start(2, 1, {});
  run(5);
  for (const uint32_t slots : {4u, 12u, 8u}) {
    for (ModelServer& server : servers) server.slots = slots;
    run(3);
    run(5);
    ModelServer same;
    same.slots = slots;
    EXPECT_GE(tokens_per_second, 0.95 * 2 * alone(same, 10)) << slots;
    EXPECT_LE(waiting, 0.4) << slots;
  }
}

TEST_F(Room, TwoGatewaysShareEvenly) {
  start(2, 2, {});
  run(5);
  run(20);
  EXPECT_GE(tokens_per_second, 0.95 * 2 * alone(ModelServer(), 20));
  for (ModelServer& server : servers) {
    const double share =
        static_cast<double>(server.served_of[0]) / static_cast<double>(server.served);
    EXPECT_GE(share, 0.4);
    EXPECT_LE(share, 0.6);
  }
  EXPECT_LE(waiting, 1);
}

TEST_F(Room, AGatewayThatComesLaterGetsItsPart) {
  start(1, 2, {});
  for (int i = 0; i < 100; ++i) {  // the first one has it all
    now += kMs;
    servers[0].step();
    feed(0);
    scrape(0, 0);
    act(0);
  }
  run(5);
  run(20);
  EXPECT_NEAR(static_cast<double>(servers[0].served_of[1]),
              static_cast<double>(servers[0].served) / 2,
              0.1 * static_cast<double>(servers[0].served));
}

struct KvCase {
  const char* name;
  TimeNs delay;
  bool read_late, preempts, missing, never = false;
};
class KvRoom : public Room, public ::testing::WithParamInterface<KvCase> {
 protected:
  void SetUp() override { test = GetParam(); }
  KvCase test{};
};

TEST_P(KvRoom, MemoryIsFilledAndLittleIsQueuedThere) {
  sizes = mixed_sizes;
  start(2, 1, {});
  for (ModelServer& server : servers) {
    server.slots = 64;
    server.kv_tokens = 40'000;
    server.preempts = test.preempts;
  }
  delay = test.delay;
  read_late = test.read_late;
  missing = test.never;
  run(test.never ? 200 : 6);
  missing = test.missing;
  run(200);
  ModelServer same;
  same.slots = 64;
  same.kv_tokens = 40'000;
  same.preempts = test.preempts;
  EXPECT_GE(tokens_per_second, (test.never ? 0.9 : 0.95) * 2 * alone(same, 200));
  EXPECT_LE(waiting, test.never ? 4 : 1);
}

INSTANTIATE_TEST_SUITE_P(Metrics, KvRoom,
                         ::testing::Values(KvCase{"prompt", 2 * kMs, false, false, false},
                                           KvCase{"late50", 50 * kMs, false, false, false},
                                           KvCase{"late1000", 1000 * kMs, false, false, false},
                                           KvCase{"late1000read", 1000 * kMs, true, false, false},
                                           KvCase{"missing", 50 * kMs, false, false, true},
                                           KvCase{"never", 50 * kMs, false, false, true, true},
                                           KvCase{"preempts", 50 * kMs, false, true, false},
                                           KvCase{"preempts1000", 1000 * kMs, true, true, false}),
                         [](const auto& each) { return std::string(each.param.name); });

TEST_F(Room, ReportsThatDoNotAddUpTeachNothing) {
  start(1, 1, {});
  run(3);
  const uint32_t before = limit(0, 0);
  lie = [](EndpointReport& r) { r.waiting = r.running = 0; };
  run(10);
  EXPECT_LE(limit(0, 0), before + 1);
  EXPECT_GE(limit(0, 0), 8u);
  EXPECT_TRUE(gateways[0].engine->stats().endpoints[0].doubted);
  lie = nullptr;
  run(3);
  EXPECT_FALSE(gateways[0].engine->stats().endpoints[0].doubted);
}

TEST_F(Room, AQueueThatIsOnlySaidToBeThereStopsNobody) {
  start(1, 1, {});
  run(3);
  lie = [](EndpointReport& r) { r.waiting += 5; };
  run(10);
  EXPECT_GE(tokens_per_second, 0.95 * alone(ModelServer(), 10));
}

TEST_F(Room, NumbersBeyondReasonAreSurvived) {
  start(1, 1, {});
  lie = [](EndpointReport& r) {
    r.waiting = r.running = 4'294'967'294u;
    r.kv_tokens_max = 1'000'000'000'000'000;
    r.kv_used = 1;
  };
  run(3);
  lie = [](EndpointReport& r) { r.kv_tokens_max = 1; };
  run(3);
  lie = nullptr;
  run(5);
  run(10);
  EXPECT_GE(tokens_per_second, 0.95 * alone(ModelServer(), 10));
  EXPECT_LE(waiting, 0.5);
}

TEST_F(Room, WithoutReportsRejectionsAloneAreLearntFrom) {
  start(1, 1, {});
  servers[0].slots = 3;
  max_waiting = 1;
  missing = true;
  run(5);
  EXPECT_LE(limit(0, 0), 4u);
  const uint64_t rejected = gateways[0].rejections;
  run(20);
  EXPECT_LE(gateways[0].rejections, rejected + 2);
  ModelServer same;
  same.slots = 3;
  EXPECT_GE(tokens_per_second, 0.95 * alone(same, 20));
}

// It has no metrics at all: what it gets done says how much it takes.
class RateRoom : public Room, public ::testing::WithParamInterface<uint32_t> {};

TEST_P(RateRoom, WhatNeverReportsIsJudgedByWhatItGetsDone) {
  const uint32_t slots = GetParam();
  const double patience = slots < 8 ? 400 : 120;  // a step takes as many answers, however slow
  start(1, 1, {});
  servers[0].slots = slots;
  missing = true;
  run(patience);
  run(120);
  ModelServer same;
  same.slots = slots;
  const double most = alone(same, 120);
  EXPECT_GE(tokens_per_second, 0.93 * most);
  EXPECT_LE(waiting, 0.5 * slots + 3);
  servers[0].slots = 2 * slots;
  run(2 * patience);
  run(120);
  EXPECT_GE(tokens_per_second, 0.93 * 2 * most) << "twice as many";
}

INSTANTIATE_TEST_SUITE_P(Slots, RateRoom, ::testing::Values(3u, 8u, 12u, 40u, 150u),
                         [](const auto& slots) { return std::to_string(slots.param); });

TEST_F(Room, WhatNeverReportsIsNotOutbidAmongGateways) {
  start(1, 2, {});
  missing = true;
  run(30);
  EXPECT_EQ(limit(0, 0), RoomLearner::kFirstRequests);
}

// A ceiling is a share of what is learnt; it must not keep that from being learnt.
TEST_F(Room, RoomIsFoundUnderACeiling) {
  start(2, 1, {}, 0.5);
  for (ModelServer& server : servers) server.slots = 64;
  run(20);
  EXPECT_GE(limit(0, 0), 60u);
  EXPECT_GE(limit(0, 1), 60u);
}

TEST_F(Room, OneReportThatIsToldTwiceIsOneReport) {
  start(1, 1, {});
  run(5);
  const uint32_t before = limit(0, 0);
  EndpointReport crowded = servers[0].report(now);
  crowded.waiting = 3;
  for (int i = 0; i < 5; ++i) gateways[0].engine->report(now, 0, crowded);
  EXPECT_EQ(limit(0, 0), before);
}

TEST_F(Room, LittleWorkLowersNothing) {
  start(1, 1, {});
  run(5);
  const uint32_t before = limit(0, 0);
  for (int i = 0; i < 20'000; ++i) {  // what is parked drains, and nothing new comes
    now += kMs;
    servers[0].step();
    act(0);
    scrape(0, 0);
  }
  EXPECT_EQ(servers[0].running(), 0u);
  EXPECT_GE(limit(0, 0), before - 1);
}

TEST_F(Room, WhatIsGivenBoundsWhatIsLearnt) {
  start(1, 1, EndpointLimits(5));
  run(5);
  EXPECT_EQ(limit(0, 0), 5u);
}

}  // namespace
}  // namespace sluice
