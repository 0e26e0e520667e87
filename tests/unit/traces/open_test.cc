#include "host/traces/open.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <filesystem>
#include <fstream>

#include "host/traces/azure.h"
#include "host/traces/native.h"
#include "tests/unit/traces/traces.h"

namespace sluice::traces {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(OpenTrace, NamesTheFormatsWhereItKnowsNone) {
  for (const std::string& text :
       {std::string("time,in,out\n1,2,3\n"), std::string(kNativeHeader) + ",color\n",
        std::string("arrival_s,flow\n"), std::string("\n"), std::string("\0\1\2", 3)}) {
    EXPECT_THAT(
        drained(text).error,
        AllOf(HasSubstr("t.csv:1: error: "), HasSubstr("arrival_s,flow,objective,model,"),
              HasSubstr(std::string(kAzureHeader)), HasSubstr("input_length"), HasSubstr(".toml")))
        << text;
  }
}

TEST(OpenTrace, SaysThatThereIsNothing) {
  EXPECT_EQ(drained("").error, "t.csv: error: the file is empty");
  EXPECT_EQ(drained(std::string(kNativeHeader)).error, "t.csv: error: there are no rows");
  EXPECT_EQ(drained(std::string(kAzureHeader) + "\n").error, "t.csv: error: there are no rows");
  EXPECT_THAT(drained(std::string(300'000, 'x')).error,
              HasSubstr("t.csv:1: error: this line is too long"));
}

TEST(OpenTrace, SaysThatAFileCannotBeRead) {
  EXPECT_EQ(open_trace("/no/such.csv", {}).error(),
            "/no/such.csv: error: the file cannot be read: No such file or directory");
  EXPECT_THAT(open_trace("/", {}).error(), HasSubstr("this is a directory"));
}

// Texts made of what traces are made of, so that many get past the first line.
rc::Gen<std::string> trace_like() {
  const auto piece = rc::gen::oneOf(
      rc::gen::element<std::string>(
          std::string(kNativeHeader), std::string(kAzureHeader), ",prefix_group", "\n", "\r\n", ",",
          "\"", "\"\"", "{", "}", "[", "]", ":", "1", "0.5", "-1", "1e9", "nan",
          "2023-11-16 18:15:46.6805900,374,44\n", "1,a,b,c,10,10\n", "1,a,b,c,1000,10,g\n",
          "{\"timestamp\": 5, \"input_length\": 900, \"output_length\": 5, \"hash_ids\": [1, 2]}\n",
          "\"timestamp\"", "\xef\xbb\xbf", "[[load]]\n", "kind = \"poisson\"\n", "rate = 3\n",
          "kind = \"closed\"\nclients = 3\n", "duration = \"3s\"\n", "prompt_tokens = 3\n",
          "output_tokens = { mean = 3, cv = 1 }\n"),
      rc::gen::arbitrary<std::string>());
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(piece),
                      [](const std::vector<std::string>& pieces) {
                        std::string out;
                        for (const std::string& p : pieces) out += p;
                        return out;
                      });
}

TEST(OpenTrace, NoBytesBreakIt) {
  const bool held = rc::check("any bytes are a trace or an error", [] {
    const std::string begin = *rc::gen::element<std::string>(
        "", std::string(kNativeHeader) + "\n", std::string(kAzureHeader) + "\n", "{",
        "duration = \"2s\"\n[[load]]\nprompt_tokens = 9\noutput_tokens = 9\n");
    const std::string text = begin + *trace_like();
    TraceOptions options;
    options.repeat = *rc::gen::inRange(1, 4);
    options.time_scale = *rc::gen::element(0.5, 1.0, 1e-6, 1e6);
    options.start = *rc::gen::element<TimeNs>(0, 1, 1'000'000'000);
    options.tenants = TenantMix{1, 3};
    const std::string name = *rc::gen::element<std::string>("t.csv", "t.toml");
    if (name == "t.toml") options.start = 0, options.repeat = 1;
    auto source = open_text(text, options, name);
    if (!source) {
      RC_ASSERT(!source.error().empty());
      return;
    }
    TimeNs before = 0;
    for (size_t i = 0; i < 10'000; ++i) {
      const TimeNs at = (*source)->next_at();
      if (at == kNever) break;
      RC_ASSERT(at >= before);
      before = at;
      const Arrival arrival = (*source)->take();
      RC_ASSERT(arrival.at == at);
      RC_ASSERT(arrival.prompt_tokens >= 1U && arrival.output_tokens >= 1U);
      if (arrival.client != kNone) (*source)->ended(arrival.client, at);
    }
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace sluice::traces
