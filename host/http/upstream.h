// Connections to model servers: made when needed, kept for the next request, dropped when stale.
//
// Threads: one pool per io thread; its executor's. Ownership: a connection belongs to whoever took
// it, until it is given back. Limits: kUpstreamIdleMax connections per endpoint are kept, each at
// most kUpstreamIdleNs.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "host/http/net.h"
#include "host/http/watchdog.h"
#include "host/pool/backends.h"

namespace sluice {

struct UpstreamConnection {
  explicit UpstreamConnection(Executor executor) : socket(executor) {}
  Socket socket;
  beast::flat_buffer buffer;
  Clock::time_point idle_since;
};

class UpstreamPool {
 public:
  explicit UpstreamPool(Executor executor);

  // A kept connection to ADDRESS that its server has not closed yet, or null.
  std::unique_ptr<UpstreamConnection> take(const EndpointAddress& address);
  // A connection not connected yet.
  std::unique_ptr<UpstreamConnection> make() {
    return std::make_unique<UpstreamConnection>(executor_);
  }
  // Keeps CONNECTION, over which an exchange has ended cleanly.
  void give(const EndpointAddress& address, std::unique_ptr<UpstreamConnection> connection);

  // Drops all, and keeps none from now on.
  void close();

 private:
  using Idle = std::vector<std::unique_ptr<UpstreamConnection>>;  // oldest first
  void prune();
  void schedule_prune();

  Executor executor_;
  std::unordered_map<std::string, Idle> idle_;  // by authority
  std::shared_ptr<Timer> timer_;
  bool pruning_ = false, closed_ = false;
};

// Writes PIECES, one after the other. False if that ended before all was written: the connection
// broke, or the server has something to say already. What was read or not is up to the caller.
Task<bool> write_request(Socket& socket, std::vector<asio::const_buffer> pieces);

// Connects within TIMEOUT_NS (0 = no limit) to each of its addresses.
Task<ErrorCode> connect(UpstreamConnection& connection, const EndpointAddress& address,
                        Watchdog& watchdog, uint64_t timeout_ns);

}  // namespace sluice
