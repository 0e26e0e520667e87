#include "host/demo/http_client.h"

#include <cstdlib>

#include "host/demo/sse.h"

namespace sluice::demo {
namespace {

constexpr uint64_t kBodyMax = 64 << 20;

uint64_t ns_since(Clock::time_point begin) {
  return static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - begin).count());
}

}  // namespace

struct Upstream::Connection {
  explicit Connection(asio::io_context& io) : socket(io) {}
  tcp::socket socket;
  beast::flat_buffer buffer;
};

Upstream::Upstream(asio::io_context& io, tcp::endpoint address)
    : io_(io), address_(std::move(address)) {}

Upstream::~Upstream() = default;

asio::awaitable<Exchange> Upstream::exchange(const std::string& text) {
  Exchange exchange;
  exchange.begin = Clock::now();
  while (true) {
    ErrorCode error;
    std::unique_ptr<Connection> connection;
    const bool reused = !idle_.empty();
    if (reused) {
      connection = std::move(idle_.back());
      idle_.pop_back();
    } else {
      connection = co_await connect(error);
    }
    bool got_bytes = false, keep = false;
    if (!error) {
      busy_.insert(connection.get());
      error = co_await attempt(*connection, text, exchange, got_bytes, keep);
      busy_.erase(connection.get());
    }
    if (!error) {
      exchange.answered = true;
      if (keep) idle_.push_back(std::move(connection));
    } else if (reused && !got_bytes && error != asio::error::operation_aborted) {
      continue;  // with a newer one; there are only so many idle ones
    } else {
      exchange.error = error.message();
    }
    co_return exchange;
  }
}

void Upstream::abort() {
  idle_.clear();
  ErrorCode ignored;
  for (Connection* connection : busy_) connection->socket.close(ignored);
}

asio::awaitable<std::unique_ptr<Upstream::Connection>> Upstream::connect(ErrorCode& error) {
  auto connection = std::make_unique<Connection>(io_);
  busy_.insert(connection.get());
  co_await connection->socket.async_connect(address_,
                                            asio::redirect_error(asio::use_awaitable, error));
  busy_.erase(connection.get());
  ErrorCode ignored;
  connection->socket.set_option(tcp::no_delay(true), ignored);
  co_return connection;
}

asio::awaitable<ErrorCode> Upstream::attempt(Connection& connection, const std::string& text,
                                             Exchange& exchange, bool& got_bytes, bool& keep) {
  ErrorCode error;
  co_await asio::async_write(connection.socket, asio::buffer(text),
                             asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return error;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kBodyMax);
  // Not eager: an eager parser asks for more at the border of each chunk, and async_read_some then
  // goes on reading until the whole answer is there.
  SseCounter events;
  size_t seen = 0;
  while (!parser.is_done()) {
    co_await http::async_read_some(connection.socket, connection.buffer, parser,
                                   asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return error;
    got_bytes = true;
    if (!parser.is_header_done()) continue;
    const std::string& body = parser.get().body();
    events.feed(std::string_view(body).substr(seen));
    seen = body.size();
    if (exchange.first_byte_ns == 0 && events.started())
      exchange.first_byte_ns = ns_since(exchange.begin);
  }
  exchange.total_ns = ns_since(exchange.begin);
  if (exchange.first_byte_ns == 0) exchange.first_byte_ns = exchange.total_ns;
  const auto& response = parser.get();
  exchange.status = response.result_int();
  exchange.tokens = events.events();
  if (const auto it = response.find("x-sluice-queue-ms"); it != response.end()) {
    exchange.queue_ms = std::strtod(std::string(it->value()).c_str(), nullptr);
  }
  keep = response.keep_alive();
  const bool stream = response[http::field::content_type].starts_with("text/event-stream");
  if (stream && !events.done()) co_return asio::error::eof;
  co_return ErrorCode();
}

}  // namespace sluice::demo
