// The small languages inside strings: durations, sizes, numbers, addresses, networks, names.
//
// Pure functions of their text; errors are what to do, fit to follow "hint: ". Units: nanoseconds,
// bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "host/config/config.h"

namespace sluice::config {

// "250ms", "60s", "5m", "1h", "10us", "5ns"; "0" alone needs no unit. At most kDurationMaxNs.
Result<uint64_t> parse_duration(std::string_view text);
// "64KiB", "10MB", "512B" or "512". At most INT64_MAX.
Result<uint64_t> parse_bytes(std::string_view text);
std::optional<int64_t> parse_integer(std::string_view text);
std::optional<double> parse_number(std::string_view text);  // finite
std::optional<bool> parse_boolean(std::string_view text);   // "true" or "false"

// "127.0.0.1:80", "[::1]:80", "localhost:80". The host comes back in its canonical spelling.
Result<SocketAddress> parse_address(std::string_view text);
// Equal for addresses that mean the same: "localhost:80" and "127.0.0.1:80".
std::string canonical(const SocketAddress& address);
// What is sent to DESTINATION arrives at LISTENER: the same port, and the same host or any local
// one.
bool reaches(const SocketAddress& listener, const SocketAddress& destination);
bool is_wildcard(const SocketAddress& address);  // 0.0.0.0 or [::]
bool is_loopback(const SocketAddress& address);
// "10.0.0.0/8", "fd00::/8", or one address.
Result<void> check_network(std::string_view text);

bool is_header_name(std::string_view text);  // a token of RFC 9110, at most kHeaderNameMax
bool is_sha256(std::string_view text);       // 64 hex digits
// Visible ASCII, at most kNameMax: fit for a header and a metric's label.
bool is_plain_name(std::string_view text);
// Valid UTF-8 without control characters, at most kNameMax: what a model or a tenant may be called.
bool is_free_name(std::string_view text);

}  // namespace sluice::config
