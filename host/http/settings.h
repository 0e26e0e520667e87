// What the proxy takes from the configuration, as one immutable value that a reload replaces.
#pragma once

#include <memory>

#include "host/config/config.h"
#include "host/request/routing.h"

namespace sluice {

// How the tokens of a stream are learnt ([usage] stream).
enum class StreamUsage : uint8_t {
  kInject,  // ask the server for usage; the extra event is dropped if the client did not ask
  kCount,   // leave the request alone: usage if it comes, else one event is one token
};

struct HttpSettings {
  config::HttpListener listener;  // its limits; the address is not looked at again
  config::Upstream upstream;
  StreamUsage stream_usage = StreamUsage::kInject;
  std::shared_ptr<const Routing> routing;
};

}  // namespace sluice
