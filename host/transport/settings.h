// What every transport takes from the configuration, as one immutable value that a reload replaces.
#pragma once

#include <memory>

#include "host/config/config.h"
#include "host/request/routing.h"

namespace sluice {

struct TransportSettings {
  config::ErrorFormat error_format = config::ErrorFormat::kOpenAi;
  bool expose_endpoint = true;  // clients are told which endpoint served them
  config::Upstream upstream;
  config::StreamUsage stream_usage = config::StreamUsage::kInject;
  uint64_t max_body = 32 << 20;               // bytes of one
  uint64_t body_timeout_ns = 60'000'000'000;  // longest wait for more of one; 0 = no limit
  uint64_t body_bytes_max = 0;                // of all bodies that are being read; 0 = no limit
  std::shared_ptr<const Routing> routing;
};

}  // namespace sluice
