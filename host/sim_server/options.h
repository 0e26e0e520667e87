// What a simulated model server is told: fixed at its start (SimServerOptions) or changed while it
// runs (SimSettings).
//
// Units: durations in nanoseconds, sizes in tokens; 0 = no limit for limits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::sim_server {

// How the server misbehaves towards model requests. /health, /metrics and /admin stay well, but for
// kRefuse.
enum class Failure : uint8_t {
  kOff,
  kRefuse,  // as if the process were gone: connections are refused, those that stand are reset
  kHang,    // requests are read and never answered
  kReset,   // the connection is reset after failure_after_tokens tokens; 0 = before the first byte
  kError,   // answered with failure_status
};

struct SimSettings {
  uint32_t max_num_seqs = 8;  // slots; at least 1
  uint64_t max_waiting = 0;   // 429 beyond it
  uint64_t kv_tokens = 0;     // prompt and output tokens resident at once; preempts beyond
  uint64_t time_to_first_token_ns = 50'000'000;
  uint64_t inter_token_latency_ns = 10'000'000;
  uint64_t metrics_delay_ns = 0;  // before /metrics answers
  bool metrics = true;            // false: /metrics is 404

  Failure failure = Failure::kOff;
  double failure_rate = 1.0;  // share of the requests that kHang, kReset and kError meet
  uint32_t failure_status = 503;
  uint32_t failure_after_tokens = 1;
  uint64_t failure_for_ns = 0;  // then kOff again; 0 = for ever
};

// How long an engine takes that works in steps (step_batch.h).
struct StepTimes {
  uint64_t base_ns = 0;  // 0 = not in steps: every token on its own clock (batch.h)
  uint64_t per_sequence_ns = 0, per_context_token_ns = 0;
  uint64_t prefill_base_ns = 0, prefill_per_token_ns = 0;
  uint64_t max_prefill_tokens = 8192;  // of one step; at least 1
  bool chunked_prefill = false;        // prompts share steps with decoding
};

struct SimServerOptions {
  std::string host = "127.0.0.1";  // an address, not a name
  uint16_t port = 0;               // 0 = any free one
  std::vector<std::string> models = {"sim-model"};
  std::string name;   // in the x-sim-server header; empty = the first model
  uint64_t seed = 1;  // of the failure rate
  StepTimes steps;    // instead of the two latencies of the settings
  SimSettings settings;
};

}  // namespace sluice::sim_server
