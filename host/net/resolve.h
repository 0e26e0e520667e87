// What a host name of the configuration means: the one place where "localhost" is understood.
//
// Threads: [any]. No look-up: names other than "localhost" are refused by the configuration.
#pragma once

#include <string>
#include <vector>

#include "host/net/asio.h"

namespace sluice {

// Where HOST, an IPv4 or IPv6 literal or "localhost", may be: to be tried in order. Empty if it is
// none of these.
std::vector<tcp::endpoint> resolve(const std::string& host, uint16_t port);

}  // namespace sluice
