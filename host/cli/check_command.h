// `sluice check FILE`: everything that serving it would check, without serving it.
#pragma once

#include <CLI/CLI.hpp>

namespace sluice {

void add_check_command(CLI::App& app, int& exit_code);

}  // namespace sluice
