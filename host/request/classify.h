// Reads from an OpenAI request body what Sluice routes and accounts by, and refuses what two
// readers could read two ways.
//
// The whole body is walked once: its structure, numbers and names are checked; what nested strings
// hold is the model server's business. A body that passes reads the same for every conforming
// reader as far as Sluice is concerned: the keys below stand in it at most once, however they are
// escaped. Threads: one Classifier per thread. Ownership: facts own their strings; spans are
// offsets into the body. Complexity: one pass over the body; scratch memory of some 5 bytes a body
// byte, given back after large bodies. Limits: nesting kJsonDepthMax, model names kModelNameMax
// bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "host/request/errors.h"

namespace sluice {

inline constexpr int kJsonDepthMax = 200;
inline constexpr size_t kModelNameMax = 512;
inline constexpr size_t kTopLevelKeysMax = 1024;
inline constexpr size_t kScratchKeptMax = size_t{1}
                                          << 20;  // bodies beyond it leave no scratch behind

// What a path asks for.
enum class Api : uint8_t { kChat, kCompletions, kEmbeddings, kResponses, kModels, kOther };

// By the end of the path, without its query: "/openai/v1/chat/completions?x=1" is kChat.
Api api_of(std::string_view request_target);
inline bool is_inference(Api api) { return api < Api::kModels; }

struct Span {
  size_t offset = 0, length = 0;
};

struct RequestFacts {
  Api api = Api::kOther;
  std::string model;
  Span model_value;         // the value with its quotes
  Span prompt;              // the value of messages, prompt or input; empty if there is none
  size_t object_start = 0;  // offset of the top-level '{'
  bool stream = false;
  bool usage_asked = false;            // stream_options.include_usage is true
  std::optional<Span> stream_options;  // its value; an object or null
  bool stream_options_empty = false;   // no members
  bool stream_options_object = false;  // else null, or something that is not one
  std::optional<Span> include_usage;   // its value
  uint32_t output_max = 0;             // 0 = not given
  uint32_t choices = 1;                // n
};

class Classifier {
 public:
  Classifier();
  ~Classifier();
  Classifier(Classifier&&) noexcept;
  Classifier& operator=(Classifier&&) noexcept;

  // Fills FACTS, or says why not. May grow BODY's capacity (the parser reads past its end), never
  // its content.
  std::optional<Refusal> classify(Api api, std::string& body, RequestFacts& facts);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace sluice
