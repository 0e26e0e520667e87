// SimSettings as JSON: what GET /admin/config shows and POST /admin/config changes.
//
// Durations are numbers of milliseconds there, fractions allowed: {"failure": "reset",
// "time_to_first_token_ms": 50}. A key left out keeps its value; an unknown key, a wrong type or a
// value out of range changes nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "host/sim_server/options.h"

namespace sluice::sim_server {

std::string settings_json(const SimSettings& settings);
Result<SimSettings> apply_settings(SimSettings settings, std::string_view json);

const char* to_string(Failure failure);  // "none", "refuse", "hang", "reset", "error"
std::optional<Failure> failure_named(std::string_view name);

}  // namespace sluice::sim_server
