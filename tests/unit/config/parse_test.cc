#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "host/config/limits.h"
#include "tests/unit/config/mistakes.h"

namespace sluice::config {
namespace {

using testing::ElementsAre;
using testing::Pair;

// Parses a correct file; WARNINGS are expected.
Config accepted(const std::string& text, size_t warnings = 0) {
  Diagnostics diagnostics;
  auto config = parse(text, "/etc/sluice/pipeline.toml", diagnostics);
  EXPECT_FALSE(diagnostics.has_errors()) << diagnostics.render();
  EXPECT_EQ(diagnostics.all().size(), warnings) << diagnostics.render();
  return config ? std::move(*config) : Config{};
}

Config with(const std::string& text) { return accepted(kBase + text); }

TEST(Parse, FillsInTheDefaults) {
  const Config config = with("");
  ASSERT_TRUE(config.http);
  EXPECT_EQ(config.http->address.text, "127.0.0.1:8080");
  EXPECT_FALSE(config.admin);
  EXPECT_TRUE(config.plugin_directories.empty());
  ASSERT_EQ(config.pool.endpoints.size(), 1U);
  EXPECT_EQ(config.pool.endpoints[0].address.port, 8101);
  EXPECT_FALSE(config.pool.endpoints[0].max_in_flight);
  EXPECT_TRUE(config.pool.learn_room);
  EXPECT_EQ(config.pool.max_in_flight, 0U) << "no limit but what is learnt";
  EXPECT_EQ(config.upstream.retries, 1U);
  ASSERT_EQ(config.flow_key.size(), 1U);
  EXPECT_EQ(config.flow_key[0].kind, FlowComponent::Kind::kModel);
  ASSERT_EQ(config.trust.size(), 1U);
  EXPECT_THAT(config.trust[0].from, ElementsAre("127.0.0.0/8", "::1"));
  EXPECT_THAT(config.trust[0].headers,
              ElementsAre("x-llm-d-inference-fairness-id", "x-llm-d-inference-objective"));
  EXPECT_EQ(config.default_band, 1U);
  EXPECT_EQ(config.picker, PickerKind::kMaxScore);
}

TEST(Parse, HasThreeBandsWhereNoneIsGiven) {
  const Config config = with("");
  ASSERT_EQ(config.bands.size(), 3U);
  EXPECT_EQ(config.bands[0].limits.name, "critical");
  EXPECT_EQ(config.bands[0].limits.priority, 100);
  EXPECT_EQ(config.bands[1].limits.name, "default");
  EXPECT_EQ(config.bands[1].limits.priority, 0);
  EXPECT_EQ(config.bands[2].limits.name, "sheddable");
  EXPECT_EQ(config.bands[2].limits.priority, -10);
  for (const Band& band : config.bands) {
    EXPECT_EQ(band.limits.ttl_ns, 60'000'000'000U);
    EXPECT_EQ(band.limits.no_endpoint_ttl_ns, 60'000'000'000U);
    EXPECT_EQ(band.limits.requests_max, 5000U);
    EXPECT_EQ(band.limits.bytes_max, uint64_t{1} << 30);
    EXPECT_EQ(band.limits.requests_per_flow_max, 0U);
    EXPECT_FALSE(band.limits.hold_when_blocked);
    EXPECT_EQ(band.limits.ceiling, 1.0);
    EXPECT_EQ(band.ordering.full_name(), "sluice/fcfs");
    EXPECT_EQ(band.fairness.full_name(), "sluice/round-robin");
    EXPECT_EQ(band.eviction.full_name(), "sluice/lowest-band-first");
  }
}

TEST(Parse, HasThePeersScoringWhereNoneIsGiven) {
  const Config standard = with("");
  ASSERT_EQ(standard.scorers.size(), 3U);
  EXPECT_EQ(standard.scorers[0].use.full_name(), "sluice/queue-depth");
  EXPECT_EQ(standard.scorers[0].weight, 2.0);
  EXPECT_EQ(standard.scorers[1].use.full_name(), "sluice/kv-cache");
  EXPECT_EQ(standard.scorers[1].weight, 2.0);
  EXPECT_EQ(standard.scorers[2].use.full_name(), "sluice/prefix-cache");
  EXPECT_EQ(standard.scorers[2].weight, 3.0);

  const Config own = with("[[scoring]]\nuse = \"in-flight\"\n");
  ASSERT_EQ(own.scorers.size(), 1U);
  EXPECT_EQ(own.scorers[0].use.name, "in-flight");
  EXPECT_EQ(own.scorers[0].weight, 1.0);
}

TEST(Parse, SortsBandsAndFindsThemByName) {
  const Config config = with(R"(
[flow]
default_band = "mid"
[[band]]
name = "low"
priority = -5
[[band]]
name = "high"
priority = 7
[[band]]
name = "mid"
[[objective]]
name = "chat"
band = "high"
[[objective]]
name = "other"
[[model]]
name = "m"
band = "low"
[[model]]
name = "n"
)");
  ASSERT_EQ(config.bands.size(), 3U);
  EXPECT_EQ(config.bands[0].limits.name, "high");
  EXPECT_EQ(config.bands[1].limits.name, "mid");
  EXPECT_EQ(config.bands[2].limits.name, "low");
  EXPECT_EQ(config.default_band, 1U);
  EXPECT_EQ(config.objectives[0].band, 0U);
  EXPECT_EQ(config.objectives[1].band, 1U);
  EXPECT_EQ(config.models[0].band, 2U);
  EXPECT_EQ(config.models[1].band, std::nullopt);
}

TEST(Parse, ReadsPolicies) {
  const std::string hex(64, 'A');
  const Config config = with(
      "[[band]]\nname = \"default\"\nordering = { use = \"edf\" }\n"
      "[band.fairness]\nuse = \"com.example.fair/weighted\"\nsha256 = \"" +
      hex + R"("
[band.fairness.params]
quantum = 512
half_life = "5m"
ratio = 0.5
strict = true
)");
  EXPECT_EQ(config.bands[0].ordering.full_name(), "sluice/edf");
  EXPECT_EQ(config.bands[0].eviction.full_name(), "sluice/lowest-band-first");
  const PolicyUse& use = config.bands[0].fairness;
  EXPECT_EQ(use.full_name(), "com.example.fair/weighted");
  EXPECT_EQ(use.at.line, 10U);
  EXPECT_EQ(use.at.column, 7U);
  EXPECT_EQ(use.sha256, std::string(64, 'a'));
  EXPECT_FALSE(use.shadow);
  ASSERT_EQ(use.params.size(), 4U);
  EXPECT_EQ(use.params[0].name, "half_life");
  EXPECT_EQ(std::get<std::string>(use.params[0].value), "5m");
  EXPECT_EQ(std::get<int64_t>(use.params[1].value), 512);
  EXPECT_EQ(use.params[1].at.line, 13U);
  EXPECT_EQ(std::get<double>(use.params[2].value), 0.5);
  EXPECT_EQ(std::get<bool>(use.params[3].value), true);
}

TEST(Parse, TakesInlineTablesAndSubTablesAlike) {
  const Config config = accepted(R"(schema = 1
listen.http.address = "127.0.0.1:1"
pool = { endpoints = [ { name = "a", address = "127.0.0.1:2", labels.zone = "z" } ], capacity.max_in_flight = 3 }
band = [ { name = "default", fairness.use = "vtc" } ]
scoring = []
)");
  EXPECT_EQ(config.http->address.port, 1);
  EXPECT_THAT(config.pool.endpoints[0].labels, ElementsAre(Pair("zone", "z")));
  EXPECT_EQ(config.pool.max_in_flight, 3U);
  EXPECT_EQ(config.bands[0].fairness.name, "vtc");
  EXPECT_TRUE(config.scorers.empty());
}

TEST(Parse, ReadsEveryOtherKey) {
  const Config config = accepted(kBase + std::string(R"(
max_in_flight = 0
models = ["llama-*", "exact", "*"]
[listen]
[admin]
address = "[::1]:0"
[plugins]
directories = ["plugins", "/opt/p", "../../usr"]
[pool]
endpoints_file = "e/endpoints.toml"
[pool.scrape]
engine = "sglang"
path = "/m"
interval = "1s"
stale_after = 0
[upstream]
connect_timeout = "0s"
idle_timeout = "1m"
retries = 0
[flow]
key = ["objective", "header:X-Team", "header:x-gateway-inference-objective"]
max_flows = 0
idle_ttl = "1h"
[[trust]]
from = ["any"]
headers = ["X-Team", "x-llm-d-inference-objective"]
[[tenant]]
match = { "header:x-TEAM" = "gold" }
weight = 4
max_requests = 9
[cost]
output = 3
cached = 0.25
[log]
level = "debug"
format = "json"
decisions = "d.log"
[limits]
max_requests = 0
max_bytes = 0
[drain]
grace = "0s"
deadline = "1s"
[[model]]
name = "m"
weight = 0.5
targets = [ { model = "m1", weight = 9 }, { model = "m2" } ]
[picker]
use = "power-of-two"
)"),
                                 2);  // plugin directories that do not exist
  const Endpoint& endpoint = config.pool.endpoints[0];
  EXPECT_EQ(endpoint.max_in_flight, 0U);
  EXPECT_THAT(endpoint.models, ElementsAre("llama-*", "exact", "*"));
  EXPECT_EQ(endpoint.at.line, 3U);
  EXPECT_EQ(config.admin->host, "::1");
  EXPECT_THAT(config.plugin_directories, ElementsAre("/etc/sluice/plugins", "/opt/p", "/usr"));
  EXPECT_EQ(config.pool.endpoints_file, "/etc/sluice/e/endpoints.toml");
  EXPECT_EQ(config.pool.engine, EngineKind::kSglang);
  EXPECT_EQ(config.pool.scrape_path, "/m");
  EXPECT_EQ(config.pool.scrape_interval_ns, 1'000'000'000U);
  EXPECT_EQ(config.pool.stale_after_ns, 0U);
  EXPECT_EQ(config.upstream.connect_timeout_ns, 0U);
  EXPECT_EQ(config.upstream.idle_timeout_ns, 60'000'000'000U);
  EXPECT_EQ(config.upstream.retries, 0U);
  ASSERT_EQ(config.flow_key.size(), 3U);
  EXPECT_EQ(config.flow_key[0].kind, FlowComponent::Kind::kObjective);
  EXPECT_EQ(config.flow_key[1].kind, FlowComponent::Kind::kHeader);
  EXPECT_EQ(config.flow_key[1].header, "x-team");
  EXPECT_EQ(config.max_flows, kFlowsMax);
  EXPECT_EQ(config.flow_idle_ttl_ns, 3'600'000'000'000U);
  EXPECT_THAT(config.trust[0].from, ElementsAre("any"));
  EXPECT_THAT(config.trust[0].headers, ElementsAre("x-team", "x-llm-d-inference-objective"));
  ASSERT_EQ(config.tenants.size(), 1U);
  EXPECT_EQ(config.tenants[0].component, "header:x-team");
  EXPECT_EQ(config.tenants[0].value, "gold");
  EXPECT_EQ(config.tenants[0].weight, 4.0);
  EXPECT_EQ(config.tenants[0].max_requests, 9U);
  EXPECT_EQ(config.cost.output, 3.0);
  EXPECT_EQ(config.cost.cached, 0.25);
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_EQ(config.log_format, LogFormat::kJson);
  EXPECT_EQ(config.decisions_file, "/etc/sluice/d.log");
  EXPECT_EQ(config.max_requests, 0U);
  EXPECT_EQ(config.max_bytes, 0U);
  EXPECT_EQ(config.drain_grace_ns, 0U);
  EXPECT_EQ(config.drain_deadline_ns, 1'000'000'000U);
  ASSERT_EQ(config.models[0].targets.size(), 2U);
  EXPECT_EQ(config.models[0].weight, 0.5);
  EXPECT_EQ(config.models[0].targets[0].weight, 9.0);
  EXPECT_EQ(config.models[0].targets[1].model, "m2");
  EXPECT_EQ(config.models[0].targets[1].weight, 1.0);
  EXPECT_EQ(config.picker, PickerKind::kPowerOfTwo);
}

TEST(Parse, ReadsEveryKeyOfTheProxy) {
  const Config config = accepted(R"(schema = 1
pool.endpoints_file = "e.toml"
[listen.http]
address = "0.0.0.0:80"
max_header = 1000
max_body = "0"
header_timeout = "1s"
body_timeout = "2s"
error_format = "llm-d"
expose_endpoint = false
)");
  EXPECT_EQ(config.http->address.host, "0.0.0.0");
  EXPECT_EQ(config.http->max_header, 1000U);
  EXPECT_EQ(config.http->max_body, 0U);
  EXPECT_EQ(config.http->header_timeout_ns, 1'000'000'000U);
  EXPECT_EQ(config.http->body_timeout_ns, 2'000'000'000U);
  EXPECT_EQ(config.http->error_format, ErrorFormat::kLlmD);
  EXPECT_FALSE(config.http->expose_endpoint);
}

TEST(Parse, TakesStringsForOtherTypesOnceTheyAreFilledIn) {
  setenv("SLUICE_TEST_MAX", "77", 1);
  const Config config = with(R"(
max_in_flight = "${SLUICE_TEST_MAX}"
labels = { "zone" = "${SLUICE_TEST_MAX}$${x}" }
[limits]
max_requests = "${SLUICE_TEST_UNSET:-100}"
max_bytes = "${SLUICE_TEST_MAX}MiB"
[plugins]
require_sha256 = "${SLUICE_TEST_UNSET:-false}"
[cost]
output = "1.5"
[drain]
grace = "${SLUICE_TEST_MAX}ms"
)");
  EXPECT_EQ(config.pool.endpoints[0].max_in_flight, 77U);
  EXPECT_EQ(config.pool.endpoints[0].labels.at("zone"), "77${x}");
  EXPECT_EQ(config.max_requests, 100U);
  EXPECT_EQ(config.max_bytes, uint64_t{77} << 20);
  EXPECT_FALSE(config.require_sha256);
  EXPECT_EQ(config.cost.output, 1.5);
  EXPECT_EQ(config.drain_grace_ns, 77'000'000U);
  unsetenv("SLUICE_TEST_MAX");
}

TEST(Parse, WarnsOfWhatIsNotBuiltAndGoesOn) {
  const Config config = accepted(std::string(kBase) + R"(
[[band]]
name = "default"
fairness = { use = "vtc", mode = "shadow" }
[[trust]]
from = ["mtls:gateway", "::1"]
)",
                                 2);
  EXPECT_TRUE(config.bands[0].fairness.shadow);
  EXPECT_THAT(config.trust[0].from, ElementsAre("mtls:gateway", "::1"));
}

TEST(Parse, RoomIsFixedAtEightOrAsSaidOnlyIfModeSaysSo) {
  const Config fixed = with("[pool.capacity]\nmode = \"fixed\"\nmax_in_flight_tokens = 9000\n");
  EXPECT_FALSE(fixed.pool.learn_room);
  EXPECT_EQ(fixed.pool.max_in_flight, 8U);
  EXPECT_EQ(fixed.pool.max_in_flight_tokens, 9000U);
  const Config learnt = with(
      "[pool.capacity]\nmax_in_flight = 12\ngateways = 2\n"
      "max_prefill_tokens = 2048\n");
  EXPECT_TRUE(learnt.pool.learn_room);
  EXPECT_EQ(learnt.pool.max_in_flight, 12U);
  EXPECT_EQ(learnt.pool.gateways, 2U);
  EXPECT_EQ(learnt.pool.max_prefill_tokens, 2048U);
  EXPECT_EQ(fixed.pool.max_prefill_tokens, 0U);
}

TEST(Parse, UsageCeilingAndWaitingForBetter) {
  const Config config = with(R"(
[usage]
stream = "count"
[[band]]
name = "default"
ceiling = 0.9
[picker]
wait_for_better = { min_gain = 0.5, max_wait = "100ms" }
)");
  EXPECT_EQ(config.stream_usage, StreamUsage::kCount);
  EXPECT_DOUBLE_EQ(config.bands[0].limits.ceiling, 0.9);
  EXPECT_DOUBLE_EQ(config.wait_for_better.min_gain, 0.5);
  EXPECT_EQ(config.wait_for_better.wait_max_ns, 100'000'000U);
  EXPECT_FALSE(with("").stream_usage);
}

TEST(Parse, DoesNotWarnOfFeaturesThatAreOff) {
  with(R"(
[pool.capacity]
mode = "fixed"
max_in_flight_tokens = 0
gateways = 1
[plugins]
watch = false
[picker]
max_endpoints = 1
)");
}

TEST(Parse, TrustsNobodyWhereTheListIsEmpty) {
  Diagnostics diagnostics;
  const auto config =
      parse("trust = []\n" + std::string(kBase), "/etc/sluice/pipeline.toml", diagnostics);
  ASSERT_TRUE(config) << diagnostics.render();
  EXPECT_TRUE(config->trust.empty());
}

TEST(Parse, ReportsEverythingAtOnce) {
  Diagnostics diagnostics;
  EXPECT_FALSE(parse(R"(schema = 9
[listen.http]
addres = "127.0.0.1:80"
max_body = "much"
[[pool.endpoints]]
name = 7
[[band]]
name = "a"
name2 = "b"
)",
                     "f", diagnostics));
  std::vector<uint32_t> lines;
  for (const Diagnostic& diagnostic : diagnostics.all()) lines.push_back(diagnostic.at.line);
  EXPECT_THAT(lines, testing::UnorderedElementsAre(1, 3, 4, 5, 6, 7, 9));
}

TEST(Parse, HandsOutInPartWhatCouldBeRead) {
  Diagnostics diagnostics;
  const auto config = parse_partly(kBase + std::string(R"(
max_in_flight = "much"
[[band]]
name = "default"
fairness = { use = "a/b/c", params = { quantum = 5 } }
ordering = { use = "edf" }
eviction = { use = "longest-flow", sha256 = 5 }
)"),
                                   "f", diagnostics);
  EXPECT_TRUE(diagnostics.has_errors());
  ASSERT_TRUE(config);
  ASSERT_EQ(config->bands.size(), 1U);
  EXPECT_EQ(config->bands[0].ordering.name, "edf");
  EXPECT_EQ(config->bands[0].fairness.name, "");  // not the default's, whose parameters are others
  EXPECT_EQ(config->bands[0].eviction.name, "");
  Diagnostics broken;
  EXPECT_FALSE(parse_partly("[[", "f", broken));
}

TEST(Parse, LimitsHowMuchThereMayBe) {
  std::string bands(kBase);
  for (int i = 0; i < 65; i++) {
    bands += "[[band]]\nname = \"" + (i == 0 ? "default" : "b" + std::to_string(i)) +
             "\"\npriority = " + std::to_string(i) + "\n";
  }
  Diagnostics diagnostics;
  EXPECT_FALSE(parse(bands, "f", diagnostics));
  EXPECT_NE(diagnostics.render().find("more than 64 of band"), std::string::npos)
      << diagnostics.render();
}

}  // namespace
}  // namespace sluice::config
