#include "host/serve/build_pipeline.h"

#include <algorithm>
#include <atomic>
#include <vector>

namespace sluice {

BuiltPipeline build_pipeline(const config::Config& config, config::Diagnostics& diagnostics) {
  using plugins::Kind;
  using plugins::Loader;
  // A number for each pipeline of this process; the engine reads band and tenant numbers by it.
  static std::atomic<uint64_t> generation = 0;

  Loader loader(plugins::search_path(&config));
  BuiltPipeline built;
  if (diagnostics.has_errors()) built.status = Loader::Status::kConfigError;
  std::vector<Loader::Resolved> found;
  const auto resolve = [&](const config::PolicyUse& use, Kind kind) {
    found.push_back(loader.resolve(use, kind, diagnostics));
    built.status = std::max(built.status, found.back().status);
  };
  for (const config::Band& band : config.bands) {
    resolve(band.ordering, Kind::kOrdering);
    resolve(band.fairness, Kind::kFairness);
    resolve(band.eviction, Kind::kEviction);
  }
  for (const config::Scorer& scorer : config.scorers) resolve(scorer.use, Kind::kScoring);
  if (built.status == Loader::Status::kOk) built.status = loader.load(found, diagnostics);
  if (built.status != Loader::Status::kOk) return built;

  auto next = found.begin();
  Pipeline p;
  p.generation = ++generation;
  for (const config::Band& band : config.bands) {
    BandConfig& b = p.bands.emplace_back(band.limits);
    b.ordering = std::move((next++)->policy);
    b.fairness = std::move((next++)->policy);
    b.eviction = std::move((next++)->policy);
  }
  p.default_band = config.default_band;
  for (const config::Tenant& tenant : config.tenants)
    p.tenants.push_back({tenant.component + "=" + tenant.value, tenant.max_requests});
  p.requests_max = config.max_requests;
  p.bytes_max = config.max_bytes;
  p.flows_max = config.max_flows;
  p.flow_idle_ttl_ns = config.flow_idle_ttl_ns;
  for (const config::Scorer& scorer : config.scorers) {
    PolicyPtr policy = std::move((next++)->policy);
    // A scorer that only shadows leaves its weight to nobody.
    if (!scorer.use.shadow)
      p.scorers.push_back({std::move(policy), static_cast<float>(scorer.weight)});
  }
  p.picker = config.picker;
  // Only a gateway can fall back on another endpoint, or be told scores.
  p.ranks = config.ext_proc && (config.picker_max_endpoints > 1 || config.ext_proc->scores);
  p.wait_for_better = config.wait_for_better;
  p.cost = config.cost;
  p.prefix_block_tokens = kPrefixBlockTokens;
  // After every create, so that no column that a policy of this pipeline reads is missing.
  const plugins::DeclaredColumns columns = plugins::PluginRegistry::instance().declared();
  for (const auto& c : columns.request_ints) p.request_absent.ints.push_back(c.absent);
  for (const auto& c : columns.request_floats) p.request_absent.floats.push_back(c.absent);
  for (const auto& c : columns.endpoint_ints) p.endpoint_absent.ints.push_back(c.absent);
  for (const auto& c : columns.endpoint_floats) p.endpoint_absent.floats.push_back(c.absent);
  built.pipeline = std::move(p);
  return built;
}

}  // namespace sluice
