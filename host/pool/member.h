// One slot of the pool: an endpoint, or what is left of one that was removed. Private to pool*.cc.
#pragma once

#include <algorithm>

#include "host/pool/pool.h"

namespace sluice {

struct Pool::Member {
  uint32_t slot = 0;
  config::Endpoint config;
  std::shared_ptr<const EndpointAddress> address;
  TimeNs since = 0;
  bool removed = false;
  TimeNs removed_at = 0;
  EndpointLimits limits;  // as configured
  Health health;
  bool ejected = false;                            // as the engine was told
  std::optional<std::vector<std::string>> learnt;  // from /v1/models
  // Seen in its metrics since it came up, sorted: an adapter is loaded on demand, so that one which
  // idles now is still served.
  std::vector<std::string> adapters;
  std::shared_ptr<Scraper> scraper;
  EndpointReport report;  // the last; taken_ns = 0 if there was none
  TimeNs heard_ns = 0;    // when it came
  bool asked = false;     // one round is over
  bool stale = false;     // and it was said so
  std::string last_miss;
  uint64_t scrapes_good = 0, malformed_lines = 0;
  std::array<uint64_t, kMisses> scrapes_missed{};

  bool is(const config::Endpoint& other) const;
  // What it may have in flight, as things are: on probation, one request.
  EndpointLimits room() const {
    EndpointLimits now = limits;
    if (health.state() == Health::State::kProbation) now.requests = std::min(now.requests, 1u);
    return now;
  }
  ServedModels served() const;
  // How long nothing has been heard of its metrics.
  TimeNs silence(TimeNs now) const { return now - std::min(now, std::max(heard_ns, since)); }
};

}  // namespace sluice
