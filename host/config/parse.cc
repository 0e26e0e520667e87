#include <fmt/format.h>

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
  root.read_integer("schema", schema, INT64_MIN, INT64_MAX);
  if (!root.has("schema"))
    root.error("schema", "the file does not say which schema it follows", kHint);
  if (schema == kSchema) return;
  root.error("schema", fmt::format("schema {} is not known", schema),
             fmt::format("this version of Sluice reads schema {}", kSchema));
}

void read_upstream(TableReader& root, Upstream& out) {
  auto upstream = root.table("upstream");
  if (!upstream) return;
  upstream->read_duration("connect_timeout", out.connect_timeout_ns);
  upstream->read_duration("idle_timeout", out.idle_timeout_ns);
  upstream->read_integer("retries", out.retries, 0, kRetriesMax);
  upstream->finish();
}

void read_usage(TableReader& root) {
  auto usage = root.table("usage");
  if (!usage) return;
  std::string stream;
  if (usage->read_choice<std::string>("stream", stream,
                                      {{"inject", "inject"}, {"count", "count"}, {"off", "off"}})) {
    usage->not_built("stream", "usage.stream", "what each listener does by default acts instead");
  }
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
    drain->finish();
  }
}

void report_left_out(const Pins& pins, Source& source) {
  if (!pins.required || pins.left_out.empty()) return;
  const std::vector<std::string_view> slots(pins.left_out.begin(), pins.left_out.end());
  source.diagnostics.warning(
      {}, fmt::format("default policies are loaded without a pin for {}", listed(slots)),
      "name them with use and sha256");
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
  diagnostics.set_source(file.string(), std::string(text.substr(0, kFileBytesMax)));
  const std::optional<toml::table> document = read_document(text, diagnostics);
  if (!document) return std::nullopt;
  Source source = source_of(file, diagnostics);
  TableReader root(*document, "", "", {}, source);

  Config config;
  read_schema(root);
  read_listeners(root, config);
  read_plugins(root, config);
  Pins pins{config.require_sha256, {}};
  read_pool(root, config);
  read_upstream(root, config.upstream);
  read_bands(root, config, pins);
  read_flow(root, config);
  read_objectives(root, config);
  read_models(root, config);
  read_tenants(root, config);
  read_scoring(root, config, pins);
  read_usage(root);
  read_cost(root, config.cost);
  read_log(root, config);
  read_limits(root, config);
  report_left_out(pins, source);
  root.finish();
  if (diagnostics.has_errors()) return std::nullopt;
  return config;
}

}  // namespace sluice::config
