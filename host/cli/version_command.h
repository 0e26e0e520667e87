// `sluice version`: the program's version, the plugin ABI that it speaks, and what it was built
// with.
#pragma once

#include <CLI/CLI.hpp>

namespace sluice {

void add_version_command(CLI::App& app, int& exit_code);

}  // namespace sluice
