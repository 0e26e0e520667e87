#include "host/pool/http_get.h"

#include "host/net/resolve.h"
#include "host/pool/pool_limits.h"

namespace sluice {
namespace {

constexpr size_t kHeaderBytesMax = 16 << 10;

auto into(ErrorCode& error) { return asio::redirect_error(asio::use_awaitable, error); }

}  // namespace

HttpGet::HttpGet(asio::any_io_executor executor, const EndpointAddress& address)
    : stream_(std::move(executor)),
      targets_(resolve(address.host, address.port)),
      authority_(address.authority) {}

asio::awaitable<HttpGet::Answer> HttpGet::get(std::string path, std::chrono::nanoseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() +
                        std::chrono::duration_cast<std::chrono::steady_clock::duration>(timeout);
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: " + authority_ +
                              "\r\nUser-Agent: sluice\r\nAccept: */*\r\n\r\n";
  Answer answer;
  for (bool reused = connected_;; reused = false) {
    if (!connected_) {
      if (ErrorCode error = co_await connect(deadline)) {
        close();
        answer.result = Result::kNoConnection;
        answer.error = error.message();
        co_return answer;
      }
      connected_ = true;
    }
    stream_.expires_at(deadline);
    ErrorCode error = co_await exchange(request, answer);
    if (!error) co_return answer;
    close();
    // The server may close an idle connection at any time: that says nothing about the server.
    if (reused && error != beast::error::timeout && error != http::error::body_limit &&
        error != asio::error::operation_aborted) {
      continue;
    }
    answer.result = Result::kBroken;
    answer.error = error.message();
    co_return answer;
  }
}

void HttpGet::close() {
  ErrorCode ignored;
  stream_.socket().close(ignored);
  connected_ = false;
  buffer_.clear();
}

asio::awaitable<ErrorCode> HttpGet::connect(std::chrono::steady_clock::time_point deadline) {
  ErrorCode error = asio::error::host_not_found;
  for (const tcp::endpoint& target : targets_) {
    ErrorCode ignored;
    stream_.socket().close(ignored);  // may be of the other family
    stream_.expires_at(deadline);
    co_await stream_.async_connect(target, into(error));
    if (!error) {
      stream_.socket().set_option(tcp::no_delay(true), ignored);
      break;
    }
    if (error == asio::error::operation_aborted) break;
  }
  co_return error;
}

asio::awaitable<ErrorCode> HttpGet::exchange(const std::string& request, Answer& answer) {
  ErrorCode error;
  co_await asio::async_write(stream_, asio::buffer(request), into(error));
  if (error) co_return error;
  http::response_parser<http::string_body> parser;
  parser.header_limit(kHeaderBytesMax);
  parser.body_limit(kPageBytesMax);
  body_.clear();
  parser.get().body() = std::move(body_);  // its memory is used again
  co_await http::async_read(stream_, buffer_, parser, into(error));
  if (error) co_return error;
  answer.result = Result::kAnswered;
  answer.status = parser.get().result_int();
  body_ = std::move(parser.get().body());
  answer.body = body_;
  if (!parser.get().keep_alive()) close();
  co_return error;
}

}  // namespace sluice
