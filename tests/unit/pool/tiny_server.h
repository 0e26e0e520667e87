// An HTTP server for tests that answers exactly as it is told, well or badly. Runs on the test's
// own io_context.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/net/asio.h"

namespace sluice {

class TinyServer {
 public:
  struct Reply {
    unsigned status = 200;
    std::string body;
    std::string raw;      // instead of all that: these bytes, then the connection is closed
    bool hang = false;    // never answer
    bool close = false;   // after this answer, without having said so
    std::string headers;  // more of them, each with its CRLF
    std::chrono::milliseconds delay{0};
  };

  explicit TinyServer(asio::io_context& io, uint16_t port = 0);
  ~TinyServer() { shut(); }

  uint16_t port() const { return port_; }
  // Everything is refused from now on, and what is open is closed.
  void shut();
  // Takes connections at the same port again.
  void open();

  std::map<std::string, Reply> replies;  // by path; anything else is a 404
  uint64_t connections = 0;
  std::map<std::string, uint64_t> requests;  // by path
  std::string last_host;                     // its Host header

 private:
  struct Connection;
  void accept();

  asio::io_context& io_;
  tcp::acceptor acceptor_;
  uint16_t port_ = 0;
  std::vector<std::weak_ptr<Connection>> open_;
};

// Runs IO until DONE, at most LIMIT; whether it came to that.
bool run_until(asio::io_context& io, const std::function<bool()>& done,
               std::chrono::seconds limit = std::chrono::seconds(20));
// Runs IO this long: for what must not happen.
void run_for(asio::io_context& io, std::chrono::milliseconds time);

}  // namespace sluice
