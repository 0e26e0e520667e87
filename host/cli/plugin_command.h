// `sluice plugin list` and `sluice plugin inspect FILE|NAME`: what policies there are to name.
#pragma once

#include <CLI/CLI.hpp>

namespace sluice {

void add_plugin_command(CLI::App& app, int& exit_code);

}  // namespace sluice
