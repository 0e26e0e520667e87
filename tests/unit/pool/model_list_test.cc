#include "host/pool/model_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "host/pool/pool_limits.h"

namespace sluice {
namespace {

using testing::ElementsAre;

TEST(ModelList, ReadsIdsSortedAndOnce) {
  auto names = parse_model_list(
      R"({"object":"list","data":[{"id":"b","root":"x"},{"id":"a"},{"id":"b"},{"id":"\u00e9"}]})");
  ASSERT_TRUE(names);
  EXPECT_THAT(*names, ElementsAre("a", "b", "\xc3\xa9"));
}

TEST(ModelList, LeavesOutWhatIsNoPlainName) {
  auto names = parse_model_list(
      R"({"data":[{"id":""},{"id":"llama*"},{"id":7},{"no":"id"},"x",null,{"id":")" +
      std::string(kModelNameBytesMax + 1, 'x') + R"("},{"id":"good"}]})");
  ASSERT_TRUE(names);
  EXPECT_THAT(*names, ElementsAre("good"));
}

TEST(ModelList, IsBounded) {
  std::string body = R"({"data":[)";
  for (size_t i = 0; i < kModelsPerEndpointMax + 10; i++) {
    body += (i ? "," : "") + std::string(R"({"id":"m)") + std::to_string(i) + R"("})";
  }
  auto names = parse_model_list(body + "]}");
  ASSERT_TRUE(names);
  EXPECT_EQ(names->size(), kModelsPerEndpointMax);
}

TEST(ModelList, RefusesWhatIsNoList) {
  for (const char* body : {"", "{", "[]", "null", "{}", R"({"data":{}})", R"({"data":"x"})",
                           "<html>", R"({"data":[{"id":"a"})", "\xff\xfe"}) {
    EXPECT_FALSE(parse_model_list(body)) << body;
  }
}

TEST(ModelList, SurvivesMutations) {
  const std::string good =
      R"({"object":"list","data":[{"id":"a","n":[1,2.5,{"x":null}]},{"id":"b\n"}]})";
  std::mt19937 random(5);
  for (int round = 0; round < 5000; round++) {
    std::string body = good;
    for (int changes = 1 + static_cast<int>(random() % 4); changes > 0; changes--) {
      body[random() % body.size()] = static_cast<char>(random());
    }
    if (auto names = parse_model_list(body)) {
      EXPECT_LE(names->size(), 2u);
    }
  }
}

}  // namespace
}  // namespace sluice
