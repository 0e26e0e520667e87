#include "host/sim_server/request.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>

namespace sluice::sim_server {
namespace {

using Element = simdjson::dom::element;

struct Prompt {
  uint64_t bytes = 0;
  uint64_t token_ids = 0;
};

// Strings and token ids of a prompt, an input or a content, however they are nested: chat messages
// hold content, content holds parts, parts hold text. simdjson has bounded the depth.
void measure(Element element, Prompt& prompt) {
  switch (element.type()) {
    case simdjson::dom::element_type::STRING:
      prompt.bytes += element.get_string_length().value();
      break;
    case simdjson::dom::element_type::INT64:
    case simdjson::dom::element_type::UINT64:
      ++prompt.token_ids;
      break;
    case simdjson::dom::element_type::ARRAY: {
      const simdjson::dom::array items = element.get_array().value();
      for (Element child : items) measure(child, prompt);
      break;
    }
    case simdjson::dom::element_type::OBJECT:
      for (const char* key : {"content", "text"}) {
        Element child;
        if (!element[key].get(child)) measure(child, prompt);
      }
      break;
    default:
      break;
  }
}

bool has(const Element& root, const char* key, Element& out) {
  return !root[key].get(out) && !out.is_null();
}

// Inputs of an embedding: a string or one list of token ids is one, a list of either is many.
uint32_t count_inputs(Element input) {
  simdjson::dom::array items;
  if (input.get(items) || items.size() == 0) return 1;
  const bool one = (*items.begin()).is_number();
  return one ? 1 : static_cast<uint32_t>(std::min<size_t>(items.size(), kEmbeddingInputsMax + 1));
}

const char* prompt_key(Api api) {
  switch (api) {
    case Api::kChat:
      return "messages";
    case Api::kCompletions:
      return "prompt";
    default:
      return "input";
  }
}

}  // namespace

std::variant<ModelRequest, BadRequest> read_request(Api api, std::string_view body,
                                                    const std::vector<std::string>& models) {
  simdjson::dom::parser parser;
  Element root;
  if (auto error = parser.parse(body.data(), body.size()).get(root)) {
    return BadRequest{400, fmt::format("The body is not JSON: {}", simdjson::error_message(error)),
                      ""};
  }
  if (!root.is_object()) return BadRequest{400, "The body is not a JSON object.", ""};

  ModelRequest request;
  request.api = api;
  request.model = models.front();
  Element value;
  if (has(root, "model", value)) {
    std::string_view model;
    if (value.get(model)) return BadRequest{400, "model is not a string.", "model"};
    if (std::find(models.begin(), models.end(), model) == models.end()) {
      return BadRequest{404, fmt::format("The model `{}` does not exist.", model), "model"};
    }
    request.model = model;
  }

  Prompt prompt;
  const char* key = prompt_key(api);
  if (!has(root, key, value)) return BadRequest{400, fmt::format("{} is missing.", key), key};
  if (api == Api::kChat && !value.is_array()) {
    return BadRequest{400, "messages is not an array.", key};
  }
  measure(value, prompt);
  request.prompt_tokens = std::max<uint64_t>(1, prompt.bytes / 4 + prompt.token_ids);
  if (api == Api::kEmbeddings) {
    request.inputs = count_inputs(value);
    if (request.inputs > kEmbeddingInputsMax) {
      return BadRequest{400, fmt::format("More than {} inputs.", kEmbeddingInputsMax), key};
    }
    request.output_tokens = 0;
    return request;
  }

  if (has(root, "n", value)) {
    int64_t n = 0;
    if (value.get(n) || n != 1) return BadRequest{400, "Only n = 1 is simulated.", "n"};
  }
  if (has(root, "stream", value) && value.get(request.stream)) {
    return BadRequest{400, "stream is not a boolean.", "stream"};
  }
  if (has(root, "stream_options", value) && has(value, "include_usage", value) &&
      value.get(request.include_usage)) {
    return BadRequest{400, "include_usage is not a boolean.", "stream_options"};
  }
  const char* limit = api == Api::kResponses ? "max_output_tokens" : "max_tokens";
  if (api == Api::kChat && has(root, "max_completion_tokens", value)) {
    limit = "max_completion_tokens";
  }
  const bool limited = has(root, limit, value);
  if (limited) {
    int64_t tokens = 0;
    if (value.get(tokens) || tokens < 1 || tokens > kOutputTokensMax) {
      return BadRequest{400, fmt::format("{} must be 1 to {}.", limit, kOutputTokensMax), limit};
    }
    request.output_tokens = static_cast<uint32_t>(tokens);
  }
  if (has(root, kOutputKey, value)) {
    uint64_t tokens = 0;
    const uint64_t most = limited ? request.output_tokens : kOutputTokensMax;
    if (value.get(tokens) || tokens < 1) {
      return BadRequest{400, fmt::format("{} must be a number, at least 1.", kOutputKey),
                        kOutputKey};
    }
    request.output_tokens = static_cast<uint32_t>(std::min(tokens, most));
  }
  return request;
}

}  // namespace sluice::sim_server
