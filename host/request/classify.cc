#include "host/request/classify.h"

#include <simdjson.h>

#include <algorithm>
#include <bitset>
#include <cmath>

namespace sluice {
namespace {

namespace json = simdjson::ondemand;
using simdjson::error_code;

// The keys that may stand in a body only once, since Sluice or the model server acts on them.
enum Key : size_t {
  kModelKey,
  kStream,
  kStreamOptions,
  kMaxTokens,
  kMaxCompletionTokens,
  kMaxOutputTokens,
  kN,
  kPrompt,
  kMessages,
  kInput,
  kKeys,
};
constexpr std::string_view kKeyNames[kKeys] = {
    "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "max_output_tokens",
    "n",     "prompt", "messages",       "input"};

Key key_of(std::string_view name) {
  return static_cast<Key>(std::find(kKeyNames, kKeyNames + kKeys, name) - kKeyNames);
}

Refusal bad(std::string message) {
  return {400, "bad-request", "invalid_request", std::move(message)};
}

Refusal bad_json(std::string_view why) {
  return {400, "bad-request", "invalid_json", "the body is not valid JSON: " + std::string(why)};
}

// One walk over one body. Errors are kept in `refusal`, and every step says whether to go on.
class Walk {
 public:
  Walk(const std::string& body, RequestFacts& facts) : body_(body), facts_(facts) {}

  std::optional<Refusal> run(json::parser& parser) {
    if (const std::optional<error_code> fault = check_root(parser)) {
      if (!refusal_) fail(*fault);
    }
    return std::move(refusal_);
  }

 private:
  // Nothing if all is well; SUCCESS inside means that the reason stands in refusal_.
  using Fault = std::optional<error_code>;

  void fail(error_code code) {
    switch (code) {
      case simdjson::UTF8_ERROR:
        refusal_ = bad_json("it is not UTF-8");
        break;
      case simdjson::EMPTY:
        refusal_ = bad_json("it is empty");
        break;
      case simdjson::DEPTH_ERROR:
        refusal_ = bad_json("it is nested too deeply");
        break;
      case simdjson::CAPACITY:
      case simdjson::MEMALLOC:
        refusal_ = Refusal{413, "too-large", "too_large", "the body is too large"};
        break;
      default:
        refusal_ = bad_json("it is malformed");
        break;
    }
  }

  Fault refuse(Refusal refusal) {
    refusal_ = std::move(refusal);
    return simdjson::SUCCESS;
  }

  Fault check_root(json::parser& parser) {
    const auto first = body_.find_first_not_of(" \t\r\n");
    if (first == body_.npos) return simdjson::EMPTY;
    if (auto e = parser.iterate(body_.data(), body_.size(), body_.capacity()).get(document_))
      return e;
    if (body_[first] != '{') return refuse(bad("the body must be a JSON object"));
    facts_.object_start = first;
    json::object object;
    if (auto e = document_.get_object().get(object)) return e;
    size_t keys = 0;
    for (auto item : object) {
      json::field field;
      if (auto e = std::move(item).get(field)) return e;
      if (++keys > kTopLevelKeysMax) return refuse(bad("the body has too many keys"));
      std::string_view name;
      if (auto e = field.unescaped_key().get(name)) return e;
      const Key key = key_of(name);
      if (key != kKeys) {
        if (seen_[key]) {
          return refuse({400, "bad-request", "duplicate_key",
                         "the key '" + std::string(kKeyNames[key]) + "' stands in the body twice"});
        }
        seen_[key] = true;
      }
      if (Fault fault = read(key, field.value())) return fault;
    }
    const char* rest = nullptr;
    if (!document_.current_location().get(rest)) return simdjson::TRAILING_CONTENT;
    if (!seen_[kModelKey]) {
      return refuse({400, "bad-request", "missing_model", "the key 'model' is missing"});
    }
    choose_prompt();
    return {};
  }

  Fault read(Key key, json::value value) {
    std::string_view token = value.raw_json_token();
    const size_t start = static_cast<size_t>(token.data() - body_.data());
    switch (key) {
      case kModelKey:
        return read_model(value, start);
      case kStream:
        return read_bool(value, facts_.stream);
      case kStreamOptions:
        return read_stream_options(value, start);
      case kMaxTokens:
      case kMaxCompletionTokens:
      case kMaxOutputTokens:
        return read_count(value, facts_.output_max);
      case kN: {
        uint32_t n = 0;
        if (Fault fault = read_count(value, n)) return fault;
        facts_.choices = std::max(1u, n);
        return {};
      }
      case kPrompt:
      case kMessages:
      case kInput: {
        if (Fault fault = skip(value, 1)) return fault;
        prompts_[key - kPrompt] = span_from(start);
        return {};
      }
      case kKeys:
        break;
    }
    return skip(value, 1);
  }

  Fault read_model(json::value value, size_t start) {
    json::json_type type;
    if (auto e = value.type().get(type)) return e;
    if (type != json::json_type::string) {
      return refuse({400, "bad-request", "invalid_model", "the key 'model' must be a string"});
    }
    std::string_view name;
    if (auto e = value.get_string().get(name)) return e;
    if (name.empty()) {
      return refuse({400, "bad-request", "invalid_model", "the key 'model' must not be empty"});
    }
    if (name.size() > kModelNameMax) {
      return refuse({400, "bad-request", "invalid_model", "the name of the model is too long"});
    }
    facts_.model = name;
    facts_.model_value = span_from(start);
    return {};
  }

  Fault read_bool(json::value value, bool& out) {
    json::json_type type;
    if (auto e = value.type().get(type)) return e;
    if (type != json::json_type::boolean) return skip(value, 1);
    if (auto e = value.get_bool().get(out)) return e;
    return {};
  }

  // A whole number of at least 0 and at most 2^32-1; anything else is left for the model server to
  // judge.
  Fault read_count(json::value value, uint32_t& out) {
    json::json_type type;
    if (auto e = value.type().get(type)) return e;
    if (type != json::json_type::number) return skip(value, 1);
    double number = 0;
    if (auto e = value.get_double().get(number)) return e;
    if (number >= 0 && number <= UINT32_MAX && std::floor(number) == number) {
      out = std::max(out, static_cast<uint32_t>(number));
    }
    return {};
  }

  Fault read_stream_options(json::value value, size_t start) {
    json::json_type type;
    if (auto e = value.type().get(type)) return e;
    if (type != json::json_type::object) {
      if (Fault fault = skip(value, 1)) return fault;
    } else {
      facts_.stream_options_object = true;
      facts_.stream_options_empty = true;
      json::object object;
      if (auto e = value.get_object().get(object)) return e;
      for (auto item : object) {
        json::field field;
        if (auto e = std::move(item).get(field)) return e;
        facts_.stream_options_empty = false;
        std::string_view name;
        if (auto e = field.unescaped_key().get(name)) return e;
        json::value member = field.value();
        if (name != "include_usage") {
          if (Fault fault = skip(member, 2)) return fault;
          continue;
        }
        if (facts_.include_usage) {
          return refuse({400, "bad-request", "duplicate_key",
                         "the key 'include_usage' stands in stream_options twice"});
        }
        std::string_view token = member.raw_json_token();
        const size_t at = static_cast<size_t>(token.data() - body_.data());
        if (Fault fault = read_bool(member, facts_.usage_asked)) return fault;
        facts_.include_usage = span_from(at);
      }
    }
    facts_.stream_options = span_from(start);
    return {};
  }

  // Goes over VALUE and checks its structure.
  Fault skip(json::value value, int depth) {
    if (depth > kJsonDepthMax) return simdjson::DEPTH_ERROR;
    json::json_type type;
    if (auto e = value.type().get(type)) return e;
    switch (type) {
      case json::json_type::array: {
        json::array array;
        if (auto e = value.get_array().get(array)) return e;
        for (auto item : array) {
          json::value element;
          if (auto e = std::move(item).get(element)) return e;
          if (Fault fault = skip(element, depth + 1)) return fault;
        }
        return {};
      }
      case json::json_type::object: {
        json::object object;
        if (auto e = value.get_object().get(object)) return e;
        for (auto item : object) {
          json::field field;
          if (auto e = std::move(item).get(field)) return e;
          if (Fault fault = skip(field.value(), depth + 1)) return fault;
        }
        return {};
      }
      case json::json_type::string: {
        json::raw_json_string raw;
        if (auto e = value.get_raw_json_string().get(raw)) return e;
        return {};
      }
      case json::json_type::number: {
        double number = 0;
        if (auto e = value.get_double().get(number)) return e;
        return {};
      }
      case json::json_type::boolean: {
        bool flag = false;
        if (auto e = value.get_bool().get(flag)) return e;
        return {};
      }
      case json::json_type::null: {
        bool null = false;
        if (auto e = value.is_null().get(null)) return e;
        if (!null) return simdjson::N_ATOM_ERROR;
        return {};
      }
    }
    return simdjson::TAPE_ERROR;
  }

  // From START to the end of the value just read.
  Span span_from(size_t start) {
    const char* next = nullptr;
    if (document_.current_location().get(next)) return {start, 0};
    size_t end = static_cast<size_t>(next - body_.data());
    while (end > start &&
           std::string_view(" \t\r\n").find(body_[end - 1]) != std::string_view::npos)
      --end;
    return {start, end - start};
  }

  // The prompt is what this API calls it; a chat request that also has a `prompt` is judged by its
  // messages.
  void choose_prompt() {
    const Span& prompt = prompts_[0];
    const Span& messages = prompts_[kMessages - kPrompt];
    const Span& input = prompts_[kInput - kPrompt];
    switch (facts_.api) {
      case Api::kChat:
        facts_.prompt = messages;
        break;
      case Api::kCompletions:
        facts_.prompt = prompt;
        break;
      default:
        facts_.prompt = input;
        break;
    }
  }

  const std::string& body_;
  RequestFacts& facts_;
  json::document document_;
  std::bitset<kKeys> seen_;
  Span prompts_[3];
  std::optional<Refusal> refusal_;
};

}  // namespace

Api api_of(std::string_view request_target) {
  const std::string_view path = request_target.substr(0, request_target.find('?'));
  if (path.ends_with("/chat/completions")) return Api::kChat;
  if (path.ends_with("/completions")) return Api::kCompletions;
  if (path.ends_with("/embeddings")) return Api::kEmbeddings;
  if (path.ends_with("/responses")) return Api::kResponses;
  if (path.ends_with("/v1/models") || path == "/models") return Api::kModels;
  return Api::kOther;
}

struct Classifier::Parser {
  json::parser json;
};

Classifier::Classifier() : parser_(std::make_unique<Parser>()) {}
Classifier::~Classifier() = default;
Classifier::Classifier(Classifier&&) noexcept = default;
Classifier& Classifier::operator=(Classifier&&) noexcept = default;

std::optional<Refusal> Classifier::classify(Api api, std::string& body, RequestFacts& facts) {
  facts = {};
  facts.api = api;
  // libstdc++ keeps one byte of capacity back for its terminator, so this allocates what the parser
  // may touch.
  if (body.capacity() < body.size() + simdjson::SIMDJSON_PADDING) {
    body.reserve(body.size() + simdjson::SIMDJSON_PADDING);
  }
  auto refusal = Walk(body, facts).run(parser_->json);
  if (body.size() > kScratchKeptMax) parser_ = std::make_unique<Parser>();
  return refusal;
}

}  // namespace sluice
