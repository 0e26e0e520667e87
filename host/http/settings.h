// What the proxy takes from the configuration, as one immutable value that a reload replaces.
#pragma once

#include "host/transport/settings.h"

namespace sluice {

struct HttpSettings : TransportSettings {
  uint64_t max_header = 64 << 10;
  uint64_t header_timeout_ns = 10'000'000'000;
};

}  // namespace sluice
