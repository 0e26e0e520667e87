// `sluice demo`: the main job on this machine, with simulated servers, and whether its promises are
// kept.
#pragma once

#include <CLI/CLI.hpp>

namespace sluice {

// Adds the command to APP; when it is the one given, it runs while APP parses and leaves its result
// in EXIT_CODE.
void add_demo_command(CLI::App& app, int& exit_code);

}  // namespace sluice
