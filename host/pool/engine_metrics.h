// What a model server's /metrics page says, in the engine's words.
//
// Knows the names of vLLM, SGLang and TensorRT-LLM (trtllm-serve and its Triton backend). A page
// may hold one series per engine or model: waiting, running and kv_tokens_max are summed, kv_used
// is the largest. Values that make no sense (NaN, negative, infinite) count as missing; a missing
// family leaves its field at 0. Threads: pure functions. Complexity: O(bytes of the page). Limits:
// pool_limits.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/types.h"
#include "host/config/config.h"

namespace sluice {

// A column of endpoints that a scoring policy declared, in the order of declaration within its
// type.
struct EndpointColumn {
  enum class Kind : uint8_t {
    kMetric,     // a float: the sum of the metric's series
    kLabelHash,  // an int: the hash of one of the endpoint's labels in pipeline.toml
  };
  Kind kind = Kind::kMetric;
  std::string name;        // of the metric, or of the label
  double absent = 0;       // kMetric: where the page does not have it
  int64_t absent_int = 0;  // kLabelHash: where the endpoint does not have it
};

struct EngineReading {
  // At least one of waiting and running was there; otherwise the page is of something else.
  bool usable = false;
  EndpointReport report;              // taken_ns and ints are left to the caller
  std::vector<std::string> adapters;  // LoRA adapters that run or wait, sorted, each once
  size_t malformed = 0;               // lines that could not be read
};

EngineReading read_engine_metrics(config::EngineKind engine, std::string_view page,
                                  const std::vector<EndpointColumn>& columns);

}  // namespace sluice
