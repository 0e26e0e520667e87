// Text from outside made fit to show: whole characters, nothing that a terminal would obey.
//
// Input may be any bytes. Complexity: O(bytes).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::config {

// The character of TEXT that begins at byte AT, which moves behind it. A byte that begins no valid
// UTF-8 sequence is one character by itself. AT < TEXT.size().
std::string_view next_character(std::string_view text, size_t& at);

// TEXT with control characters and invalid bytes replaced by U+FFFD.
std::string printable(std::string_view text);

// TEXT in double quotes, printable, cut at kQuoteMax.
std::string quote(std::string_view text);

// ASCII only.
std::string lower_case(std::string_view text);

}  // namespace sluice::config
