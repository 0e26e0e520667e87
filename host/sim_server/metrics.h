// What a simulated server has counted, and the /metrics page with vLLM's names that tells it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace sluice::sim_server {

struct TokenCount {
  uint64_t prompt = 0, output = 0;
};

struct SimStats {
  uint64_t running = 0, waiting = 0;
  uint64_t peak_running = 0, peak_waiting = 0;
  uint64_t resident_tokens = 0, preemptions = 0;
  uint64_t waiting_ns = 0;  // of all requests together, those that wait still included
  uint64_t requests = 0;    // model requests read, well-formed or not
  uint64_t completed = 0, aborted = 0, refused = 0 /* 429 */, failed = 0 /* injected */;
  uint64_t prompt_tokens = 0, generation_tokens = 0;  // a prompt counts with its first token
  // The same by the fairness id that the request came with; kTenantsMax of them, then together
  // under "".
  std::map<std::string, TokenCount> tenants;
};

inline constexpr size_t kTenantsMax = 1000;
inline constexpr uint64_t kBlockSize = 16;  // tokens a KV cache block

// MODEL labels every sample; KV_TOKENS 0 = no limit, then the cache is never used and has no size
// to tell.
std::string render_metrics(const SimStats& stats, std::string_view model, uint64_t kv_tokens);

}  // namespace sluice::sim_server
