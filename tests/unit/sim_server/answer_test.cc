#include "host/sim_server/answer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sluice::sim_server {
namespace {

using Json = nlohmann::json;

ModelRequest request(Api api, uint32_t tokens, bool usage = false) {
  ModelRequest r;
  r.api = api;
  r.model = "m\"1\"";  // must be escaped
  r.prompt_tokens = 7;
  r.output_tokens = tokens;
  r.include_usage = usage;
  return r;
}

// The JSON of every data event but [DONE], which must be the last.
std::vector<Json> events(const Answer& answer, uint32_t tokens, bool* done) {
  std::string text;
  for (uint32_t i = 1; i <= tokens; ++i) answer.append_event(i, i == tokens, text);
  std::vector<Json> out;
  *done = false;
  size_t at = 0;
  while ((at = text.find("data: ", at)) != std::string::npos) {
    const size_t end = text.find("\n\n", at);
    const std::string data = text.substr(at + 6, end - at - 6);
    EXPECT_FALSE(*done) << data;
    if (data == "[DONE]") {
      *done = true;
    } else {
      out.push_back(Json::parse(data, nullptr, false));
      EXPECT_FALSE(out.back().is_discarded()) << data;
    }
    at = end;
  }
  return out;
}

TEST(Answer, AChatStreamHasOneEventATokenAndThenUsage) {
  bool done = false;
  const auto all = events(Answer(request(Api::kChat, 3, true), 1, 9), 3, &done);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_TRUE(done);
  EXPECT_EQ(all[0]["choices"][0]["delta"]["role"], "assistant");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(all[i]["model"], "m\"1\"");
    EXPECT_EQ(all[i]["choices"][0]["delta"]["content"], token_text(i + 1));
    EXPECT_EQ(all[i]["choices"][0]["finish_reason"].is_null(), i < 2);
    EXPECT_FALSE(all[i].contains("usage"));
  }
  EXPECT_TRUE(all[3]["choices"].empty());
  EXPECT_EQ(all[3]["usage"]["prompt_tokens"], 7);
  EXPECT_EQ(all[3]["usage"]["completion_tokens"], 3);
  EXPECT_EQ(all[3]["usage"]["total_tokens"], 10);
}

TEST(Answer, UsageIsLeftOutUnlessAskedFor) {
  bool done = false;
  const auto all = events(Answer(request(Api::kCompletions, 2), 1, 9), 2, &done);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_TRUE(done);
  EXPECT_EQ(all[1]["choices"][0]["text"], token_text(2));
  EXPECT_EQ(all[1]["choices"][0]["finish_reason"], "length");
}

TEST(Answer, AResponsesStreamEndsWithTheWholeResponse) {
  bool done = false;
  const auto all = events(Answer(request(Api::kResponses, 2), 1, 9), 2, &done);
  EXPECT_FALSE(done);
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i]["sequence_number"], i);
  EXPECT_EQ(all.front()["type"], "response.created");
  EXPECT_EQ(all.back()["type"], "response.completed");
  const Json& response = all.back()["response"];
  EXPECT_EQ(response["usage"]["output_tokens"], 2);
  EXPECT_EQ(response["output"][0]["content"][0]["text"],
            std::string(token_text(1)) + std::string(token_text(2)));
}

TEST(Answer, WholeAnswersCarryTextAndUsage) {
  const std::string text = std::string(token_text(1)) + std::string(token_text(2));
  const Json chat = Json::parse(Answer(request(Api::kChat, 2), 1, 9).whole());
  EXPECT_EQ(chat["choices"][0]["message"]["content"], text);
  EXPECT_EQ(chat["usage"]["completion_tokens"], 2);
  const Json completion = Json::parse(Answer(request(Api::kCompletions, 2), 1, 9).whole());
  EXPECT_EQ(completion["choices"][0]["text"], text);
  const Json response = Json::parse(Answer(request(Api::kResponses, 2), 1, 9).whole());
  EXPECT_EQ(response["output"][0]["content"][0]["text"], text);
  ModelRequest embed = request(Api::kEmbeddings, 0);
  embed.inputs = 3;
  const Json embedding = Json::parse(Answer(embed, 1, 9).whole());
  EXPECT_EQ(embedding["data"].size(), 3u);
  EXPECT_EQ(embedding["data"][2]["index"], 2);
  EXPECT_EQ(embedding["usage"]["total_tokens"], 7);
}

TEST(Answer, ErrorsAreJsonWhateverTheyQuote) {
  const Json error = Json::parse(error_body(404, "no \"\xff\" here", "model"));
  EXPECT_EQ(error["error"]["code"], 404);
  EXPECT_EQ(error["error"]["param"], "model");
  EXPECT_TRUE(Json::parse(error_body(429, "full"))["error"]["param"].is_null());
}

}  // namespace
}  // namespace sluice::sim_server
