// The pool with the real engine behind it: what is parked moves when endpoints do.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "host/pool/pool.h"
#include "host/pool/pool_limits.h"
#include "tests/unit/pool/tiny_server.h"

namespace sluice {
namespace {

struct Recorder : Waiter {
  explicit Recorder(std::string_view model) : model_(model) {}
  void on_decision(const Decision& decision) override { decisions.push_back(decision); }
  bool dispatched_to(uint32_t slot) const {
    return !decisions.empty() && decisions.back().kind == Decision::Kind::kDispatch &&
           decisions.back().endpoint == slot;
  }
  bool ended_as(Outcome outcome) const {
    return !decisions.empty() && decisions.back().kind == Decision::Kind::kEnd &&
           decisions.back().outcome == outcome;
  }
  std::string_view target() const override { return model_; }
  std::vector<Decision> decisions;

 private:
  std::string model_;
};

class PoolEngineTest : public testing::Test {
 protected:
  PoolEngineTest() {
    spdlog::set_level(spdlog::level::off);
    Pipeline pipeline;
    pipeline.bands.resize(1);
    pipeline.bands[0].name = "default";
    auto engine = Engine::create(std::move(pipeline), 1, Scheduler::now());
    EXPECT_TRUE(engine.ok());
    scheduler = std::make_unique<Scheduler>(std::move(*engine), [](TimeNs) {});
    port = std::make_unique<SchedulerPort>(*scheduler);
    pool = std::make_unique<Pool>(io, *port);
    for (TinyServer* server : {&a, &b}) {
      server->replies["/metrics"].body = "vllm:num_requests_running 0\n";
    }
    settings.pool.scrape_interval_ns = 5'000'000;
    settings.pool.max_in_flight = 1;
  }
  ~PoolEngineTest() override {
    EXPECT_EQ(scheduler->with_engine([](Engine& engine, TimeNs) { return engine.audit(); }),
              std::nullopt);
    pool->stop();
    a.shut();
    b.shut();
    run_for(io, std::chrono::milliseconds(1));
  }

  void list(std::vector<std::pair<std::string, TinyServer*>> endpoints) {
    settings.pool.endpoints.clear();
    for (const auto& [name, server] : endpoints) {
      config::Endpoint endpoint;
      endpoint.name = name;
      endpoint.address = {"127.0.0.1", server->port(), ""};
      if (!learns) endpoint.models = {"m-" + name};
      settings.pool.endpoints.push_back(endpoint);
    }
    pool->configure(settings);
  }
  struct Request {
    RequestId id;
    std::shared_ptr<Recorder> recorder;
  };
  Request submit(std::string_view model) {
    Request out{{}, std::make_shared<Recorder>(model)};
    const std::optional<ClassId> eligible = pool->class_for(model);
    EXPECT_TRUE(eligible) << model;
    out.id = scheduler->submit({.flow = model, .eligible = eligible.value_or(0)}, out.recorder);
    return out;
  }
  bool until(std::function<bool()> done) { return run_until(io, done); }

  asio::io_context io;
  TinyServer a{io}, b{io};
  PoolSettings settings;
  bool learns = false;  // endpoints are listed without their models
  std::unique_ptr<Scheduler> scheduler;
  std::unique_ptr<SchedulerPort> port;
  std::unique_ptr<Pool> pool;
};

TEST_F(PoolEngineTest, EachModelGoesWhereItIsServed) {
  list({{"a", &a}, {"b", &b}});
  EXPECT_TRUE(submit("m-a").recorder->dispatched_to(0));
  EXPECT_TRUE(submit("m-b").recorder->dispatched_to(1));
  EXPECT_TRUE(submit("m-a").recorder->decisions.empty()) << "the endpoint is full";
}

TEST_F(PoolEngineTest, ParkedRequestsWaitForAnEjectedEndpoint) {
  list({{"a", &a}});
  ASSERT_TRUE(until([&] { return pool->settled(); }));
  a.shut();
  ASSERT_TRUE(until([&] { return pool->status().endpoints[0].health == Health::State::kEjected; }));
  Request request = submit("m-a");
  EXPECT_TRUE(request.recorder->decisions.empty());
  a.open();
  EXPECT_TRUE(until([&] { return request.recorder->dispatched_to(0); }));
}

TEST_F(PoolEngineTest, ParkedRequestsFollowTheirModelToANewEndpoint) {
  list({{"a", &a}});
  ASSERT_TRUE(submit("m-a").recorder->dispatched_to(0));
  list({{"b", &b}});
  Request request = submit("m-a");  // known, so that it waits instead of being refused
  EXPECT_TRUE(request.recorder->decisions.empty());
  settings.pool.endpoints[0].models.push_back("m-*");
  pool->configure(settings);
  EXPECT_TRUE(request.recorder->dispatched_to(1));
}

TEST_F(PoolEngineTest, AnEndpointThatComesBackStillHoldsWhatItHadInFlight) {
  list({{"a", &a}});
  Request first = submit("m-a");
  ASSERT_TRUE(first.recorder->dispatched_to(0));
  list({});
  EXPECT_EQ(pool->at(0)->name, "a");
  list({{"a", &a}});
  Request second = submit("m-a");
  EXPECT_TRUE(second.recorder->decisions.empty()) << "its one place is still taken";
  scheduler->complete(first.id, {});
  EXPECT_TRUE(second.recorder->dispatched_to(0));
}

TEST_F(PoolEngineTest, WhatWasParkedBeforeAnEndpointsModelsAreKnownFollowsItsName) {
  learns = true;
  a.replies["/v1/models"].hang = true;
  list({{"a", &a}});
  Request first = submit("ma"), second = submit("ma"), never = submit("nobody's");
  EXPECT_TRUE(first.recorder->dispatched_to(0)) << "unknown: it may serve all";
  a.shut();
  a.open();
  a.replies["/v1/models"] = {200, R"({"data":[{"id":"ma"}]})", "", false, false, ""};
  ASSERT_TRUE(until([&] { return never.recorder->ended_as(Outcome::kRejectedUnknownModel); }));
  EXPECT_TRUE(second.recorder->decisions.empty());
  scheduler->complete(first.id, {});
  EXPECT_TRUE(second.recorder->dispatched_to(0));
}

TEST_F(PoolEngineTest, WhatWaitsForAnEmptyPoolFollowsTheFirstEndpointsModels) {
  learns = true;
  a.replies["/v1/models"].body = R"({"data":[{"id":"ma"}]})";
  list({});
  std::vector<Request> waiting;
  for (int i = 0; i < 3; i++) waiting.push_back(submit("ma"));
  list({{"a", &a}});
  ASSERT_TRUE(until([&] { return pool->class_for("other") == std::nullopt; }));
  for (Request& request : waiting) {
    EXPECT_TRUE(request.recorder->dispatched_to(0));
    scheduler->complete(request.id, {});
  }
}

TEST_F(PoolEngineTest, WhatWaitsForAPatternFollowsTheExactNameThatAnotherEndpointLists) {
  list({{"a", &a}});
  settings.pool.endpoints[0].models = {"llama-*"};
  pool->configure(settings);
  ASSERT_TRUE(submit("llama-3").recorder->dispatched_to(0));
  Request waits = submit("llama-3");
  EXPECT_TRUE(waits.recorder->decisions.empty());
  list({{"b", &b}});
  EXPECT_TRUE(waits.recorder->decisions.empty()) << "a known pattern without endpoints waits";
  settings.pool.endpoints[0].models = {"llama-3"};
  pool->configure(settings);
  EXPECT_TRUE(waits.recorder->dispatched_to(1));
}

TEST_F(PoolEngineTest, ARequeueGoesByTheClassesAsTheyAreByThen) {
  learns = true;
  a.replies["/v1/models"].hang = b.replies["/v1/models"].hang = true;
  list({{"a", &a}, {"b", &b}});
  Request known = submit("m-b"), never = submit("nobody's");
  ASSERT_EQ(known.recorder->decisions.size(), 1u);
  ASSERT_EQ(never.recorder->decisions.size(), 1u);
  learns = false;
  list({{"a", &a}, {"b", &b}});
  EXPECT_EQ(never.recorder->decisions.size(), 1u) << "it may still be served where it is";
  scheduler->requeue(never.id, Engine::Requeue::kBroken);
  EXPECT_TRUE(never.recorder->ended_as(Outcome::kRejectedUnknownModel));
  scheduler->requeue(known.id, Engine::Requeue::kRejected);
  EXPECT_TRUE(until([&] {
    scheduler->tick();
    return known.recorder->decisions.size() == 2 && known.recorder->dispatched_to(1);
  }));
}

}  // namespace
}  // namespace sluice
