// What the proxy takes from the configuration, as one immutable value that a reload replaces.
#pragma once

#include <memory>

#include "host/config/config.h"
#include "host/request/routing.h"

namespace sluice {

struct HttpSettings {
  config::HttpListener listener;  // its limits; the address is not looked at again
  config::Upstream upstream;
  config::StreamUsage stream_usage = config::StreamUsage::kInject;
  uint64_t body_bytes_max = 0;  // of all bodies that are being read; 0 = no limit
  std::shared_ptr<const Routing> routing;
};

}  // namespace sluice
