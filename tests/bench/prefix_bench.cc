// The prefix index: prompts of 128 blocks against endpoints that hold half of each.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <random>

#include "core/prefix_index.h"

namespace sluice {
namespace {

constexpr uint32_t kBlocks = 128;
constexpr uint32_t kPrompts = 200;  // at most

std::vector<std::vector<uint64_t>> prompts(uint32_t count = kPrompts) {
  std::mt19937_64 random(1);
  std::vector<std::vector<uint64_t>> all(count);
  for (auto& prompt : all) {
    for (uint32_t i = 0; i < kBlocks; ++i) prompt.push_back(random());
  }
  return all;
}

void prefix_match(benchmark::State& state) {
  const auto endpoints = static_cast<uint32_t>(state.range(0));
  // Setting up 1024 endpoints takes long; fewer prompts there.
  const auto all = prompts(std::min(kPrompts, 10'000 / endpoints));
  PrefixIndex index(31250);
  EndpointSet slots;
  std::array<uint32_t, kEndpointsMax> blocks{};
  for (uint32_t slot = 0; slot < endpoints; ++slot) {
    slots.insert(slot);
    for (const auto& prompt : all)
      index.insert(std::span(prompt).first(kBlocks / 2 + slot % (kBlocks / 2)), slot);
  }
  size_t next = 0;
  for (auto _ : state) {
    index.match(all[next], slots, blocks);
    next = (next + 1) % all.size();
    benchmark::DoNotOptimize(blocks.data());
  }
}
BENCHMARK(prefix_match)->ArgName("endpoints")->Arg(4)->Arg(100)->Arg(1024);

// Known prompts are only touched; new ones each drop 128 blocks of a full endpoint.
void prefix_insert(benchmark::State& state, bool fresh) {
  const auto all = prompts();
  PrefixIndex index(kBlocks * kPrompts / 2);
  std::vector<uint64_t> prompt;
  uint64_t salt = 0;
  for (const auto& known : all) index.insert(known, 0);
  for (auto _ : state) {
    ++salt;
    prompt = all[fresh ? salt % kPrompts : kPrompts - 1 - salt % 50];
    if (fresh) {
      for (uint64_t& hash : prompt) hash += salt;
    }
    index.insert(prompt, 0);
  }
}
BENCHMARK_CAPTURE(prefix_insert, known, false);
BENCHMARK_CAPTURE(prefix_insert, fresh, true);

}  // namespace
}  // namespace sluice
