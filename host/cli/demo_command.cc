#include "host/cli/demo_command.h"

#include <map>
#include <memory>
#include <string>

#include "host/demo/demo.h"
#include "host/demo/scenario.h"

namespace sluice {

void add_demo_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<demo::DemoOptions>();
  CLI::App* command =
      app.add_subcommand("demo", "Load simulated servers through Sluice and straight, and compare");
  const std::map<std::string, double> units = {{"ms", 0.001}, {"s", 1}, {"m", 60}};
  const auto duration = CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::DEFAULT, "TIME");

  command->add_option("--scenario", options->scenario, "What to play")
      ->check(CLI::IsMember(demo::scenario_names()))
      ->capture_default_str();
  command->add_option("--duration", options->duration_s, "Measured time of each load, as in 60s")
      ->transform(duration)
      ->check(CLI::Range(1.0, 86'400.0));
  command->add_option("--runs", options->runs, "How often; the figures are medians")
      ->check(CLI::Range(1u, 100u));
  command->add_option("--envoy", options->envoy, "Envoy's program, for the scenario of that name")
      ->capture_default_str();
  command->add_option("--envoy-bootstrap", options->envoy_bootstrap, "What it is started with")
      ->capture_default_str();
  command->add_option("--json", options->json, "Write all figures to this file");
  command->add_option("--seed", options->seed, "Of the lengths asked for")->capture_default_str();
  command->add_flag("--plain", options->plain, "Plain lines even on a terminal");
  command->add_flag("--keep", options->keep, "Leave the temporary files");

  demo::TraceScale& scale = options->scale;
  command->add_option("--trace", options->trace, "Play this trace (Azure CSV) instead")
      ->check(CLI::ExistingFile);
  command->add_option("--trace-start", scale.start_s, "Where in the trace to begin")
      ->transform(duration);
  command->add_option("--token-scale", scale.tokens, "Times the tokens of the trace")
      ->check(CLI::Range(0.001, 10.0))
      ->capture_default_str();
  command
      ->add_option("--time-scale", scale.speed,
                   "Times the speed of the trace; left out: such that the load is --trace-load")
      ->check(CLI::Range(0.001, 1000.0));
  command->add_option("--trace-load", scale.load, "Work that arrives over what the slots can do")
      ->check(CLI::Range(0.01, 10.0))
      ->capture_default_str();
  command->callback([options, &exit_code] { exit_code = demo::run_demo(*options); });
}

}  // namespace sluice
