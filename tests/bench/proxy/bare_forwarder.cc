#include "tests/bench/proxy/bare_forwarder.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "host/net/asio.h"

namespace sluice::bench {
namespace {

struct Forwarder {
  asio::io_context io{1};
  tcp::endpoint upstream;
  struct Connection {
    explicit Connection(asio::io_context& io) : socket(io) {}
    tcp::socket socket;
    beast::flat_buffer buffer;
  };
  std::vector<std::unique_ptr<Connection>> idle;

  asio::awaitable<std::unique_ptr<Connection>> connection() {
    if (!idle.empty()) {
      auto kept = std::move(idle.back());
      idle.pop_back();
      co_return kept;
    }
    auto made = std::make_unique<Connection>(io);
    co_await made->socket.async_connect(upstream, asio::use_awaitable);
    made->socket.set_option(tcp::no_delay(true));
    co_return made;
  }

  asio::awaitable<void> serve(tcp::socket client) {
    beast::flat_buffer buffer;
    for (;;) {
      http::request<http::string_body> request;
      co_await http::async_read(client, buffer, request, asio::use_awaitable);
      auto server = co_await connection();
      co_await http::async_write(server->socket, request, asio::use_awaitable);
      http::response<http::string_body> answer;
      co_await http::async_read(server->socket, server->buffer, answer, asio::use_awaitable);
      idle.push_back(std::move(server));
      co_await http::async_write(client, answer, asio::use_awaitable);
    }
  }

  asio::awaitable<void> accept(tcp::acceptor acceptor) {
    for (;;) {
      tcp::socket client = co_await acceptor.async_accept(asio::use_awaitable);
      client.set_option(tcp::no_delay(true));
      // A connection ends by the exception that its end is.
      asio::co_spawn(io, serve(std::move(client)), [](const std::exception_ptr&) {});
    }
  }
};

}  // namespace

int run_bare_forwarder(uint16_t upstream_port) {
  Forwarder forwarder;
  forwarder.upstream = {asio::ip::address_v4::loopback(), upstream_port};
  tcp::acceptor acceptor(forwarder.io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  fmt::print("listening on 127.0.0.1:{}\n", acceptor.local_endpoint().port());
  std::fflush(stdout);
  asio::co_spawn(forwarder.io, forwarder.accept(std::move(acceptor)), asio::detached);
  forwarder.io.run();
  return 1;
}

}  // namespace sluice::bench
