// `sluice sim-server`: a simulated model server, until a signal ends it.
#pragma once

#include <CLI/CLI.hpp>

namespace sluice {

// Adds the command to APP; when it is the one given, it runs while APP parses and leaves its result
// in EXIT_CODE.
void add_sim_server_command(CLI::App& app, int& exit_code);

}  // namespace sluice
