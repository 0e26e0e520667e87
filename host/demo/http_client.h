// Sends requests to one address over kept connections and times the answers.
//
// A kept connection that the server has closed meanwhile is replaced once, before the first byte;
// nothing else is tried again, so that what is counted is what a client sees.
// Threads: the io_context's only. Ownership: an Upstream owns its idle connections, an exchange its
// own.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "host/net/asio.h"

namespace sluice::demo {

using Clock = std::chrono::steady_clock;

struct Exchange {
  Clock::time_point begin;
  bool answered = false;  // a whole answer came: to the end of the body, a 200 stream to its [DONE]
  unsigned status = 0;
  uint64_t first_byte_ns =
      0;  // from the request to the first data event (of no stream: to the end)
  uint64_t total_ns = 0;
  uint64_t tokens = 0;   // data events
  double queue_ms = -1;  // x-sluice-queue-ms; -1 = not there
  std::string error;     // why there is no answer
};

class Upstream {
 public:
  Upstream(asio::io_context& io, tcp::endpoint address);
  ~Upstream();

  // TEXT is the whole request and must live until the end.
  asio::awaitable<Exchange> exchange(const std::string& text);
  // Closes every connection; exchanges under way end without an answer.
  void abort();

 private:
  struct Connection;
  asio::awaitable<std::unique_ptr<Connection>> connect(ErrorCode& error);
  asio::awaitable<ErrorCode> attempt(Connection& connection, const std::string& text,
                                     Exchange& exchange, bool& got_bytes, bool& keep);

  asio::io_context& io_;
  tcp::endpoint address_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::unordered_set<Connection*> busy_;
};

}  // namespace sluice::demo
