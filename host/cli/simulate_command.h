// `sluice simulate`: replay a trace against pipeline.toml in virtual time.
#pragma once

#include <CLI/CLI.hpp>

namespace sluice {

void add_simulate_command(CLI::App& app, int& exit_code);

}  // namespace sluice
