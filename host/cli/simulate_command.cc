#include "host/cli/simulate_command.h"

#include <memory>
#include <string>

#include "host/config/values.h"
#include "host/simulate/replay.h"

namespace sluice {
namespace {

// An option whose text PARSE reads into OUT; what it does not take is a usage error in its words.
template <typename T>
CLI::Option* add_parsed(CLI::App& command, const std::string& name, T& out,
                        Result<T> (*parse)(std::string_view), const std::string& help) {
  return command.add_option_function<std::string>(
      name,
      [&out, parse, name](const std::string& text) {
        auto value = parse(text);
        if (!value) throw CLI::ValidationError(name, value.error());
        out = std::move(*value);
      },
      help);
}

}  // namespace

void add_simulate_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<simulate::ReplayOptions>();
  auto tenants = std::make_shared<traces::TenantMix>();
  CLI::App* command = app.add_subcommand(
      "simulate", "Replay a trace against one or more pipeline.toml, in virtual time");
  command->add_option("-c,--config", options->configs, "A pipeline.toml; several are compared")
      ->required()
      ->expected(1, static_cast<int>(simulate::kConfigsMax))
      ->check(CLI::ExistingFile);
  command
      ->add_option("--trace", options->trace,
                   "What arrives: CSV, Azure's CSV, Mooncake's JSONL or a load.toml")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--servers", options->servers, "The model servers: a servers.toml")
      ->required()
      ->check(CLI::ExistingFile);
  command
      ->add_option("--out", options->out,
                   "Directory for requests.csv, summary.json and report.html")
      ->required();
  command->add_option("--seed", options->seed, "Of everything that is drawn")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print summary.json instead of a table");
  command
      ->add_option_function<std::string>(
          "--baseline", [options](const std::string&) { options->direct = true; },
          "Compare with `direct`: each request goes at once to the best-scored server")
      ->check(CLI::IsMember({"direct"}));

  command->add_option("--time-scale", options->traces.time_scale, "Times the trace's own speed")
      ->capture_default_str();
  command->add_option("--repeat", options->traces.repeat, "Play the trace so often in a row")
      ->capture_default_str();
  add_parsed(*command, "--start", options->traces.start, config::parse_duration,
             "Where in the trace to begin, as in 60s");
  add_parsed(*command, "--duration", options->traces.duration, config::parse_duration,
             "How much of the trace to take");
  add_parsed(*command, "--tenants", *tenants, traces::parse_tenants,
             "Tenants for traces without: zipf:EXPONENT:COUNT");
  add_parsed(*command, "--bands", options->traces.bands, traces::parse_bands,
             "Bands for traces without: critical=0.1,default=0.6,sheddable=0.3");
  add_parsed(*command, "--warmup", options->measures.warmup_ns, config::parse_duration,
             "Latencies and rates are of requests that arrive after this");
  add_parsed(*command, "--slo-ttft", options->measures.slo_ttft_ns, config::parse_duration,
             "Bound on TTFT for SLO attainment (1s)");
  add_parsed(*command, "--slo-itl", options->measures.slo_itl_ns, config::parse_duration,
             "Bound on the mean time between tokens of a request (100ms)");
  command->callback([command, options, tenants, &exit_code] {
    if (command->count("--tenants") != 0) options->traces.tenants = *tenants;
    if (auto fine = traces::check(options->traces); !fine) throw CLI::ValidationError(fine.error());
    exit_code = simulate::replay(*options);
  });
}

}  // namespace sluice
