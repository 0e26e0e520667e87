#include "host/demo/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "host/config/config.h"
#include "host/demo/display.h"

namespace sluice::demo {
namespace {

using testing::Contains;
using testing::HasSubstr;

Summary all(double value, size_t count = 100) { return {count, value, value, value, value}; }

GroupReport good(const std::string& name, double first_byte_ms) {
  GroupReport g;
  g.name = name;
  g.sent = g.answered = 100;
  g.statuses = {{200, 100}};
  g.first_byte_ms = all(first_byte_ms);
  g.queue_ms = all(0);
  return g;
}

LoadReport report(std::vector<GroupReport> groups, double per_second) {
  LoadReport r;
  r.groups = std::move(groups);
  r.per_second = per_second;
  return r;
}

std::string broken(const Scenario& scenario, const std::vector<PartResult>& parts) {
  std::string out;
  for (const Promise& promise : scenario.judge(parts)) {
    if (!promise.kept) out += promise.text.substr(0, promise.text.find(':')) + ";";
  }
  return out;
}

TEST(Contention, IsHeldToItsFigures) {
  const Scenario s = *scenario_named("contention");
  auto judged = [&](double p50, double p99, double per_second) {
    PartResult part;
    part.sluice = report({good("polite", p50), good("flood", 2000)}, per_second);
    part.sluice.groups[0].first_byte_ms.p99 = p99;
    part.direct = report({good("polite", 1300), good("flood", 1300)}, 130);
    return broken(s, {part});
  };
  EXPECT_EQ(judged(65, 110, 130 * 0.976), "");
  EXPECT_EQ(judged(66, 110, 130), "polite, p50 to first byte;");
  EXPECT_EQ(judged(60, 111, 130), "polite, p99 to first byte;");
  EXPECT_EQ(judged(60, 90, 130 * 0.97), "throughput;");
}

TEST(Contention, IsTheLoadOfTheComparison) {
  const Scenario s = *scenario_named("contention");
  EXPECT_EQ(s.server_models.size(), 4u);
  EXPECT_EQ(s.bands.size(), 1u);
  EXPECT_EQ(s.runs, 3u);
  EXPECT_EQ(s.duration_s, 60);
  ASSERT_EQ(s.parts.size(), 1u);
  EXPECT_EQ(s.parts[0].groups[0].open, 2u);
  EXPECT_EQ(s.parts[0].groups[1].open, 200u);
  EXPECT_EQ(s.parts[0].groups[1].tokens_min, 10u);
  EXPECT_EQ(s.parts[0].groups[1].tokens_max, 30u);
}

TEST(EveryScenario, BreaksItsPromiseWhenARequestIsNotAnswered) {
  for (const std::string& name : scenario_names()) {
    const Scenario s = *scenario_named(name);
    std::vector<PartResult> parts;
    for (const Part& part : s.parts) {
      PartResult result;
      for (const Group& g : part.groups) {
        const bool waits = g.name.ends_with("flood") && !g.name.starts_with("critical");
        result.sluice.groups.push_back(good(g.name, waits ? 1000 : 60));
      }
      result.sluice.per_second = 100;
      for (GroupReport& g : result.sluice.groups)
        g.per_second = 100.0 / static_cast<double>(result.sluice.groups.size());
      if (part.direct) result.direct = result.sluice;
      if (part.decision_log) result.log_check = 0;
      parts.push_back(result);
    }
    EXPECT_EQ(broken(s, parts), "") << name;
    auto unanswered = parts;
    ++unanswered[0].sluice.groups[0].sent;
    EXPECT_EQ(broken(s, unanswered), "answers;") << name;
    auto inexact = parts;
    ++inexact[0].sluice.groups[0].inexact;
    EXPECT_EQ(broken(s, inexact), "answers;") << name;
    auto rejected = parts;
    rejected[0].sluice.groups[0].statuses = {{200, 99}, {429, 1}};
    EXPECT_EQ(broken(s, rejected), "answers;") << name;
  }
}

TEST(Criticality, BreaksOnAnInversionAndOnALateCriticalRequest) {
  const Scenario s = *scenario_named("criticality");
  ASSERT_EQ(s.parts.size(), 2u);
  EXPECT_TRUE(s.parts[0].decision_log);
  std::vector<PartResult> parts(2);
  for (auto& part : parts) {
    part.sluice = report({good("critical", 60), good("default", 900), good("sheddable", 900)}, 100);
    part.direct = part.sluice;
  }
  parts[0].log_check = 0;
  EXPECT_EQ(broken(s, parts), "");
  parts[0].log_check = 1;
  EXPECT_THAT(broken(s, parts), HasSubstr("decision log"));
  parts[0].log_check = 0;
  parts[1].sluice.groups[0].first_byte_ms.p99 = 111;
  EXPECT_EQ(broken(s, parts), "critical, p99 to first byte;");
}

TEST(HeadOfLine, BreaksOnAnyWait) {
  const Scenario s = *scenario_named("head-of-line");
  PartResult part;
  part.sluice = report({good("calm", 50), good("busy", 900)}, 100);
  EXPECT_EQ(broken(s, {part}), "");
  part.sluice.groups[0].queue_ms.max = 3;
  EXPECT_THAT(broken(s, {part}), HasSubstr("calm, longest wait"));
  part.sluice.groups[0].queue_ms = Summary{};  // nobody told
  EXPECT_THAT(broken(s, {part}), HasSubstr("calm, longest wait"));
}

TEST(Median, OfRunsTakesMiddlesAddsCountsAndKeepsTheWorstCheck) {
  std::vector<PartResult> runs(3);
  for (int i = 0; i < 3; ++i) {
    runs[i].sluice = report({good("a", 10.0 * (i + 1))}, 100.0 + i);
    runs[i].direct = report({good("a", 5)}, 50);
    runs[i].log_check = i == 1 ? 1 : 0;
  }
  const PartResult m = median(runs);
  EXPECT_EQ(m.sluice.per_second, 101);
  EXPECT_EQ(m.sluice.groups[0].first_byte_ms.p50, 20);
  EXPECT_EQ(m.sluice.groups[0].sent, 300u);
  EXPECT_EQ(m.sluice.groups[0].statuses.at(200), 300u);
  EXPECT_EQ(m.log_check, 1);
  ASSERT_TRUE(m.direct);
  EXPECT_EQ(m.direct->per_second, 50);
}

TEST(PipelineText, IsAPipelineWithoutErrorsOrWarnings) {
  for (const std::string& name : scenario_names()) {
    PipelineSpec spec;
    spec.http_port = 20001;
    spec.admin_port = 20002;
    const Scenario scenario = *scenario_named(name);
    spec.bands = scenario.bands;
    spec.gateways = scenario.gateways;
    for (const std::string& model : scenario.server_models) {
      spec.servers.push_back({static_cast<uint16_t>(20010 + spec.servers.size()), model});
    }
    spec.decisions = "/tmp/some decisions";
    config::Diagnostics diagnostics;
    const auto config = config::parse(pipeline_text(spec), "/tmp/pipeline.toml", diagnostics);
    EXPECT_EQ(diagnostics.render(), "") << name;
    ASSERT_TRUE(config) << name;
    EXPECT_EQ(config->pool.endpoints.size(), 4u);
    EXPECT_EQ(config->pool.learn_room, scenario.gateways != 0);
    EXPECT_EQ(config->pool.max_in_flight, scenario.gateways == 0 ? kSlots : 0);
    EXPECT_EQ(config->bands.size(), spec.bands.size());
    EXPECT_EQ(config->objectives.size(), spec.bands.size());
    EXPECT_EQ(config->flow_key.size(), 2u);
    EXPECT_EQ(config->decisions_file, spec.decisions);
  }
}

TEST(Display, TheTableHasALineForEachGroupAndBothSides) {
  const Scenario s = *scenario_named("contention");
  PartResult part;
  part.sluice = report({good("polite", 61), good("flood", 1234)}, 131.5);
  part.direct = report({good("polite", 1444), good("flood", 1555)}, 133.25);
  const std::string table = render_table(s.parts[0], part);
  for (const char* text : {"polite", "flood", "all", "61", "1234", "1444", "1555", "131.5", "133.2",
                           "through Sluice", "straight to the servers"}) {
    EXPECT_THAT(table, HasSubstr(text));
  }
  part.direct.reset();
  EXPECT_THAT(render_table(s.parts[0], part), testing::Not(HasSubstr("straight")));
}

TEST(Display, JsonHoldsEveryFigureAndWhetherAllWasKept) {
  const Scenario s = *scenario_named("contention");
  PartResult part;
  part.sluice = report({good("polite", 61), good("flood", 1234)}, 131.5);
  part.direct = part.sluice;
  const auto json = nlohmann::json::parse(
      render_json(s, {{part}, {part}}, {part}, {{"this", true}, {"that", false}}));
  EXPECT_EQ(json["runs"].size(), 2u);
  EXPECT_EQ(json["medians"][0]["sluice"]["groups"][0]["first_byte_ms"]["p99"], 61);
  EXPECT_EQ(json["medians"][0]["direct"]["requests_per_second"], 131.5);
  EXPECT_EQ(json["kept"], false);
}

}  // namespace
}  // namespace sluice::demo
