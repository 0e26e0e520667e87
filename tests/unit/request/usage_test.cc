#include "host/request/usage.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice {
namespace {

struct Read {
  std::string out;
  TokenUsage usage;
  uint32_t events = 0;
};

// Feeds TEXT in pieces whose sizes CUT chooses.
template <typename Cut>
Read read(const UsageReader::Options& options, std::string_view text, Cut cut) {
  UsageReader reader(options);
  Read r;
  while (!text.empty()) {
    const size_t n = std::min<size_t>(cut(), text.size());
    reader.feed(text.substr(0, n), r.out);
    text.remove_prefix(n);
  }
  reader.finish(r.out);
  r.usage = reader.usage();
  r.events = reader.data_events();
  return r;
}

// The whole text at once, byte by byte and in random pieces must come to the same.
Read read(const UsageReader::Options& options, std::string_view text) {
  const Read whole = read(options, text, [] { return SIZE_MAX; });
  std::mt19937 random(11);
  for (int i = 0; i < 40; ++i) {
    const Read cut = read(options, text, [&] { return i == 0 ? 1 : 1 + random() % 23; });
    EXPECT_EQ(cut.out, whole.out);
    EXPECT_EQ(cut.events, whole.events);
    EXPECT_EQ(cut.usage.seen, whole.usage.seen);
    EXPECT_EQ(cut.usage.prompt, whole.usage.prompt);
    EXPECT_EQ(cut.usage.cached, whole.usage.cached);
    EXPECT_EQ(cut.usage.output, whole.usage.output);
  }
  return whole;
}

const UsageReader::Options kJson{};
const UsageReader::Options kSse{
    .sse = true, .incoming = {}, .target = {}, .drop_usage_event = false};

TEST(Usage, IsReadFromJson) {
  const std::string text =
      R"({"id":"x","object":"chat.completion","model":"m","choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":9}",)"
      R"("usage":{"prompt_tokens":8}}}],"usage":{"prompt_tokens":12,"total_tokens":20, "completion_tokens" : 8 ,)"
      R"("prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"cached_tokens":99}}})";
  const Read r = read(kJson, text);
  EXPECT_EQ(r.out, text);
  EXPECT_TRUE(r.usage.seen);
  EXPECT_EQ(r.usage.prompt, 12u);
  EXPECT_EQ(r.usage.output, 8u);
  EXPECT_EQ(r.usage.cached, 4u);
}

TEST(Usage, OfTheResponsesApi) {
  const Read r = read(
      kJson,
      R"({"usage":{"input_tokens":5,"input_tokens_details":{"cached_tokens":2},"output_tokens":7}})");
  EXPECT_EQ(r.usage.prompt, 5u);
  EXPECT_EQ(r.usage.cached, 2u);
  EXPECT_EQ(r.usage.output, 7u);
}

TEST(Usage, OfAResponsesStream) {
  const Read r =
      read(kSse,
           "event: response.created\ndata: "
           "{\"type\":\"response.created\",\"response\":{\"model\":\"m\",\"usage\":null}}\n\n"
           "event: response.completed\ndata: "
           "{\"type\":\"x\",\"response\":{\"usage\":{\"input_tokens\":3,"
           "\"input_tokens_details\":{\"cached_tokens\":1},\"output_tokens\":6}}}\n\n");
  EXPECT_EQ(r.usage.prompt, 3u);
  EXPECT_EQ(r.usage.cached, 1u);
  EXPECT_EQ(r.usage.output, 6u);
}

TEST(Usage, OfAResponsesStreamOnlyDeltasAreOutput) {
  UsageReader::Options options = kSse;
  options.only_deltas = true;
  const Read r = read(options,
                      "data: {\"type\":\"response.created\",\"response\":{}}\n\n"
                      "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n"
                      "data: {\"item\":{\"type\":\"x.delta\"},\"type\":\"response.item.done\"}\n\n"
                      "data: {\"delta\":\"b\",\"type\":\"response.output_text.delta\"}\n\n"
                      "data: {\"type\":\"delta\"}\n\n");
  EXPECT_EQ(r.events, 2u);
}

TEST(Usage, OfAChatStream) {
  const std::string text =
      ": hello\r\n\r\n"
      "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\r\n\r\n"
      "data:{\"choices\":[{\"delta\":{\"content\":\"b\\n\\ndata: x\"}}],\"usage\":null}\r\n\r\n"
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2}}\r\n\r\n"
      "data: [DONE]\r\n\r\n";
  const Read r = read(kSse, text);
  EXPECT_EQ(r.out, text);
  EXPECT_EQ(r.events, 2u);
  EXPECT_EQ(r.usage.prompt, 10u);
  EXPECT_EQ(r.usage.output, 2u);
}

TEST(Usage, TheLastReportCounts) {
  const Read r = read(kSse,
                      "data: {\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1}}\n\n"
                      "data: {\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2}}\n\n");
  EXPECT_EQ(r.usage.output, 2u);
}

TEST(Usage, AnEventMayHaveSeveralLines) {
  const Read r = read(
      kSse, "data: {\"usage\":\ndata: {\"prompt_tokens\":10,\ndata: \"completion_tokens\":3}}\n\n");
  EXPECT_EQ(r.usage.output, 3u);
  EXPECT_EQ(r.events, 1u);
}

TEST(Usage, OddNumbersDoNotCount) {
  for (const char* text :
       {R"({"usage":{"completion_tokens":-3}})", R"({"usage":{"completion_tokens":1.5}})",
        R"({"usage":{"completion_tokens":"4"}})", R"({"usage":{"completion_tokens":[4]}})",
        R"({"usage":{"completion_tokens":1e3}})", R"({"usage":[{"completion_tokens":4}]})",
        R"({"x":{"usage":{"completion_tokens":4}}})", R"([{"usage":{"completion_tokens":4}}])",
        R"({"usage":{"completion_tokens":{"completion_tokens":4}}})",
        R"({"usage":"completion_tokens","completion_tokens":4})"}) {
    const Read r = read(kJson, text);
    EXPECT_FALSE(r.usage.seen) << text;
  }
  EXPECT_EQ(read(kJson, R"({"usage":{"completion_tokens":99999999999999999999999}})").usage.output,
            UINT32_MAX);
}

UsageReader::Options renamed(bool sse) { return {sse, "friendly \"name\"", "org/model-v1", false}; }

TEST(Rename, InJson) {
  EXPECT_EQ(
      read(renamed(false), R"({"model" : "org/model-v1","choices":[{"model":"org/model-v1"}]})")
          .out,
      R"({"model" : "friendly \"name\"","choices":[{"model":"org/model-v1"}]})");
  // The same name, spelt otherwise.
  EXPECT_EQ(read(renamed(false), R"({"model":"org\/model-v\u0031"})").out,
            R"({"model":"friendly \"name\""})");
}

TEST(Rename, OtherNamesStay) {
  for (
      const char* text :
      {R"({"model":"org/model-v"})", R"({"model":"org/model-v10"})", R"({"model":""})",
       R"({"model":null})", R"({"model":["org/model-v1"]})", R"({"x":"model","y":"org/model-v1"})",
       R"({"model":"org/model-v1)", R"({"model":{"model":"org/model-v1"}})",
       R"({"model":"org\qmodel-v1"})",
       R"({"model":"a very long name, much longer than any spelling of the target's name could ever be, so that nothing is held back"})"}) {
    EXPECT_EQ(read(renamed(false), text).out, text);
  }
}

TEST(Rename, InEveryEvent) {
  EXPECT_EQ(
      read(renamed(true),
           "data: {\"model\":\"org/model-v1\",\"choices\":[]}\n\n"
           "data: {\"type\":\"t\",\"response\":{\"model\":\"org/model-v1\"}}\n\ndata: [DONE]\n\n")
          .out,
      "data: {\"model\":\"friendly \\\"name\\\"\",\"choices\":[]}\n\n"
      "data: {\"type\":\"t\",\"response\":{\"model\":\"friendly \\\"name\\\"\"}}\n\ndata: "
      "[DONE]\n\n");
}

TEST(Drop, OnlyTheEventThatWasNotAskedFor) {
  UsageReader::Options options{
      .sse = true, .incoming = "m", .target = "m", .drop_usage_event = true};
  const std::string before = "data: {\"choices\":[{\"delta\":{}}],\"usage\":null}\n\n";
  const std::string usage =
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
  const std::string after = "data: [DONE]\n\n";
  Read r = read(options, before + usage + after);
  EXPECT_EQ(r.out, before + after);
  EXPECT_EQ(r.usage.output, 2u);
  EXPECT_EQ(r.events, 1u);
  // Usage beside output, or empty choices without usage, are answers.
  const std::string both =
      "data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
  const std::string none = "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
  EXPECT_EQ(read(options, both + none).out, both + none);
  // An answer that is cut off keeps what came of it.
  EXPECT_EQ(read(options, before + "data: {\"choi").out, before + "data: {\"choi");
}

TEST(Drop, HugeEventsAreNotHeldBack) {
  UsageReader::Options options{
      .sse = true, .incoming = "m", .target = "m", .drop_usage_event = true};
  UsageReader reader(options);
  std::string out;
  reader.feed("data: {\"choices\":[{\"x\":\"" + std::string(kEventHeldMax, 'x'), out);
  EXPECT_GE(out.size(), kEventHeldMax);
  reader.feed(
      "\"}]}\n\ndata: "
      "{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: "
      "[DONE]\n\n",
      out);
  reader.finish(out);
  EXPECT_TRUE(out.ends_with("\"}]}\n\ndata: [DONE]\n\n"));
}

// Random bytes made of what matters to the reader: any cutting gives the same, and without a name
// to replace nothing changes.
TEST(Usage, AnyBytesInAnyPieces) {
  constexpr std::string_view kPieces[] = {"{",
                                          "}",
                                          "[",
                                          "]",
                                          "\"",
                                          "\\",
                                          ",",
                                          ":",
                                          "\"model\":",
                                          "\"usage\":",
                                          "\"t\"",
                                          "\"choices\":[]",
                                          "\"completion_tokens\":7",
                                          "data:",
                                          "\n",
                                          "\n\n",
                                          "\r\n",
                                          " ",
                                          "{\"model\":\"t\"",
                                          "\"response\":{",
                                          "1",
                                          "x",
                                          "\"prompt_tokens_details\":{",
                                          "\xff"};
  std::mt19937 random(5);
  for (int round = 0; round < 1500; ++round) {
    std::string text;
    for (uint32_t n = random() % 60; n > 0; --n) text += kPieces[random() % std::size(kPieces)];
    const bool sse = round % 2 == 0;
    read({.sse = sse, .incoming = "incoming", .target = "t", .drop_usage_event = round % 3 == 0},
         text);
    EXPECT_EQ(
        read({.sse = sse, .incoming = "t", .target = "t", .drop_usage_event = false}, text).out,
        text);
    // A name that never occurs: the renaming path must not change a byte either.
    EXPECT_EQ(
        read({.sse = sse, .incoming = "i", .target = "never", .drop_usage_event = false}, text).out,
        text);
  }
}

}  // namespace
}  // namespace sluice
