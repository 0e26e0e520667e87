// The closed loop of llm-d-router's PerformanceMatrix: W requests always outstanding, each
// dispatched one ended at once and followed by the next.
//
//   L  permits of the pool; 0 = as many as are asked for
//   P  bands
//   F  flows, flow i in band i mod P, drawn from a Zipf distribution (s = 1.1, v = 1)
//   W  workers, each with one request: it submits, waits for the dispatch, ends it, goes on
//
// As there, the policies are the cheapest (arrival order in the band), loaded from their files; the
// series of every flow are live and scraped once a second. d/s: dispatches a second.
//
// PerformanceMatrix calls the engine with callbacks on one thread. PerformanceMatrixWaiters has a
// coroutine for each worker on a thread for each core, and goes through the scheduler as a
// transport does: a worker is resumed on whichever of the threads is free. The ...RoundRobin forms
// take turns between the flows, which the original does not measure.

#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <coroutine>
#include <random>
#include <thread>

#include "host/admin/exposition.h"
#include "host/net/asio.h"
#include "host/scheduler/scheduler.h"
#include "tests/bench/bench_engine.h"

namespace sluice::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kScrapeInterval{1};
constexpr uint32_t kBandRequestsMax = 5000;  // of each band
constexpr uint32_t kWithoutPermits = 1 << 20;
constexpr uint32_t kCursorStep = 9973;  // between two workers, in the draws
constexpr uint32_t kClockEvery = 256;   // dispatches between two looks at the clock for the scrape

struct Workload {
  uint32_t permits, bands, flows, workers;
};

// What one flow's requests are.
struct Flow {
  std::string name;
  uint64_t hash;
  uint32_t band;
  uint64_t bytes;
};

std::vector<Flow> make_flows(const Workload& load) {
  std::vector<Flow> flows;
  for (uint32_t i = 0; i < load.flows; ++i)
    flows.push_back({.name = "flow-" + std::to_string(i),
                     .hash = std::hash<std::string>{}("flow-" + std::to_string(i)),
                     .band = i % load.bands,
                     .bytes = 100 + i * uint32_t{2654435769} % 9000});
  return flows;
}

// Draws of flows: the smallest power of two that has room for four of each.
std::vector<uint32_t> draw_flows(uint32_t flows) {
  constexpr double kExponent = 1.1;
  std::vector<double> weights;
  for (uint32_t k = 0; k < flows; ++k) weights.push_back(std::pow(1.0 + k, -kExponent));
  std::discrete_distribution<uint32_t> zipf(weights.begin(), weights.end());
  std::mt19937_64 random(1);
  size_t size = 1;
  while (size < size_t{4} * flows) size *= 2;
  std::vector<uint32_t> draws(size);
  for (uint32_t& draw : draws) draw = zipf(random);
  return draws;
}

Pipeline make_pipeline(const Workload& load, const char* fairness_file, const char* fairness) {
  Pipeline pipeline = plain_pipeline();
  BandConfig band = pipeline.bands[0];
  band.ordering = load_policy("ordering_fcfs", "fcfs");
  band.fairness = load_policy(fairness_file, fairness);
  band.eviction = load_policy("eviction_reject_newest", "reject-newest");
  band.requests_max = kBandRequestsMax;
  pipeline.bands.clear();
  for (uint32_t p = 0; p < load.bands; ++p) {
    band.name = "band-" + std::to_string(p);
    band.priority = static_cast<int32_t>(p);
    pipeline.bands.push_back(band);
  }
  pipeline.flows_max = load.flows + 1;
  return pipeline;
}

std::unique_ptr<Engine> make_engine(const Workload& load, Pipeline pipeline) {
  const TimeNs now = Scheduler::now();
  auto made = Engine::create(std::move(pipeline), 1, now);
  (*made)->set_class(now, 0, {0});
  (*made)->set_endpoint(now, 0, load.permits == 0 ? kWithoutPermits : load.permits, true);
  return std::move(*made);
}

// Takes the series of all flows once a second.
class Scraper {
 public:
  bool is_due() const { return Clock::now() >= next_; }
  void scrape(const Engine& engine) {
    next_ = Clock::now() + kScrapeInterval;
    AdminSnapshot snapshot;
    snapshot.engine = engine.stats();
    snapshot.flows = engine.flow_stats();
    metrics::Families families;
    write_metrics(snapshot, families);
    benchmark::DoNotOptimize(families);
    ++scrapes_;
  }
  uint64_t scrapes() const { return scrapes_; }

 private:
  Clock::time_point next_ = Clock::now();
  uint64_t scrapes_ = 0;
};

class ClosedLoop {
 public:
  ClosedLoop(const Workload& load, Pipeline pipeline)
      : flows_(make_flows(load)),
        draws_(draw_flows(load.flows)),
        cursors_(load.workers),
        engine_(make_engine(load, std::move(pipeline))) {
    for (uint32_t worker = 0; worker < load.workers; ++worker) {
      cursors_[worker] = worker * kCursorStep;
      submit(worker);
    }
  }
  ~ClosedLoop() { engine_->drain_now(Scheduler::now()); }

  // Ends one dispatched request; its worker submits the next.
  void turn() {
    take_decisions();
    const RequestId id = dispatched_[next_++];
    if (next_ == dispatched_.size()) {
      dispatched_.clear();
      next_ = 0;
    }
    const uint32_t worker = worker_of_slot_[id.slot];
    engine_->complete(Scheduler::now(), id, {});
    submit(worker);
    ++dispatches_;
    if (dispatches_ % kClockEvery == 0 && scraper_.is_due()) scraper_.scrape(*engine_);
  }
  uint64_t dispatches() const { return dispatches_; }
  uint64_t refused() const { return refused_; }
  uint64_t scrapes() const { return scraper_.scrapes(); }

 private:
  void submit(uint32_t worker) {
    const Flow& flow = flows_[draws_[++cursors_[worker] & (draws_.size() - 1)]];
    const RequestId id = engine_->submit(
        Scheduler::now(),
        {.flow = flow.name, .flow_hash = flow.hash, .band = flow.band, .bytes = flow.bytes});
    if (id.slot >= worker_of_slot_.size()) worker_of_slot_.resize(id.slot + 1);
    worker_of_slot_[id.slot] = worker;
  }
  void take_decisions() {
    for (const Decision& decision : engine_->decisions()) {
      if (decision.kind == Decision::Kind::kDispatch)
        dispatched_.push_back(decision.id);
      else
        ++refused_;
    }
    engine_->decisions().clear();
  }

  const std::vector<Flow> flows_;
  const std::vector<uint32_t> draws_;
  std::vector<uint32_t> cursors_;  // of the workers, into the draws
  std::unique_ptr<Engine> engine_;
  std::vector<uint32_t> worker_of_slot_;
  std::vector<RequestId> dispatched_;
  size_t next_ = 0;
  uint64_t dispatches_ = 0, refused_ = 0;
  Scraper scraper_;
};

// ---- waiters ----

// A coroutine that runs until it first waits, and is ended by whoever holds it.
struct Job {
  struct promise_type {
    Job get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

// Where one worker waits for its decision.
class Seat : public Waiter {
 public:
  explicit Seat(asio::io_context& threads) : threads_(threads) {}
  void on_decision(const Decision& decision) override {
    // A worker goes on where its decision was made, or wherever a thread is free.
    asio::defer(threads_, [this, decision] {
      decision_ = decision;
      waiting_.resume();
    });
  }
  // To be awaited on the worker's thread: submits, and gives the decision.
  struct Submit {
    Scheduler& scheduler;
    const std::shared_ptr<Seat>& seat;
    const Flow& flow;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      seat->waiting_ = handle;
      scheduler.submit(
          {.flow = flow.name, .flow_hash = flow.hash, .band = flow.band, .bytes = flow.bytes},
          seat);
    }
    Decision await_resume() const { return seat->decision_; }
  };

 private:
  asio::io_context& threads_;
  std::coroutine_handle<> waiting_;
  Decision decision_;
};

class WaitingLoop {
 public:
  WaitingLoop(const Workload& load, Pipeline pipeline)
      : flows_(make_flows(load)),
        draws_(draw_flows(load.flows)),
        scheduler_(make_engine(load, std::move(pipeline)), nullptr),
        busy_(asio::make_work_guard(context_)) {
    for (uint32_t worker = 0; worker < load.workers; ++worker) {
      asio::post(context_, [this, worker] {
        const Job job = work(worker, std::make_shared<Seat>(context_));
        const std::lock_guard lock(mutex_);
        jobs_.push_back(job);
      });
    }
    for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i)
      threads_.emplace_back([this] { context_.run(); });
  }
  ~WaitingLoop() {
    context_.stop();
    for (std::thread& thread : threads_) thread.join();
    scheduler_.with_engine([](Engine& e, TimeNs now) { e.drain_now(now); });
    for (const Job& job : jobs_) job.handle.destroy();
  }

  // Does one thing on this thread, as the others do meanwhile on theirs.
  void turn() {
    // All that is under way may be with the others: their turns count, too.
    if (context_.poll_one() == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    if (++turns_ % kClockEvery == 0 && scraper_.is_due())
      scheduler_.with_engine([this](Engine& e, TimeNs) { scraper_.scrape(e); });
  }
  uint64_t dispatches() const { return dispatches_; }
  uint64_t refused() const { return refused_; }
  uint64_t scrapes() const { return scraper_.scrapes(); }

 private:
  Job work(uint32_t worker, std::shared_ptr<Seat> seat) {
    for (uint32_t cursor = worker * kCursorStep;;) {
      const Flow& flow = flows_[draws_[++cursor & (draws_.size() - 1)]];
      const Decision decision = co_await Seat::Submit{scheduler_, seat, flow};
      if (decision.kind != Decision::Kind::kDispatch) {
        ++refused_;
        continue;
      }
      scheduler_.complete(decision.id, {});
      dispatches_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  const std::vector<Flow> flows_;
  const std::vector<uint32_t> draws_;
  Scheduler scheduler_;
  asio::io_context context_;  // of turn() and of the threads beside it
  asio::executor_work_guard<asio::io_context::executor_type> busy_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::vector<Job> jobs_;
  std::atomic<uint64_t> dispatches_ = 0, refused_ = 0;
  uint64_t turns_ = 0;
  Scraper scraper_;
};

// The rate is that of the wall's clock, whatever else the library measures.
template <typename Loop>
void run(benchmark::State& state, const char* fairness_file, const char* fairness) {
  const Workload load{static_cast<uint32_t>(state.range(0)), static_cast<uint32_t>(state.range(1)),
                      static_cast<uint32_t>(state.range(2)), static_cast<uint32_t>(state.range(3))};
  Loop loop(load, make_pipeline(load, fairness_file, fairness));
  const uint64_t before = loop.dispatches();
  const Clock::time_point begun = Clock::now();
  for (auto _ : state) loop.turn();
  const std::chrono::duration<double> took = Clock::now() - begun;
  if (loop.refused() != 0) state.SkipWithError("requests were refused");
  state.counters["d/s"] = static_cast<double>(loop.dispatches() - before) / took.count();
  state.counters["scrapes"] = static_cast<double>(loop.scrapes());
}

void PerformanceMatrix(benchmark::State& state) { run<ClosedLoop>(state, "fairness_fcfs", "fcfs"); }
void PerformanceMatrixRoundRobin(benchmark::State& state) {
  run<ClosedLoop>(state, "fairness_round_robin", "round-robin");
}
void PerformanceMatrixWaiters(benchmark::State& state) {
  run<WaitingLoop>(state, "fairness_fcfs", "fcfs");
}
void PerformanceMatrixWaitersRoundRobin(benchmark::State& state) {
  run<WaitingLoop>(state, "fairness_round_robin", "round-robin");
}

// The 16 points: a queue that is never needed with many workers, and permits for all of few, are
// left out.
void points(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"L", "P", "F", "W"});
  for (const auto& [permits, workers] : {std::pair{0, 10}, {1, 10}, {1, 5000}, {100, 5000}})
    for (const int bands : {1, 8})
      for (const int flows : {10, 5000}) benchmark->Args({permits, bands, flows, workers});
}
BENCHMARK(PerformanceMatrix)->Apply(points);
BENCHMARK(PerformanceMatrixRoundRobin)->Apply(points);
BENCHMARK(PerformanceMatrixWaiters)->Apply(points);
BENCHMARK(PerformanceMatrixWaitersRoundRobin)->Apply(points);

}  // namespace
}  // namespace sluice::bench
