#include "host/cli/check_command.h"

#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "core/engine.h"
#include "host/exit_codes.h"
#include "host/serve/build_pipeline.h"

namespace sluice {
namespace {

const char* name_of(const PolicyPtr& policy) {
  return policy ? policy->name().c_str() : "built-in";
}

void summarise(const config::Config& config, const Pipeline& pipeline) {
  for (const BandConfig& band : pipeline.bands)
    fmt::print("band {} ({}): ordering {}, fairness {}, eviction {}\n", band.name, band.priority,
               name_of(band.ordering), name_of(band.fairness), name_of(band.eviction));
  for (const ScorerConfig& scorer : pipeline.scorers)
    fmt::print("scoring {} x {}\n", name_of(scorer.policy), scorer.weight);
  fmt::print("{} endpoints, {} models, {} tenants\n", config.pool.endpoints.size(),
             config.models.size(), config.tenants.size());
}

int check(const std::string& file) {
  config::Diagnostics diagnostics;
  const std::optional<config::Config> config = config::load(file, diagnostics);
  BuiltPipeline built;
  if (config) built = build_pipeline(*config, diagnostics);
  if (config && built.pipeline) {
    // The last thing that can fail: the policies' states.
    if (auto engine = Engine::create(*built.pipeline, 1, 1); !engine) {
      diagnostics.error({}, engine.error(), "see docs/will-my-plugin-load.md");
      built.status = plugins::Loader::Status::kRefused;
    }
  }
  fmt::print(stderr, "{}", diagnostics.render());
  if (!config || built.status == plugins::Loader::Status::kConfigError) return kExitConfig;
  if (built.status == plugins::Loader::Status::kRefused) return kExitPlugin;
  fmt::print("{}: ok\n", file);
  summarise(*config, *built.pipeline);
  return kExitOk;
}

}  // namespace

void add_check_command(CLI::App& app, int& exit_code) {
  auto file = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("check", "Check a pipeline.toml and load its policies");
  command->add_option("FILE", *file, "the pipeline.toml")->required();
  command->callback([file, &exit_code] { exit_code = check(*file); });
}

}  // namespace sluice
