// What flows cost that have nothing to do with the decision at hand: idle, blocked, and long gone.

#include <benchmark/benchmark.h>
#include <malloc.h>

#include "tests/bench/bench_engine.h"

namespace sluice::bench {
namespace {

constexpr uint32_t kActive = 10, kBystanders = 5000;

Pipeline with_fairness(const char* file, const char* name) {
  Pipeline pipeline = plain_pipeline();
  pipeline.bands[0].fairness = load_policy(file, name);
  return pipeline;
}

// Bytes that the program has got from malloc and not given back.
size_t allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

void bystanders(benchmark::State& state, const char* file, const char* name, Load load) {
  load.flows = kActive;
  BenchEngine bench(with_fairness(file, name), load);
  for (auto _ : state) bench.turn();
  state.SetItemsProcessed(state.iterations());
}

#define SLUICE_BYSTANDERS(ID, FILE, NAME)                                                     \
  BENCHMARK_CAPTURE(bystanders, ID##_none, FILE, NAME, Load{});                               \
  BENCHMARK_CAPTURE(bystanders, ID##_idle_5000, FILE, NAME, Load{.idle_flows = kBystanders}); \
  BENCHMARK_CAPTURE(bystanders, ID##_blocked_5000, FILE, NAME, Load{.blocked_flows = kBystanders})
SLUICE_BYSTANDERS(round_robin, "fairness_round_robin", "round-robin");
SLUICE_BYSTANDERS(vtc, "fairness_vtc", "vtc");
SLUICE_BYSTANDERS(weighted_drr, "fairness_weighted_drr", "weighted-drr");
SLUICE_BYSTANDERS(fcfs, "fairness_fcfs", "fcfs");
#undef SLUICE_BYSTANDERS

// All flows are blocked on one place: each turn frees it, lets one of them go, and it is full
// again.
void blocked_flows_let_go(benchmark::State& state, const char* file, const char* name) {
  const auto flows = static_cast<uint32_t>(state.range(0));
  BenchEngine bench(with_fairness(file, name),
                    {.flows = flows, .endpoints = 1, .room = 1, .parked = 2 * flows});
  for (auto _ : state) bench.turn();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(blocked_flows_let_go, round_robin, "fairness_round_robin", "round-robin")
    ->ArgName("flows")
    ->Arg(10)
    ->Arg(5000);
BENCHMARK_CAPTURE(blocked_flows_let_go, vtc, "fairness_vtc", "vtc")
    ->ArgName("flows")
    ->Arg(10)
    ->Arg(5000);

// A million flows that each send once. The counter is the memory that they leave behind.
void flows_over_time(benchmark::State& state) {
  BenchEngine bench(standard_pipeline(), {.flows = kActive});
  for (int i = 0; i < 20'000; ++i) bench.pass_by();
  const size_t before = allocated();
  for (auto _ : state) bench.pass_by();
  state.counters["B/flow"] = (static_cast<double>(allocated()) - static_cast<double>(before)) /
                             static_cast<double>(state.iterations());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(flows_over_time)->Iterations(1'000'000);

// What the engine needs for a request that waits, all its queues included.
void parked_memory(benchmark::State& state) {
  const auto parked = static_cast<uint32_t>(state.range(0));
  double bytes = 0;
  for (auto _ : state) {
    BenchEngine bench(standard_pipeline(), {.flows = 64, .parked = 64});
    const size_t before = allocated();
    for (uint32_t i = 0; i < parked; ++i) bench.submit(i % 64);
    bytes = (static_cast<double>(allocated()) - static_cast<double>(before)) / parked;
  }
  state.counters["B/request"] = bytes;
}
BENCHMARK(parked_memory)->ArgName("parked")->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice::bench
