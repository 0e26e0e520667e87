// Text that leaves Sluice as JSON, written without a library: escaping, and the list of models.
//
// Threads: [any]. Whatever bytes go in, valid JSON in valid UTF-8 comes out: bytes that are not
// UTF-8 become U+FFFD.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sluice {

// Appends TEXT to OUT as a JSON string, with its quotes.
void append_json_string(std::string& out, std::string_view text);

// Appends what TEXT, the inside of a JSON string, stands for. False if it is not well formed; OUT
// is then unspecified.
bool append_unescaped(std::string& out, std::string_view text);

// The answer to GET /v1/models, and to GET /v1/models/NAME.
std::string models_json(std::span<const std::string> names);
std::string model_json(std::string_view name);

// Appends TEXT with its %XX decoded. False if one is not well formed.
bool append_percent_decoded(std::string& out, std::string_view text);

// Case is that of ASCII only, as in header names.
char ascii_lower(char c);
bool equals_ignoring_case(std::string_view a, std::string_view b);
bool starts_with_ignoring_case(std::string_view text, std::string_view prefix);
std::string ascii_lower(std::string_view text);

}  // namespace sluice
