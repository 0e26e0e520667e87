#include "host/scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <thread>

namespace sluice {
namespace {

Pipeline one_band(TimeNs ttl_ns = 0) {
  Pipeline p;
  p.bands.push_back({.name = "only", .priority = 0, .ttl_ns = ttl_ns});
  return p;
}

std::unique_ptr<Engine> engine(Pipeline pipeline) {
  return std::move(*Engine::create(std::move(pipeline), 1, Scheduler::now()));
}

void add_endpoint(Scheduler& scheduler, uint32_t limit) {
  scheduler.with_engine([&](Engine& e, TimeNs now) {
    e.set_endpoint(now, 0, limit, true);
    e.set_class(now, 0, {0});
  });
}

Submission submission(std::string_view flow) {
  Submission s;
  s.flow = flow;
  return s;
}

struct Recorder : Waiter {
  void on_decision(const Decision& decision) override {
    const std::lock_guard lock(mutex);
    decisions.push_back(decision);
    changed.notify_all();
  }
  Decision wait_for(size_t n) {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(
        changed.wait_for(lock, std::chrono::seconds(10), [&] { return decisions.size() >= n; }));
    return decisions.at(n - 1);
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Decision> decisions;
};

TEST(Scheduler, DeliversToTheWaiterOfTheRequestAndLetsGoOfItAtTheEnd) {
  Scheduler scheduler(engine(one_band()), nullptr);
  add_endpoint(scheduler, 1);
  auto first = std::make_shared<Recorder>(), second = std::make_shared<Recorder>();
  const RequestId a = scheduler.submit(submission("f"), first);
  const RequestId b = scheduler.submit(submission("f"), second);
  EXPECT_EQ(first->decisions.size(), 1u)
      << "an immediate dispatch is delivered before submit returns";
  EXPECT_TRUE(second->decisions.empty());
  scheduler.complete(a, {});
  EXPECT_EQ(second->decisions.at(0).kind, Decision::Kind::kDispatch);
  EXPECT_EQ(first.use_count(), 1);
  scheduler.complete(b, {});
  EXPECT_EQ(second.use_count(), 1);
  auto third = std::make_shared<Recorder>();
  add_endpoint(scheduler, 0);
  const RequestId c = scheduler.submit(submission("f"), third);
  EXPECT_EQ(scheduler.cancel(c), Engine::Cancel::kEnded);
  EXPECT_EQ(third.use_count(), 1);
}

TEST(Scheduler, TheTimerIsToldOfEarlierDeadlinesOnly) {
  std::vector<TimeNs> told;
  Scheduler scheduler(engine(one_band(3'600'000'000'000)), [&](TimeNs at) { told.push_back(at); });
  add_endpoint(scheduler, 0);
  const RequestId a = scheduler.submit(submission("f"), std::make_shared<Recorder>());
  scheduler.submit(submission("f"), std::make_shared<Recorder>());
  ASSERT_EQ(told.size(), 1u) << "the second deadline is later";
  scheduler.cancel(a);
  ASSERT_EQ(told.size(), 1u) << "the timer comes too early then, which does no harm";
  Submission hurried = submission("f");
  hurried.wall_deadline_ns = told[0] - 1'000'000'000;
  const RequestId c = scheduler.submit(hurried, std::make_shared<Recorder>());
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[1], hurried.wall_deadline_ns);
  scheduler.cancel(c);
  scheduler.tick();  // as if it had come
  ASSERT_EQ(told.size(), 3u) << "what is left is due later";
  EXPECT_GT(told[2], told[0]);
}

TEST(Scheduler, ATimerThatHasComeIsNotSetAgainForNothing) {
  std::vector<TimeNs> told;
  Scheduler scheduler(engine(one_band(3'600'000'000'000)), [&](TimeNs at) { told.push_back(at); });
  add_endpoint(scheduler, 0);
  const RequestId a = scheduler.submit(submission("f"), std::make_shared<Recorder>());
  scheduler.cancel(a);
  scheduler.tick();
  EXPECT_EQ(told.size(), 1u);
}

TEST(Scheduler, ManyThreadsLoseNothing) {
  constexpr int kThreads = 4, kEach = 2000;
  Scheduler scheduler(engine(one_band()), nullptr);
  add_endpoint(scheduler, 3);
  std::atomic<int> cancelled = 0, served = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      const std::string flow = "flow" + std::to_string(t);
      for (int i = 0; i < kEach; ++i) {
        auto waiter = std::make_shared<Recorder>();
        const RequestId id = scheduler.submit(submission(flow), waiter);
        if (i % 5 == 0) {
          if (scheduler.cancel(id) == Engine::Cancel::kEnded) {
            ++cancelled;
            continue;
          }
        }
        EXPECT_EQ(waiter->wait_for(1).kind, Decision::Kind::kDispatch);
        if (i % 7 == 0) {
          scheduler.requeue(id, Engine::Requeue::kBroken);
          EXPECT_EQ(waiter->wait_for(2).attempt, 2u);
        }
        scheduler.complete(id, {});
        ++served;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cancelled + served, kThreads * kEach);
  const Ledger ledger = scheduler.with_engine([](Engine& e, TimeNs) { return e.stats().total; });
  EXPECT_EQ(ledger.submitted, static_cast<uint64_t>(kThreads * kEach));
  EXPECT_EQ(ledger.parked + ledger.in_flight, 0u);
  const auto wrong = scheduler.with_engine([](Engine& e, TimeNs) { return e.audit(); });
  EXPECT_FALSE(wrong) << *wrong;
}

}  // namespace
}  // namespace sluice
