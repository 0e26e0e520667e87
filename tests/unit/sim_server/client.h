// A blocking HTTP/1.1 client for tests: one connection, reads as much as it is asked for.
//
// Every read gives up after kPatience, so that a server that never answers fails a test instead of
// hanging it.
#pragma once

#include <sys/time.h>

#include <string>
#include <string_view>

#include "host/net/asio.h"

namespace sluice::sim_server {

inline constexpr int kPatienceSeconds = 20;

class Client {
 public:
  explicit Client(uint16_t port) : socket_(io_) {
    socket_.connect({asio::ip::address_v4::loopback(), port}, error_);
    const timeval patience{kPatienceSeconds, 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    socket_.set_option(tcp::no_delay(true), error_ ? ignored_ : error_);
  }

  bool connected() const { return socket_.is_open() && !error_; }
  ErrorCode error() const { return error_; }

  void send(std::string_view text) { asio::write(socket_, asio::buffer(text), error_); }
  void post(std::string_view path, std::string_view body, std::string_view headers = "") {
    send("POST " + std::string(path) + " HTTP/1.1\r\nHost: t\r\n" + std::string(headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body));
  }
  void get(std::string_view path) {
    send("GET " + std::string(path) + " HTTP/1.1\r\nHost: t\r\n\r\n");
  }

  // One whole answer; status 0 and error() when there is none.
  http::response<http::string_body> answer() {
    http::response<http::string_body> response;
    response.result(0u);
    http::response_parser<http::string_body> parser;
    parser.body_limit(64 << 20);
    http::read(socket_, buffer_, parser, error_);
    if (!error_) response = parser.release();
    return response;
  }

  // Bytes as they come, until TEXT has been seen; all that was read.
  std::string read_until(std::string_view text) {
    std::string seen;
    while (seen.find(text) == std::string::npos) {
      char some[4096];
      const size_t n = socket_.read_some(asio::buffer(some), error_);
      if (error_) break;
      seen.append(some, n);
    }
    return seen;
  }

  void close() { socket_.close(ignored_); }

 private:
  asio::io_context io_;
  tcp::socket socket_;
  beast::flat_buffer buffer_;
  ErrorCode error_, ignored_;
};

}  // namespace sluice::sim_server
