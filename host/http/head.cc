#include "host/http/head.h"

#include <algorithm>
#include <array>

#include "host/http/limits.h"
#include "host/request/text.h"

namespace sluice {
namespace {

using Table = std::array<bool, 256>;

constexpr Table table_of(std::string_view others) {
  Table table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<size_t>(c)] = true;
  for (const char c : others) table[static_cast<uint8_t>(c)] = true;
  return table;
}
constexpr Table kToken = table_of("!#$%&'*+-.^_`|~");
constexpr Table kHost = table_of("-._~%!$&'()*+,;=:[]");

bool all(std::string_view text, const Table& table) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return table[static_cast<uint8_t>(c)]; });
}
bool is_token(std::string_view text) { return !text.empty() && all(text, kToken); }
bool is_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<uint8_t>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
  });
}
std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

Refusal bad(std::string message) {
  return {400, "bad-request", "invalid_http", std::move(message)};
}

// What the framing and routing headers say, gathered over all lines.
struct Framing {
  int hosts = 0, lengths = 0, encodings = 0;
  size_t connection_names = 0;
};

std::optional<Refusal> check_field(std::string_view line, bool is_1_1, Framing& framing) {
  if (line.front() == ' ' || line.front() == '\t') return bad("a header line is folded");
  const size_t colon = line.find(':');
  if (colon == line.npos || !is_token(line.substr(0, colon)))
    return bad("a header's name is malformed");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trim(line.substr(colon + 1));
  if (!is_value(value)) return bad("a header's value holds control characters");
  if (equals_ignoring_case(name, "host")) {
    if (++framing.hosts > 1) return bad("there are two Host headers");
    if (!all(value, kHost)) return bad("the Host header is malformed");
  } else if (equals_ignoring_case(name, "content-length")) {
    if (++framing.lengths > 1) return bad("there are two Content-Length headers");
    const bool digits =
        std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (value.empty() || !digits) return bad("Content-Length is not a number");
    if (value.size() > 18) return Refusal{413, "too-large", "too_large", "the body is too large"};
  } else if (equals_ignoring_case(name, "transfer-encoding")) {
    if (++framing.encodings > 1 || !equals_ignoring_case(value, "chunked")) {
      return bad("the only Transfer-Encoding understood is chunked");
    }
    if (!is_1_1) return bad("HTTP/1.0 knows no Transfer-Encoding");
  } else if (equals_ignoring_case(name, "connection")) {
    framing.connection_names +=
        1 + static_cast<size_t>(std::count(value.begin(), value.end(), ','));
    if (framing.connection_names > kConnectionNamesMax)
      return bad("the Connection header names too many headers");
  } else if (equals_ignoring_case(name, "upgrade")) {
    return bad("Upgrade is not supported");
  }
  return std::nullopt;
}

std::optional<Refusal> check_request_line(std::string_view line, bool& is_1_1) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == line.npos || last == first) return bad("the request line is malformed");
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(method)) return bad("the request line is malformed");
  is_1_1 = version == "HTTP/1.1";
  if (!is_1_1 && version != "HTTP/1.0") {
    if (version.starts_with("HTTP/")) {
      return Refusal{505, "bad-request", "invalid_http",
                     "only HTTP/1.1 and HTTP/1.0 are spoken here"};
    }
    return bad("the request line is malformed");
  }
  if (method == "CONNECT") return bad("CONNECT is not supported");
  const bool asterisk = target == "*" && method == "OPTIONS";
  if (!target.starts_with('/') && !asterisk) return bad("the request target must be a path");
  for (const char c : target) {
    if (c <= 0x20 || c >= 0x7F || c == '#') return bad("the request target is malformed");
  }
  return std::nullopt;
}

}  // namespace

HeadScan::State HeadScan::scan(std::string_view buffer) {
  for (;;) {
    const size_t lf = buffer.find('\n', scanned_);
    if (lf == buffer.npos) {
      scanned_ = buffer.size();
      return State::kMore;
    }
    if (lf == line_ || buffer[lf - 1] != '\r') return State::kBad;
    const bool empty = lf - 1 == line_;
    const bool leads = line_ == begin_;
    line_ = scanned_ = lf + 1;
    if (!empty) continue;
    if (!leads) return State::kDone;
    if (++empty_lines_ > kEmptyLinesMax) return State::kBad;
    begin_ = line_;
  }
}

std::optional<Refusal> check_head(std::string_view head) {
  bool is_1_1 = false;
  Framing framing;
  size_t lines = 0;
  for (size_t at = 0; at < head.size(); ++lines) {
    const size_t end = head.find("\r\n", at);
    if (end == head.npos) return bad("the head is malformed");
    const std::string_view line = head.substr(at, end - at);
    at = end + 2;
    if (line.empty()) {
      if (lines == 0 || at != head.size()) return bad("the head is malformed");
      break;
    }
    if (lines > kRequestHeadersMax) {
      return Refusal{431, "too-large", "too_large", "there are too many headers"};
    }
    auto refusal =
        lines == 0 ? check_request_line(line, is_1_1) : check_field(line, is_1_1, framing);
    if (refusal) return refusal;
  }
  if (is_1_1 && framing.hosts == 0) return bad("the Host header is missing");
  if (framing.lengths != 0 && framing.encodings != 0) {
    return bad("Content-Length and Transfer-Encoding exclude each other");
  }
  return std::nullopt;
}

}  // namespace sluice
