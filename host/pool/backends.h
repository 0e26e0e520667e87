// What a transport knows of the backends: where a slot lives, who may serve a model, and whom to
// tell how it went.
//
// The pool implements it; the transports and their tests' fakes are its users.
// Threads: every function is [any] and cheap enough for the request path: a short lock, no I/O, no
// engine call. Ownership: an address stays valid as long as its pointer is held, whatever becomes
// of the endpoint.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/types.h"

namespace sluice {

struct EndpointAddress {
  std::string name;  // as configured; what x-sluice-endpoint says
  std::string host;  // an IPv4 or IPv6 literal, or "localhost"
  uint16_t port = 0;
  std::string authority;  // "host:port", brackets around IPv6: for the Host header
};

class Backends {
 public:
  virtual ~Backends() = default;

  // The eligibility class of a target model; nullopt if no endpoint serves it or ever did (404).
  // While some endpoint's models are unknown, or there is no endpoint at all, every name has a
  // class.
  virtual std::optional<ClassId> class_for(std::string_view target_model) const = 0;

  // The class of all endpoints, for requests of which no model is known.
  virtual ClassId class_of_all() const = 0;

  // Where a dispatched request goes. Null only for a slot that no endpoint holds; a removed
  // endpoint stays until its last request has ended.
  virtual std::shared_ptr<const EndpointAddress> at(uint32_t slot) const = 0;

  // Some endpoint that is up, of ONLY if that is not null, in rotation: for requests that are never
  // parked. Nullopt if none is.
  virtual std::optional<uint32_t> any(const std::vector<uint32_t>* only = nullptr) const = 0;

  // The slots whose endpoints MATCH; some may have been removed of late.
  virtual std::vector<uint32_t> slots_where(
      const std::function<bool(const EndpointAddress&)>& match) const = 0;

  // Every model name that the endpoints list, sorted, each once. Patterns are left out.
  virtual std::vector<std::string> models() const = 0;

  // How the last exchange with an endpoint went. succeeded: a whole answer came, with any status.
  // failed: no connection, silence, or it broke before the answer's end. Nothing is told of one
  // that the client or the scheduler cut short.
  virtual void succeeded(uint32_t slot) = 0;
  virtual void failed(uint32_t slot) = 0;
};

}  // namespace sluice
