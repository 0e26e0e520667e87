// The bodies a simulated server answers with: OpenAI's JSON, whole or as server-sent events, one
// event a token.
//
// The last token's event carries the finish reason; usage follows in an event of its own when it
// was asked for (the responses API always reports it), and `data: [DONE]` ends the stream of the
// other APIs. Units: created in seconds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "host/sim_server/request.h"

namespace sluice::sim_server {

class Answer {
 public:
  Answer() = default;
  // ID makes the answer's id and must be unique in the server.
  Answer(const ModelRequest& request, uint64_t id, uint64_t created);

  // Appends the event of token INDEX (from 1) and, with it, whatever stands before the first or
  // after the last.
  void append_event(uint32_t index, bool last, std::string& out) const;
  // The answer of a request that does not stream.
  std::string whole() const;
  uint32_t prompt_tokens() const { return request_.prompt_tokens; }
  uint32_t output_tokens() const { return request_.output_tokens; }

 private:
  std::string usage() const;
  std::string message_item(std::string_view status, std::string_view text) const;
  std::string response_object(std::string_view status, std::string_view text) const;
  void append_response_event(uint32_t index, bool last, std::string& out) const;

  ModelRequest request_;
  std::string id_;
  uint64_t created_ = 0;
  std::string event_head_;  // of a token's event, up to its text
};

// The text of token INDEX (from 1), a word and a space.
std::string_view token_text(uint32_t index);

// TEXT as a JSON string, with its quotes.
std::string json_string(std::string_view text);

// {"error": ...} as vLLM writes it.
std::string error_body(unsigned status, std::string_view message, std::string_view param = {});

}  // namespace sluice::sim_server
