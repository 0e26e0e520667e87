// The program `sluice`: one subcommand each from the files beside this one.

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>

#include "host/cli/check_command.h"
#include "host/cli/demo_command.h"
#include "host/cli/log_command.h"
#include "host/cli/plugin_command.h"
#include "host/cli/serve_command.h"
#include "host/cli/sim_server_command.h"
#include "host/cli/simulate_command.h"
#include "host/cli/version_command.h"
#include "host/exit_codes.h"
#include "host/plugins/probe.h"
#include "host/serve/logging.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // whoever reads the output may leave; the host goes on
  // Plugin files are described by a child process of this program.
  if (sluice::plugins::is_probe(argc, argv)) return sluice::plugins::probe_main(argc, argv);

  sluice::log_to_standard_error();
  CLI::App app("Decides which LLM inference request runs next, and where.", "sluice");
  app.require_subcommand(1);
  int exit_code = sluice::kExitOk;
  sluice::add_serve_command(app, exit_code);
  sluice::add_check_command(app, exit_code);
  sluice::add_plugin_command(app, exit_code);
  sluice::add_log_command(app, exit_code);
  sluice::add_demo_command(app, exit_code);
  sluice::add_simulate_command(app, exit_code);
  sluice::add_sim_server_command(app, exit_code);
  sluice::add_version_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked_for_help = error.get_exit_code() == 0;
    app.exit(error);
    return asked_for_help ? sluice::kExitOk : sluice::kExitUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sluice: error: %s\n", error.what());
    return sluice::kExitRuntime;
  }
  return exit_code;
}
