#include <fmt/format.h>

#include <set>
#include <utility>

#include "host/config/config.h"
#include "host/config/document.h"
#include "host/config/limits.h"
#include "host/config/reader.h"
#include "host/config/sections.h"
#include "host/config/text.h"

namespace sluice::config {
namespace {

constexpr int64_t kSchema = 1;

void read_schema(TableReader& root) {
  constexpr const char* kHint = "begin the file with schema = 1";
  int64_t schema = kSchema;
  root.read_integer("schema", schema, kSchema, kSchema,
                    fmt::format("this Sluice knows schema {}", kSchema));
  if (!root.has("schema"))
    root.error("schema", "the file does not say which schema it follows", kHint);
}

void read_upstream(TableReader& root, Upstream& out) {
  auto upstream = root.table("upstream");
  if (!upstream) return;
  upstream->read_duration("connect_timeout", out.connect_timeout_ns);
  upstream->read_duration("idle_timeout", out.idle_timeout_ns);
  upstream->read_integer("retries", out.retries, 0, kRetriesMax);
  upstream->finish();
}

void read_usage(TableReader& root, std::optional<StreamUsage>& out) {
  auto usage = root.table("usage");
  if (!usage) return;
  StreamUsage stream = StreamUsage::kInject;
  if (usage->read_choice<StreamUsage>("stream", stream,
                                      {{"inject", StreamUsage::kInject},
                                       {"count", StreamUsage::kCount},
                                       {"off", StreamUsage::kOff}}))
    out = stream;
  usage->finish();
}

void read_cost(TableReader& root, CostConfig& out) {
  auto cost = root.table("cost");
  if (!cost) return;
  cost->read_number("output", out.output, 0, kShareMax);
  cost->read_number("cached", out.cached, 0, kShareMax);
  cost->finish();
}

void read_log(TableReader& root, Config& config) {
  auto log = root.table("log");
  if (!log) return;
  log->read_choice<std::string>("level", config.log_level,
                                {{"trace", "trace"},
                                 {"debug", "debug"},
                                 {"info", "info"},
                                 {"warn", "warn"},
                                 {"error", "error"},
                                 {"critical", "critical"},
                                 {"off", "off"}});
  log->read_choice<LogFormat>("format", config.log_format,
                              {{"text", LogFormat::kText}, {"json", LogFormat::kJson}});
  log->read_path("decisions", config.decisions_file);
  log->finish();
}

void read_limits(TableReader& root, Config& config) {
  if (auto limits = root.table("limits")) {
    limits->read_integer("max_requests", config.max_requests, 0, INT64_MAX);
    limits->read_bytes("max_bytes", config.max_bytes);
    limits->finish();
  }
  if (auto drain = root.table("drain")) {
    drain->read_duration("grace", config.drain_grace_ns);
    drain->read_duration("deadline", config.drain_deadline_ns);
    if (config.drain_deadline_ns != 0 && config.drain_grace_ns > config.drain_deadline_ns)
      drain->error(
          drain->has("grace") ? "grace" : "deadline",
          fmt::format("drain.grace ({}ms) is longer than drain.deadline ({}ms)",
                      config.drain_grace_ns / 1'000'000, config.drain_deadline_ns / 1'000'000),
          "both count from the signal: everything would be cut while still admitted");
    drain->finish();
  }
}

// One error for each policy that require_sha256 asks a pin of, in however many places it stands.
void require_pins(const Config& config, Source& source) {
  if (!config.require_sha256) return;
  std::set<std::pair<std::string_view, std::string>> said;
  const auto check = [&](const char* kind, const PolicyUse& use) {
    if (use.name.empty() || !use.sha256.empty() || !said.emplace(kind, use.full_name()).second)
      return;
    source.diagnostics.error(
        use.at,
        fmt::format("the {} policy {} has no sha256, and plugins.require_sha256 is true", kind,
                    quote(use.full_name())),
        "name it with use and sha256 wherever it acts, by default too; take the hash from whoever "
        "made the file, or by sha256sum from one that you trust");
  };
  for (const Band& band : config.bands) {
    check("ordering", band.ordering);
    check("fairness", band.fairness);
    check("eviction", band.eviction);
  }
  for (const Scorer& scorer : config.scorers) check("scoring", scorer.use);
}

}  // namespace

void Unique::add(TableReader& table, std::string_view key, const std::string& name,
                 const std::string& shown) {
  const auto [first, fresh] = seen_.emplace(name, table.at(key));
  if (fresh) return;
  table.error(key, fmt::format("two {} {}", what_, quote(shown)),
              fmt::format("the other one is on line {}", first->second.line));
}

std::optional<Config> parse(std::string_view text, const std::filesystem::path& file,
                            Diagnostics& diagnostics) {
  auto config = parse_partly(text, file, diagnostics);
  if (diagnostics.has_errors()) return std::nullopt;
  return config;
}

std::optional<Config> parse_partly(std::string_view text, const std::filesystem::path& file,
                                   Diagnostics& diagnostics) {
  diagnostics.set_source(file.string(), std::string(text.substr(0, kFileBytesMax)));
  const std::optional<toml::table> document = read_document(text, diagnostics);
  if (!document) return std::nullopt;
  Source source = source_of(file, diagnostics);
  TableReader root(*document, "", "", kFileStart, source);

  Config config;
  read_schema(root);
  read_listeners(root, config);
  read_plugins(root, config);
  read_pool(root, config);
  read_upstream(root, config.upstream);
  read_bands(root, config);
  read_flow(root, config);
  read_objectives(root, config);
  read_models(root, config);
  read_tenants(root, config);
  read_scoring(root, config);
  read_usage(root, config.stream_usage);
  read_cost(root, config.cost);
  read_log(root, config);
  read_limits(root, config);
  require_pins(config, source);
  root.finish();
  return config;
}

}  // namespace sluice::config
