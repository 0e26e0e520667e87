#include "host/request/edit.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

std::string edited(std::string body, std::string_view target, bool with_usage,
                   Api api = Api::kChat) {
  Classifier classifier;
  RequestFacts facts;
  EXPECT_FALSE(classifier.classify(api, body, facts));
  BodyEdits edits;
  edit_model(facts, target, edits);
  if (with_usage) edit_usage(facts, edits);
  EXPECT_EQ(edits.size(body), edits.apply(body).size());
  return edits.apply(body);
}

TEST(Edit, TheSameModelLeavesTheBodyAlone) {
  const std::string body = R"({ "model":"m" , "prompt":"x"  })";
  EXPECT_EQ(edited(body, "m", false), body);
  // Escapes in the incoming name are not normalised either.
  EXPECT_EQ(edited(R"({"model":"\u006d"})", "m", false), R"({"model":"\u006d"})");
}

TEST(Edit, OnlyTheModelsValueChanges) {
  EXPECT_EQ(edited(R"({"x":"model", "model" : "m" ,"y":{"model":"m"}})", "org/\"big\"", false),
            R"({"x":"model", "model" : "org/\"big\"" ,"y":{"model":"m"}})");
}

TEST(Edit, AsksAStreamForItsUsage) {
  EXPECT_EQ(edited(R"({"model":"m","stream":true})", "m", true),
            R"({"stream_options":{"include_usage":true},"model":"m","stream":true})");
  EXPECT_EQ(edited(R"({"model":"m","stream":true,"stream_options":null})", "m", true),
            R"({"model":"m","stream":true,"stream_options":{"include_usage":true}})");
  EXPECT_EQ(edited(R"({"model":"m","stream":true,"stream_options":{ }})", "m", true),
            R"({"model":"m","stream":true,"stream_options":{"include_usage":true }})");
  EXPECT_EQ(edited(R"({"model":"m","stream":true,"stream_options":{"a":1}})", "m", true),
            R"({"model":"m","stream":true,"stream_options":{"include_usage":true,"a":1}})");
  EXPECT_EQ(
      edited(R"({"model":"m","stream":true,"stream_options":{"include_usage": false}})", "n", true),
      R"({"model":"n","stream":true,"stream_options":{"include_usage": true}})");
}

TEST(Edit, LeavesOthersAlone) {
  for (const char* body :
       {R"({"model":"m","stream":false})", R"({"model":"m"})",
        R"({"model":"m","stream":true,"stream_options":{"include_usage":true}})"}) {
    EXPECT_EQ(edited(body, "m", true), body);
  }
  const char* const stream = R"({"model":"m","stream":true})";
  EXPECT_EQ(edited(stream, "m", true, Api::kResponses), stream);
}

}  // namespace
}  // namespace sluice
