// `sluice log check FILE`: did the engine that wrote this decision log keep its promises?
#pragma once

#include <CLI/CLI.hpp>

namespace sluice {

// Adds the command to APP; when it is the one given, it runs while APP parses and leaves its result
// in EXIT_CODE: kExitOk if every promise was kept, kExitRuntime if not or if the log is incomplete,
// kExitUsage if there is no such file to read.
void add_log_command(CLI::App& app, int& exit_code);

}  // namespace sluice
