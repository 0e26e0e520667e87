// Scores of endpoints: who wins, and that the numbers mean what docs/policies.md says.
#include <gtest/gtest.h>

#include <algorithm>

#include "toy_band.h"

namespace sluice::testing {
namespace {

struct Endpoint {
  uint32_t inflight = 0, limit = 8, waiting = 0, running = 0;
  float kv_used = 0;
  uint32_t cached_tokens = 0;
  bool known = true;
};

// The scores of ENDPOINTS (all of them, unless ROWS says which may be used) for a prompt of
// PROMPT_TOKENS.
std::vector<float> score(const std::string& file, const std::vector<Endpoint>& endpoints,
                         uint32_t prompt_tokens = 100, std::vector<uint32_t> rows = {},
                         bool prefix_column = true) {
  const Policy policy(file);
  const PolicyState state(policy, 0, 64);
  const auto count = static_cast<uint32_t>(endpoints.size());
  std::vector<uint32_t> slot, inflight, limit, waiting, running, cached;
  std::vector<uint64_t> cost(count), kv_max(count), age(count);
  std::vector<float> kv;
  for (const Endpoint& e : endpoints) {
    slot.push_back(static_cast<uint32_t>(slot.size()) * 3 + 1);
    inflight.push_back(e.inflight);
    limit.push_back(e.limit);
    waiting.push_back(e.waiting);
    running.push_back(e.running);
    kv.push_back(e.kv_used);
    age[kv.size() - 1] = e.known ? 1'000'000 : SLUICE_NEVER;
  }
  const sluice_endpoints table{sizeof(table), count,          slot.data(),    inflight.data(),
                               limit.data(),  waiting.data(), running.data(), cost.data(),
                               kv_max.data(), age.data(),     kv.data(),      nullptr,
                               nullptr};
  if (rows.empty())
    for (uint32_t i = 0; i < count; ++i) rows.push_back(i);
  for (const uint32_t row : rows) cached.push_back(endpoints[row].cached_tokens);
  const sluice_pairs pairs{sizeof(pairs), static_cast<uint32_t>(rows.size()), rows.data(),
                           prefix_column ? cached.data() : nullptr};
  const OneRequest request(ToyRequest{.seq = 1}, prompt_tokens);
  std::vector<float> out(rows.size(), 0.0F);
  static_cast<const sluice_scoring_v1*>(policy.vtable(SLUICE_SCORING_ID))
      ->score(policy.object(), state.get(), &request.get(), &table, &pairs, out.data());
  for (const float s : out) EXPECT_TRUE(s >= 0 && s <= 1) << s;
  return out;
}

size_t best(const std::vector<float>& scores) {
  return static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

using Scores = std::vector<float>;

TEST(ScoringQueueDepth, IsMinMaxOverTheCandidates) {
  EXPECT_EQ(score("scoring_queue_depth", {{.waiting = 10}, {.waiting = 0}, {.waiting = 5}}),
            (Scores{0, 1, 0.5}));
  EXPECT_EQ(score("scoring_queue_depth", {{.waiting = 7}, {.waiting = 7}}), (Scores{1, 1}));
  EXPECT_EQ(score("scoring_queue_depth", {{.waiting = UINT32_MAX}, {.waiting = 0}}),
            (Scores{0, 1}));
}

TEST(ScoringQueueDepthAndKvCache, AnEndpointWithoutAFreshScrapeNeitherAttractsNorRepels) {
  EXPECT_EQ(score("scoring_queue_depth",
                  {{.waiting = 10}, {.waiting = 4}, {.known = false}, {.waiting = 7}}),
            (Scores{0, 1, 0.5, 0.5}));
  EXPECT_EQ(score("scoring_queue_depth", {{.known = false}, {.known = false}}), (Scores{1, 1}));
  EXPECT_EQ(score("scoring_queue_depth", {{.waiting = 9}, {.known = false}}), (Scores{1, 1}));
  EXPECT_EQ(score("scoring_kv_cache", {{.kv_used = 0.5}, {.known = false}, {.kv_used = 1}}),
            (Scores{0.5, 0.25, 0}));
  EXPECT_EQ(score("scoring_kv_cache", {{.known = false}, {.known = false}}), (Scores{1, 1}));
}

TEST(ScoringQueueDepth, EndpointsThatMayNotBeUsedDoNotCount) {
  EXPECT_EQ(score("scoring_queue_depth",
                  {{.waiting = 0}, {.waiting = 4}, {.waiting = 1000}, {.waiting = 6}}, 100, {3, 1}),
            (Scores{0, 1}));
}

TEST(ScoringKvCache, IsWhatIsFree) {
  EXPECT_EQ(score("scoring_kv_cache", {{.kv_used = 0.25F}, {.kv_used = 1}, {.kv_used = 0}}),
            (Scores{0.75, 0, 1}));
  EXPECT_EQ(score("scoring_kv_cache", {{.kv_used = 1.5F}, {.kv_used = -1}}), (Scores{0, 1}));
}

TEST(ScoringInFlight, IsTheRoomThatIsLeft) {
  EXPECT_EQ(score("scoring_in_flight", {{.inflight = 2, .limit = 8},
                                        {.inflight = 2, .limit = 4},
                                        {.inflight = 9, .limit = 8}}),
            (Scores{0.75, 0.5, 0}));
  EXPECT_EQ(best(score("scoring_in_flight", {{.inflight = 3, .limit = SLUICE_NONE},
                                             {.inflight = 1, .limit = SLUICE_NONE}})),
            1U);
}

// The peer's claim for own counts: requests sent one after the other, with loads that nobody has
// scraped yet, spread.
TEST(ScoringInFlight, SpreadsABurstByRoom) {
  std::vector<Endpoint> endpoints{{.limit = 4}, {.limit = 8}, {.limit = 16}};
  for (int i = 0; i < 14; ++i) ++endpoints[best(score("scoring_in_flight", endpoints))].inflight;
  EXPECT_NEAR(endpoints[0].inflight, 2, 1);
  EXPECT_NEAR(endpoints[1].inflight, 4, 1);
  EXPECT_NEAR(endpoints[2].inflight, 8, 1);
}

TEST(ScoringPrefixCache, TheLongestHeldPrefixWins) {
  const Scores scores =
      score("scoring_prefix_cache",
            {{.cached_tokens = 64}, {.cached_tokens = 192}, {.cached_tokens = 0}}, 256);
  EXPECT_EQ(scores, (Scores{0.25, 0.75, 0}));
  EXPECT_EQ(best(scores), 1U);
}

TEST(ScoringPrefixCache, SurvivesGuessesThatDoNotFit) {
  EXPECT_EQ(score("scoring_prefix_cache", {{.cached_tokens = 300}}, 256), (Scores{1}));
  EXPECT_EQ(score("scoring_prefix_cache", {{.cached_tokens = 64}}, 0), (Scores{0}));
  EXPECT_EQ(score("scoring_prefix_cache", {{.cached_tokens = 64}}, 256, {}, false), (Scores{0}));
}

TEST(ScoringPrefixCache, AsksForThePrefixes) {
  EXPECT_EQ(Policy("scoring_prefix_cache").descriptor().inputs, uint64_t{SLUICE_IN_PREFIX});
}

// What the default pipeline does: queue-depth 2, kv-cache 2, prefix-cache 3.
TEST(Scoring, ALongPrefixOutweighsALittleLoadAndNotAllOfIt) {
  const auto total = [](const std::vector<Endpoint>& endpoints) {
    Scores sum = score("scoring_queue_depth", endpoints);
    const Scores kv = score("scoring_kv_cache", endpoints);
    const Scores prefix = score("scoring_prefix_cache", endpoints);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] = 2 * sum[i] + 2 * kv[i] + 3 * prefix[i];
    return sum;
  };
  EXPECT_EQ(best(total({{.kv_used = 0.6F, .cached_tokens = 90}, {.kv_used = 0.2F}})), 0U);
  EXPECT_EQ(best(total({{.waiting = 9, .kv_used = 0.9F, .cached_tokens = 90}, {.kv_used = 0.2F}})),
            1U);
}

}  // namespace
}  // namespace sluice::testing
