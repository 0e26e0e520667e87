// The inside of a simulated server that its connections share: the batch and its clock, the
// listener, the counters.
//
// Threads: the io_context's only. Ownership: shared by the SimServer and every connection, so that
// handlers which end after the server find it alive; connections are listed here by address and
// take themselves off the list.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "host/net/asio.h"
#include "host/sim_server/batching.h"
#include "host/sim_server/metrics.h"
#include "host/sim_server/options.h"
#include "host/sim_server/request.h"

namespace sluice::sim_server {

class Connection;

class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(asio::io_context& io, SimServerOptions options);

  ErrorCode start();  // binds and listens
  void close();       // for good; resets every connection
  uint16_t port() const { return port_; }

  // EXCEPT is left alone when the failure resets the connections.
  void configure(const SimSettings& settings, const Connection* except = nullptr);
  const SimServerOptions& options() const { return options_; }
  const SimSettings& settings() const { return options_.settings; }
  const std::string& name_header() const { return name_header_; }
  SimStats stats() const;
  SimStats& counters() { return counters_; }
  void count_tokens(const std::string& tenant, TokenCount tokens);

  bool failure_strikes();  // whether the failure meets the request at hand
  uint64_t next_id() { return ++last_id_; }
  Batching::Admission submit(uint64_t id, const ModelRequest& request, Connection& owner);
  void cancel(uint64_t id);

  void add(Connection& connection) { connections_.insert(&connection); }
  void remove(Connection& connection) { connections_.erase(&connection); }

 private:
  ErrorCode bind();
  ErrorCode listen();
  asio::awaitable<void> accept();
  void reset_connections(const Connection* except);
  void tick();
  void arm();
  void note();  // how many run and wait from now on

  asio::io_context& io_;
  SimServerOptions options_;
  std::string name_header_;
  tcp::acceptor acceptor_;
  asio::steady_timer timer_;          // of the next token
  asio::steady_timer failure_timer_;  // of the failure's end
  uint16_t port_ = 0;
  bool closed_ = false;

  std::unique_ptr<Batching> batch_;
  TimeNs armed_ = kNever;
  TimeNs noted_ = 0;
  size_t waiting_ = 0;                   // since then
  std::vector<Batching::Token> tokens_;  // of one tick; kept for its memory
  std::unordered_map<uint64_t, Connection*> owners_;
  std::unordered_set<Connection*> connections_;
  uint64_t last_id_ = 0;
  std::mt19937_64 random_;
  SimStats counters_;
};

}  // namespace sluice::sim_server
