#include "host/http/message.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/http/limits.h"

namespace sluice {
namespace {

constexpr std::string_view kHopByHop[] = {"connection",
                                          "keep-alive",
                                          "proxy-connection",
                                          "proxy-authenticate",
                                          "proxy-authorization",
                                          "te",
                                          "trailer",
                                          "transfer-encoding",
                                          "upgrade"};
// Accept-Encoding: what is compressed cannot be read for its usage.
constexpr std::string_view kOwnInRequests[] = {"accept-encoding", "content-length", "expect",
                                               "host", "x-request-id"};

template <size_t N>
bool among(std::string_view name, const std::string_view (&list)[N]) {
  return std::any_of(std::begin(list), std::end(list),
                     [&](std::string_view one) { return equals_ignoring_case(name, one); });
}

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// The headers that Connection headers name: they concern that connection alone.
class NamedHeaders {
 public:
  // VALUE: a list of names.
  void add(std::string_view value) {
    while (!value.empty()) {
      const size_t comma = std::min(value.find(','), value.size());
      std::string_view one = value.substr(0, comma);
      while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
      while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
      if (!one.empty()) names_.push_back(one);
      value.remove_prefix(std::min(comma + 1, value.size()));
    }
  }
  bool have(std::string_view name) const {
    return std::any_of(names_.begin(), names_.end(),
                       [&](std::string_view one) { return equals_ignoring_case(one, name); });
  }

 private:
  std::vector<std::string_view> names_;  // at most kConnectionNamesMax
};

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

void append_number(std::string& out, std::string_view name, uint64_t value) {
  append_header(out, name, fmt::format_int(value).str());
}

void append_marks(std::string& out, const AnswerMarks& marks) {
  append_header(out, "x-request-id", marks.request_id);
  if (marks.parked) append_number(out, "x-sluice-queue-ms", marks.queue_ms);
  if (!marks.endpoint.empty()) append_header(out, "x-sluice-endpoint", marks.endpoint);
}

void append_framing(std::string& out, const AnswerFraming& framing) {
  if (framing.kind == AnswerFraming::Kind::kLength)
    append_number(out, "content-length", framing.length);
  if (framing.kind == AnswerFraming::Kind::kChunked)
    append_header(out, "transfer-encoding", "chunked");
  if (!framing.keep_alive) {
    append_header(out, "connection", "close");
  } else if (!framing.client_is_1_1) {
    append_header(out, "connection", "keep-alive");
  }
  out += "\r\n";
}

void append_status_line(std::string& out, unsigned status, std::string_view reason) {
  out += "HTTP/1.1 ";
  out += fmt::format_int(status).str();
  out += ' ';
  out += reason;
  out += "\r\n";
}

std::string_view reason_of(unsigned status) {
  return view(http::obsolete_reason(http::int_to_status(status)));
}

}  // namespace

std::string upstream_head(const IncomingRequest& request, const Routing& routing, const Peer& peer,
                          std::string_view request_id) {
  std::string out;
  out.reserve(1024);
  out += request.method;
  out += ' ';
  out += request.target;
  out += " HTTP/1.1\r\n";
  NamedHeaders named;
  for (const Header& header : request.headers) {
    if (equals_ignoring_case(header.name, "connection")) named.add(header.value);
  }
  for (const Header& header : request.headers) {
    if (among(header.name, kHopByHop) || among(header.name, kOwnInRequests)) continue;
    if (!routing.forwards(header.name, peer) || named.have(header.name)) continue;
    append_header(out, header.name, header.value);
  }
  append_header(out, "x-request-id", request_id);
  return out;
}

void finish_upstream_head(std::string& head, bool has_body, uint64_t body_bytes) {
  if (has_body) append_number(head, "content-length", body_bytes);
  head += "\r\n";
}

bool connection_is_sane(const AnswerParser::value_type& answer) {
  const auto connection = answer.equal_range(http::field::connection);
  ptrdiff_t names = 0;
  for (auto it = connection.first; it != connection.second; ++it) {
    const std::string_view value = view(it->value());
    names += 1 + std::count(value.begin(), value.end(), ',');
  }
  return names <= static_cast<ptrdiff_t>(kConnectionNamesMax);
}

std::string answer_head(const AnswerParser::value_type& answer) {
  std::string out;
  out.reserve(512);
  append_status_line(out, answer.result_int(), view(answer.reason()));
  NamedHeaders named;
  const auto connection = answer.equal_range(http::field::connection);
  for (auto it = connection.first; it != connection.second; ++it) named.add(view(it->value()));
  for (const auto& field : answer) {
    const std::string_view name = view(field.name_string());
    if (among(name, kHopByHop) || equals_ignoring_case(name, "content-length")) continue;
    if (is_own_in_answers(name) || named.have(name)) continue;
    append_header(out, name, view(field.value()));
  }
  return out;
}

void finish_answer_head(std::string& head, const AnswerMarks& marks, const AnswerFraming& framing) {
  append_marks(head, marks);
  append_framing(head, framing);
}

std::string own_answer(uint16_t status, std::string_view content_type, std::string_view body,
                       const AnswerMarks& marks, const AnswerFraming& framing, bool is_head) {
  std::string out;
  out.reserve(512 + body.size());
  append_status_line(out, status, reason_of(status));
  append_header(out, "content-type", content_type);
  append_marks(out, marks);
  AnswerFraming whole = framing;
  whole.kind = AnswerFraming::Kind::kLength;
  whole.length = body.size();
  append_framing(out, whole);
  if (!is_head) out += body;
  return out;
}

std::string own_answer(const ErrorAnswer& error, const AnswerMarks& marks,
                       const AnswerFraming& framing, bool is_head) {
  std::string out;
  out.reserve(512 + error.body.size());
  append_status_line(out, error.status, reason_of(error.status));
  append_header(out, "content-type", error.content_type);
  append_header(out, "x-sluice-reason", error.reason);
  if (!error.dropped_reason.empty())
    append_header(out, "x-llm-d-request-dropped-reason", error.dropped_reason);
  if (error.retry_after_s != 0) append_number(out, "retry-after", error.retry_after_s);
  if (error.status == 405) append_header(out, "allow", "POST, GET, HEAD, OPTIONS");
  append_marks(out, marks);
  AnswerFraming whole = framing;
  whole.kind = AnswerFraming::Kind::kLength;
  whole.length = error.body.size();
  append_framing(out, whole);
  if (!is_head) out += error.body;
  return out;
}

}  // namespace sluice
