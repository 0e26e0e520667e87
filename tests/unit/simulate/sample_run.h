// Made-up results, for the tests of what is made of them.
#pragma once

#include <string>

#include "host/simulate/result.h"

namespace sluice::simulate {

inline constexpr TimeNs kMs = 1'000'000;

// COUNT requests, answered; each wait, TTFT and so on is MS.
inline Group sample_group(const std::string& name, uint64_t count, uint64_t ms) {
  Group group;
  group.name = name;
  group.requests = count + 2;
  group.ended[static_cast<size_t>(Outcome::kCompleted)] = count;
  group.ended[static_cast<size_t>(Outcome::kExpired)] = 1;
  group.ended[static_cast<size_t>(Outcome::kRejectedFull)] = 1;
  group.prompt_tokens = count * 100;
  group.output_tokens = count * 50;
  group.service = static_cast<double>(count) * 200;
  group.slo_met = count / 2;
  group.wait.add(ms * kMs, count);
  group.ttft.add((ms + 100) * kMs, count);
  group.itl.add(20 * kMs, count);
  group.e2e.add((ms + 2000) * kMs, count);
  group.parked.add(ms * kMs / 2, count);
  group.regret.add(ms * kMs / 4, count);
  return group;
}

// Two bands, two tenants, one server, ten steps; waits of critical requests are WAIT_MS.
inline RunResult sample_run(const std::string& label, uint64_t wait_ms) {
  RunResult run;
  run.label = label;
  run.config = label + ".toml";
  run.seed = 7;
  run.trace = "trace.csv";
  run.servers = "servers.toml";
  run.hash = 0xabc;
  run.simulated_s = 10;
  run.window_to_s = 10;
  run.slo_ttft_s = 1;
  run.slo_itl_s = 0.05;
  run.tokens_per_s = 8000;
  run.offered_tokens_per_s = 8100;
  run.fairness = {.accumulated_gap = 5000, .window_s = 60, .jain = 0.98, .tenants = 2};
  run.all = sample_group("all", 200, wait_ms);
  run.bands = {sample_group("critical", 100, wait_ms), sample_group("default", 100, 500)};
  run.tenants = {sample_group("ann", 120, wait_ms), sample_group("bob", 80, wait_ms)};
  run.servers_used = {{.name = "a", .requests = 200, .busy_s = 9.5, .mean_running = 8}};
  run.parked = {{"critical", std::vector<float>(10, 1)}, {"default", std::vector<float>(10, 4)}};
  run.running = {{"a", std::vector<float>(10, 8)}};
  run.waiting = {{"a", std::vector<float>(10, 2)}};
  run.kv_used = {{"a", std::vector<float>(10, 0.5)}};
  run.service = {{"ann", {}}, {"bob", {}}};
  for (int i = 1; i <= 10; ++i) {
    run.service[0].values.push_back(static_cast<float>(i) * 2400);
    run.service[1].values.push_back(static_cast<float>(i) * 1600);
  }
  return run;
}

}  // namespace sluice::simulate
