#include <gtest/gtest.h>

#include "host/simulate/summary_json.h"
#include "host/simulate/summary_text.h"
#include "tests/unit/simulate/sample_run.h"

namespace sluice::simulate {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> keys(const Json& json) {
  std::vector<std::string> out;
  for (const auto& [key, value] : json.items()) out.push_back(key);
  return out;
}

TEST(SummaryJson, KeysAreThereInOrder) {
  const Json json = summary_json({sample_run("a", 40), sample_run("b", 400)});
  EXPECT_EQ(json["schema"], 1);
  const std::vector<std::string> expected = {"label",
                                             "config",
                                             "direct",
                                             "seed",
                                             "trace",
                                             "servers_file",
                                             "hash",
                                             "simulated_s",
                                             "cpu_s",
                                             "window_from_s",
                                             "window_to_s",
                                             "slo_ttft_s",
                                             "slo_itl_s",
                                             "tokens_per_s",
                                             "output_tokens_per_s",
                                             "requests_per_s",
                                             "offered_tokens_per_s",
                                             "offered_requests_per_s",
                                             "idle_while_waiting_s",
                                             "slots_while_waiting_s",
                                             "hit_rate",
                                             "pooled_hit_rate",
                                             "ideal_hit_rate",
                                             "fairness",
                                             "all",
                                             "bands",
                                             "tenants",
                                             "servers"};
  EXPECT_EQ(keys(json["runs"][0]), expected);
  EXPECT_EQ(keys(json["runs"][0]["all"]),
            (std::vector<std::string>{"name", "requests", "ended", "prompt_tokens", "output_tokens",
                                      "cached_tokens", "service", "slo_met", "slo_attainment",
                                      "wait", "ttft", "itl", "e2e", "parked", "regret"}));
  EXPECT_EQ(
      keys(json["runs"][0]["all"]["wait"]),
      (std::vector<std::string>{"count", "mean_s", "p50_s", "p90_s", "p95_s", "p99_s", "max_s"}));
  EXPECT_EQ(json["runs"][0]["all"]["ended"].size(), static_cast<size_t>(kOutcomes));
  EXPECT_EQ(keys(json["runs"][1]["compared_to_first"]),
            (std::vector<std::string>{"verdict", "worse", "better", "all", "bands"}));
}

TEST(SummaryJson, Numbers) {
  const Json json = summary_json({sample_run("a", 40), sample_run("b", 400)});
  const Json& first = json["runs"][0];
  EXPECT_EQ(first["hash"], "0000000000000abc");
  EXPECT_EQ(first["all"]["ended"]["completed"], 200);
  EXPECT_EQ(first["all"]["ended"]["expired"], 1);
  EXPECT_DOUBLE_EQ(first["all"]["slo_attainment"].get<double>(), 100.0 / 202);
  EXPECT_EQ(first["bands"][0]["name"], "critical");
  EXPECT_DOUBLE_EQ(first["bands"][0]["wait"]["mean_s"].get<double>(), 0.04);
  EXPECT_EQ(first["bands"][0]["wait"]["count"], 100);
  EXPECT_EQ(first["servers"][0]["name"], "a");
  const Json& compared = json["runs"][1]["compared_to_first"];
  EXPECT_EQ(compared["verdict"], "worse");
  EXPECT_DOUBLE_EQ(compared["bands"]["critical"]["wait_mean_s"].get<double>(), 10);
  EXPECT_DOUBLE_EQ(compared["all"]["regret_mean_s"].get<double>(), 10);
  EXPECT_DOUBLE_EQ(compared["all"]["tokens_per_s"].get<double>(), 1);
}

TEST(SummaryJson, NothingAndInvalidTextCanBeWritten) {
  EXPECT_EQ(summary_json({}).dump(), R"({"schema":1,"runs":[]})");
  RunResult run;
  run.label = "\xff\xfe";
  run.bands = {Group{}};
  run.bands[0].name = "b\xc3";
  const Json json = Json::parse(summary_json({run, run}).dump());
  EXPECT_EQ(json["runs"][0]["label"], "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_TRUE(json["runs"][0]["all"]["slo_attainment"].is_null());
  EXPECT_EQ(json["runs"][1]["compared_to_first"]["verdict"], "same");
}

TEST(SummaryText, Golden) {
  std::vector<RunResult> runs = {sample_run("today", 40), sample_run("tomorrow", 400)};
  runs[1].bands.pop_back();
  runs[0].bands.pop_back();
  EXPECT_EQ(summary_text(runs), R"(                               today        tomorrow
  throughput          8,000 tokens/s  8,000 tokens/s
  offered             8,100 tokens/s  8,100 tokens/s
  completed                      200             200
  refused                          1               1
  expired                          1               1
  SLO attained                49.5 %          49.5 %
  ITL p50                    20.0 ms         20.0 ms
  ITL p99                    20.0 ms         20.0 ms
  E2E p99                     2.04 s          2.40 s WORSE
  regret mean                  10 ms          100 ms WORSE
  fairness gap          5,000 tokens    5,000 tokens
  Jain index                   0.980           0.980
  idle while waiting            0 ms            0 ms
critical
  completed                   98.0 %          98.0 %
  TTFT mean                   140 ms          500 ms WORSE
  TTFT p50                    140 ms          500 ms WORSE
  TTFT p99                    140 ms          500 ms WORSE
  wait mean                    40 ms          400 ms WORSE
  wait p99                     40 ms          400 ms WORSE

tomorrow is WORSE than today for critical
  critical p99 TTFT 3.6 times worse (140 ms to 500 ms)
  critical p99 wait 10 times worse (40 ms to 400 ms)
  p99 E2E 18 % worse (2.04 s to 2.40 s)
  mean regret 10 times worse (10 ms to 100 ms)
  3 more figures worse
  throughput the same
)");
}

TEST(SummaryText, OneRunIsATableAlone) {
  const std::string text = summary_text({sample_run("a", 40)});
  EXPECT_EQ(text.find("WORSE"), std::string::npos);
  EXPECT_NE(text.find("\ncritical\n"), std::string::npos);
  EXPECT_EQ(summary_text({}), "");
}

TEST(SummaryText, NamesCannotMoveTheCursor) {
  RunResult run = sample_run("\033[2Jwiped\n", 40);
  run.bands[0].name = "\033]0;title\a";
  const std::string text = summary_text({run, run});
  EXPECT_EQ(text.find('\033'), std::string::npos);
  EXPECT_EQ(text.find('\a'), std::string::npos);
}

}  // namespace
}  // namespace sluice::simulate
