#include "host/traces/loads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "tests/unit/traces/traces.h"

namespace sluice::traces {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string kSource = SLUICE_SOURCE_DIR;

std::string error(const std::string& text) { return drained(text, {}, "t.toml").error; }

// A load that is right but for KEYS.
std::string with(const std::string& keys, const std::string& kind = "poisson") {
  return "duration = \"10s\"\n[[load]]\nprompt_tokens = 1\noutput_tokens = 1\nkind = \"" + kind +
         "\"\n" + keys + "\n";
}

std::vector<Taken> shipped(const std::string& file) {
  auto source = open_trace(kSource + "/conf/loads/" + file, {});
  EXPECT_TRUE(source.ok()) << source.error();
  return source ? drain(**source) : std::vector<Taken>{};
}

TEST(Loads, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(error(with("rate = 1\ncolor = 2")),
              AllOf(HasSubstr("t.toml:7:1: error: unknown key \"color\" in [[load]]"),
                    HasSubstr("color = 2"), HasSubstr("known here:")));
  const std::map<std::string, std::string> wrong = {
      {"", "there are no loads"},
      {"duration = \"1s\"\nload = 3", "load wants an array of tables"},
      {"duration = 5\n[[load]]\n", "duration wants a duration"},
      {"duration = \"0s\"\n[[load]]\n", "it must be longer than 0"},
      {"size = 1", "unknown key \"size\""},
      {"[[load", "error"},
      {"[[load]]\n", "[[load]] lacks \"kind\""},
      {with("", "posson"), "did you mean \"poisson\"?"},
      {with(""), "[[load]] lacks \"rate\""},
      {with("rate = -1"), "load.rate wants a number from 0 to 1000000, found the number -1"},
      {with("rate = nan"), "load.rate wants a number"},
      {with("rate = 0"), "a load of rate 0 sends nothing"},
      {with("rate = 1\ncv = 2"), "load.cv means nothing for a load of this kind"},
      {with("rate = 1\nclients = 2"), "it belongs to kind = \"closed\""},
      {with("rate = 1", "gamma"), "[[load]] lacks \"cv\""},
      {with("rate = 1\ncv = 0", "gamma"), "load.cv wants a number from 0.01 to 20"},
      {with("rate = 1\non = \"1s\"", "on-off"), "[[load]] lacks \"off\""},
      {with("rate = 1\non = \"0s\"\noff = \"1s\"", "on-off"), "it must be on for longer than 0"},
      {with("clients = 0", "closed"), "load.clients wants a whole number from 1 to 100000"},
      {with("", "closed"), "[[load]] lacks \"clients\""},
      {with("clients = 1\nrate = 2", "closed"), "load.rate means nothing"},
      {with("rate = 1\nfrom = \"10s\""), "this load ends before it begins"},
      {with("rate = 1\nto = \"1s\"\nduration = \"1s\""), "either \"to\" or \"duration\""},
      {with("rate = 1\nfrom = \"87600h\"\nduration = \"1s\""), "within 87600h"},
      {with("rate = 1\nprefix_tokens = 64"), "these tokens are shared with nobody"},
      {with("rate = 1\nflow = \"a\\tb\""), "is no name"},
      {"[[load]]\nkind = \"poisson\"\nrate = 1\nprompt_tokens = 1\noutput_tokens = 1\n",
       "[[load]] lacks \"duration\""},
      {"duration = \"1s\"\n[[load]]\nkind = \"poisson\"\nrate = 1\noutput_tokens = { mean = 1 }\n",
       "[load.output_tokens] lacks \"cv\""},
      {"duration = \"1s\"\n[[load]]\nkind = \"poisson\"\nrate = 1\noutput_tokens = 0\n",
       "load.output_tokens wants a whole number from 1 to 1000000"},
      {"duration = \"1s\"\n[[load]]\nkind = \"poisson\"\nrate = 1\n"
       "output_tokens = { min = 5, max = 4 }\n",
       "min is above max"},
      {"duration = \"1s\"\n[[load]]\nkind = \"poisson\"\nrate = 1\n"
       "output_tokens = { min = 5, max = 6, mean = 5 }\n",
       "unknown key \"mean\""},
      {with("clients = 60000", "closed") +
           "[[load]]\nkind = \"closed\"\nclients = 60000\nprompt_tokens = 1\noutput_tokens = 1\n",
       "more than 100000 clients in this file"},
  };
  for (const auto& [text, what] : wrong) {
    EXPECT_THAT(error(text), AllOf(HasSubstr("t.toml:"), HasSubstr(": error: "), HasSubstr(what)))
        << text;
    EXPECT_FALSE(error(text).ends_with('\n')) << text;
  }
}

TEST(Loads, AreNeitherBegunLaterNorRepeated) {
  TraceOptions later, twice;
  later.start = 1;
  twice.repeat = 2;
  for (const TraceOptions& options : {later, twice}) {
    EXPECT_THAT(drained(with("rate = 1"), options, "t.toml").error,
                HasSubstr("loads are neither begun later nor repeated"));
  }
}

TEST(ShippedLoads, OverloadIsThatOfThePaper) {
  std::map<std::string, std::vector<Taken>> flows;
  for (const Taken& row : shipped("overload.toml")) {
    flows[row.flow].push_back(row);
    EXPECT_EQ(row.prompt_tokens, 256u);
    EXPECT_EQ(row.output_tokens, 256u);
  }
  ASSERT_EQ(flows.size(), 2u);
  EXPECT_EQ(flows["a"].size(), 900u);
  EXPECT_EQ(flows["b"].size(), 1800u);
  EXPECT_EQ(flows["b"][0].at, 0u);
  EXPECT_EQ(flows["a"][3].at, 2'000'000'000u);
}

TEST(ShippedLoads, BurstHasAPoliteTenantAndABurstingOne) {
  std::map<std::string, std::map<int, int>> by_second;
  std::map<std::string, int> most;
  for (const Taken& row : shipped("burst.toml")) {
    const int count = ++by_second[row.flow][static_cast<int>(row.at_s)];
    most[row.flow] = std::max(most[row.flow], count);
  }
  EXPECT_LT(most["polite"], 16);
  EXPECT_GT(most["bursting"], 40);
}

TEST(TracesPage, ItsExampleIsRight) {
  std::ifstream page(kSource + "/docs/traces.md");
  const std::string text((std::istreambuf_iterator<char>(page)), {});
  const size_t begin = text.find("```toml\n");
  ASSERT_NE(begin, text.npos);
  const size_t end = text.find("```", begin + 8);
  auto source = open_text(text.substr(begin + 8, end - begin - 8), {}, "traces.toml");
  ASSERT_TRUE(source.ok()) << source.error();
  std::map<std::string, size_t> flows;
  for (const Taken& row : drain(**source)) ++flows[row.flow];
  EXPECT_NEAR(static_cast<double>(flows["chat"]), 7500, 400);
  EXPECT_NEAR(static_cast<double>(flows["batch"]), 3840, 600);
  EXPECT_NEAR(static_cast<double>(flows["cron"]), 1500, 200);
  EXPECT_EQ(flows["agents"], 10u);  // each waits for its answer
}

TEST(TracesPage, ItsTraceIsRight) {
  std::ifstream page(kSource + "/docs/traces.md");
  const std::string text((std::istreambuf_iterator<char>(page)), {});
  const size_t begin = text.find("```\narrival_s");
  ASSERT_NE(begin, text.npos);
  const size_t end = text.find("```", begin + 4);
  const Drained got = drained(text.substr(begin + 4, end - begin - 4));
  EXPECT_EQ(got.error, "");
  ASSERT_EQ(got.rows.size(), 2u);
  EXPECT_EQ(got.rows[1].flow, "Smith, Inc.");
}

}  // namespace
}  // namespace sluice::traces
