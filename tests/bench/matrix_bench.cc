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
// PerformanceMatrix calls the engine with callbacks on one thread. PerformanceMatrixRoundRobin is
// the same with turns between the flows, which the original does not measure.

#include <benchmark/benchmark.h>

#include <chrono>
#include <cmath>
#include <random>

#include "host/admin/exposition.h"
#include "tests/bench/bench_engine.h"

namespace sluice::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kScrapeInterval{1};
constexpr uint32_t kBandRequestsMax = 5000;  // of each band
constexpr uint32_t kWithoutPermits = 1 << 20;
constexpr uint32_t kClockEvery = 256;  // dispatches between two looks at the clock for the scrape

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

TimeNs now() {
  return static_cast<TimeNs>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
          .count());
}

class ClosedLoop {
 public:
  ClosedLoop(const Workload& load, Pipeline pipeline)
      : flows_(make_flows(load)), draws_(draw_flows(load.flows)), cursors_(load.workers) {
    auto made = Engine::create(std::move(pipeline), 1, now());
    engine_ = std::move(*made);
    engine_->set_class(now(), 0, {0});
    engine_->set_endpoint(now(), 0, load.permits == 0 ? kWithoutPermits : load.permits, true);
    for (uint32_t worker = 0; worker < load.workers; ++worker) {
      cursors_[worker] = worker * 9973;
      submit(worker);
    }
  }
  ~ClosedLoop() { engine_->drain_now(now()); }

  // Ends one dispatched request; its worker submits the next.
  void turn() {
    take_decisions();
    const RequestId id = dispatched_[next_++];
    if (next_ == dispatched_.size()) {
      dispatched_.clear();
      next_ = 0;
    }
    const uint32_t worker = worker_of_slot_[id.slot];
    engine_->complete(now(), id, {});
    submit(worker);
    ++dispatches_;
    if (dispatches_ % kClockEvery == 0) scrape();
  }
  uint64_t dispatches() const { return dispatches_; }
  uint64_t refused() const { return refused_; }
  uint64_t scrapes() const { return scrapes_; }

 private:
  void submit(uint32_t worker) {
    const Flow& flow = flows_[draws_[++cursors_[worker] & (draws_.size() - 1)]];
    const RequestId id = engine_->submit(
        now(), {.flow = flow.name, .flow_hash = flow.hash, .band = flow.band, .bytes = flow.bytes});
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
  void scrape() {
    const Clock::time_point at = Clock::now();
    if (at < next_scrape_) return;
    next_scrape_ = at + kScrapeInterval;
    AdminSnapshot snapshot;
    snapshot.engine = engine_->stats();
    snapshot.flows = engine_->flow_stats();
    metrics::Families families;
    write_metrics(snapshot, families);
    benchmark::DoNotOptimize(families);
    ++scrapes_;
  }

  const std::vector<Flow> flows_;
  const std::vector<uint32_t> draws_;
  std::vector<uint32_t> cursors_;  // of the workers, into the draws
  std::unique_ptr<Engine> engine_;
  std::vector<uint32_t> worker_of_slot_;
  std::vector<RequestId> dispatched_;
  size_t next_ = 0;
  uint64_t dispatches_ = 0, refused_ = 0, scrapes_ = 0;
  Clock::time_point next_scrape_ = Clock::now();
};

void run(benchmark::State& state, const char* fairness_file, const char* fairness) {
  const Workload load{static_cast<uint32_t>(state.range(0)), static_cast<uint32_t>(state.range(1)),
                      static_cast<uint32_t>(state.range(2)), static_cast<uint32_t>(state.range(3))};
  ClosedLoop loop(load, make_pipeline(load, fairness_file, fairness));
  for (auto _ : state) loop.turn();
  if (loop.refused() != 0) state.SkipWithError("requests were refused");
  state.counters["d/s"] =
      benchmark::Counter(static_cast<double>(loop.dispatches()), benchmark::Counter::kIsRate);
  state.counters["scrapes"] = static_cast<double>(loop.scrapes());
}

void PerformanceMatrix(benchmark::State& state) { run(state, "fairness_fcfs", "fcfs"); }
void PerformanceMatrixRoundRobin(benchmark::State& state) {
  run(state, "fairness_round_robin", "round-robin");
}

// The 16 points: a queue that is never needed with many workers, and permits for all of few, are
// left out.
void points(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"L", "P", "F", "W"});
  for (const auto& [permits, workers] : {std::pair{0, 10}, {1, 10}, {1, 5000}, {100, 5000}})
    for (const int bands : {1, 8})
      for (const int flows : {10, 5000}) benchmark->Args({permits, bands, flows, workers});
}
BENCHMARK(PerformanceMatrix)->Apply(points)->UseRealTime();
BENCHMARK(PerformanceMatrixRoundRobin)->Apply(points)->UseRealTime();

}  // namespace
}  // namespace sluice::bench
