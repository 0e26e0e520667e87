#include "tests/bench/proxy/clients.h"

#include <fmt/format.h>

#include "host/demo/http_client.h"
#include "tests/bench/rig/rig.h"

namespace sluice::bench {
namespace {

using demo::Clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string request(uint32_t body_bytes) {
  const std::string front = R"({"model":"sim-model","max_tokens":200,"messages":[{"role":"user",)"
                            R"("content":")";
  const std::string back = R"("}]})";
  std::string body = front;
  while (body.size() + back.size() < body_bytes) body += "what goes first? "[body.size() % 17];
  body += back;
  return fmt::format(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n\r\n{}",
      body.size(), body);
}

struct Clients {
  Clients(uint16_t port, uint32_t body_bytes)
      : upstream(io, {asio::ip::address_v4::loopback(), port}), text(request(body_bytes)) {}

  asio::io_context io{1};
  demo::Upstream upstream;
  const std::string text;
  Timed timed;

  asio::awaitable<void> one() {
    const demo::Exchange exchange = co_await upstream.exchange(text);
    if (!exchange.answered || exchange.status != 200)
      die(fmt::format("a request was answered with {} {}", exchange.status, exchange.error));
    timed.latency_ms.push_back(static_cast<double>(exchange.total_ns) / 1e6);
  }

  asio::awaitable<void> many(uint32_t& left) {
    while (left != 0) {
      --left;
      co_await one();
    }
  }

  asio::awaitable<void> steadily(double rate, uint32_t count) {
    asio::steady_timer timer(io);
    const Clock::time_point begin = Clock::now();
    for (uint32_t i = 0; i < count; ++i) {
      timer.expires_at(begin + std::chrono::nanoseconds(static_cast<int64_t>(i * 1e9 / rate)));
      co_await timer.async_wait(asio::use_awaitable);
      asio::co_spawn(io, one(), asio::detached);
    }
  }

  Timed run() {
    const Clock::time_point begin = Clock::now();
    io.run();
    timed.seconds = seconds_since(begin);
    return std::move(timed);
  }
};

}  // namespace

Timed closed_loop(uint16_t port, uint32_t clients, uint32_t count, uint32_t body_bytes) {
  Clients all(port, body_bytes);
  for (uint32_t i = 0; i < clients; ++i) asio::co_spawn(all.io, all.many(count), asio::detached);
  return all.run();
}

Timed open_loop(uint16_t port, double rate, uint32_t count, uint32_t body_bytes) {
  Clients all(port, body_bytes);
  asio::co_spawn(all.io, all.steadily(rate, count), asio::detached);
  return all.run();
}

}  // namespace sluice::bench
