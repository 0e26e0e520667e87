#include "host/request/classify.h"

#include <gtest/gtest.h>

#include <random>

#include "host/request/edit.h"

namespace sluice {
namespace {

struct Read {
  RequestFacts facts;
  std::optional<Refusal> refusal;
  std::string body;
  std::string at(Span span) const { return body.substr(span.offset, span.length); }
};

Read read(std::string body, Api api = Api::kChat) {
  Classifier classifier;
  Read out;
  out.body = body;
  out.refusal = classifier.classify(api, body, out.facts);
  EXPECT_EQ(body, out.body);
  return out;
}

TEST(Api, GoesByTheEndOfThePath) {
  EXPECT_EQ(api_of("/v1/chat/completions"), Api::kChat);
  EXPECT_EQ(api_of("/openai/v1/chat/completions?timeout=3"), Api::kChat);
  EXPECT_EQ(api_of("/v1/completions"), Api::kCompletions);
  EXPECT_EQ(api_of("/v1/embeddings"), Api::kEmbeddings);
  EXPECT_EQ(api_of("/v1/responses"), Api::kResponses);
  EXPECT_EQ(api_of("/v1/models"), Api::kModels);
  EXPECT_EQ(api_of("/v1/models/x"), Api::kOther);
  EXPECT_EQ(api_of("/v1/chatcompletions"), Api::kOther);
  EXPECT_EQ(api_of("/x?/v1/completions"), Api::kOther);
  EXPECT_EQ(api_of(""), Api::kOther);
}

TEST(Classify, ReadsWhatIsAccountedBy) {
  const Read r = read(
      R"({"messages":[{"role":"user","content":"hi \"}"}] , "model" : "a/b","n":2,"max_tokens":30,)"
      R"("max_completion_tokens":40,"stream":true,"stream_options":{"include_usage":true},"temperature":0.5e1})");
  ASSERT_FALSE(r.refusal) << r.refusal->message;
  EXPECT_EQ(r.facts.model, "a/b");
  EXPECT_EQ(r.at(r.facts.model_value), "\"a/b\"");
  EXPECT_EQ(r.at(r.facts.prompt), R"([{"role":"user","content":"hi \"}"}])");
  EXPECT_EQ(r.facts.choices, 2u);
  EXPECT_EQ(r.facts.output_max, 40u);
  EXPECT_TRUE(r.facts.stream);
  EXPECT_TRUE(r.facts.usage_asked);
}

TEST(Classify, ThePromptIsWhatTheApiCallsIt) {
  const std::string body = R"({"model":"m","prompt":"abc","input":[1, 2 ],"messages":[]})";
  Read r = read(body, Api::kCompletions);
  EXPECT_EQ(r.at(r.facts.prompt), "\"abc\"");
  r = read(body, Api::kEmbeddings);
  EXPECT_EQ(r.at(r.facts.prompt), "[1, 2 ]");
  r = read(body, Api::kResponses);
  EXPECT_EQ(r.at(r.facts.prompt), "[1, 2 ]");
  r = read(body, Api::kChat);
  EXPECT_EQ(r.at(r.facts.prompt), "[]");
}

TEST(Classify, EscapedNamesAreTheSameNames) {
  const Read r = read(R"({"mod\u0065l":"\u0061\/b"})");
  ASSERT_FALSE(r.refusal);
  EXPECT_EQ(r.facts.model, "a/b");
}

TEST(Classify, OddCountsAreLeftToTheServer) {
  for (const char* value : {"-1", "1.5", "\"7\"", "null", "[1]", "1e30", "true"}) {
    const Read r = read(std::string(R"({"model":"m","max_tokens":)") + value + "}");
    EXPECT_FALSE(r.refusal) << value;
    EXPECT_EQ(r.facts.output_max, 0u) << value;
  }
  EXPECT_EQ(read(R"({"model":"m","max_tokens":16.0})").facts.output_max, 16u);
}

struct BadCase {
  const char* name;
  std::string body;
  const char* code;
};

class BadBody : public testing::TestWithParam<BadCase> {};

TEST_P(BadBody, IsRefusedWith400) {
  const Read r = read(GetParam().body);
  ASSERT_TRUE(r.refusal);
  EXPECT_EQ(r.refusal->status, 400);
  EXPECT_EQ(r.refusal->code, GetParam().code) << r.refusal->message;
}

std::string repeat(std::string_view text, int n) {
  std::string out;
  while (n-- > 0) out += text;
  return out;
}

INSTANTIATE_TEST_SUITE_P(
    All, BadBody,
    testing::Values(
        BadCase{"Empty", "", "invalid_json"}, BadCase{"Blank", " \n", "invalid_json"},
        BadCase{"NoModel", R"({"prompt":"x"})", "missing_model"},
        BadCase{"NoKeys", "{}", "missing_model"},
        BadCase{"Array", R"([{"model":"m"}])", "invalid_request"},
        BadCase{"Text", R"("model")", "invalid_request"},
        BadCase{"NumberModel", R"({"model":1})", "invalid_model"},
        BadCase{"NullModel", R"({"model":null})", "invalid_model"},
        BadCase{"EmptyModel", R"({"model":""})", "invalid_model"},
        BadCase{"LongModel", R"({"model":")" + std::string(kModelNameMax + 1, 'x') + "\"}",
                "invalid_model"},
        BadCase{"TwoModels", R"({"model":"a","model":"b"})", "duplicate_key"},
        BadCase{"TwoModelsOneEscaped", R"({"model":"a","\u006dodel":"b"})", "duplicate_key"},
        BadCase{"TwoStreams", R"({"model":"a","stream":true,"stream":false})", "duplicate_key"},
        BadCase{"TwoPrompts", R"({"model":"a","prompt":"x","prompt":"y"})", "duplicate_key"},
        BadCase{"TwoMaxTokens", R"({"model":"a","max_tokens":1,"max_tokens":2})", "duplicate_key"},
        BadCase{"TwoIncludeUsage",
                R"({"model":"a","stream_options":{"include_usage":true,"include_usage":false}})",
                "duplicate_key"},
        BadCase{"Truncated", R"({"model":"a","prompt":"x)", "invalid_json"},
        BadCase{"Unclosed", R"({"model":"a")", "invalid_json"},
        BadCase{"Trailing", R"({"model":"a"} x)", "invalid_json"},
        BadCase{"TwoTexts", R"({"model":"a"}{"model":"b"})", "invalid_json"},
        BadCase{"TrailingComma", R"({"model":"a",})", "invalid_json"},
        BadCase{"NoComma", R"({"model":"a" "x":1})", "invalid_json"},
        BadCase{"NoColon", R"({"model" "a"})", "invalid_json"},
        BadCase{"BareKey", R"({model:"a"})", "invalid_json"},
        BadCase{"BadAtom", R"({"model":"a","x":tru})", "invalid_json"},
        BadCase{"BadNull", R"({"model":"a","x":nul})", "invalid_json"},
        BadCase{"BadNumber", R"({"model":"a","x":01})", "invalid_json"},
        BadCase{"NestedBadNumber", R"({"model":"a","x":[{"y":1.}]})", "invalid_json"},
        BadCase{"WrongClose", R"({"model":"a","x":{"y":1]})", "invalid_json"},
        BadCase{"WrongCloseArray", R"({"model":"a","x":[1}})", "invalid_json"},
        BadCase{"ControlInString", "{\"model\":\"a\nb\"}", "invalid_json"},
        BadCase{"NotUtf8", "{\"model\":\"a\xff\"}", "invalid_json"},
        BadCase{"OverlongUtf8", "{\"model\":\"a\xc0\xaf\"}", "invalid_json"},
        BadCase{"NotUtf8Elsewhere", "{\"model\":\"a\",\"prompt\":\"\xed\xa0\x80\"}",
                "invalid_json"},
        BadCase{"ArrayBomb", R"({"model":"a","x":)" + repeat("[", 100'000), "invalid_json"},
        BadCase{"ClosedArrayBomb",
                R"({"model":"a","x":)" + repeat("[", 100'000) + repeat("]", 100'000) + "}",
                "invalid_json"},
        BadCase{"ObjectBomb", repeat(R"({"a":)", 50'000) + "1" + repeat("}", 50'000),
                "invalid_json"},
        BadCase{"OnlyBrackets", repeat("[", 1'000'000), "invalid_request"}),
    [](const auto& one) { return one.param.name; });

TEST(Classify, DeepButReasonableNestingPasses) {
  EXPECT_FALSE(read(R"({"model":"a","x":)" + repeat("[", 150) + repeat("]", 150) + "}").refusal);
}

TEST(Classify, TooManyKeysAreRefused) {
  std::string body = R"({"model":"a")";
  for (size_t i = 0; i < kTopLevelKeysMax; ++i) body += ",\"k\":1";
  EXPECT_TRUE(read(body + "}").refusal);
}

TEST(Classify, OneClassifierReadsManyBodies) {
  Classifier classifier;
  for (int i = 0; i < 200; ++i) {
    RequestFacts facts;
    std::string body = R"({"model":"m)" + std::to_string(i) + R"(","prompt":")" +
                       std::string(i * 997 % 70'000, 'x') + "\"}";
    ASSERT_FALSE(classifier.classify(Api::kCompletions, body, facts));
    EXPECT_EQ(facts.model, "m" + std::to_string(i));
    std::string broken = body.substr(0, body.size() / 2);
    EXPECT_TRUE(classifier.classify(Api::kCompletions, broken, facts));
  }
}

// Whatever the bytes: no crash, and what is accepted has its spans inside the body.
TEST(Classify, MutatedBodiesNeverBreakIt) {
  const std::string seeds[] = {
      R"({"model":"a/b","messages":[{"role":"user","content":"hé \"x\" \u00e9"}],"stream":true,"n":1})",
      R"({"stream_options":{"include_usage":false,"x":[1,2,{"y":null}]},"max_tokens":12,"model":"m","prompt":["a","b"]})",
      R"( { "model" : "m" , "input" : [ 1 , 2.5e3 , -0 ] , "k" : { } } )"};
  std::mt19937_64 random(7);
  Classifier classifier;
  int accepted = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string body = seeds[round % 3];
    for (uint64_t edits = 1 + random() % 4; edits > 0 && !body.empty(); --edits) {
      const size_t at = random() % body.size();
      constexpr std::string_view kAlphabet = "{}[]\",:\\ \n0truefalsn1.-eE\x80\xff\x00m";
      switch (random() % 4) {
        case 0:
          body[at] = kAlphabet[random() % kAlphabet.size()];
          break;
        case 1:
          body.erase(at, 1 + random() % 5);
          break;
        case 2:
          body.insert(at, 1, kAlphabet[random() % kAlphabet.size()]);
          break;
        default:
          body.insert(at, body.substr(random() % body.size(), random() % 20));
          break;
      }
    }
    body.shrink_to_fit();
    RequestFacts facts;
    if (classifier.classify(static_cast<Api>(round % 4), body, facts)) continue;
    ++accepted;
    ASSERT_FALSE(facts.model.empty());
    ASSERT_LE(facts.model_value.offset + facts.model_value.length, body.size());
    ASSERT_EQ(body[facts.model_value.offset], '"');
    ASSERT_EQ(body[facts.model_value.offset + facts.model_value.length - 1], '"') << body;
    ASSERT_LE(facts.prompt.offset + facts.prompt.length, body.size());
    // What is sent upstream after a rewrite must read as the target's and be as sound as what came.
    BodyEdits edits;
    edit_model(facts, "new/\"name", edits);
    edit_usage(facts, edits);
    std::string edited = edits.apply(body);
    ASSERT_EQ(edited.size(), edits.size(body));
    RequestFacts again;
    ASSERT_FALSE(classifier.classify(facts.api, edited, again)) << body << "\n" << edited;
    ASSERT_EQ(again.model, "new/\"name");
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace sluice
