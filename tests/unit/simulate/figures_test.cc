#include "host/simulate/figures.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "host/simulate/verdict.h"
#include "tests/unit/simulate/sample_run.h"

namespace sluice::simulate {
namespace {

Figure latency(std::vector<std::optional<double>> values) {
  return {
      .unit = Unit::kSeconds, .better = Better::kLess, .floor = 0.001, .values = std::move(values)};
}

TEST(Figures, OnlyWhatIsBeyondToleranceAndFloorCounts) {
  EXPECT_EQ(standing(latency({1.0, 1.04}), 1), Standing::kSame);
  EXPECT_EQ(standing(latency({1.0, 1.06}), 1), Standing::kWorse);
  EXPECT_EQ(standing(latency({1.0, 0.94}), 1), Standing::kBetter);
  EXPECT_EQ(standing(latency({0.0001, 0.0009}), 1), Standing::kSame);
  EXPECT_EQ(standing(latency({0.0, 0.5}), 1), Standing::kWorse);
  EXPECT_EQ(standing(latency({1.0, std::nullopt}), 1), Standing::kUnknown);

  Figure throughput{.better = Better::kMore, .tolerance = 0.01, .values = {1000.0, 985.0}};
  EXPECT_EQ(standing(throughput, 1), Standing::kWorse);
  throughput.values[1] = 995.0;
  EXPECT_EQ(standing(throughput, 1), Standing::kSame);
  throughput.values[1] = 1015.0;
  EXPECT_EQ(standing(throughput, 1), Standing::kBetter);
}

TEST(Figures, RatiosOfNothing) {
  EXPECT_EQ(ratio(latency({0.0, 0.0}), 1), 1.0);
  EXPECT_EQ(ratio(latency({0.0, 1.0}), 1), std::nullopt);
  EXPECT_EQ(ratio(latency({2.0, 1.0}), 1), 0.5);
  EXPECT_EQ(ratio(latency({2.0, std::nullopt}), 1), std::nullopt);
}

TEST(Figures, ARowHasOneUnit) {
  using Cells = std::vector<std::string>;
  EXPECT_EQ(cells(latency({0.0123, 0.5})), (Cells{"12 ms", "500 ms"}));
  EXPECT_EQ(cells(latency({0.0123, 1.5})), (Cells{"0.01 s", "1.50 s"}));
  EXPECT_EQ(cells(latency({0.0123, std::nullopt})), (Cells{"12.3 ms", "-"}));
  EXPECT_EQ(cells(latency({1234.0, 0.0})), (Cells{"1,234 s", "0 s"}));
  EXPECT_EQ(with_unit(Unit::kTokensPerSecond, 8120.4), "8,120 tokens/s");
  EXPECT_EQ(with_unit(Unit::kShare, 0.9514), "95.1 %");
  EXPECT_EQ(grouped(-1234567), "-1,234,567");
  EXPECT_EQ(grouped(999), "999");
}

// The bands of a later run that the first does not have stand at the end, with a gap for the first.
TEST(Figures, BandsAreMatchedByName) {
  std::vector<RunResult> runs = {sample_run("a", 10), sample_run("b", 10)};
  runs[1].bands[0].name = "urgent";
  std::vector<std::string> bands;
  for (const Figure& figure : figures_of(runs)) {
    if (figure.key != "wait_p99_s") continue;
    bands.push_back(figure.band);
    EXPECT_EQ(figure.values[0].has_value(), figure.band != "urgent");
    EXPECT_EQ(figure.values[1].has_value(), figure.band != "critical");
  }
  EXPECT_EQ(bands, (std::vector<std::string>{"critical", "default", "urgent"}));
}

TEST(Verdict, ALaterRunThatIsWorseIsSaidToBe) {
  std::vector<RunResult> runs = {sample_run("a", 100), sample_run("b", 300)};
  runs[1].tokens_per_s *= 0.996;
  const Verdict found = verdict(figures_of(runs), 1);
  EXPECT_EQ(found.word, Verdict::Word::kWorse);
  EXPECT_EQ(against(found, "a"), "WORSE than a for critical");
  ASSERT_GE(found.worse.size(), 2U);
  EXPECT_EQ(found.worse[0], "critical p99 TTFT 2.0 times worse (200 ms to 400 ms)");
  EXPECT_EQ(found.worse[1], "critical p99 wait 3.0 times worse (100 ms to 300 ms)");
  EXPECT_TRUE(found.better.empty());
  EXPECT_EQ(found.throughput, "throughput 0.4 % lower");
}

TEST(Verdict, TheOtherWayRoundItIsBetter) {
  const Verdict found = verdict(figures_of({sample_run("a", 300), sample_run("b", 100)}), 1);
  EXPECT_EQ(found.word, Verdict::Word::kBetter);
  EXPECT_EQ(against(found, "a"), "BETTER than a for critical");
  EXPECT_EQ(found.throughput, "throughput the same");
}

TEST(Verdict, WorseHereAndBetterThereIsBothInThatOrder) {
  std::vector<RunResult> runs = {sample_run("a", 100), sample_run("b", 300)};
  runs[1].bands[1] = sample_group("default", 100, 200);
  runs[1].tokens_per_s = 7000;
  const Verdict found = verdict(figures_of(runs), 1);
  EXPECT_EQ(found.word, Verdict::Word::kMixed);
  EXPECT_EQ(against(found, "a"), "WORSE than a for critical and in throughput, BETTER for default");
  EXPECT_EQ(found.throughput, "throughput 12 % lower");
  EXPECT_NE(std::find(found.keys_worse.begin(), found.keys_worse.end(), "tokens_per_s"),
            found.keys_worse.end());
}

TEST(Verdict, TheSameRunIsTheSame) {
  const Verdict found = verdict(figures_of({sample_run("a", 100), sample_run("b", 100)}), 1);
  EXPECT_EQ(found.word, Verdict::Word::kSame);
  EXPECT_EQ(against(found, "a"), "neither better nor worse than a");
}

// A band of which nobody is answered any more has no latencies: it must not look fast.
TEST(Verdict, ABandThatIsRefusedAltogetherIsWorse) {
  std::vector<RunResult> runs = {sample_run("a", 100), sample_run("b", 100)};
  Group& refused = runs[1].bands[0];
  refused = {};
  refused.name = "critical";
  refused.requests = 102;
  refused.ended[static_cast<size_t>(Outcome::kRejectedFull)] = 102;
  const Verdict found = verdict(figures_of(runs), 1);
  EXPECT_EQ(found.word, Verdict::Word::kWorse);
  EXPECT_EQ(found.worse[0], "critical completed share 98.0 points lower (98.0 % to 0.0 %)");
}

}  // namespace
}  // namespace sluice::simulate
