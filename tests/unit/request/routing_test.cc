#include "host/request/routing.h"

#include <gtest/gtest.h>

#include <map>

#include "host/request/prefix.h"

namespace sluice {
namespace {

const IpAddress kFriend = IpAddress::parse("10.1.2.3");
const IpAddress kStranger = IpAddress::parse("192.0.2.1");
constexpr char kFairness[] = "x-llm-d-inference-fairness-id";

config::Config base() {
  config::Config c;
  for (const auto& [name, priority] :
       {std::pair{"critical", 100}, {"default", 0}, {"sheddable", -10}}) {
    config::Band band;
    band.limits.name = name;
    band.limits.priority = priority;
    c.bands.push_back(band);
  }
  c.default_band = 1;
  c.flow_key = {{config::FlowComponent::Kind::kModel, ""},
                {config::FlowComponent::Kind::kHeader, kFairness}};
  c.trust = {{{"10.0.0.0/8"}, {kFairness, "x-llm-d-inference-objective", "x-rank", "x-session"}}};
  c.objectives = {{"interactive", 0}, {"batch", 2}};
  config::Model model;
  model.name = "llama";
  model.band = 0;
  model.weight = 2;
  model.targets = {{"llama-v1", 90}, {"llama-v2", 10}};
  c.models = {model};
  config::Tenant gold;
  gold.component = std::string("header:") + kFairness;
  gold.value = "gold";
  gold.weight = 4;
  config::Tenant llama;
  llama.component = "model";
  llama.value = "llama";
  llama.weight = 0.5;
  c.tenants = {gold, llama};
  return c;
}

std::shared_ptr<const Routing> make(const config::Config& config, RoutingOptions options = {}) {
  auto routing = Routing::create(config, std::move(options));
  EXPECT_TRUE(routing.ok()) << routing.error();
  return *routing;
}

RequestFacts facts_of(std::string model) {
  RequestFacts facts;
  facts.api = Api::kChat;
  facts.model = std::move(model);
  return facts;
}

Routed route(const Routing& routing, std::string model, std::vector<Header> headers,
             const IpAddress& peer = kFriend, std::string_view id = "id") {
  return routing.route(facts_of(std::move(model)), "{}", headers, peer, id, 1000);
}

TEST(Flow, JoinsItsComponents) {
  const auto routing = make(base());
  EXPECT_EQ(route(*routing, "m", {{kFairness, "alice"}}).flow, "m|alice");
  EXPECT_EQ(route(*routing, "m", {}).flow, "m|default-flow");
  EXPECT_EQ(route(*routing, "m", {{kFairness, ""}}).flow, "m|default-flow");
  EXPECT_EQ(route(*routing, "m", {{"X-LLM-D-Inference-Fairness-ID", "alice"}}).flow, "m|alice");
  EXPECT_EQ(route(*routing, "llama", {}).flow, "llama|default-flow")
      << "the incoming name, not the target's";
}

TEST(Flow, NobodyBecomesAnotherFlowByItsName) {
  const auto routing = make(base());
  EXPECT_NE(route(*routing, "m|alice", {{kFairness, "x"}}).flow,
            route(*routing, "m", {{kFairness, "alice|x"}}).flow);
  EXPECT_NE(route(*routing, "m%7C", {}).flow, route(*routing, "m|", {}).flow);
  const std::string long_a(5000, 'a');
  const std::string flow_a = route(*routing, long_a + "1", {}).flow;
  EXPECT_NE(flow_a, route(*routing, long_a + "2", {}).flow);
  EXPECT_LT(flow_a.size(), 400u);
}

TEST(Flow, ObjectiveAsComponent) {
  config::Config c = base();
  c.flow_key = {{config::FlowComponent::Kind::kObjective, ""}};
  const auto routing = make(c);
  EXPECT_EQ(route(*routing, "m", {{"x-llm-d-inference-objective", "batch"}}).flow, "batch");
  EXPECT_EQ(route(*routing, "m", {{"x-llm-d-inference-objective", "made-up"}}).flow,
            "default-flow");
}

TEST(Trust, StrangersAreNotBelieved) {
  const auto routing = make(base());
  const std::vector<Header> headers = {{kFairness, "gold"},
                                       {"x-llm-d-inference-objective", "interactive"}};
  const Routed trusted = route(*routing, "m", headers, kFriend);
  EXPECT_EQ(trusted.band, 0u);
  EXPECT_EQ(trusted.flow, "m|gold");
  EXPECT_EQ(trusted.tenant, 0u);
  const Routed stranger = route(*routing, "m", headers, kStranger);
  EXPECT_EQ(stranger.band, 1u);
  EXPECT_EQ(stranger.flow, "m|default-flow");
  EXPECT_EQ(stranger.tenant, kNone);
}

TEST(Trust, AliasesFollowTheirNameAndLoseToIt) {
  const auto routing = make(base());
  EXPECT_EQ(route(*routing, "m", {{"x-gateway-inference-fairness-id", "old"}}).flow, "m|old");
  EXPECT_EQ(
      route(*routing, "m", {{kFairness, "new"}, {"x-gateway-inference-fairness-id", "old"}}).flow,
      "m|new");
  EXPECT_EQ(route(*routing, "m", {{"x-gateway-inference-objective", "batch"}}).band, 2u);
  EXPECT_EQ(route(*routing, "m", {{"x-gateway-inference-objective", "batch"}}, kStranger).band, 1u);
}

TEST(Trust, TheLastOfTwoHeadersCounts) {
  EXPECT_EQ(route(*make(base()), "m", {{kFairness, "client"}, {kFairness, "proxy"}}).flow,
            "m|proxy");
}

TEST(Trust, WhatGoesUpstream) {
  const auto routing = make(base());
  for (const char* name :
       {kFairness, "X-Gateway-Inference-Fairness-Id", "x-llm-d-inference-objective",
        "x-gateway-inference-objective", "X-Rank"}) {
    EXPECT_TRUE(routing->forwards(name, kFriend)) << name;
    EXPECT_FALSE(routing->forwards(name, kStranger)) << name;
  }
  for (const char* name :
       {"x-gateway-destination-endpoint", "X-Gateway-Destination-Endpoint-Subset",
        "x-llm-d-model-name-rewrite", "x-gateway-model-name-rewrite"}) {
    EXPECT_FALSE(routing->forwards(name, kFriend)) << name;
  }
  for (const char* name :
       {"authorization", "x-llm-d-inference-ttl", "x-slo-ttft-ms", "content-type"}) {
    EXPECT_TRUE(routing->forwards(name, kStranger)) << name;
  }
}

TEST(Trust, Networks) {
  config::Config c = base();
  c.trust = {{{"fd00::/8", "192.0.2.1", "mtls:proxy"}, {kFairness}}, {{"any"}, {"x-rank"}}};
  const auto routing = make(c);
  EXPECT_TRUE(routing->believes(kFairness, IpAddress::parse("fd12::1")));
  EXPECT_TRUE(routing->believes(kFairness, IpAddress::parse("192.0.2.1")));
  EXPECT_TRUE(routing->believes(kFairness, IpAddress::parse("::ffff:192.0.2.1")));
  EXPECT_FALSE(routing->believes(kFairness, IpAddress::parse("192.0.2.2")));
  EXPECT_FALSE(routing->believes(kFairness, IpAddress{}));
  EXPECT_TRUE(routing->believes("x-rank", IpAddress{}));
  c.trust = {{{"10.0.0.0/33"}, {kFairness}}};
  EXPECT_FALSE(Routing::create(c, {}).ok());
}

TEST(Band, ObjectiveThenModelThenDefault) {
  const auto routing = make(base());
  EXPECT_EQ(route(*routing, "llama", {}).band, 0u);
  EXPECT_EQ(route(*routing, "m", {}).band, 1u);
  EXPECT_EQ(route(*routing, "llama", {{"x-llm-d-inference-objective", "batch"}}).band, 2u);
  EXPECT_EQ(route(*routing, "llama", {{"x-llm-d-inference-objective", "made-up"}}).band, 0u);
}

TEST(Weight, IsTheModelsTimesTheTenants) {
  const auto routing = make(base());
  EXPECT_EQ(route(*routing, "m", {}).weight_milli, 1000u);
  EXPECT_EQ(route(*routing, "m", {{kFairness, "gold"}}).weight_milli, 4000u);
  const Routed both = route(*routing, "llama", {{kFairness, "gold"}});
  EXPECT_EQ(both.weight_milli, 8000u) << "the first tenant that matches wins";
  EXPECT_EQ(route(*routing, "llama", {}).weight_milli, 1000u);
  EXPECT_EQ(route(*routing, "llama", {}).tenant, 1u);
}

TEST(Target, WeightsAreKeptAndTheChoiceIsOfTheRequest) {
  const auto routing = make(base());
  std::map<std::string, int> counts;
  for (int i = 0; i < 20'000; ++i) {
    const std::string id = "request-" + std::to_string(i);
    const std::string target = route(*routing, "llama", {}, kFriend, id).target;
    ++counts[target];
    if (i % 1000 == 0) {
      EXPECT_EQ(route(*routing, "llama", {}, kFriend, id).target, target);
    }
  }
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_NEAR(counts["llama-v2"], 2000, 200);
  EXPECT_EQ(route(*routing, "m", {}).target, "m");
}

TEST(Deadline, AnyoneMayShortenTheirOwn) {
  const auto routing = make(base());
  EXPECT_EQ(route(*routing, "m", {{"x-llm-d-inference-ttl", "250"}}, kStranger).wall_deadline_ns,
            1000 + 250'000'000u);
  for (const char* value :
       {"0", "", "-5", "1.5", "abc", "18446744073709551615", "99999999999999999999", " 7"}) {
    EXPECT_EQ(route(*routing, "m", {{"x-llm-d-inference-ttl", value}}).wall_deadline_ns, kNever)
        << value;
  }
}

TEST(Columns, ComeFromHeadersThatCount) {
  RoutingOptions options;
  using Source = DeclaredColumn::Source;
  options.columns = {{Source::kHeader, false, "X-Rank", -7, 0},
                     {Source::kHeaderHash, false, "x-session", -7, 0},
                     {Source::kHeader, true, "x-rank", 0, 0.5},
                     {Source::kHeader, false, "x-llm-d-slo-ttft-ms", -7, 0}};
  const auto routing = make(base(), options);
  Routed r = route(*routing, "m", {{"x-rank", "42"}, {"x-session", "s"}, {"x-slo-ttft-ms", "300"}});
  ASSERT_EQ(r.ints.size(), 3u);
  EXPECT_EQ(r.ints[0], 42);
  EXPECT_NE(r.ints[1], -7);
  EXPECT_EQ(r.ints[2], 300);
  ASSERT_EQ(r.floats.size(), 1u);
  EXPECT_EQ(r.floats[0], 42.0);
  r = route(*routing, "m", {{"x-rank", "42"}, {"x-session", "s"}, {"x-slo-ttft-ms", "300"}},
            kStranger);
  EXPECT_EQ(r.ints, (std::vector<int64_t>{-7, -7, 300}));
  EXPECT_EQ(r.floats, (std::vector<double>{0.5}));
  r = route(*routing, "m", {{"x-rank", "nan"}});
  EXPECT_EQ(r.ints[0], -7);
  EXPECT_EQ(r.floats[0], 0.5);
}

TEST(Estimates, AreBounded) {
  RoutingOptions options;
  options.generation = 9;
  const auto routing = make(base(), options);
  RequestFacts facts = facts_of("m");
  std::string body(5000, 'x');
  facts.prompt = {0, 4000};
  facts.output_max = 100'000;
  facts.choices = 4'000'000'000;
  const Routed r = routing->route(facts, body, {}, kFriend, "id", 0);
  EXPECT_EQ(r.prompt_bytes, 4000u);
  EXPECT_EQ(r.choices, kChoicesMax);
  EXPECT_EQ(r.output_max, 100'000u);
  EXPECT_EQ(r.bytes, 5000u);
  EXPECT_EQ(r.prefix.size(), 4000u / 256);
  const Submission s = r.submission(3);
  EXPECT_EQ(s.generation, 9u);
  EXPECT_EQ(s.eligible, 3u);
  EXPECT_EQ(s.prefix.data(), r.prefix.data());
  EXPECT_EQ(s.flow_hash, r.submission(0).flow_hash);
}

TEST(Prefix, EqualHashesMeanEqualPrefixes) {
  const std::string a(1000, 'a');
  std::string b = a;
  b[700] = 'b';
  const auto of_a = prefix_of(a, 256, 1), of_b = prefix_of(b, 256, 1);
  ASSERT_EQ(of_a.size(), 3u);
  EXPECT_EQ(of_a[1], of_b[1]);
  EXPECT_NE(of_a[2], of_b[2]);
  EXPECT_NE(of_a[0], prefix_of(a, 256, 2)[0]) << "another model shares nothing";
  EXPECT_NE(of_a[0], of_a[1]) << "the same block in another place is another prefix";
  EXPECT_EQ(prefix_of(std::string(10'000'000, 'x'), 256, 1).size(), kPrefixBlocksMax);
  EXPECT_TRUE(prefix_of(a, 0, 1).empty());
}

TEST(Names, OfModels) {
  EXPECT_EQ(make(base())->models(), (std::vector<std::string>{"llama", "llama-v1", "llama-v2"}));
}

}  // namespace
}  // namespace sluice
