// One client's connection: request after request until either side has had enough.
//
// Pipelined requests are served one after the other, in order.
// Threads: its worker's. Ownership: kept alive by its own coroutine and by handlers on their way.
#pragma once

#include <functional>
#include <memory>

#include "host/http/exchange.h"

namespace sluice {

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<Worker> worker, Socket socket, std::function<void()> over);
  // Starts serving. OVER is called, on the worker's thread, when the connection is closed.
  void start();
  // Closes if it waits for a request; else the answer under way is the last.
  void retire();
  // Closes at once.
  void abandon();

 private:
  Task<void> run();
  Task<bool> serve_one();
  Task<void> linger();

  std::shared_ptr<Worker> worker_;
  Client client_;
  std::shared_ptr<Watchdog> watchdog_;
  std::function<void()> over_;
  std::shared_ptr<Exchange> exchange_;  // under way
  bool waiting_ = false;                // for a request's first byte
  bool first_ = true;
};

}  // namespace sluice
