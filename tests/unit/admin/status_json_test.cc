#include "host/admin/status_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/admin/sample_snapshot.h"

namespace sluice {
namespace {

nlohmann::json parsed(const AdminSnapshot& snapshot) {
  return nlohmann::json::parse(status_json(snapshot));
}

TEST(StatusJson, SaysWhatTheSnapshotSays) {
  const nlohmann::json out = parsed(sample_snapshot());
  EXPECT_EQ(out["version"], "1.2.3");
  EXPECT_EQ(out["ready"], true);
  EXPECT_EQ(out["reloads"]["failed"], 1);
  EXPECT_EQ(out["requests"]["submitted"], 30);
  EXPECT_EQ(out["bands"][0]["name"], "critical");
  EXPECT_EQ(out["bands"][0]["ended"], (nlohmann::json{{"completed", 20}}));
  EXPECT_EQ(out["bands"][0]["oldest_wait_ms"], 2000);
  EXPECT_TRUE(out["bands"][1]["oldest_wait_ms"].is_null());
  EXPECT_EQ(out["flows"]["count"], 1);
  EXPECT_EQ(out["flows"]["top"][0]["name"], "llama|alice");
  EXPECT_EQ(out["flows"]["top"][0]["weight"], 2.0);
  EXPECT_EQ(out["policies"][0]["quarantined"], true);
  EXPECT_EQ(out["policies"][0]["last_fault"], "NaN");
}

TEST(StatusJson, EndpointsJoinWhatPoolAndEngineKnow) {
  const nlohmann::json out = parsed(sample_snapshot())["endpoints"];
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[0]["name"], "gpu-0");
  EXPECT_EQ(out[0]["health"], "up");
  EXPECT_EQ(out[0]["in_flight"], 7);
  EXPECT_EQ(out[0]["limit"], 8);
  EXPECT_EQ(out[0]["limit_prefill_tokens"], 2048);
  EXPECT_EQ(out[0]["prefill_tokens"], 500);
  EXPECT_FALSE(out[1].contains("limit_prefill_tokens"));
  EXPECT_EQ(out[0]["paused_ms"], 1000);
  EXPECT_EQ(out[0]["labels"]["zone"], "a");
  EXPECT_EQ(out[0]["metrics"]["age_ms"], 1000);
  EXPECT_EQ(out[1]["health"], "ejected");
  EXPECT_TRUE(out[1]["limit"].is_null()) << "no limit";
  EXPECT_TRUE(out[1]["models"].is_null()) << "not learnt";
  EXPECT_TRUE(out[1]["metrics"].is_null()) << "never scraped";
  EXPECT_EQ(out[2]["health"], "removed");
  EXPECT_EQ(out[2]["in_flight"], 1);
}

TEST(StatusJson, FlowsAreTheLargestFirstAndBounded) {
  AdminSnapshot snapshot = sample_snapshot();
  snapshot.flows.clear();
  for (uint32_t i = 0; i < 1000; i++) {
    FlowStats flow;
    flow.name = std::to_string(i);
    flow.parked = i;
    snapshot.flows.push_back(flow);
  }
  const nlohmann::json out = parsed(snapshot)["flows"];
  EXPECT_EQ(out["count"], 1000);
  ASSERT_EQ(out["top"].size(), kFlowsInStatus);
  EXPECT_EQ(out["top"][0]["name"], "999");
}

TEST(StatusJson, NamesThatAreNotUtf8DoNotBreakIt) {
  AdminSnapshot snapshot = sample_snapshot();
  snapshot.flows[0].name = "\xff\x00\"\\";
  EXPECT_NO_THROW(parsed(snapshot));
}

TEST(StatusJson, AnEmptyHost) { EXPECT_EQ(parsed(AdminSnapshot())["endpoints"].size(), 0u); }

}  // namespace
}  // namespace sluice
