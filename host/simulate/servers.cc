#include "host/simulate/servers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/config/document.h"
#include "host/config/sections.h"
#include "host/traces/limits.h"

namespace sluice::simulate {
namespace {

constexpr double kMillisMax = 1e7;  // of any one figure: some three hours
constexpr double kPsPerMilli = 1e9;
constexpr int64_t kTokensMax = 1'000'000'000;
// What the largest step of all may take, so that sums of picoseconds fit their 64 bits.
constexpr double kPrefillMaxMs = 1e9;  // 11 days
constexpr double kStepMaxMs = 1e8;     // 28 hours; kProgressTokens of them may follow in one go

void read_ps(config::TableReader& table, std::string_view key, uint64_t& out) {
  double millis = 0;
  if (table.read_number(key, millis, 0, kMillisMax))
    out = static_cast<uint64_t>(std::llround(millis * kPsPerMilli));
}

// The table KEY = { ... } with its three figures; it must be there.
template <typename Read>
void read_times(config::TableReader& server, std::string_view key, const char* example,
                Read&& read) {
  if (auto times = server.table(key)) {
    read(*times);
    times->finish();
  } else {
    server.require(key, example);
  }
}

// The longest times are those of a full batch of the longest requests that traces have.
void check_times(config::TableReader& table, const ServerModel& s) {
  const auto kv = static_cast<double>(s.kv_tokens);
  const double longest = std::min(kv, 2.0 * traces::kTokensMax);
  const double prompts = std::max(longest, std::min<double>(kv, s.max_prefill_tokens));
  const auto& prefill = s.prefill_ps;
  const auto& step = s.step_ps;
  const double prefill_ms =
      (static_cast<double>(prefill.base) + prompts * static_cast<double>(prefill.per_token) +
       prompts * 2 * longest * static_cast<double>(prefill.per_token_sq)) /
      kPsPerMilli;
  const double step_ms = (static_cast<double>(step.base) +
                          s.max_running * (static_cast<double>(step.per_sequence) +
                                           longest * static_cast<double>(step.per_context_token))) /
                         kPsPerMilli;
  if (prefill_ms > kPrefillMaxMs)
    table.error("prefill_ms",
                fmt::format("a prefill of {:.0f} tokens would take over 11 days", prompts),
                "these are milliseconds, and per_token_sq is of each pair of tokens");
  if (step_ms > kStepMaxMs)
    table.error("step_ms",
                fmt::format("a step of {} sequences of {:.0f} tokens would take over 28 hours",
                            s.max_running, longest),
                "these are milliseconds");
}

void read_server(config::TableReader& table, std::vector<ServerModel>& servers) {
  ServerModel s;
  int64_t count = 1;
  table.read_integer("count", count, 1, static_cast<int64_t>(kServersMax));
  table.read_string("name", s.name);
  read_times(table, "prefill_ms", "prefill_ms = { base = 6.5, per_token = 0.066 }",
             [&](config::TableReader& times) {
               read_ps(times, "base", s.prefill_ps.base);
               read_ps(times, "per_token", s.prefill_ps.per_token);
               read_ps(times, "per_token_sq", s.prefill_ps.per_token_sq);
             });
  read_times(table, "step_ms", "step_ms = { base = 12.7, per_sequence = 0.038 }",
             [&](config::TableReader& times) {
               read_ps(times, "base", s.step_ps.base);
               read_ps(times, "per_sequence", s.step_ps.per_sequence);
               read_ps(times, "per_context_token", s.step_ps.per_context_token);
             });
  // A step that takes no time would never let the clock move on.
  if (table.has("step_ms") && s.step_ps.base + s.step_ps.per_sequence == 0)
    table.error("step_ms", "a step must take some time", "give base or per_sequence");
  if (!table.read_integer("kv_tokens", s.kv_tokens, 1, kTokensMax))
    table.require("kv_tokens", "tokens that the KV cache holds: kv_tokens = 400000");
  table.read_integer("max_running", s.max_running, 1, kRunningMax);
  if (!table.read_integer("max_prefill_tokens", s.max_prefill_tokens, 1, kTokensMax))
    s.max_prefill_tokens = 8192;
  table.read_integer("max_waiting", s.max_waiting, 0, kTokensMax);
  table.read_choice(
      "admit", s.admit,
      {{"greedy", ServerModel::Admit::kGreedy}, {"peak-memory", ServerModel::Admit::kPeakMemory}});
  table.read_integer("steps_between_prefills", s.steps_between_prefills, 0, 1'000'000);
  table.read_boolean("chunked_prefill", s.chunked_prefill);
  table.read_boolean("prefix_cache", s.prefix_cache);
  if (s.chunked_prefill && s.steps_between_prefills != 0)
    table.error("steps_between_prefills", "with chunked_prefill every step may prefill",
                "leave out one of the two");
  check_times(table, s);
  table.finish();
  for (int64_t i = 0; i < count && servers.size() < kServersMax; ++i) {
    servers.push_back(s);
    if (!s.name.empty() && count > 1) servers.back().name += fmt::format("-{}", i);
  }
}

}  // namespace

std::optional<std::vector<ServerModel>> load_servers(const std::filesystem::path& file,
                                                     config::Diagnostics& diagnostics) {
  const std::optional<std::string> text = config::read_text(file, diagnostics);
  if (!text) return std::nullopt;
  diagnostics.set_source(file.string(), *text);
  const std::optional<toml::table> document = config::read_document(*text, diagnostics);
  if (!document) return std::nullopt;
  config::Source source = config::source_of(file, diagnostics);
  config::TableReader root(*document, "", "", config::kFileStart, source);
  std::vector<ServerModel> servers;
  for (config::TableReader& table : root.tables("server", kServersMax)) {
    const size_t before = servers.size();
    read_server(table, servers);
    for (size_t i = before; i < servers.size(); ++i)
      if (std::any_of(servers.begin(), servers.begin() + static_cast<ptrdiff_t>(i),
                      [&](const ServerModel& other) {
                        return !other.name.empty() && other.name == servers[i].name;
                      }))
        table.error("name", fmt::format("there is a server \"{}\" already", servers[i].name),
                    "names tell servers apart in requests.csv");
  }
  root.finish();
  if (servers.empty() && !diagnostics.has_errors())
    diagnostics.error({}, "there is no [[server]]", "conf/servers/ has ready ones");
  if (diagnostics.has_errors()) return std::nullopt;
  return servers;
}

}  // namespace sluice::simulate
