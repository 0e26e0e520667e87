#include "host/pool/engine_metrics.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>

#include "host/pool/pool_limits.h"
#include "host/pool/prometheus_text.h"

namespace sluice {
namespace {

enum class Meaning : uint8_t {
  kWaiting,
  kRunning,
  kKvUsed,
  kLora,
  kCacheConfig,     // its labels say block size and block count
  kTokensPerBlock,  // its value is the block size
  kBlocksMax,       // its value is the block count
};

struct Row {
  std::string_view name;
  Meaning meaning;
  std::string_view label = {},
                   label_value =
                       {};  // only series with this label; or cache config: its two labels
};

constexpr std::array kVllm = {
    Row{"vllm:num_requests_waiting", Meaning::kWaiting},
    Row{"vllm:num_requests_running", Meaning::kRunning},
    Row{"vllm:kv_cache_usage_perc", Meaning::kKvUsed},
    Row{"vllm:gpu_cache_usage_perc", Meaning::kKvUsed},  // before vLLM 0.10
    Row{"vllm:lora_requests_info", Meaning::kLora},
    Row{"vllm:cache_config_info", Meaning::kCacheConfig, "block_size", "num_gpu_blocks"},
};
constexpr std::array kSglang = {
    Row{"sglang:num_queue_reqs", Meaning::kWaiting},
    Row{"sglang:num_running_reqs", Meaning::kRunning},
    Row{"sglang:token_usage", Meaning::kKvUsed},
    Row{"sglang:cache_config_info", Meaning::kCacheConfig, "page_size", "num_pages"},
};
constexpr std::string_view kTritonRequests = "nv_trt_llm_request_metrics";
constexpr std::string_view kTritonBlocks = "nv_trt_llm_kv_cache_block_metrics";
constexpr std::array kTrtllm = {
    Row{"trtllm_num_requests_waiting", Meaning::kWaiting},
    Row{"trtllm_num_requests_running", Meaning::kRunning},
    Row{"trtllm_kv_cache_utilization", Meaning::kKvUsed},
    Row{"trtllm_kv_cache_tokens_per_block", Meaning::kTokensPerBlock},
    Row{"trtllm_kv_cache_max_blocks", Meaning::kBlocksMax},
    Row{kTritonRequests, Meaning::kWaiting, "request_type", "waiting"},
    Row{kTritonRequests, Meaning::kRunning, "request_type", "scheduled"},
    Row{kTritonBlocks, Meaning::kKvUsed, "kv_cache_block_type", "fraction"},
    Row{kTritonBlocks, Meaning::kTokensPerBlock, "kv_cache_block_type", "tokens_per"},
    Row{kTritonBlocks, Meaning::kBlocksMax, "kv_cache_block_type", "max"},
};

std::span<const Row> rows_of(config::EngineKind engine) {
  switch (engine) {
    case config::EngineKind::kSglang:
      return kSglang;
    case config::EngineKind::kTrtllm:
      return kTrtllm;
    case config::EngineKind::kVllm:
      break;
  }
  return kVllm;
}

bool sensible(double value) { return std::isfinite(value) && value >= 0; }

// Counts saturate: a server's nonsense must not wrap around into a small number.
uint32_t to_count(double value) { return static_cast<uint32_t>(std::min(value, 4294967294.0)); }
uint64_t to_tokens(double value) { return static_cast<uint64_t>(std::min(value, 1e15)); }

double number_in(std::string_view labels, std::string_view key) {
  std::optional<std::string_view> text = find_label(labels, key);
  double out = 0;
  if (!text) return 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), out);
  return error == std::errc() && end == text->data() + text->size() && sensible(out) ? out : 0;
}

void add_adapters(std::string_view labels, std::string_view key, std::vector<std::string>& out) {
  std::optional<std::string_view> escaped = find_label(labels, key);
  if (!escaped) return;
  std::string list = unescape_label(*escaped);
  for (std::string_view rest = list; !rest.empty() && out.size() < kModelsPerEndpointMax;) {
    size_t comma = rest.find(',');
    std::string_view name = rest.substr(0, comma);
    rest.remove_prefix(comma == rest.npos ? rest.size() : comma + 1);
    while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
    while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
    if (!name.empty() && name.size() <= kModelNameBytesMax) out.emplace_back(name);
  }
}

class Reader {
 public:
  explicit Reader(EngineReading& out) : out_(out) {}

  void read(const Row& row, const MetricSample& sample) {
    if (row.meaning == Meaning::kCacheConfig) {
      cache_tokens_ +=
          number_in(sample.labels, row.label) * number_in(sample.labels, row.label_value);
      return;
    }
    if (!row.label.empty() && find_label(sample.labels, row.label) != row.label_value) return;
    if (!sensible(sample.value)) return;
    switch (row.meaning) {
      case Meaning::kWaiting:
        waiting_ += sample.value;
        out_.usable = true;
        break;
      case Meaning::kRunning:
        running_ += sample.value;
        out_.usable = true;
        break;
      case Meaning::kKvUsed:
        out_.report.kv_used =
            std::max(out_.report.kv_used, static_cast<float>(std::min(sample.value, 1.0)));
        break;
      case Meaning::kLora:
        // One series per past combination of adapters; its value is when it was true, so the newest
        // is now.
        if (sample.value >= lora_time_) {
          lora_time_ = sample.value;
          lora_labels_ = sample.labels;
        }
        break;
      case Meaning::kTokensPerBlock:
        tokens_per_block_ = std::max(tokens_per_block_, sample.value);
        break;
      case Meaning::kBlocksMax:
        blocks_max_ += sample.value;
        break;
      case Meaning::kCacheConfig:
        break;
    }
  }

  void finish() {
    out_.report.waiting = to_count(waiting_);
    out_.report.running = to_count(running_);
    out_.report.kv_tokens_max = to_tokens(cache_tokens_ + tokens_per_block_ * blocks_max_);
    add_adapters(lora_labels_, "running_lora_adapters", out_.adapters);
    add_adapters(lora_labels_, "waiting_lora_adapters", out_.adapters);
    std::sort(out_.adapters.begin(), out_.adapters.end());
    out_.adapters.erase(std::unique(out_.adapters.begin(), out_.adapters.end()),
                        out_.adapters.end());
  }

 private:
  EngineReading& out_;
  double waiting_ = 0, running_ = 0, cache_tokens_ = 0, tokens_per_block_ = 0, blocks_max_ = 0;
  double lora_time_ = 0;
  std::string_view lora_labels_;
};

}  // namespace

EngineReading read_engine_metrics(config::EngineKind engine, std::string_view page,
                                  const std::vector<EndpointColumn>& columns) {
  struct Wanted {
    std::string_view name;
    double absent, sum;
    bool seen;
  };
  std::vector<Wanted> wanted;
  for (const EndpointColumn& column : columns) {
    if (column.kind != EndpointColumn::Kind::kMetric) continue;
    wanted.push_back({column.name, column.absent, 0, false});
  }

  EngineReading out;
  Reader reader(out);
  PrometheusText text(page.substr(0, kPageBytesMax));
  for (MetricSample sample; text.next(sample);) {
    for (const Row& row : rows_of(engine)) {
      if (row.name == sample.name) reader.read(row, sample);
    }
    for (Wanted& column : wanted) {
      if (column.name != sample.name || !std::isfinite(sample.value)) continue;
      column.sum += sample.value;
      column.seen = true;
    }
  }
  reader.finish();
  out.malformed = text.malformed();
  out.report.floats.reserve(wanted.size());
  for (const Wanted& column : wanted) {
    bool good = column.seen && std::isfinite(column.sum);
    out.report.floats.push_back(good ? column.sum : column.absent);
  }
  return out;
}

}  // namespace sluice
