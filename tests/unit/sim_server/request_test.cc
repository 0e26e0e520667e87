#include "host/sim_server/request.h"

#include <gtest/gtest.h>

namespace sluice::sim_server {
namespace {

const std::vector<std::string> kModels = {"one", "two"};

ModelRequest good(Api api, std::string_view body) {
  auto read = read_request(api, body, kModels);
  if (const auto* bad = std::get_if<BadRequest>(&read)) ADD_FAILURE() << bad->message;
  return read.index() == 0 ? std::get<0>(read) : ModelRequest{};
}

BadRequest bad(Api api, std::string_view body) {
  auto read = read_request(api, body, kModels);
  EXPECT_EQ(read.index(), 1u) << body;
  return read.index() == 1 ? std::get<1>(read) : BadRequest{0, "", ""};
}

TEST(ReadRequest, FillsInWhatIsLeftOut) {
  const auto request = good(Api::kChat, R"({"messages": []})");
  EXPECT_EQ(request.model, "one");
  EXPECT_EQ(request.output_tokens, 16u);
  EXPECT_EQ(request.prompt_tokens, 1u);
  EXPECT_FALSE(request.stream);
  EXPECT_FALSE(request.include_usage);
}

TEST(ReadRequest, MaxCompletionTokensWinsInChat) {
  EXPECT_EQ(good(Api::kChat, R"({"messages": [], "max_tokens": 5})").output_tokens, 5u);
  EXPECT_EQ(good(Api::kChat, R"({"messages": [], "max_tokens": 5, "max_completion_tokens": 7})")
                .output_tokens,
            7u);
  EXPECT_EQ(
      good(Api::kCompletions, R"({"prompt": "", "max_tokens": 5, "max_completion_tokens": 7})")
          .output_tokens,
      5u);
  EXPECT_EQ(good(Api::kResponses, R"({"input": "", "max_output_tokens": 9})").output_tokens, 9u);
  EXPECT_EQ(good(Api::kChat, R"({"messages": [], "max_tokens": null})").output_tokens, 16u);
}

TEST(ReadRequest, AModelMayStopBeforeItsLimit) {
  EXPECT_EQ(good(Api::kCompletions, R"({"prompt": "", "sim_output_tokens": 40})").output_tokens,
            40u);
  EXPECT_EQ(good(Api::kChat, R"({"messages": [], "max_tokens": 9, "sim_output_tokens": 4})")
                .output_tokens,
            4u);
  EXPECT_EQ(good(Api::kChat, R"({"messages": [], "max_tokens": 9, "sim_output_tokens": 40})")
                .output_tokens,
            9u);
  EXPECT_EQ(bad(Api::kChat, R"({"messages": [], "sim_output_tokens": 0})").param,
            "sim_output_tokens");
  EXPECT_EQ(bad(Api::kChat, R"({"messages": [], "sim_output_tokens": "4"})").param,
            "sim_output_tokens");
}

TEST(ReadRequest, CountsPromptTextWhereverItStands) {
  EXPECT_EQ(good(Api::kCompletions, R"({"prompt": "0123456789abcdef"})").prompt_tokens, 4u);
  EXPECT_EQ(good(Api::kCompletions, R"({"prompt": ["01234567", "89abcdef"]})").prompt_tokens, 4u);
  EXPECT_EQ(good(Api::kCompletions, R"({"prompt": [5, 6, 7]})").prompt_tokens, 3u);
  EXPECT_EQ(good(Api::kChat, R"({"messages": [{"role": "system", "content": "01234567"},
      {"role": "user", "content": [{"type": "text", "text": "01234567"}]}]})")
                .prompt_tokens,
            4u);
  EXPECT_EQ(good(Api::kResponses, R"({"input": [{"role": "user",
      "content": [{"type": "input_text", "text": "01234567"}]}]})")
                .prompt_tokens,
            2u);
}

TEST(ReadRequest, CountsTheInputsOfAnEmbedding) {
  EXPECT_EQ(good(Api::kEmbeddings, R"({"input": "a"})").inputs, 1u);
  EXPECT_EQ(good(Api::kEmbeddings, R"({"input": [1, 2, 3]})").inputs, 1u);
  EXPECT_EQ(good(Api::kEmbeddings, R"({"input": ["a", "b", "c"]})").inputs, 3u);
  EXPECT_EQ(good(Api::kEmbeddings, R"({"input": [[1], [2]]})").inputs, 2u);
  EXPECT_EQ(good(Api::kEmbeddings, R"({"input": "a"})").output_tokens, 0u);
}

TEST(ReadRequest, ReadsStreamOptions) {
  const auto request = good(Api::kChat, R"({"model": "two", "messages": [], "stream": true,
      "stream_options": {"include_usage": true}})");
  EXPECT_EQ(request.model, "two");
  EXPECT_TRUE(request.stream);
  EXPECT_TRUE(request.include_usage);
}

TEST(ReadRequest, SaysWhatIsWrong) {
  EXPECT_EQ(bad(Api::kChat, R"({"model": "three", "messages": []})").status, 404u);
  EXPECT_EQ(bad(Api::kChat, R"({"model": 3, "messages": []})").param, "model");
  EXPECT_EQ(bad(Api::kChat, "{").status, 400u);
  EXPECT_EQ(bad(Api::kChat, "").status, 400u);
  EXPECT_EQ(bad(Api::kChat, "[]").status, 400u);
  EXPECT_EQ(bad(Api::kChat, "{}").param, "messages");
  EXPECT_EQ(bad(Api::kChat, R"({"messages": "hi"})").param, "messages");
  EXPECT_EQ(bad(Api::kCompletions, "{}").param, "prompt");
  EXPECT_EQ(bad(Api::kChat, R"({"messages": [], "max_tokens": 0})").param, "max_tokens");
  EXPECT_EQ(bad(Api::kChat, R"({"messages": [], "max_tokens": 1e12})").param, "max_tokens");
  EXPECT_EQ(bad(Api::kChat, R"({"messages": [], "max_tokens": -1})").param, "max_tokens");
  EXPECT_EQ(bad(Api::kChat, R"({"messages": [], "stream": "yes"})").param, "stream");
  EXPECT_EQ(bad(Api::kChat, R"({"messages": [], "n": 2})").param, "n");
}

TEST(ReadRequest, SurvivesDeepNesting) {
  const std::string deep = R"({"prompt": )" + std::string(100'000, '[');
  EXPECT_EQ(bad(Api::kCompletions, deep).status, 400u);
  const std::string closed =
      R"({"prompt": )" + std::string(5'000, '[') + std::string(5'000, ']') + "}";
  EXPECT_EQ(bad(Api::kCompletions, closed).status, 400u);
}

}  // namespace
}  // namespace sluice::sim_server
