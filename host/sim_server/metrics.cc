#include "host/sim_server/metrics.h"

#include <fmt/format.h>

#include <iterator>

namespace sluice::sim_server {
namespace {

std::string escape_label(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string render_metrics(const SimStats& stats, std::string_view model, uint64_t kv_tokens) {
  const std::string labels = fmt::format(R"(engine="0",model_name="{}")", escape_label(model));
  std::string out;
  auto head = [&](std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  };
  auto sample = [&](std::string_view name, std::string_view more, auto value) {
    fmt::format_to(std::back_inserter(out), "{}{{{}{}}} {}\n", name, labels, more, value);
  };
  auto single = [&](std::string_view name, std::string_view type, std::string_view help,
                    auto value) {
    head(name, type, help);
    sample(name, "", value);
  };

  single("vllm:num_requests_running", "gauge", "Requests that hold a slot.", stats.running);
  single("vllm:num_requests_waiting", "gauge", "Requests that wait for a slot.", stats.waiting);
  const double usage =
      kv_tokens == 0 ? 0.0
                     : static_cast<double>(stats.resident_tokens) / static_cast<double>(kv_tokens);
  single("vllm:kv_cache_usage_perc", "gauge", "KV cache in use, 0 to 1.", usage);
  if (kv_tokens != 0) {
    head("vllm:cache_config_info", "gauge", "The KV cache's configuration.");
    const std::string more = fmt::format(R"(,block_size="{}",num_gpu_blocks="{}")", kBlockSize,
                                         (kv_tokens + kBlockSize - 1) / kBlockSize);
    sample("vllm:cache_config_info", more, 1);
  }
  single("vllm:num_preemptions_total", "counter", "Requests preempted.", stats.preemptions);
  single("vllm:prompt_tokens_total", "counter", "Prompt tokens of requests with a first token.",
         stats.prompt_tokens);
  single("vllm:generation_tokens_total", "counter", "Tokens generated.", stats.generation_tokens);
  head("vllm:request_success_total", "counter", "Requests ended, by reason.");
  sample("vllm:request_success_total", R"(,finished_reason="length")", stats.completed);
  sample("vllm:request_success_total", R"(,finished_reason="abort")", stats.aborted);
  single("sluice_sim_waiting_seconds_total", "counter",
         "Time that requests waited for a slot, of all together.",
         static_cast<double>(stats.waiting_ns) / 1e9);
  if (stats.tenants.empty()) return out;
  head("sluice_sim_tenant_tokens_total", "counter", "Tokens by fairness id.");
  for (const auto& [tenant, tokens] : stats.tenants) {
    const std::string label = fmt::format(R"(,tenant="{}")", escape_label(tenant));
    sample("sluice_sim_tenant_tokens_total", label + R"(,kind="prompt")", tokens.prompt);
    sample("sluice_sim_tenant_tokens_total", label + R"(,kind="output")", tokens.output);
  }
  return out;
}

}  // namespace sluice::sim_server
