// One HTTP request and its answer, waited for by the calling thread: for commands, the demo and
// benches, not for anything that serves.
//
// Threads: any; each call has a loop of its own, for kAskPatience at most.
#pragma once

#include <chrono>
#include <string>

#include "host/net/asio.h"

namespace sluice {

inline constexpr std::chrono::seconds kAskPatience{10};

// The answer of WHERE, which is called HOST in the request; status 0 if there is none in time.
http::response<http::string_body> ask(const tcp::endpoint& where, const std::string& host,
                                      http::verb method, const std::string& target,
                                      const std::string& body = {});
// The same of 127.0.0.1:PORT.
http::response<http::string_body> ask(uint16_t port, http::verb method, const std::string& target,
                                      const std::string& body = {});

}  // namespace sluice
