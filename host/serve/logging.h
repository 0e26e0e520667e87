// The process's log: spdlog's default logger on standard error, as [log] wants it.
//
// Threads: [control] to set up; logging itself is [any].
#pragma once

#include "host/config/config.h"

namespace sluice {

// May be called again with another configuration.
void set_up_logging(const config::Config& config);

}  // namespace sluice
