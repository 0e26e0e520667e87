#include "host/http/reader.h"

#include <algorithm>

#include "host/http/head.h"
#include "host/http/limits.h"
#include "host/scheduler/scheduler.h"

namespace sluice {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

Refusal too_large(uint16_t status, std::string message) {
  return {status, "too-large", "too_large", std::move(message)};
}
Refusal bad(std::string message) {
  return {400, "bad-request", "invalid_http", std::move(message)};
}
Refusal late(std::string message) { return {408, "bad-request", "timeout", std::move(message)}; }

Refusal refusal_of(ErrorCode ec) {
  if (ec == http::error::body_limit) return too_large(413, "the body is too large");
  if (ec == http::error::header_limit) return too_large(431, "the headers are too large");
  return bad("the request is malformed");
}

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// Takes over what the parser made of the head.
void take_head(IncomingRequest& request) {
  const auto& message = request.parser->get();
  request.method = view(message.method_string());
  request.target = view(message.target());
  request.is_1_1 = message.version() == 11;
  request.keep_alive = message.keep_alive();
  request.has_body = !request.parser->is_done();
  for (const auto& field : message)
    request.headers.push_back({view(field.name_string()), view(field.value())});
}

// Capacity for MORE bytes and what a parser may read past the end. Doubles, but never beyond a body
// of TOTAL bytes.
void make_room(std::string& body, size_t more, uint64_t total) {
  const size_t needed = body.size() + more;
  if (body.capacity() >= needed + kBodyPadding) return;
  body.reserve(std::min<uint64_t>(std::max(needed, body.capacity() * 2), total) + kBodyPadding);
}

// Gives back what doubling took in vain.
void trim(std::string& body) {
  const size_t needed = body.size() + kBodyPadding;
  if (body.capacity() <= needed + needed / 8) return;
  std::string exact;
  exact.reserve(needed);
  exact += body;
  body = std::move(exact);
}

}  // namespace

Task<ReadResult> read_head(Client& client, Watchdog& watchdog, const HttpSettings& limits,
                           uint64_t idle_ns, IncomingRequest& request, Refusal& refusal) {
  HeadScan scan;
  bool begun = client.buffer().size() != 0;
  watchdog.arm(begun ? limits.header_timeout_ns : idle_ns, client.socket());
  for (;;) {
    const HeadScan::State state = scan.scan(client.unread());
    if (begun && request.began_ns == 0) request.began_ns = Scheduler::now();
    if (state == HeadScan::State::kBad) {
      refusal = bad("a line does not end in CR LF");
      co_return ReadResult::kRefused;
    }
    const size_t size = state == HeadScan::State::kDone ? scan.end() : client.buffer().size();
    if (limits.max_header != 0 && size > limits.max_header) {
      refusal = too_large(431, "the headers are too large");
      co_return ReadResult::kRefused;
    }
    if (state == HeadScan::State::kDone) break;
    const ErrorCode ec = co_await client.fill(kHeadStep);
    if (ec) {
      if (!begun || !watchdog.expired()) co_return ReadResult::kGone;
      refusal = late("the headers did not come in time");
      co_return ReadResult::kRefused;
    }
    if (!begun) {
      begun = true;
      watchdog.arm(limits.header_timeout_ns, client.socket());
    }
  }
  watchdog.disarm();
  const std::string_view head = client.unread().substr(scan.begin(), scan.end() - scan.begin());
  if (auto fault = check_head(head)) {
    refusal = std::move(*fault);
    co_return ReadResult::kRefused;
  }
  request.parser = std::make_unique<IncomingRequest::Parser>();
  request.parser->header_limit(
      static_cast<uint32_t>(std::min<size_t>(head.size() + 1, UINT32_MAX)));
  request.parser->body_limit(limits.max_body == 0 ? UINT64_MAX : limits.max_body);
  ErrorCode ec;
  request.parser->put(asio::buffer(head.data(), head.size()), ec);
  if (ec || !request.parser->is_header_done()) {
    refusal = refusal_of(ec);
    co_return ReadResult::kRefused;
  }
  take_head(request);
  client.buffer().consume(scan.end());
  co_return ReadResult::kOk;
}

Task<ReadResult> read_body(Client& client, Watchdog& watchdog, const HttpSettings& limits,
                           BodyShare& share, IncomingRequest& request, Refusal& refusal) {
  IncomingRequest::Parser& parser = *request.parser;
  if (parser.is_done()) co_return ReadResult::kOk;
  parser.eager(true);  // all chunks at hand in one step
  const auto length = parser.content_length();
  watchdog.arm(limits.body_timeout_ns, client.socket());
  if (const auto expect = find_header(request.headers, "expect")) {
    if (!equals_ignoring_case(*expect, "100-continue")) {
      refusal = {417, "bad-request", "invalid_http", "this expectation cannot be met"};
      co_return ReadResult::kRefused;
    }
    if (client.buffer().size() == 0 && request.is_1_1 &&
        co_await client.write(asio::buffer(kContinue.data(), kContinue.size()))) {
      co_return ReadResult::kGone;
    }
  }
  bool starved = client.buffer().size() == 0;  // nothing to go on with until more has come
  while (!parser.is_done()) {
    if (starved) {
      const ErrorCode ec = co_await client.fill(kReadStep);
      if (ec) {
        if (!watchdog.expired()) co_return ReadResult::kGone;
        refusal = late("the body did not come in time");
        co_return ReadResult::kRefused;
      }
    }
    // Room for what has come: a large Content-Length alone takes no memory.
    const size_t size = request.body.size();
    const uint64_t rest = parser.content_length_remaining().value_or(UINT64_MAX);
    const size_t left = std::min<uint64_t>(rest, client.buffer().size());
    make_room(request.body, left, length ? *length : UINT64_MAX);
    if (!share.grow_to(request.body.capacity() - kBodyPadding)) co_return ReadResult::kNoRoom;
    request.body.resize(size + left);
    auto& place = parser.get().body();
    place.data = request.body.data() + size;
    place.size = left;
    place.more = true;
    ErrorCode ec;
    const size_t used = parser.put(client.buffer().cdata(), ec);
    client.buffer().consume(used);
    request.body.resize(request.body.size() - place.size);
    if (ec && ec != http::error::need_more && ec != http::error::need_buffer) {
      refusal = refusal_of(ec);
      co_return ReadResult::kRefused;
    }
    // Beast wants a chunk's header line, or all trailers, in one piece.
    if (used == 0 && client.buffer().size() > kChunkHeaderMax) {
      refusal = too_large(431, "a chunk's header is too large");
      co_return ReadResult::kRefused;
    }
    starved = client.buffer().size() == 0 || (used == 0 && ec == http::error::need_more);
  }
  watchdog.disarm();
  trim(request.body);
  co_return ReadResult::kOk;
}

}  // namespace sluice
