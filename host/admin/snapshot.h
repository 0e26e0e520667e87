// Everything that the admin pages show, gathered at one moment.
#pragma once

#include <string>
#include <vector>

#include "core/stats.h"
#include "host/pool/pool.h"

namespace sluice {

struct ReloadStats {
  uint64_t good = 0, bad = 0;
  std::string last_error;  // of the last reload; "" if it went well
};

struct TransportStats {
  size_t http_connections = 0, ext_proc_streams = 0;
};

struct AdminSnapshot {
  TimeNs now = 0, uptime_ns = 0;
  std::string version;
  std::string not_ready;  // why; "" = ready
  ReloadStats reloads;
  TransportStats transports;
  Stats engine;
  std::vector<FlowStats> flows;
  PoolStatus pool;
};

}  // namespace sluice
