// Cancels what a socket is doing if it makes no progress in time.
//
// Arming is a clock read and a store: the timer itself is set again only when it fires too early,
// so a deadline that moves with every chunk costs no timer operation. Threads: its executor's.
// Ownership: shared, since a timer's handler may come after its owner has gone.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "host/http/net.h"

namespace sluice {

class Watchdog : public std::enable_shared_from_this<Watchdog> {
 public:
  explicit Watchdog(Executor executor) : timer_(executor) {}

  // Cancels what goes on at SOCKET after NS from now unless armed anew or disarmed; 0 = never. The
  // socket itself stays usable, for an answer that says so. SOCKET must outlive that.
  void arm(uint64_t ns, Socket& socket) {
    expired_ = false;
    socket_ = ns == 0 ? nullptr : &socket;
    if (socket_ == nullptr) return;
    deadline_ = Clock::now() + std::chrono::nanoseconds(ns);
    if (!waiting_ || deadline_ < timer_.expiry()) wait();
  }
  void disarm() { socket_ = nullptr; }
  // Whether it struck since it was armed last.
  bool expired() const { return expired_; }
  // The owner is going: lets the timer go as well.
  void stop() {
    disarm();
    timer_.cancel();
  }

 private:
  void wait() {
    waiting_ = true;
    timer_.expires_at(deadline_);
    timer_.async_wait([self = shared_from_this()](ErrorCode ec) {
      if (ec) return;  // set anew, or stopped
      self->waiting_ = false;
      self->strike();
    });
  }
  void strike() {
    if (socket_ == nullptr) return;
    if (Clock::now() < deadline_) return wait();
    expired_ = true;
    ErrorCode ignored;
    std::exchange(socket_, nullptr)->cancel(ignored);
  }

  Timer timer_;
  Clock::time_point deadline_;
  Socket* socket_ = nullptr;
  bool waiting_ = false, expired_ = false;
};

}  // namespace sluice
