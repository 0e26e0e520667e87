// The process's log: spdlog's default logger on standard error, as [log] wants it.
//
// Threads: [control] to set up; logging itself is [any].
#pragma once

#include "host/config/config.h"

namespace sluice {

// Standard error instead of standard output, and only what is worth a warning: for every command
// until a configuration says otherwise. Once, before anything is logged.
void log_to_standard_error();

// May be called again with another configuration.
void set_up_logging(const config::Config& config);

}  // namespace sluice
