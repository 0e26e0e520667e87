// The embedded HTTP/1.1 reverse proxy: accepts clients, queues their requests with the scheduler,
// forwards what it decides.
//
// One thread accepts, N threads serve, each with its own event loop and upstream connections; a
// client stays with the thread that it was given to. Threads: every function is [control], one at a
// time. Ownership: the scheduler, the backends and what the record sink uses must outlive it. Life:
// listen, start; reconfigure at any time; retire and wait_idle to end gently; stop to end now.
// Destroying stops.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/result.h"
#include "host/http/settings.h"
#include "host/pool/backends.h"
#include "host/scheduler/scheduler.h"
#include "host/transport/record.h"

namespace sluice {

class HttpServer {
 public:
  struct Options {
    uint32_t threads = 2;
    uint64_t seed = 0;  // of request ids
  };
  HttpServer(Scheduler& scheduler, Backends& backends, std::shared_ptr<const HttpSettings> settings,
             RecordSink record, Options options);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Binds ADDRESS (port 0: any free one) and begins to listen. The port, or why not.
  Result<uint16_t> listen(const config::SocketAddress& address);
  // Starts the threads; clients are accepted from here on.
  void start();

  // For requests that arrive from now on; the others keep what they came under.
  void reconfigure(std::shared_ptr<const HttpSettings> settings);

  // Accepts nobody more, closes idle connections, and ends each other one with its next answer.
  void retire();
  // Whether no connection is left, at the latest after PATIENCE.
  bool wait_idle(std::chrono::nanoseconds patience);
  // Cuts every connection, tells the scheduler, and ends the threads.
  void stop();

  size_t connections() const { return connections_; }
  // Memory of the bodies that are being read.
  uint64_t body_bytes() const { return body_bytes_; }

 private:
  struct Listener;
  void accept_next();
  void welcome(uint32_t index);  // of the worker
  void connection_over();

  std::atomic<uint64_t> body_bytes_ = 0;
  std::vector<std::shared_ptr<struct Worker>> workers_;
  std::vector<std::thread> threads_;
  std::unique_ptr<Listener> listener_;
  uint32_t next_worker_ = 0;
  std::atomic<size_t> connections_ = 0;
  std::mutex idle_mutex_;
  std::condition_variable idle_;
};

}  // namespace sluice
