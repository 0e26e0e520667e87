// One keep-alive connection to one server, for small GETs, one after the other.
//
// Connects when needed, reuses the connection while both sides allow it, and tries once more on a
// new one if a reused one turns out to be closed. Never throws. Its own timer bounds a whole get(),
// connecting included. Threads: the executor's, which must not run two handlers at once. Ownership:
// must outlive a get() in progress; close() ends that early. Limits: pool_limits.h.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "host/net/asio.h"
#include "host/pool/backends.h"

namespace sluice {

class HttpGet {
 public:
  enum class Result : uint8_t {
    kAnswered,      // a whole answer of any status
    kNoConnection,  // refused, unreachable, or not accepted in time
    kBroken,        // connected, but no whole answer: closed, timed out, not HTTP, too large
  };
  struct Answer {
    Result result = Result::kNoConnection;
    unsigned status = 0;    // kAnswered
    std::string_view body;  // kAnswered; until the next get()
    std::string error;      // otherwise, in words
  };

  HttpGet(asio::any_io_executor executor, const EndpointAddress& address);

  asio::awaitable<Answer> get(std::string path, std::chrono::nanoseconds timeout);
  void close();

 private:
  asio::awaitable<ErrorCode> connect(std::chrono::steady_clock::time_point deadline);
  asio::awaitable<ErrorCode> exchange(const std::string& request, Answer& answer);

  beast::tcp_stream stream_;
  std::vector<tcp::endpoint> targets_;  // tried in order
  std::string authority_;
  beast::flat_buffer buffer_;
  std::string body_;
  bool connected_ = false;
};

}  // namespace sluice
