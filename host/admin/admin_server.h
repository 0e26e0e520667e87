// The operators' HTTP server: /metrics, /livez, /readyz, /status, POST /reload and POST
// /policies/release?policy=NAME.
//
// Small on purpose: whole requests in, whole answers out, keep-alive, named limits, a time limit on
// everything. Threads: the control io_context's; the sources are called there too, and a page waits
// for them.
// Safety: on a loopback address only requests that name this machine (Host: localhost or a loopback
// address) are answered, so that a web page cannot reach it by rebinding a name; on any address a
// request that a browser sends from another origin is refused. There is no other authentication:
// bind it to loopback or keep the port private.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "host/admin/families.h"
#include "host/admin/host_metrics.h"
#include "host/admin/snapshot.h"
#include "host/config/config.h"
#include "host/net/asio.h"

namespace sluice {

struct ReloadResult {
  bool swapped = false;
  std::string messages;  // the errors if it was not, else what the file is warned about
};

struct AdminSources {
  using Reloaded = std::function<void(const ReloadResult&)>;
  std::function<Stats()> stats;
  std::function<std::vector<FlowStats>()> flow_stats;
  std::function<PoolStatus()> pool;
  std::function<std::string()> not_ready;  // why not; "" = started and not draining
  std::function<void(Reloaded)> reload;    // calls back once, on the control thread, now or later
  std::function<bool(const std::string& policy)> release_policy;  // false: not in quarantine
  std::function<ReloadStats()> reload_stats;
  std::function<TransportStats()> transports;  // may be null
  const HostMetrics* requests = nullptr;       // may be null; borrowed
  std::string version;
};

class AdminServer {
 public:
  static constexpr size_t kConnectionsMax = 64;  // one more is closed at once
  static constexpr uint32_t kHeaderBytesMax = 16 << 10;
  static constexpr uint64_t kBodyBytesMax = 64 << 10;
  static constexpr std::chrono::seconds kIdleTimeout{60};      // between requests
  static constexpr std::chrono::seconds kExchangeTimeout{10};  // a whole request, a whole answer

  AdminServer(asio::io_context& control, config::SocketAddress address, AdminSources sources);
  ~AdminServer();

  // Binds and begins to answer; the error names the address.
  Result<void> start();
  void stop();
  uint16_t port() const;  // that it was bound to

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace sluice
