#include "host/sim_server/answer.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

namespace sluice::sim_server {
namespace {

constexpr std::string_view kWords[] = {"a ",    "gate ",  "that ",  "opens ", "when ", "there ",
                                       "is ",   "room ",  "below ", "lets ",  "no ",   "water ",
                                       "pile ", "where ", "it ",    "harms "};
constexpr uint32_t kEmbeddingSize = 8;

std::string text_of(uint32_t tokens) {
  std::string text;
  for (uint32_t i = 1; i <= tokens; ++i) text += token_text(i);
  return text;
}

std::string text_part(std::string_view text) {
  return fmt::format(R"({{"type":"output_text","text":"{}","annotations":[]}})", text);
}

template <typename... Args>
void append(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

}  // namespace

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string_view token_text(uint32_t index) { return kWords[(index - 1) % std::size(kWords)]; }

Answer::Answer(const ModelRequest& request, uint64_t id, uint64_t created)
    : request_(request), created_(created) {
  const std::string model = json_string(request.model);
  switch (request.api) {
    case Api::kChat:
      id_ = fmt::format("chatcmpl-{:016x}", id);
      event_head_ = fmt::format(
          R"(data: {{"id":"{}","object":"chat.completion.chunk","created":{},"model":{},"choices":[{{"index":0,"delta":{{)",
          id_, created, model);
      break;
    case Api::kCompletions:
      id_ = fmt::format("cmpl-{:016x}", id);
      event_head_ = fmt::format(
          R"(data: {{"id":"{}","object":"text_completion","created":{},"model":{},"choices":[{{"index":0,"text":")",
          id_, created, model);
      break;
    case Api::kEmbeddings:
      id_ = fmt::format("embd-{:016x}", id);
      break;
    case Api::kResponses:
      id_ = fmt::format("resp_{:016x}", id);
      break;
  }
}

void Answer::append_event(uint32_t index, bool last, std::string& out) const {
  if (request_.api == Api::kResponses) return append_response_event(index, last, out);
  out += event_head_;
  const std::string_view reason = last ? R"("length")" : "null";
  if (request_.api == Api::kChat) {
    append(out, R"({}"content":"{}"}},"logprobs":null,"finish_reason":{}}}]}})",
           index == 1 ? R"("role":"assistant",)" : "", token_text(index), reason);
  } else {
    append(out, R"({}","logprobs":null,"finish_reason":{}}}]}})", token_text(index), reason);
  }
  out += "\n\n";
  if (!last) return;
  if (request_.include_usage) {
    append(out,
           R"(data: {{"id":"{}","object":"{}","created":{},"model":{},"choices":[],"usage":{}}})"
           "\n\n",
           id_, request_.api == Api::kChat ? "chat.completion.chunk" : "text_completion", created_,
           json_string(request_.model), usage());
  }
  out += "data: [DONE]\n\n";
}

std::string Answer::whole() const {
  const std::string model = json_string(request_.model);
  const uint32_t tokens = request_.output_tokens;
  switch (request_.api) {
    case Api::kChat:
      return fmt::format(
          R"({{"id":"{}","object":"chat.completion","created":{},"model":{},"choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"logprobs":null,"finish_reason":"length"}}],"usage":{}}})",
          id_, created_, model, text_of(tokens), usage());
    case Api::kCompletions:
      return fmt::format(
          R"({{"id":"{}","object":"text_completion","created":{},"model":{},"choices":[{{"index":0,"text":"{}","logprobs":null,"finish_reason":"length"}}],"usage":{}}})",
          id_, created_, model, text_of(tokens), usage());
    case Api::kResponses:
      return response_object("completed", text_of(tokens));
    case Api::kEmbeddings:
      break;
  }
  std::string vector = "[0";
  for (uint32_t i = 1; i < kEmbeddingSize; ++i) append(vector, ",{}", 0.125 * i);
  vector += ']';
  std::string data;
  for (uint32_t i = 0; i < request_.inputs; ++i) {
    append(data, R"({}{{"object":"embedding","index":{},"embedding":{}}})", i == 0 ? "" : ",", i,
           vector);
  }
  return fmt::format(
      R"({{"id":"{}","object":"list","created":{},"model":{},"data":[{}],"usage":{}}})", id_,
      created_, model, data, usage());
}

std::string Answer::usage() const {
  const uint64_t prompt = request_.prompt_tokens, output = request_.output_tokens;
  if (request_.api == Api::kResponses) {
    return fmt::format(
        R"({{"input_tokens":{},"input_tokens_details":{{"cached_tokens":0}},"output_tokens":{},"output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":{}}})",
        prompt, output, prompt + output);
  }
  if (request_.api == Api::kEmbeddings) {
    return fmt::format(R"({{"prompt_tokens":{},"total_tokens":{}}})", prompt, prompt);
  }
  return fmt::format(R"({{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{}}})", prompt,
                     output, prompt + output);
}

std::string Answer::message_item(std::string_view status, std::string_view text) const {
  return fmt::format(
      R"({{"id":"msg_{}","type":"message","status":"{}","role":"assistant","content":[{}]}})", id_,
      status, status == "completed" ? text_part(text) : "");
}

std::string Answer::response_object(std::string_view status, std::string_view text) const {
  const bool done = status == "completed";
  return fmt::format(
      R"({{"id":"{}","object":"response","created_at":{},"status":"{}","error":null,"incomplete_details":null,"instructions":null,"metadata":{{}},"model":{},"output":[{}],"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"auto","tools":[],"top_p":1.0,"usage":{}}})",
      id_, created_, status, json_string(request_.model), done ? message_item(status, text) : "",
      done ? usage() : "null");
}

void Answer::append_response_event(uint32_t index, bool last, std::string& out) const {
  auto event = [&](std::string_view type, uint32_t sequence, std::string_view rest) {
    append(out, "event: {0}\ndata: {{\"type\":\"{0}\",\"sequence_number\":{1},{2}}}\n\n", type,
           sequence, rest);
  };
  const std::string place =
      fmt::format(R"("item_id":"msg_{}","output_index":0,"content_index":0)", id_);
  if (index == 1) {
    event("response.created", 0,
          fmt::format(R"("response":{})", response_object("in_progress", "")));
    event("response.output_item.added", 1,
          fmt::format(R"("output_index":0,"item":{})", message_item("in_progress", "")));
    event("response.content_part.added", 2, fmt::format(R"({},"part":{})", place, text_part("")));
  }
  event("response.output_text.delta", index + 2,
        fmt::format(R"({},"delta":"{}","logprobs":[])", place, token_text(index)));
  if (!last) return;
  const std::string text = text_of(request_.output_tokens);
  event("response.output_text.done", index + 3,
        fmt::format(R"({},"text":"{}","logprobs":[])", place, text));
  event("response.content_part.done", index + 4,
        fmt::format(R"({},"part":{})", place, text_part(text)));
  event("response.output_item.done", index + 5,
        fmt::format(R"("output_index":0,"item":{})", message_item("completed", text)));
  event("response.completed", index + 6,
        fmt::format(R"("response":{})", response_object("completed", text)));
}

std::string error_body(unsigned status, std::string_view message, std::string_view param) {
  const char* type = status == 404   ? "NotFoundError"
                     : status == 429 ? "RateLimitError"
                     : status >= 500 ? "InternalServerError"
                                     : "BadRequestError";
  return fmt::format(R"({{"error":{{"message":{},"type":"{}","param":{},"code":{}}}}})",
                     json_string(message), type, param.empty() ? "null" : json_string(param),
                     status);
}

}  // namespace sluice::sim_server
