#include "host/traces/generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/unit/traces/traces.h"

namespace sluice::traces {
namespace {

using testing::ElementsAre;

const std::string kSizes = "prompt_tokens = 10\noutput_tokens = 10\n";

std::string load(const std::string& keys) { return "[[load]]\n" + keys + "\n" + kSizes; }

std::vector<Taken> made(const std::string& text, const TraceOptions& options = {}) {
  const Drained got = drained(text, options, "t.toml");
  EXPECT_EQ(got.error, "");
  return got.rows;
}

// Mean and coefficient of variation of the gaps.
std::pair<double, double> gaps(const std::vector<Taken>& rows) {
  double sum = 0, squares = 0;
  for (size_t i = 1; i < rows.size(); ++i) {
    const double gap = rows[i].at_s - rows[i - 1].at_s;
    sum += gap;
    squares += gap * gap;
  }
  const auto n = static_cast<double>(rows.size() - 1);
  return {sum / n, std::sqrt(squares / n - sum / n * sum / n) / (sum / n)};
}

size_t between(const std::vector<Taken>& rows, double from, double to) {
  return static_cast<size_t>(std::count_if(
      rows.begin(), rows.end(), [&](auto& row) { return row.at_s >= from && row.at_s < to; }));
}

TEST(Generator, UniformOnesComeEvenly) {
  EXPECT_THAT(times(made("duration = \"2s\"\n" + load("kind = \"uniform\"\nrate = 2"))),
              ElementsAre(0, 0.5, 1, 1.5));
  const auto rows = made("duration = \"600s\"\n" + load("kind = \"uniform\"\nrate = 3"));
  ASSERT_EQ(rows.size(), 1800u);
  EXPECT_EQ(rows[1].at, 333'333'333u);
  EXPECT_EQ(rows[1799].at, 599'666'666'667u);
}

TEST(Generator, PoissonHasItsRateAndVariation) {
  const auto rows = made("duration = \"10000s\"\n" + load("kind = \"poisson\"\nrate = 10"));
  EXPECT_NEAR(static_cast<double>(rows.size()), 100'000, 1000);
  EXPECT_NEAR(gaps(rows).second, 1, 0.02);
}

TEST(Generator, GammaHasItsRateAndVariation) {
  for (const double cv : {0.5, 3.0}) {
    const auto rows = made("duration = \"20000s\"\n" +
                           load("kind = \"gamma\"\nrate = 10\ncv = " + std::to_string(cv)));
    EXPECT_NEAR(gaps(rows).first, 0.1, 0.003) << cv;
    EXPECT_NEAR(gaps(rows).second, cv, 0.03 * cv) << cv;
  }
}

TEST(Generator, OnOffIsSilentWhileOff) {
  const auto rows = made("duration = \"1000s\"\n" +
                         load("kind = \"on-off\"\nrate = 50\non = \"2s\"\noff = \"8s\""));
  EXPECT_NEAR(static_cast<double>(rows.size()), 10'000, 300);
  for (const Taken& row : rows) EXPECT_LT(std::fmod(row.at_s, 10), 2 + 1e-6);
  EXPECT_GT(between(rows, 990, 992), 60u);  // the last time too
}

TEST(Generator, ARampGoesOnALine) {
  const auto rows =
      made("duration = \"1000s\"\n" + load("kind = \"poisson\"\nrate = 0\nrate_end = 40"));
  EXPECT_NEAR(static_cast<double>(rows.size()), 20'000, 400);
  EXPECT_NEAR(static_cast<double>(between(rows, 0, 500)), 5'000, 250);
  EXPECT_NEAR(static_cast<double>(between(rows, 900, 1000)), 3'800, 200);
  const auto down =
      made("duration = \"10s\"\n" + load("kind = \"uniform\"\nrate = 4\nrate_end = 0"));
  ASSERT_EQ(down.size(), 20u);
  EXPECT_NEAR(down[15].at_s, 5, 1e-9);  // three quarters of all in the first half
}

TEST(Generator, LoadsKeepToTheirTimes) {
  const std::string text = "duration = \"10s\"\n" +
                           load("kind = \"uniform\"\nrate = 1\nflow = \"a\"\nfrom = \"8s\"") +
                           load("kind = \"uniform\"\nrate = 1\nflow = \"b\"\nto = \"2s\"") +
                           load(
                               "kind = \"uniform\"\nrate = 1\nflow = \"c\"\nfrom = \"8s\"\n"
                               "duration = \"4s\"");
  const auto rows = made(text);
  EXPECT_EQ(flows(rows), "b,b,a,c,a,c,c,c");  // at one time in the order of the tables
  EXPECT_THAT(times(rows), ElementsAre(0, 1, 8, 8, 9, 9, 10, 11));
  TraceOptions options;
  options.duration = 9'000'000'000;
  EXPECT_EQ(flows(made(text, options)), "b,b,a,c");
}

TEST(Generator, AShorterReplayLeavesARampAsItWas) {
  const std::string text =
      "duration = \"100s\"\n" + load("kind = \"poisson\"\nrate = 1\nrate_end = 100");
  TraceOptions options;
  options.duration = 10'000'000'000;
  const auto all = made(text), part = made(text, options);
  ASSERT_GT(part.size(), 10u);
  ASSERT_EQ(part.size(), between(all, 0, 10));
  for (size_t i = 0; i < part.size(); ++i) EXPECT_EQ(part[i], all[i]);
}

TEST(Generator, DrawsTokensAsAsked) {
  const auto rows = made(
      "duration = \"1000s\"\n[[load]]\nkind = \"uniform\"\nrate = 100\n"
      "prompt_tokens = { mean = 500, cv = 1.5 }\noutput_tokens = { min = 3, max = 6 }\n");
  double sum = 0, squares = 0;
  std::map<uint32_t, int> outputs;
  for (const Taken& row : rows) {
    sum += row.prompt_tokens;
    squares += static_cast<double>(row.prompt_tokens) * row.prompt_tokens;
    ++outputs[row.output_tokens];
  }
  const auto n = static_cast<double>(rows.size());
  EXPECT_NEAR(sum / n, 500, 10);
  EXPECT_NEAR(std::sqrt(squares / n - sum / n * sum / n) / (sum / n), 1.5, 0.1);
  ASSERT_EQ(outputs.size(), 4u);
  for (const auto& [tokens, times] : outputs) EXPECT_NEAR(times / n, 0.25, 0.01) << tokens;
}

TEST(Generator, ASeedIsOneTraceAndAnotherSeedAnother) {
  const std::string text = "duration = \"100s\"\n" + load("kind = \"poisson\"\nrate = 10");
  TraceOptions one, two;
  two.seed = 2;
  EXPECT_EQ(made(text, one), made(text, one));
  EXPECT_NE(times(made(text, one)), times(made(text, two)));
}

TEST(Generator, AChangeToOneLoadLeavesTheOthers) {
  const auto text = [](const std::string& rate) {
    return "duration = \"50s\"\n[[load]]\nkind = \"poisson\"\nflow = \"a\"\nrate = " + rate +
           "\nprompt_tokens = { mean = 99, cv = 2 }\noutput_tokens = 1\n" +
           load("kind = \"gamma\"\ncv = 2\nflow = \"b\"\nrate = 5");
  };
  std::map<std::string, std::vector<Taken>> before, after;
  for (const Taken& row : made(text("5"))) before[row.flow].push_back(row);
  for (const Taken& row : made(text("9"))) after[row.flow].push_back(row);
  EXPECT_EQ(times(before["b"]), times(after["b"]));
  ASSERT_GT(after["a"].size(), before["a"].size());
  for (size_t i = 0; i < before["a"].size(); ++i) {
    EXPECT_EQ(before["a"][i].prompt_tokens, after["a"][i].prompt_tokens);
  }
}

TEST(Generator, PromptsOfAGroupShareTheirPrefix) {
  const auto rows = made(
      "duration = \"4s\"\n[[load]]\nkind = \"uniform\"\nrate = 1\nprefix_group = \"g\"\n"
      "prefix_tokens = 256\nprompt_tokens = { min = 100, max = 1000 }\noutput_tokens = 1\n" +
      load("kind = \"uniform\"\nrate = 1\nprefix_group = \"g\"") +
      load("kind = \"uniform\"\nrate = 1"));
  for (const Taken& row : rows) {
    EXPECT_EQ(row.blocks.size(),
              row.prompt_tokens == 10 ? 0 : std::min(row.prompt_tokens / 64, 4U));
    if (!row.blocks.empty()) {
      EXPECT_EQ(row.blocks[0], rows[0].blocks[0]);
    }
  }
}

TEST(ClosedLoop, AClientSendsAgainWhenItsRequestIsOverAndItHasThought) {
  auto source =
      open_text("duration = \"20s\"\n" + load("kind = \"closed\"\nclients = 2\nthink = \"4s\""), {},
                "t.toml");
  ASSERT_TRUE(source.ok()) << source.error();
  Source& loop = **source;
  EXPECT_EQ(loop.take().client, 0u);
  ASSERT_EQ(loop.next_at(), 2'000'000'000u);  // spread over one time of thinking
  EXPECT_EQ(loop.take().client, 1u);
  EXPECT_EQ(loop.next_at(), kNever);  // both wait
  loop.ended(1, 5'000'000'000);
  EXPECT_EQ(loop.next_at(), 9'000'000'000u);
  loop.ended(1, 5'000'000'000);  // it has no request
  loop.ended(7, 5'000'000'000);  // there is no such client
  loop.ended(0, 6'000'000'000);
  EXPECT_EQ(loop.take().client, 1u);
  EXPECT_EQ(loop.next_at(), 10'000'000'000u);
  EXPECT_EQ(loop.take().client, 0u);
  loop.ended(0, 16'000'000'000);  // would send at 20 s, when it is over
  EXPECT_EQ(loop.next_at(), kNever);
}

TEST(ClosedLoop, AClientWhoIsRefusedAtOnceDoesNotStopTheClock) {
  auto source =
      open_text("duration = \"1s\"\n" + load("kind = \"closed\"\nclients = 1"), {}, "t.toml");
  ASSERT_TRUE(source.ok()) << source.error();
  size_t sent = 0;
  while ((*source)->next_at() != kNever) {
    const TimeNs at = (*source)->take().at;
    (*source)->ended(0, at);
    ASSERT_LE(++sent, 1000u);
  }
  EXPECT_EQ(sent, 1000u);
}

TEST(ClosedLoop, ClientsOfSeveralLoadsAreToldApart) {
  auto source =
      open_text("duration = \"10s\"\n" + load("kind = \"closed\"\nclients = 2\nflow = \"a\"") +
                    load("kind = \"uniform\"\nrate = 0.1\nflow = \"open\"") +
                    load("kind = \"closed\"\nclients = 2\nflow = \"b\""),
                {}, "t.toml");
  ASSERT_TRUE(source.ok()) << source.error();
  const auto rows = drain(**source);
  ASSERT_EQ(flows(rows), "a,a,open,b,b");
  EXPECT_EQ(rows[1].client, 1u);
  EXPECT_EQ(rows[2].client, kNone);
  EXPECT_EQ(rows[4].client, 3u);
  (*source)->ended(3, 1'000'000'000);
  ASSERT_EQ((*source)->next_at(), 1'000'000'000u);
  EXPECT_EQ((*source)->take().flow, "b");
}

TEST(ClosedLoop, ThinksFasterInAFasterReplay) {
  TraceOptions options;
  options.time_scale = 2;
  auto source =
      open_text("duration = \"100s\"\n" + load("kind = \"closed\"\nclients = 1\nthink = \"4s\""),
                options, "t.toml");
  ASSERT_TRUE(source.ok()) << source.error();
  (*source)->take();
  (*source)->ended(0, 3'000'000'000);
  EXPECT_EQ((*source)->next_at(), 5'000'000'000u);
}

}  // namespace
}  // namespace sluice::traces
