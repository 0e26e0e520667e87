#include "host/serve/prepare.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

#include "host/config/values.h"
#include "host/ext_proc/tls.h"
#include "host/scheduler/decision_log_file.h"
#include "host/serve/build_pipeline.h"

namespace sluice {
namespace {

uint64_t hash_text(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

bool is_own(const std::vector<config::SocketAddress>& own, const config::SocketAddress& address) {
  return std::any_of(own.begin(), own.end(),
                     [&](const auto& listener) { return config::reaches(listener, address); });
}

// An address that the running host has, but the new file does not name.
void check_no_loop(const std::vector<config::SocketAddress>& bound, const config::Config& config,
                   config::Diagnostics& diagnostics) {
  for (const config::Endpoint& endpoint : config.pool.endpoints)
    if (is_own(bound, endpoint.address))
      diagnostics.error(
          endpoint.at,
          fmt::format("\"{}\" is Sluice itself until it is started again", endpoint.address.text),
          "addresses to listen on change at a start, not at a reload");
}

// The endpoints of the endpoints_file, or nothing and why.
std::optional<std::vector<config::Endpoint>> read_endpoints_file(
    const config::Config& config, const std::vector<config::SocketAddress>& own,
    std::string& messages) {
  config::Diagnostics diagnostics;
  auto endpoints = config::load_endpoints(config.pool.endpoints_file, diagnostics);
  for (const config::Endpoint& endpoint : endpoints.value_or(std::vector<config::Endpoint>())) {
    if (is_own(own, endpoint.address))
      diagnostics.error(endpoint.at, fmt::format("\"{}\" is Sluice itself", endpoint.address.text),
                        "an endpoint is a model server; listen elsewhere, or correct the address");
    const auto& listed = config.pool.endpoints;
    if (std::any_of(listed.begin(), listed.end(),
                    [&](const auto& other) { return other.name == endpoint.name; }))
      diagnostics.error(endpoint.at,
                        fmt::format("endpoint \"{}\" is in pipeline.toml too", endpoint.name),
                        "name it otherwise, or take it out of one of the two");
  }
  messages += diagnostics.render();
  if (diagnostics.has_errors()) endpoints.reset();
  return endpoints;
}

// What both transports' settings have alike. LISTENER: of one of them.
template <typename Listener>
void fill(TransportSettings& settings, const Listener& listener, const config::Config& config,
          config::StreamUsage usage, std::shared_ptr<const Routing> routing) {
  settings.error_format = listener.error_format;
  settings.expose_endpoint = listener.expose_endpoint;
  settings.max_body = listener.max_body;
  settings.body_timeout_ns = listener.body_timeout_ns;
  settings.upstream = config.upstream;
  settings.stream_usage = config.stream_usage.value_or(usage);
  settings.body_bytes_max = config.max_bytes;
  settings.routing = std::move(routing);
}

std::shared_ptr<const HttpSettings> http_settings(const config::Config& config,
                                                  std::shared_ptr<const Routing> routing) {
  const config::HttpListener listener = config.http.value_or(config::HttpListener());
  auto settings = std::make_shared<HttpSettings>();
  fill(*settings, listener, config, config::StreamUsage::kInject, std::move(routing));
  settings->max_header = listener.max_header;
  settings->header_timeout_ns = listener.header_timeout_ns;
  return settings;
}

std::shared_ptr<const ExtProcSettings> ext_proc_settings(const config::Config& config,
                                                         std::shared_ptr<const Routing> routing) {
  const config::ExtProcListener listener = config.ext_proc.value_or(config::ExtProcListener());
  auto settings = std::make_shared<ExtProcSettings>();
  fill(*settings, listener, config, config::StreamUsage::kCount, std::move(routing));
  settings->max_endpoints = config.picker_max_endpoints;
  settings->scores = listener.scores;
  return settings;
}

}  // namespace

void declare_columns(RoutingOptions& routing, PoolSettings& pool) {
  pool.hash = hash_text;
  const plugins::DeclaredColumns columns = plugins::PluginRegistry::instance().declared();
  using plugins::Source;
  for (const auto& c : columns.request_ints)
    routing.columns.push_back({.source = c.source == Source::kHashHeader
                                             ? DeclaredColumn::Source::kHeaderHash
                                             : DeclaredColumn::Source::kHeader,
                               .header = c.name,
                               .absent_int = c.absent});
  for (const auto& c : columns.request_floats)
    routing.columns.push_back({.is_float = true, .header = c.name, .absent_float = c.absent});
  for (const auto& c : columns.endpoint_ints)
    pool.columns.push_back(
        {.kind = EndpointColumn::Kind::kLabelHash, .name = c.name, .absent_int = c.absent});
  for (const auto& c : columns.endpoint_floats)
    pool.columns.push_back(
        {.kind = EndpointColumn::Kind::kMetric, .name = c.name, .absent = c.absent});
}

std::string engine_refusal(const std::filesystem::path& file, const std::string& why) {
  config::Diagnostics diagnostics;
  diagnostics.set_source(file.string(), "");
  diagnostics.error({}, why, "docs/will-my-plugin-load.md says what a policy must do");
  return diagnostics.render();
}

std::vector<config::SocketAddress> listeners(const config::Config& config) {
  std::vector<config::SocketAddress> out;
  if (config.http) out.push_back(config.http->address);
  if (config.ext_proc) out.push_back(config.ext_proc->address);
  if (config.admin) out.push_back(*config.admin);
  return out;
}

Preparation prepare(const std::filesystem::path& file, uint64_t seed,
                    const std::vector<config::SocketAddress>& bound) {
  Preparation result;
  config::Diagnostics diagnostics;
  std::optional<config::Config> config = config::load_partly(file, diagnostics);
  BuiltPipeline built;
  if (config) {
    check_no_loop(bound, *config, diagnostics);
    if (!config->decisions_file.empty())
      if (auto fine = DecisionLogFile::can_open(config->decisions_file); !fine)
        diagnostics.error({}, "[log] decisions: " + fine.error());
    if (config->ext_proc && config->ext_proc->tls)
      if (auto good = ext_proc::check(*config->ext_proc->tls); !good)
        diagnostics.error(config->ext_proc->tls->at, good.error(),
                          "PEM files that this user may read; the key without a passphrase");
    built = build_pipeline(*config, diagnostics);
  }
  result.messages = diagnostics.render();
  if (built.status == plugins::Loader::Status::kRefused) result.exit_code = kExitPlugin;
  if (!config) return result;

  PoolSettings pool{.pool = config->pool,
                    .file_endpoints = {},
                    .own = bound.empty() ? listeners(*config) : bound,
                    .columns = {}};
  if (!config->pool.endpoints_file.empty()) {
    auto endpoints = read_endpoints_file(*config, pool.own, result.messages);
    if (!endpoints) return result;
    pool.file_endpoints = std::move(*endpoints);
  }
  if (diagnostics.has_errors() || !built.pipeline) return result;

  RoutingOptions options{.generation = built.pipeline->generation,
                         .seed = seed,
                         .prefix_block_tokens = built.pipeline->prefix_block_tokens};
  declare_columns(options, pool);
  auto routes = Routing::create(*config, std::move(options));
  if (!routes) {
    result.messages += routes.error() + "\n";
    return result;
  }
  const auto http = http_settings(*config, *routes);
  const auto ext_proc = ext_proc_settings(*config, *routes);
  result.exit_code = kExitOk;
  result.prepared =
      Prepared{std::move(*config), std::move(*built.pipeline), std::move(pool), http, ext_proc};
  return result;
}

}  // namespace sluice
