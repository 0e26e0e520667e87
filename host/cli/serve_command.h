// `sluice serve -c FILE`: the host.
#pragma once

#include <CLI/CLI.hpp>

namespace sluice {

void add_serve_command(CLI::App& app, int& exit_code);

}  // namespace sluice
