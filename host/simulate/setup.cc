#include "host/simulate/setup.h"

#include <fmt/format.h>

#include "host/serve/build_pipeline.h"
#include "host/serve/prepare.h"

namespace sluice::simulate {
namespace {

// The servers as endpoints of the pool.
std::vector<config::Endpoint> endpoints_of(const config::Pool& pool,
                                           std::vector<ServerModel>& servers) {
  std::vector<config::Endpoint> endpoints;
  const bool same_count = pool.endpoints.size() == servers.size();
  for (size_t i = 0; i < servers.size(); ++i) {
    config::Endpoint endpoint;
    if (same_count) endpoint = pool.endpoints[i];
    if (!same_count)
      endpoint.name = servers[i].name.empty() ? fmt::format("server-{}", i) : servers[i].name;
    servers[i].name = endpoint.name;
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

// As CONFIG, but every header that routes is believed: what a trace says is so.
config::Config trusting(config::Config config) {
  config::Trust trust{.from = {"any"},
                      .headers = {"x-llm-d-inference-objective", "x-llm-d-inference-fairness-id"}};
  for (const config::FlowComponent& component : config.flow_key)
    if (component.kind == config::FlowComponent::Kind::kHeader)
      trust.headers.push_back(component.header);
  config.trust = {std::move(trust)};
  return config;
}

}  // namespace

SetupResult set_up(const std::filesystem::path& file, std::vector<ServerModel> servers,
                   uint64_t seed) {
  SetupResult result;
  config::Diagnostics diagnostics;
  std::optional<config::Config> config = config::load_partly(file, diagnostics);
  BuiltPipeline built;
  if (config) built = build_pipeline(*config, diagnostics);
  result.messages = diagnostics.render();
  if (built.status == plugins::Loader::Status::kRefused) result.exit_code = kExitPlugin;
  if (!config || diagnostics.has_errors() || !built.pipeline) return result;

  RoutingOptions options{.generation = built.pipeline->generation,
                         .seed = seed,
                         .prefixes = false,  // traces have hashes, not prompts
                         .prefix_block_tokens = built.pipeline->prefix_block_tokens};
  PoolSettings pool;
  declare_columns(options, pool);
  auto routing = Routing::create(trusting(*config), std::move(options));
  if (!routing) {
    result.messages += routing.error() + "\n";
    return result;
  }
  config->pool.endpoints = endpoints_of(config->pool, servers);
  pool.pool = config->pool;
  result.exit_code = kExitOk;
  result.setup = Setup{file.string(),   std::move(*config), std::move(*built.pipeline),
                       std::move(pool), *routing,           std::move(servers)};
  return result;
}

}  // namespace sluice::simulate
