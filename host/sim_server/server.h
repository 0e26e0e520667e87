// A simulated model server: OpenAI's API over HTTP/1.1, vLLM's metrics, tokens on an exact clock,
// failures on demand.
//
// What it serves: /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses, /v1/models,
// /health, /metrics and /admin/config (settings.h). Model requests go through a Batch (batch.h); a
// client that leaves frees its slot.
// Threads: one, that of the io_context; several servers may share it. SimServerThread brings its
// own, and may be used from any thread.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "host/net/asio.h"
#include "host/sim_server/metrics.h"
#include "host/sim_server/options.h"

namespace sluice::sim_server {

class Core;

class SimServer {
 public:
  // IO must outlive the server.
  SimServer(asio::io_context& io, SimServerOptions options);
  ~SimServer();
  SimServer(const SimServer&) = delete;
  SimServer& operator=(const SimServer&) = delete;

  ErrorCode start();  // binds and listens; once
  void stop();        // resets every connection; for good
  uint16_t port() const;

  void configure(const SimSettings& settings);
  const SimSettings& settings() const;
  SimStats stats() const;

 private:
  std::shared_ptr<Core> core_;
};

class SimServerThread {
 public:
  explicit SimServerThread(SimServerOptions options);
  ~SimServerThread();
  SimServerThread(const SimServerThread&) = delete;
  SimServerThread& operator=(const SimServerThread&) = delete;

  ErrorCode start();
  void stop();
  uint16_t port() const { return port_; }

  void configure(const SimSettings& settings);
  SimSettings settings();
  SimStats stats();

 private:
  void on_thread(const std::function<void()>& action);  // and waits for it

  asio::io_context io_{1};
  SimServer server_;
  uint16_t port_ = 0;
  std::thread thread_;
};

// Runs one server until SIGINT or SIGTERM, after writing `listening on ADDRESS:PORT` to standard
// output. Returns the exit code: 0, or 5 when it cannot bind (said on standard error).
int run_sim_server(const SimServerOptions& options);

}  // namespace sluice::sim_server
