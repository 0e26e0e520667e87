// Fills in ${VAR} and ${VAR:-default} in the strings of a configuration.
//
// VAR is [A-Za-z_][A-Za-z0-9_]*. The default is used where VAR is unset or empty, as in a shell,
// and ends at the first
// '}'. ${VAR} alone may be empty but not unset. "$${" stands for a plain "${"; any other '$' is
// itself. What a variable holds is not expanded again.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace sluice::config {

// The value of an environment variable, or null.
using Lookup = std::function<const char*(const std::string& name)>;

Result<std::string> expand(std::string_view text, const Lookup& lookup);

}  // namespace sluice::config
