#include "host/admin/exposition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <regex>
#include <sstream>

#include "host/admin/host_metrics.h"
#include "tests/unit/admin/exposition_check.h"
#include "tests/unit/admin/sample_snapshot.h"

namespace sluice {
namespace {

using testing::IsEmpty;

std::string page(const AdminSnapshot& snapshot, const HostMetrics* requests = nullptr) {
  metrics::Families families;
  write_metrics(snapshot, families);
  if (requests) requests->write(families);
  return families.text();
}

TEST(ExpositionCheck, RefusesWhatIsWrong) {
  const std::string head = "# HELP a_total x\n# TYPE a_total counter\n";
  EXPECT_THAT(read_exposition(head + "a_total{b=\"c\\\"\"} 1\n").errors, IsEmpty());
  for (const char* bad :
       {"a_total -1\n", "a_total 1\na_total 2\n", "other 1\n", "a_total{b=\"c} 1\n", "a_total x\n",
        "a_total{b=\"1\",b=\"2\"} 1\n", "a_total 1", "# HELP a_total y\n"}) {
    EXPECT_FALSE(read_exposition(head + bad).errors.empty()) << bad;
  }
  EXPECT_FALSE(read_exposition(
                   "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\n"
                   "h_count 1\nh_sum 1\n")
                   .errors.empty());
}

TEST(Exposition, IsValidAndSaysWhatTheSnapshotSays) {
  const Exposed out = read_exposition(page(sample_snapshot()));
  EXPECT_THAT(out.errors, IsEmpty());
  EXPECT_EQ(out.at("sluice_build_info{version=\"1.2.3\"}"), 1);
  EXPECT_EQ(out.at("sluice_ready"), 1);
  EXPECT_EQ(out.at("sluice_uptime_seconds"), 60);
  EXPECT_EQ(out.at("sluice_reloads_total{result=\"failed\"}"), 1);
  EXPECT_EQ(out.at("sluice_parked_requests{band=\"critical\"}"), 3);
  EXPECT_EQ(out.at("sluice_ended_total{band=\"critical\",outcome=\"completed\"}"), 20);
  EXPECT_EQ(out.at("sluice_band_priority{band=\"sheddable\"}"), -10);
  EXPECT_EQ(out.at("sluice_oldest_wait_seconds{band=\"critical\"}"), 2);
  EXPECT_EQ(out.at("sluice_oldest_wait_seconds{band=\"sheddable\"}"), 0) << "nothing waits";
  EXPECT_EQ(out.at("sluice_held_back_total{reason=\"hold\"}"), 4);
  EXPECT_EQ(out.at("sluice_flow_parked_requests{band=\"critical\",flow=\"llama|alice\"}"), 3);
  EXPECT_EQ(out.at("sluice_flow_oldest_wait_seconds{band=\"critical\",flow=\"llama|alice\"}"), 2);
  EXPECT_EQ(out.at("sluice_endpoint_up{endpoint=\"gpu-0\"}"), 1);
  EXPECT_EQ(out.at("sluice_endpoint_up{endpoint=\"gpu-1\"}"), 0);
  EXPECT_EQ(out.at("sluice_endpoint_in_flight_requests{endpoint=\"gpu-0\"}"), 7);
  EXPECT_EQ(out.at("sluice_endpoint_paused{endpoint=\"gpu-0\"}"), 1);
  EXPECT_EQ(out.at("sluice_endpoint_metrics_age_seconds{endpoint=\"gpu-0\"}"), 1);
  EXPECT_EQ(out.at("sluice_endpoint_metrics_age_seconds{endpoint=\"gpu-1\"}"), INFINITY);
  EXPECT_EQ(out.at("sluice_endpoint_limit{endpoint=\"gpu-1\"}"), INFINITY);
  EXPECT_EQ(out.at("sluice_endpoint_limit_tokens{endpoint=\"gpu-1\"}"), 9000);
  EXPECT_EQ(out.at("sluice_endpoint_limit_tokens{endpoint=\"gpu-0\"}"), INFINITY);
  EXPECT_EQ(out.at("sluice_endpoint_scrapes_total{endpoint=\"gpu-0\",result=\"unusable\"}"), 4);
  EXPECT_EQ(out.at("sluice_pool_endpoints{health=\"ejected\"}"), 1);
  EXPECT_EQ(
      out.at(
          "sluice_policy_faults_total{band=\"\",kind=\"scoring\",policy=\"sluice/queue-depth\"}"),
      3);
  EXPECT_EQ(
      out.at(
          "sluice_policy_quarantined{band=\"critical\",kind=\"ordering\",policy=\"sluice/fcfs\"}"),
      1);
}

TEST(Exposition, NotReadyIsZero) {
  AdminSnapshot snapshot = sample_snapshot();
  snapshot.not_ready = "draining";
  EXPECT_EQ(read_exposition(page(snapshot)).at("sluice_ready"), 0);
}

TEST(Exposition, AnEmptyHostIsValidToo) {
  EXPECT_THAT(read_exposition(page(AdminSnapshot())).errors, IsEmpty());
}

TEST(Exposition, FlowNamesThatClientsChooseCannotBreakThePage) {
  AdminSnapshot snapshot = sample_snapshot();
  snapshot.flows.clear();
  for (const std::string& name :
       {std::string("a\"b\\c\nd"), std::string("\xff\xfe"), std::string("\xc0\xaf"),
        std::string("(other)"), std::string(5000, 'x'), std::string(6000, 'x'),
        std::string("a\0b", 3), std::string("\xed\xa0\x80"), std::string()}) {
    FlowStats flow;
    flow.name = name;
    flow.parked = 1;
    snapshot.flows.push_back(flow);
  }
  FlowStats overflow;
  overflow.name = "x";
  overflow.overflow = true;
  overflow.parked = 5;
  snapshot.flows.push_back(overflow);
  const std::string text = page(snapshot);
  const Exposed out = read_exposition(text);
  EXPECT_THAT(out.errors, IsEmpty());
  EXPECT_LT(text.size(), 60000u);
  EXPECT_EQ(out.at("sluice_flow_parked_requests{band=\"critical\",flow=\"(other)\"}"), 6);
  double sum = 0;
  for (const auto& [series, value] : out.families.at("sluice_flow_parked_requests").samples)
    sum += value;
  EXPECT_EQ(sum, 14) << "names that became equal share a series, and nothing is lost";
}

TEST(Exposition, OnlyTheFlowsWithMostAtStakeHaveTheirOwnSeries) {
  AdminSnapshot snapshot = sample_snapshot();
  snapshot.flows.clear();
  for (uint32_t i = 0; i < kFlowsExposed + 50; i++) {
    FlowStats flow;
    flow.name = "f" + std::to_string(i);
    flow.parked = i;
    snapshot.flows.push_back(flow);
  }
  const Exposed out = read_exposition(page(snapshot));
  EXPECT_EQ(out.families.at("sluice_flow_parked_requests").samples.size(), kFlowsExposed + 1);
  EXPECT_EQ(out.at("sluice_flow_parked_requests{band=\"critical\",flow=\"f1049\"}"), 1049);
  EXPECT_EQ(out.at("sluice_flow_parked_requests{band=\"critical\",flow=\"(other)\"}"), 49 * 50 / 2);
}

TEST(FitLabel, KeepsGoodTextAndReplacesTheRest) {
  EXPECT_EQ(metrics::fit_label("grün 漢 🙂"), "grün 漢 🙂");
  EXPECT_EQ(metrics::fit_label("a\x80z\xe2\x82"), "a?z??");
  EXPECT_EQ(metrics::fit_label("\xf4\x90\x80\x80"), "????");
  EXPECT_EQ(metrics::fit_label("a\tb\x7f"), "a?b?");
  std::string cut = metrics::fit_label(std::string(metrics::kLabelBytesMax - 1, 'x') + "é");
  EXPECT_EQ(cut, std::string(metrics::kLabelBytesMax - 1, 'x')) << "never half a character";
}

// docs/metrics.md is for people, and must say exactly what is exposed.
TEST(MetricsDocument, ListsExactlyWhatIsExposed) {
  HostMetrics requests;
  RequestRecord record;
  record.band = "critical";
  record.model = "m";
  record.parked = true;
  record.first_byte_ns = 1;
  requests.record(1, record);
  const Exposed exposed = read_exposition(page(sample_snapshot(), &requests));
  ASSERT_THAT(exposed.errors, IsEmpty());

  std::ifstream file(SLUICE_SOURCE_DIR "/docs/metrics.md");
  ASSERT_TRUE(file);
  static const std::regex row(R"(\| `(sluice_\w+)` \| (\w+) \| ([^|]*) \| ([^|]+) \|)");
  static const std::regex label("`(\\w+)`");
  std::set<std::string> documented;
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    const std::string name = match[1], labels = match[3];
    EXPECT_TRUE(documented.insert(name).second) << name << " stands there twice";
    auto it = exposed.families.find(name);
    if (it == exposed.families.end()) {
      ADD_FAILURE() << name << " is not exposed";
      continue;
    }
    EXPECT_EQ(match[2], it->second.type) << name;
    std::set<std::string> keys;
    for (std::sregex_iterator key(labels.begin(), labels.end(), label), end; key != end; ++key) {
      keys.insert((*key)[1]);
    }
    EXPECT_EQ(keys, it->second.labels) << name;
    EXPECT_EQ(match[4], it->second.help) << name;
  }
  for (const auto& [name, family] : exposed.families) {
    EXPECT_TRUE(documented.contains(name)) << name << " is missing";
  }
}

}  // namespace
}  // namespace sluice
