#include "host/cli/sim_server_command.h"

#include <map>
#include <memory>
#include <string>

#include "host/sim_server/server.h"
#include "host/sim_server/settings.h"

namespace sluice {

void add_sim_server_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<sim_server::SimServerOptions>();
  auto& settings = options->settings;
  options->models.clear();

  CLI::App* command = app.add_subcommand("sim-server", "Run a simulated model server");
  const std::map<std::string, uint64_t> units = {
      {"ns", 1}, {"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}};
  const auto duration = CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::UNIT_REQUIRED, "TIME");
  command->add_option("--host", options->host, "Address to listen on")->capture_default_str();
  command->add_option("--port", options->port, "Port; 0 = any free one, printed when it listens")
      ->required();
  command->add_option("--model", options->models, "Name of a served model; may be repeated")
      ->required();
  command->add_option("--name", options->name,
                      "Name in the x-sim-server header; the first model if left out");
  command->add_option("--max-num-seqs", settings.max_num_seqs, "Slots")
      ->check(CLI::Range(1u, 1'000'000u))
      ->capture_default_str();
  command->add_option("--max-waiting", settings.max_waiting,
                      "Requests that may wait for a slot, 429 beyond; 0 = no limit");
  command->add_option("--kv-tokens", settings.kv_tokens,
                      "Prompt and output tokens resident at once, preempts beyond; 0 = no limit");
  command->add_option("--time-to-first-token", settings.time_to_first_token_ns, "Default 50ms")
      ->transform(duration);
  command->add_option("--inter-token-latency", settings.inter_token_latency_ns, "Default 10ms")
      ->transform(duration);

  auto& steps = options->steps;
  command
      ->add_option("--step", steps.base_ns,
                   "Work in steps, as engines do: a step's time; instead of the two above")
      ->transform(duration);
  command->add_option("--step-per-sequence", steps.per_sequence_ns, "For each that decodes in it")
      ->transform(duration);
  command
      ->add_option("--step-per-context-token", steps.per_context_token_ns,
                   "For each token resident of those")
      ->transform(duration);
  command->add_option("--prefill", steps.prefill_base_ns, "A prefill step's time")
      ->transform(duration);
  command->add_option("--prefill-per-token", steps.prefill_per_token_ns, "For each prompt token")
      ->transform(duration);
  command->add_option("--max-prefill-tokens", steps.max_prefill_tokens, "Prompt tokens of a step")
      ->check(CLI::Range(1u, 1'000'000'000u))
      ->capture_default_str();
  command->add_flag("--chunked-prefill", steps.chunked_prefill,
                    "Prompts are cut, and share steps with decoding");

  command->add_flag("!--no-metrics", settings.metrics, "Answer /metrics with 404");
  command->add_option("--metrics-delay", settings.metrics_delay_ns, "Slow /metrics, default 0ms")
      ->transform(duration);

  auto failure = std::make_shared<std::string>(to_string(settings.failure));
  command->add_option("--failure", *failure, "How model requests fail")
      ->check(CLI::IsMember({"none", "refuse", "hang", "reset", "error"}))
      ->type_name("MODE")
      ->capture_default_str();
  command->add_option("--failure-rate", settings.failure_rate, "Share of requests that fail")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--failure-status", settings.failure_status, "Status of error")
      ->check(CLI::Range(400, 599))
      ->capture_default_str();
  command
      ->add_option("--failure-after-tokens", settings.failure_after_tokens,
                   "Tokens before reset; 0 = before the first byte")
      ->capture_default_str();
  command->add_option("--failure-for", settings.failure_for_ns, "How long it fails; 0s = for ever")
      ->transform(duration);
  command->add_option("--seed", options->seed, "Of the failure rate")->capture_default_str();
  command->callback([options, failure, &exit_code] {
    options->settings.failure = *sim_server::failure_named(*failure);
    exit_code = sim_server::run_sim_server(*options);
  });
}

}  // namespace sluice
