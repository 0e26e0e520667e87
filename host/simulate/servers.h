// What a servers.toml says: the model servers of a simulation, and how long they take for what.
//
// A server works in steps, as engines with continuous batching do (docs/simulate.md). A prefill
// step of n tokens takes base + per_token * n + per_token_sq * sum(n_i^2); a decode step of b
// sequences with c tokens of context resident takes base + per_sequence * b + per_context_token * c
// and makes one token of each.
// Units: picoseconds, so that every sum is exact and the same with every compiler; tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/config/diagnostics.h"

namespace sluice::simulate {

inline constexpr size_t kServersMax = 256;
inline constexpr uint32_t kRunningMax = 4096;

struct ServerModel {
  std::string name;
  struct {
    uint64_t base = 0, per_token = 0, per_token_sq = 0;
  } prefill_ps;
  struct {
    uint64_t base = 0, per_sequence = 0, per_context_token = 0;
  } step_ps;
  uint64_t kv_tokens = 0;           // of its KV cache
  uint32_t max_running = 256;       // sequences
  uint32_t max_prefill_tokens = 0;  // of one step
  uint32_t max_waiting = 0;         // in its own queue, beyond which it answers 429; 0 = no limit
  // When a waiting request joins the batch. Greedy: as soon as its prompt fits the KV cache and
  // leaves 1 % of it free; when the cache runs full the newest sequence is thrown out and begins
  // again. Peak memory: once all outputs, known in advance, will fit at every moment to come
  // (LightLLM's rule).
  enum class Admit : uint8_t { kGreedy, kPeakMemory } admit = Admit::kGreedy;
  uint32_t steps_between_prefills = 0;  // decode steps at least
  bool chunked_prefill = false;  // prompts share steps with decoding, max_prefill_tokens a step
  bool prefix_cache = false;     // prompts' blocks stay, least recently used out first
};

// The servers of FILE in order, one for each of `count`; nothing if there are errors.
std::optional<std::vector<ServerModel>> load_servers(const std::filesystem::path& file,
                                                     config::Diagnostics& diagnostics);

}  // namespace sluice::simulate
