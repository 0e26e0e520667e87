// The text of heads: a request's on its way upstream, an answer's on its way to the client.
//
// Headers that concern one connection only never pass (RFC 9110 section 7.6.1), nor do those that
// Sluice itself sets. Threads: [any].
#pragma once

#include <string>
#include <string_view>

#include "host/http/reader.h"
#include "host/request/errors.h"
#include "host/request/routing.h"

namespace sluice {

// What Sluice adds to every answer.
struct AnswerMarks {
  std::string_view request_id;
  uint64_t queue_ms = 0;
  bool parked = false;        // says x-sluice-queue-ms
  std::string_view endpoint;  // x-sluice-endpoint; "" = not said
};

// How an answer's end is told to the client.
struct AnswerFraming {
  enum class Kind : uint8_t { kNone, kLength, kChunked, kUntilClose } kind = Kind::kLength;
  uint64_t length = 0;
  bool keep_alive = true;
  bool client_is_1_1 = true;
};

using AnswerParser = http::response_parser<http::buffer_body>;

// The head of REQUEST as it goes upstream, without Host, Content-Length and the empty line.
std::string upstream_head(const IncomingRequest& request, const Routing& routing, const Peer& peer,
                          std::string_view request_id);
// Appends what upstream_head left open, but for Host: that is the endpoint's, and goes behind the
// request line.
void finish_upstream_head(std::string& head, bool has_body, uint64_t body_bytes);

// The head of an upstream's answer as it goes to the client, without what Sluice adds. To be taken
// before its body is parsed: trailers would be among its headers then.
std::string answer_head(const AnswerParser::value_type& answer);
// Whether its Connection headers name few enough headers for answer_head() to look for them all.
bool connection_is_sane(const AnswerParser::value_type& answer);
// Appends what answer_head left open.
void finish_answer_head(std::string& head, const AnswerMarks& marks, const AnswerFraming& framing);
// An answer of Sluice's own, head and body; the body is left out for HEAD.
std::string own_answer(uint16_t status, std::string_view content_type, std::string_view body,
                       const AnswerMarks& marks, const AnswerFraming& framing, bool is_head);
std::string own_answer(const ErrorAnswer& error, const AnswerMarks& marks,
                       const AnswerFraming& framing, bool is_head);

}  // namespace sluice
