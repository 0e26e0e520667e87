// Who may speak to a server on loopback: the check against DNS rebinding and requests forged by web
// pages.
//
// Threads: pure.
#pragma once

#include <string_view>

namespace sluice {

// Whether AUTHORITY ("host", "host:port", "[::1]:port") names this machine.
bool names_this_machine(std::string_view authority);

// Whether an Origin header's value stands for the server at AUTHORITY itself.
bool is_own_origin(std::string_view origin, std::string_view authority);

}  // namespace sluice
