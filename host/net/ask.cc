#include "host/net/ask.h"

namespace sluice {

http::response<http::string_body> ask(const tcp::endpoint& where, const std::string& host,
                                      http::verb method, const std::string& target,
                                      const std::string& body) {
  asio::io_context io(1);
  beast::tcp_stream stream(io);
  beast::flat_buffer buffer;
  http::request<http::string_body> request(method, target, 11, body);
  request.set(http::field::host, host);
  request.keep_alive(false);
  request.prepare_payload();
  http::response<http::string_body> answer;
  answer.result(0u);
  stream.expires_after(kAskPatience);
  auto work = [&]() -> asio::awaitable<void> {
    co_await stream.async_connect(where, asio::use_awaitable);
    co_await http::async_write(stream, request, asio::use_awaitable);
    http::response<http::string_body> whole;
    co_await http::async_read(stream, buffer, whole, asio::use_awaitable);
    answer = std::move(whole);
  };
  asio::co_spawn(io, work, [](const std::exception_ptr&) {});  // then the status stays 0
  io.run();
  return answer;
}

http::response<http::string_body> ask(uint16_t port, http::verb method, const std::string& target,
                                      const std::string& body) {
  return ask({asio::ip::address_v4::loopback(), port}, "127.0.0.1", method, target, body);
}

}  // namespace sluice
