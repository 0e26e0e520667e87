// Endpoints as gateways write them: "ip:port", "[ip]:port", or "ip" for any port of it.
//
// Threads: [any]. Nothing here asks a name server.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/pool/backends.h"
#include "host/request/cidr.h"

namespace sluice::ext_proc {

// How a pick names ADDRESS: always an IP literal.
std::string endpoint_text(const EndpointAddress& address);

// What one text names; nothing if it names nothing.
struct NamedEndpoint {
  IpAddress ip;
  uint16_t port = 0;  // 0 = any

  static std::optional<NamedEndpoint> parse(std::string_view text);
};

// The slots of BACKENDS that one of TEXTS names. A text may hold several, joined by commas.
// O((endpoints + names) log names); names beyond kSubsetMax are not looked at.
std::vector<uint32_t> slots_named(const Backends& backends, const std::vector<std::string>& texts);

}  // namespace sluice::ext_proc
