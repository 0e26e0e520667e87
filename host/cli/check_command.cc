#include "host/cli/check_command.h"

#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "core/engine.h"
#include "host/exit_codes.h"
#include "host/plugins/crash.h"
#include "host/serve/prepare.h"

namespace sluice {
namespace {

const char* name_of(const PolicyPtr& policy) {
  return policy ? policy->name().c_str() : "built-in";
}

void summarise(const config::Config& config, const Pipeline& pipeline, size_t endpoints) {
  for (const BandConfig& band : pipeline.bands)
    fmt::print("band {} ({}): ordering {}, fairness {}, eviction {}\n", band.name, band.priority,
               name_of(band.ordering), name_of(band.fairness), name_of(band.eviction));
  for (const ScorerConfig& scorer : pipeline.scorers)
    fmt::print("scoring {} x {}\n", name_of(scorer.policy), scorer.weight);
  fmt::print("{} endpoints, {} models, {} tenants\n", endpoints, config.models.size(),
             config.tenants.size());
}

int check(const std::string& file) {
  plugins::install_crash_handler();
  const Preparation preparation = prepare(file, 1);
  fmt::print(stderr, "{}", preparation.messages);
  if (!preparation.prepared) return preparation.exit_code;
  const auto& [config, pipeline, pool, http, ext_proc] = *preparation.prepared;
  // The last thing that can fail: the policies' states.
  if (auto engine = Engine::create(pipeline, 1, 1); !engine) {
    fmt::print(stderr, "{}", engine_refusal(file, engine.error()));
    return kExitPlugin;
  }
  fmt::print("{}: ok\n", file);
  summarise(config, pipeline, config.pool.endpoints.size() + pool.file_endpoints.size());
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
