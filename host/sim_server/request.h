// Reads the JSON body of an OpenAI-style request as far as a simulated server needs it.
//
// A request may say in kOutputKey after how many tokens the model stops by itself, as gateways
// cannot know; without it the answer goes up to max_tokens.
// Prompt tokens are estimated: bytes of prompt text / 4, at least 1; token ids count as they are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sluice::sim_server {

enum class Api : uint8_t { kChat, kCompletions, kEmbeddings, kResponses };

inline constexpr uint32_t kOutputTokensDefault = 16;
inline constexpr const char* kOutputKey = "sim_output_tokens";
inline constexpr uint32_t kOutputTokensMax = 1'000'000;
inline constexpr uint32_t kEmbeddingInputsMax = 2048;

struct ModelRequest {
  Api api = Api::kChat;
  std::string model;
  bool stream = false;
  bool include_usage = false;
  uint64_t prompt_tokens = 1;
  uint32_t output_tokens = kOutputTokensDefault;  // 0 for embeddings
  uint32_t inputs = 1;                            // embeddings: how many vectors are wanted
};

struct BadRequest {
  unsigned status = 400;
  std::string message;
  std::string param;  // may be empty
};

// MODELS are those that are served; a body without a model means the first.
std::variant<ModelRequest, BadRequest> read_request(Api api, std::string_view body,
                                                    const std::vector<std::string>& models);

}  // namespace sluice::sim_server
