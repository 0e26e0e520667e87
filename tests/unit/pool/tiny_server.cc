#include "tests/unit/pool/tiny_server.h"

#include <algorithm>

namespace sluice {

struct TinyServer::Connection : std::enable_shared_from_this<Connection> {
  Connection(TinyServer& owner, tcp::socket accepted)
      : server(&owner), socket(std::move(accepted)), timer(socket.get_executor()) {}

  void read() {
    request = {};
    http::async_read(socket, buffer, request, [self = shared_from_this()](ErrorCode error, size_t) {
      if (!error && self->server) self->reply();
    });
  }

  void reply() {
    const std::string path(request.target());
    server->requests[path]++;
    server->last_host = std::string(request[http::field::host]);
    auto it = server->replies.find(path);
    const Reply found = it == server->replies.end() ? Reply{.status = 404} : it->second;
    if (found.hang) return wait_for_close();
    const bool close = found.close || !found.raw.empty();
    text = found.raw;
    if (text.empty()) {
      text = "HTTP/1.1 " + std::to_string(found.status) + " X\r\n" + found.headers +
             "Content-Length: " + std::to_string(found.body.size()) + "\r\n\r\n" + found.body;
    }
    timer.expires_after(found.delay);
    timer.async_wait([self = shared_from_this(), close](ErrorCode) { self->send(close); });
  }

  void send(bool close) {
    asio::async_write(socket, asio::buffer(text),
                      [self = shared_from_this(), close](ErrorCode error, size_t) {
                        if (!error && !close && self->server) self->read();
                      });
  }

  void wait_for_close() {
    socket.async_wait(tcp::socket::wait_read, [self = shared_from_this()](ErrorCode) {});
  }

  TinyServer* server;
  tcp::socket socket;
  asio::steady_timer timer;
  beast::flat_buffer buffer;
  http::request<http::string_body> request;
  std::string text;
};

TinyServer::TinyServer(asio::io_context& io, uint16_t port) : io_(io), acceptor_(io), port_(port) {
  open();
}

void TinyServer::open() {
  const tcp::endpoint address(asio::ip::address_v4::loopback(), port_);
  acceptor_.open(address.protocol());
  acceptor_.set_option(tcp::acceptor::reuse_address(true));
  acceptor_.bind(address);
  acceptor_.listen();
  port_ = acceptor_.local_endpoint().port();
  accept();
}

void TinyServer::shut() {
  ErrorCode ignored;
  acceptor_.close(ignored);
  for (const std::weak_ptr<Connection>& weak : open_) {
    if (auto connection = weak.lock()) {
      connection->server = nullptr;
      connection->socket.close(ignored);
      connection->timer.cancel();
    }
  }
  open_.clear();
}

void TinyServer::accept() {
  acceptor_.async_accept([this](ErrorCode error, tcp::socket socket) {
    if (error) return;
    connections++;
    auto connection = std::make_shared<Connection>(*this, std::move(socket));
    std::erase_if(open_, [](const auto& weak) { return weak.expired(); });
    open_.push_back(connection);
    connection->read();
    accept();
  });
}

bool run_until(asio::io_context& io, const std::function<bool()>& done,
               std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    io.restart();
    io.run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}

void run_for(asio::io_context& io, std::chrono::milliseconds time) {
  io.restart();
  io.run_for(time);
}

}  // namespace sluice
