// Text to a TOML tree: toml++ behind a guard, so that no bytes can make it throw or overflow the
// stack.
//
// Complexity: O(bytes) before toml++ runs; it limits the nesting of values but not the length of
// dotted keys, whose tables nest and are destroyed by recursion, so both are limited here.
#pragma once

#include <optional>
#include <string_view>

#include <toml++/toml.h>

#include "host/config/diagnostics.h"

namespace sluice::config {

// The tree, or nothing and one error. TEXT is also what DIAGNOSTICS shows lines of.
std::optional<toml::table> read_document(std::string_view text, Diagnostics& diagnostics);

}  // namespace sluice::config
