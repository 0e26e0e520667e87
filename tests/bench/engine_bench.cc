// What the engine costs a request, by what stands in its queues and by who decides.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>

#include "tests/bench/bench_engine.h"

namespace sluice::bench {
namespace {

void per_item(benchmark::State& state, int64_t items) {
  state.SetItemsProcessed(state.iterations() * items);
}

// Submit, dispatch and complete, one each.
void round_trip(benchmark::State& state, Pipeline pipeline, const Load& load) {
  BenchEngine bench(std::move(pipeline), load);
  for (auto _ : state) bench.turn();
  per_item(state, 1);
}

void engine_round_trip(benchmark::State& state) {
  const auto flows = static_cast<uint32_t>(state.range(0));
  round_trip(state, plain_pipeline(),
             {.flows = flows, .bands = static_cast<uint32_t>(state.range(1)), .parked = 2 * flows});
}
BENCHMARK(engine_round_trip)->ArgNames({"flows", "bands"})->ArgsProduct({{10, 5000}, {1, 8}});

void engine_round_trip_standard_policies(benchmark::State& state) {
  const auto flows = static_cast<uint32_t>(state.range(0));
  round_trip(state, standard_pipeline(),
             {.flows = flows, .bands = static_cast<uint32_t>(state.range(1)), .parked = 2 * flows});
}
BENCHMARK(engine_round_trip_standard_policies)
    ->ArgNames({"flows", "bands"})
    ->ArgsProduct({{10, 5000}, {1, 8}});

void engine_round_trip_parked(benchmark::State& state) {
  round_trip(state, plain_pipeline(),
             {.flows = 64, .parked = static_cast<uint32_t>(state.range(0))});
}
BENCHMARK(engine_round_trip_parked)->ArgName("parked")->Arg(1000)->Arg(10'000)->Arg(100'000);

// The same decisions by the engine's built-in policies and by files behind the plugin ABI.
void boundary(benchmark::State& state, const char* ordering, const char* fairness) {
  Pipeline pipeline = plain_pipeline();
  if (*ordering != 0)
    pipeline.bands[0].ordering = load_policy(std::string("ordering_") + ordering, ordering);
  if (*fairness != 0) {
    std::string file = std::string("fairness_") + fairness;
    std::replace(file.begin(), file.end(), '-', '_');
    pipeline.bands[0].fairness = load_policy(file, fairness);
  }
  round_trip(state, std::move(pipeline), {.flows = 64, .parked = 1000});
}
BENCHMARK_CAPTURE(boundary, built_in, "", "");
BENCHMARK_CAPTURE(boundary, fcfs_plugin, "fcfs", "");
BENCHMARK_CAPTURE(boundary, round_robin_plugin, "", "round-robin");
BENCHMARK_CAPTURE(boundary, vtc_plugin, "", "vtc");
BENCHMARK_CAPTURE(boundary, weighted_drr_plugin, "", "weighted-drr");

// Three scorers over all endpoints, or none: each endpoint has room for far more than is in flight.
// Prompts have 16 blocks. What a pair of request and endpoint costs a scorer is the difference
// between the two, by endpoints and scorers; the rest is choosing among so many at all.
void engine_scoring(benchmark::State& state, bool scorers) {
  Pipeline pipeline = standard_pipeline();
  if (!scorers) pipeline.scorers.clear();
  BenchEngine bench(std::move(pipeline), {.flows = 64,
                                          .endpoints = static_cast<uint32_t>(state.range(0)),
                                          .room = kNone,
                                          .in_flight = 200,
                                          .parked = 0,
                                          .prompt_blocks = 16});
  for (auto _ : state) bench.turn();
  per_item(state, 1);
}
BENCHMARK_CAPTURE(engine_scoring, none, false)->ArgName("endpoints")->Arg(1)->Arg(4)->Arg(100);
BENCHMARK_CAPTURE(engine_scoring, three, true)->ArgName("endpoints")->Arg(1)->Arg(4)->Arg(100);

void engine_cancel(benchmark::State& state) {
  const auto parked = static_cast<uint32_t>(state.range(0));
  BenchEngine bench(plain_pipeline(), {.flows = 64, .parked = 64});
  std::mt19937 random(1);
  std::vector<RequestId> ids(parked);
  for (auto _ : state) {
    state.PauseTiming();
    for (uint32_t i = 0; i < parked; ++i) ids[i] = bench.submit(i % 64);
    std::shuffle(ids.begin(), ids.end(), random);
    state.ResumeTiming();
    for (const RequestId id : ids) bench.engine().cancel(bench.now(), id);
  }
  per_item(state, parked);
}
BENCHMARK(engine_cancel)->ArgName("parked")->Arg(1000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

// All that is parked goes at once, as when a pool comes back; and all is ended, as at the end of a
// drain.
void engine_drain(benchmark::State& state, bool dispatched) {
  const auto parked = static_cast<uint32_t>(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    auto bench =
        std::make_unique<BenchEngine>(plain_pipeline(), Load{.flows = 64, .parked = parked});
    Engine& engine = bench->engine();
    state.ResumeTiming();
    if (dispatched) {
      engine.set_endpoint(bench->now(), 0, kNone, true);
    } else {
      engine.drain_now(bench->now());
    }
    benchmark::DoNotOptimize(engine.decisions().data());
    state.PauseTiming();
    if (engine.decisions().size() < parked)
      state.SkipWithError("not everything that was parked was decided");
    bench.reset();
    state.ResumeTiming();
  }
  per_item(state, parked);
}
BENCHMARK_CAPTURE(engine_drain, by_dispatch, true)
    ->ArgName("parked")
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(engine_drain, by_end, false)
    ->ArgName("parked")
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice::bench
