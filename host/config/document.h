// Text to a TOML tree: toml++ behind a guard, so that no bytes can make it throw or overflow the
// stack.
//
// Complexity: O(bytes) before toml++ runs; it limits the nesting of values but not the length of
// dotted keys, whose tables nest and are destroyed by recursion, so both are limited here.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <toml++/toml.h>

#include "host/config/diagnostics.h"

namespace sluice::config {

// What FILE holds, at most one byte more than kFileBytesMax, so that what reads the text sees that it
// is too long; nothing and one error if it cannot be read.
std::optional<std::string> read_text(const std::filesystem::path& file, Diagnostics& diagnostics);
// The tree, or nothing and one error. TEXT is also what DIAGNOSTICS shows lines of.
std::optional<toml::table> read_document(std::string_view text, Diagnostics& diagnostics);

}  // namespace sluice::config
