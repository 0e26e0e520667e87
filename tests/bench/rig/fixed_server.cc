#include "tests/bench/rig/fixed_server.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "host/net/asio.h"

namespace sluice::bench {
namespace {

constexpr size_t kRequestMax = size_t{64} << 20;

std::string with_head(std::string_view type, std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{}", type,
                     body.size(), body);
}

// About 1 KB, as the request is.
std::string completion() {
  return with_head("application/json",
                   fmt::format(R"({{"id":"chatcmpl-1","object":"chat.completion","created":1,)"
                               R"("model":"sim-model","choices":[{{"index":0,"message":)"
                               R"({{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],)"
                               R"("usage":{{"prompt_tokens":230,"completion_tokens":190,)"
                               R"("total_tokens":420}}}})",
                               std::string(760, 'x')));
}

struct Server {
  Server() : released(io) { released.expires_at(std::chrono::steady_clock::time_point::max()); }

  asio::io_context io{1};
  bool held = false;
  asio::steady_timer released;
  const std::string answer = completion();
  const std::string metrics = with_head(
      "text/plain",
      "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name=\"sim-model\"} "
      "0\n# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{model_name="
      "\"sim-model\"} 0\n# TYPE vllm:kv_cache_usage_perc "
      "gauge\nvllm:kv_cache_usage_perc{model_name="
      "\"sim-model\"} 0\n");
  const std::string models =
      with_head("application/json", R"({"object":"list","data":[{"id":"sim-model"}]})");
  const std::string done = with_head("text/plain", "done\n");

  asio::awaitable<void> serve(tcp::socket socket) {
    std::string in;
    for (;;) {
      const size_t head = co_await asio::async_read_until(
          socket, asio::dynamic_buffer(in, kRequestMax), "\r\n\r\n", asio::use_awaitable);
      size_t body = 0;
      if (const size_t at = in.find("Content-Length: "); at < head)
        body = std::strtoul(in.c_str() + at + 16, nullptr, 10);
      if (in.size() < head + body) {
        co_await asio::async_read(socket, asio::dynamic_buffer(in, kRequestMax),
                                  asio::transfer_exactly(head + body - in.size()),
                                  asio::use_awaitable);
      }
      const std::string* text = co_await answer_to(std::string_view(in).substr(0, head));
      in.erase(0, head + body);
      co_await asio::async_write(socket, asio::buffer(*text), asio::use_awaitable);
    }
  }

  asio::awaitable<const std::string*> answer_to(std::string_view head) {
    if (head.starts_with("GET /metrics ")) co_return &metrics;
    if (head.starts_with("GET ")) co_return &models;
    if (head.starts_with("POST /hold ")) {
      held = true;
      co_return &done;
    }
    if (head.starts_with("POST /release ")) {
      held = false;
      released.cancel();
      co_return &done;
    }
    ErrorCode ignored;
    while (held) co_await released.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    co_return &answer;
  }

  asio::awaitable<void> accept(tcp::acceptor acceptor) {
    for (;;) {
      tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
      socket.set_option(tcp::no_delay(true));
      // A connection ends by the exception that its end is.
      asio::co_spawn(io, serve(std::move(socket)), [](const std::exception_ptr&) {});
    }
  }
};

}  // namespace

int run_fixed_server() {
  Server server;
  uint16_t port = 0;
  for (int i = 1; i <= kFixedServerAddresses; ++i) {
    const auto address = asio::ip::make_address_v4(fmt::format("127.0.0.{}", i));
    tcp::acceptor acceptor(server.io, tcp::endpoint(address, port));
    port = acceptor.local_endpoint().port();
    asio::co_spawn(server.io, server.accept(std::move(acceptor)), asio::detached);
  }
  fmt::print("listening on 127.0.0.1:{}\n", port);
  std::fflush(stdout);
  server.io.run();
  return 1;
}

}  // namespace sluice::bench
