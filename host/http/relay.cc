#include "host/http/relay.h"

#include <fmt/format.h>

#include <array>

#include "host/http/limits.h"
#include "host/scheduler/scheduler.h"

namespace sluice {
namespace {

bool has_no_body(unsigned status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

Task<HeadResult> read_answer_head(UpstreamConnection& connection,
                                  std::optional<AnswerParser>& parser, bool to_head,
                                  Watchdog& watchdog, uint64_t idle_timeout_ns) {
  bool begun = false;
  for (size_t interim = 0; interim <= kInterimAnswersMax; ++interim) {
    parser.emplace();
    parser->header_limit(static_cast<uint32_t>(kUpstreamHeaderMax));
    parser->body_limit(UINT64_MAX);
    if (to_head) parser->skip(true);
    while (!parser->is_header_done()) {
      if (connection.buffer.size() != 0) {
        ErrorCode ec;
        connection.buffer.consume(parser->put(connection.buffer.cdata(), ec));
        if (ec && ec != http::error::need_more) co_return HeadResult::kBroken;
        if (parser->is_header_done()) break;
        if (connection.buffer.size() > kUpstreamHeaderMax) co_return HeadResult::kBroken;
      }
      watchdog.arm(idle_timeout_ns, connection.socket);
      ErrorCode ec;
      const size_t n = co_await connection.socket.async_read_some(
          connection.buffer.prepare(kReadStep), into(ec));
      const bool expired = watchdog.expired();
      watchdog.disarm();
      if (expired) co_return HeadResult::kTimedOut;
      if (ec) co_return begun ? HeadResult::kBroken : HeadResult::kNothing;
      begun = true;
      connection.buffer.commit(n);
    }
    const unsigned status = parser->get().result_int();
    if (status == 101) co_return HeadResult::kBroken;  // nobody asked for another protocol
    if (!connection_is_sane(parser->get())) co_return HeadResult::kBroken;
    if (status >= 200) co_return HeadResult::kOk;
  }
  co_return HeadResult::kBroken;
}

Relay::Relay(RelayContext context) : c_(std::move(context)) {
  framing_.keep_alive = c_.keep_alive;
  framing_.client_is_1_1 = c_.client_is_1_1;
  c_.parser.eager(true);  // all chunks at hand in one step
}

// Parses what the buffer holds and appends the body bytes in it, as the client shall see them, to
// the payload. False if the upstream breaks its own framing.
bool Relay::parse() {
  std::array<char, kReadStep> plain;
  while (!c_.parser.is_done() && c_.connection.buffer.size() != 0) {
    auto& place = c_.parser.get().body();
    place.data = plain.data();
    place.size = plain.size();
    place.more = true;
    ErrorCode ec;
    const size_t used = c_.parser.put(c_.connection.buffer.cdata(), ec);
    c_.connection.buffer.consume(used);
    c_.usage.feed({plain.data(), plain.size() - place.size}, payload_);
    if (ec == http::error::need_more && c_.connection.buffer.size() > kUpstreamHeaderMax)
      return false;
    if (ec == http::error::need_more) break;
    if (ec && ec != http::error::need_buffer) return false;
  }
  return true;
}

void Relay::choose_framing() {
  using Kind = AnswerFraming::Kind;
  const auto& answer = c_.parser.get();
  const auto length = c_.parser.content_length();
  if (has_no_body(answer.result_int())) {
    framing_.kind = Kind::kNone;
  } else if (c_.to_head) {
    framing_.kind = length ? Kind::kLength : Kind::kNone;
    framing_.length = length.value_or(0);
  } else if (done_) {
    framing_.kind = Kind::kLength;
    framing_.length = payload_.size();
  } else if (length && c_.usage.passes_through()) {
    framing_.kind = Kind::kLength;
    framing_.length = *length;
  } else if (c_.client_is_1_1) {
    framing_.kind = Kind::kChunked;
  } else {
    framing_.kind = Kind::kUntilClose;
    framing_.keep_alive = false;
  }
}

// Writes the head, if it was not yet, and the payload, framed, in one go; the end as well if the
// answer is over.
Task<ErrorCode> Relay::write() {
  text_.clear();
  if (!head_written_) {
    choose_framing();
    text_ = std::move(head_);
    finish_answer_head(text_, c_.marks, framing_);
    head_written_ = true;
    first_byte_ns_ = Scheduler::now();
  }
  bytes_out_ += payload_.size();
  const bool chunked = framing_.kind == AnswerFraming::Kind::kChunked;
  // Without chunks it goes out as it stands; a large one is not worth copying either.
  const bool apart = (text_.empty() && !chunked) || payload_.size() > kOneWriteMax;
  if (chunked && !payload_.empty())
    fmt::format_to(std::back_inserter(text_), "{:x}\r\n", payload_.size());
  if (!apart) text_ += payload_;
  std::string end = chunked && !payload_.empty() ? "\r\n" : "";
  if (chunked && done_) end += "0\r\n\r\n";
  if (!apart) text_ += end;
  ErrorCode ec;
  if (text_.empty() && payload_.empty()) co_return ec;
  c_.sent = true;
  c_.watchdog.arm(kClientWriteNs, c_.client.socket());
  if (!text_.empty()) ec = co_await c_.client.write(asio::buffer(text_));
  if (apart && !ec && !payload_.empty()) ec = co_await c_.client.write(asio::buffer(payload_));
  if (apart && !ec && !end.empty()) ec = co_await c_.client.write(asio::buffer(end));
  c_.watchdog.disarm();
  payload_.clear();
  co_return ec;
}

Task<RelayResult> Relay::run() {
  head_ = answer_head(c_.parser.get());
  for (;;) {
    if (!parse()) co_return RelayResult::kUpstreamBroken;
    if (c_.parser.is_done()) {
      done_ = true;
      c_.usage.finish(payload_);
      c_.upstream_done(c_.parser.keep_alive() && c_.connection.buffer.size() == 0);
    } else {
      c_.progress();
    }
    if (done_ || !payload_.empty() || (c_.is_stream && !head_written_)) {
      if (co_await write()) co_return RelayResult::kClientLost;
    }
    if (done_) co_return RelayResult::kDone;
    c_.watchdog.arm(c_.idle_timeout_ns, c_.connection.socket);
    ErrorCode ec;
    const size_t n = co_await c_.connection.socket.async_read_some(
        c_.connection.buffer.prepare(kReadStep), into(ec));
    const bool expired = c_.watchdog.expired();
    c_.watchdog.disarm();
    if (expired) co_return RelayResult::kTimedOut;
    if (ec == asio::error::eof && c_.parser.need_eof()) {
      // An answer without length or chunks ends with its connection.
      ec = {};
      c_.parser.put_eof(ec);
    }
    if (ec) co_return RelayResult::kUpstreamBroken;
    c_.connection.buffer.commit(n);
  }
}

}  // namespace sluice
