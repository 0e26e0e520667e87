// The parameters that pipeline.toml gives to a policy, checked against the policy's own table.
// Threads: [any], pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "host/config/config.h"
#include "host/config/diagnostics.h"
#include "host/plugins/info.h"

namespace sluice::plugins {

// One value for each parameter of TABLE, in its order: the one of GIVEN that bears its name, or the
// default. What is unknown, of the wrong type or out of bounds is an error at its place; the answer
// is then of no use.
std::vector<Value> bind_params(std::span<const ParamInfo> table,
                               std::span<const config::ParamValue> given, const std::string& policy,
                               config::Diagnostics& diagnostics);

}  // namespace sluice::plugins
