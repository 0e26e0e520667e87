#include "host/simulate/report.h"

#include <gtest/gtest.h>

#include <limits>

#include "host/simulate/axis.h"
#include "host/simulate/html.h"
#include "host/simulate/panel.h"
#include "host/simulate/report_charts.h"
#include "tests/unit/simulate/sample_run.h"

namespace sluice::simulate {
namespace {

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
  return n;
}

// What is wrong with the tags of PAGE: "" if each is closed in its order and attributes are quoted.
std::string markup_error(const std::string& page) {
  std::vector<std::string> open;
  for (size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at)) {
    if (page.compare(at, 2, "<!") == 0) {
      at = page.find('>', at);
      continue;
    }
    size_t end = at + 1;
    for (bool quoted = false; end < page.size() && (quoted || page[end] != '>'); ++end) {
      if (page[end] == '"') quoted = !quoted;
      if (page[end] == '<') return "a < inside " + page.substr(at, 60);
    }
    const std::string tag = page.substr(at + 1, end - at - 1);
    if (tag.starts_with('/')) {
      if (open.empty() || open.back() != tag.substr(1)) return "unexpected </" + tag.substr(1);
      open.pop_back();
    } else if (!tag.ends_with('/')) {
      open.push_back(tag.substr(0, tag.find_first_of(" \n")));
    }
    at = end;
  }
  return open.empty() ? "" : "never closed: " + open.back();
}

void expect_sound(const std::string& page) {
  EXPECT_EQ(markup_error(page), "");
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  // Nothing from elsewhere: no address but the name of SVG's namespace.
  EXPECT_EQ(count(page, "http://"), count(page, "xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_EQ(count(page, "https://"), 0U);
  EXPECT_EQ(count(page, "src="), 0U);
  EXPECT_EQ(count(page, "href="), 0U);
  EXPECT_EQ(count(page, "@import"), 0U);
  EXPECT_EQ(count(page, "<script"), 0U);
  EXPECT_EQ(count(page, "nan"), count(page, "tenant"));  // no coordinate is not a number
  EXPECT_EQ(count(page, "inf"), 0U);
}

TEST(Report, TwoRunsSideBySide) {
  const std::string page = report_html({sample_run("central", 40), sample_run("direct", 400)});
  expect_sound(page);
  for (const char* id : {"setup", "latency", "queue", "servers", "service", "regret", "figures"}) {
    EXPECT_EQ(count(page, "<section id=\"" + std::string(id) + "\""), 1U) << id;
  }
  EXPECT_NE(page.find("is WORSE than"), std::string::npos);
  EXPECT_NE(page.find("prefers-color-scheme: dark"), std::string::npos);
  // Every picture says what it shows.
  EXPECT_EQ(count(page, "role=\"img\" aria-label="), count(page, "role=\"img\""));
}

TEST(Report, TextFromOutsideIsNoMarkup) {
  const std::string evil = "<script>alert(\"1\")</script>&'\x01\xff";
  RunResult run = sample_run(evil, 40);
  run.config = run.trace = run.servers = evil;
  run.bands[0].name = run.bands[1].name = run.tenants[0].name = evil;
  for (auto* many : {&run.parked, &run.running, &run.waiting, &run.kv_used, &run.service}) {
    for (Series& series : *many) series.name = evil;
  }
  run.servers_used[0].name = evil;
  RunResult worse = run;
  worse.bands[0] = sample_group(evil, 100, 4000);
  const std::string page = report_html({run, worse, run});
  EXPECT_EQ(markup_error(page), "");
  EXPECT_EQ(count(page, "<script"), 0U);
  EXPECT_EQ(count(page, "\x01"), 0U);
  EXPECT_EQ(count(page, "\xff"), 0U);
  EXPECT_NE(page.find("&lt;script&gt;"), std::string::npos);
}

TEST(Report, NothingToShowIsShownSensibly) {
  expect_sound(report_html({}));
  expect_sound(report_html({RunResult{}}));
  expect_sound(report_html({RunResult{}, sample_run("a", 0)}));
  RunResult odd = sample_run("odd", 0);
  odd.step_s = 0;
  odd.bands[0] = Group{};
  odd.parked[0].values.clear();
  odd.running[0].values.assign(10, 0);
  odd.service.resize(1);
  odd.service[0].values.assign(3, std::numeric_limits<float>::quiet_NaN());
  odd.parked[1].values.assign(3, std::numeric_limits<float>::quiet_NaN());
  odd.tokens_per_s = std::numeric_limits<double>::quiet_NaN();
  odd.fairness.accumulated_gap = std::numeric_limits<double>::infinity();
  EXPECT_EQ(markup_error(report_html({odd, odd})), "");
}

TEST(Report, SizeIsBounded) {
  RunResult run = sample_run("long", 40);
  run.parked.clear(), run.running.clear(), run.waiting.clear(), run.service.clear();
  const auto series = [](const std::string& name, int i) {
    Series out{name + std::to_string(i), std::vector<float>(5'000)};
    for (size_t n = 0; n < out.values.size(); ++n) {
      out.values[n] = static_cast<float>((n * 7919 + static_cast<size_t>(i) * 104729) % 33);
    }
    return out;
  };
  for (int i = 0; i < 10; ++i) run.parked.push_back(series("band", i));
  for (int i = 0; i < 100; ++i) run.running.push_back(series("server", i));
  for (int i = 0; i < 100; ++i) run.waiting.push_back(series("server", i));
  for (int i = 0; i < 50; ++i) run.service.push_back(series("tenant", i));
  for (uint64_t i = 0; i < 100'000; ++i) run.all.regret.add(i * i);
  const size_t one = report_html({run}).size();
  EXPECT_LT(one, 500'000U);
  // Runs beyond the eighth are named, not drawn.
  const std::vector<RunResult> many(12, run);
  const std::string page = report_html(many);
  EXPECT_LT(page.size(), kRunsMax * one);
  EXPECT_NE(page.find("The first 8 of 12 runs"), std::string::npos);
}

TEST(Axis, TicksAreRound) {
  const auto texts = [](const Axis& axis) {
    std::string out;
    for (const Tick& tick : axis.ticks()) out += (out.empty() ? "" : "|") + tick.text;
    return out;
  };
  EXPECT_EQ(texts(Axis::amounts(38)), "0|10|20|30|40");
  EXPECT_EQ(texts(Axis::amounts(0)), "0|0.2|0.4|0.6|0.8|1");
  EXPECT_EQ(texts(Axis::amounts(58e6)), "0|10M|20M|30M|40M|50M|60M");
  EXPECT_EQ(texts(Axis::time(60)), "0|10 s|20 s|30 s|40 s|50 s|60 s");
  EXPECT_EQ(texts(Axis::time(1320)), "0|5 min|10 min|15 min|20 min");
  EXPECT_EQ(texts(Axis::time(86400)), "0|5 h|10 h|15 h|20 h");
  EXPECT_EQ(texts(Axis::durations(0.02, 80)), "100 ms|1 s|10 s|100 s");
  EXPECT_EQ(texts(Axis::durations(0, 0)), "\xe2\x89\xa4 1 ms|2 ms|5 ms|10 ms");
}

TEST(Axis, ValuesStandWhereTheyShould) {
  const Axis nines = Axis::nines();
  EXPECT_DOUBLE_EQ(nines.place(0), 0);
  EXPECT_NEAR(nines.place(0.9), 1.0 / 3, 1e-12);
  EXPECT_NEAR(nines.place(0.99), 2.0 / 3, 1e-12);
  EXPECT_DOUBLE_EQ(nines.place(1), 1);
  const Axis durations = Axis::durations(0.01, 100);
  EXPECT_DOUBLE_EQ(durations.place(0), 0);
  EXPECT_NEAR(durations.place(1), 0.5, 1e-12);
  EXPECT_DOUBLE_EQ(durations.place(1e9), 1);
}

TEST(Panel, ALineHasFewPoints) {
  Panel panel({}, Axis::time(1000), Axis::amounts(1), "many points", "", "");
  std::vector<Point> points;
  for (int i = 0; i <= 100'000; ++i) points.push_back({i * 0.01, i / 100'000.0});
  const std::string before = panel.svg();
  panel.line(points, "r0");
  panel.steps(points, "r0");
  const std::string svg = panel.svg();
  EXPECT_LE(count(svg, "L") - count(before, "L"), kPointsMax);
  EXPECT_LE(count(svg, "V") - count(before, "V"), kPointsMax);
}

TEST(Html, TextIsCutByCharacters) {
  EXPECT_EQ(shortened("caf\xc3\xa9s", 5), "caf\xc3\xa9s");
  EXPECT_EQ(shortened("caf\xc3\xa9s!", 5), "caf\xc3\xa9\xe2\x80\xa6");
  EXPECT_EQ(escaped("<a b=\"c\">'&"), "&lt;a b=&quot;c&quot;&gt;&#39;&amp;");
  EXPECT_EQ(coordinate(-0.01), "0");
}

}  // namespace
}  // namespace sluice::simulate
