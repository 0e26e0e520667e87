// sluice.hpp: what it does with policies that throw, refuse or ask for what is not there; and the
// helpers.
#include <sluice/slot_heap.hpp>
#include <sluice/sluice.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "toy_band.h"

namespace sluice::testing {
namespace {

struct ThrowingPick {
  static constexpr Info info{"throwing-pick", "Throws."};
  uint32_t pick(const Flows&) const { throw std::runtime_error("no idea"); }
};

struct ThrowingEviction {
  static constexpr Info info{"throwing-eviction", "Throws what is no exception."};
  uint32_t pick(const Flows&, const Band&, const Need&) const { throw 42; }
};

struct ThrowingKey {
  static constexpr Info info{"throwing-key", "Throws at the third row."};
  uint64_t key(const Request& request, const Band&) const {
    if (request.seq() == 103) throw std::runtime_error("three");
    return 7;
  }
};

struct ThrowingScore {
  static constexpr Info info{"throwing-score", "Throws after the first score."};
  void score(const Request&, const Endpoints&, const Pairs&, Scores out) const {
    out[0] = 0.5F;
    throw std::runtime_error("half");
  }
};

struct ThrowingObserve {
  static constexpr Info info{"throwing-observe", "Counts events, but throws at a block."};
  static constexpr uint64_t events = event_mask(SLUICE_EV_WAITING, SLUICE_EV_BLOCKED);
  struct State {
    uint32_t seen = 0;
  };
  void observe(State& state, const Flows&, const Event& event) const {
    if (event.type == SLUICE_EV_BLOCKED) throw std::runtime_error("blocked");
    ++state.seen;
  }
  uint32_t pick(const State& state, const Flows&) const { return state.seen; }
};

struct Picky {
  static constexpr Info info{"picky", "Refuses what it does not like."};
  static constexpr const char* kWords[] = {"yes", "no", nullptr};
  static constexpr sluice_param_v1 params[] = {
      int_param("count", "A number.", "", 3, 0, 9),
      float_param("ratio", "A ratio.", "", 0.5, 0, 1),
      duration_param("wait", "A wait.", "", 5000, 0, 10000),
      bytes_param("size", "A size.", 64, 0, 4096),
      bool_param("on", "A switch.", true),
      text_param("text", "A text.", "hello"),
      choice_param("word", "A word.", "yes", kWords)};
  explicit Picky(const Setup& setup) {
    if (setup.get_int("count") == 1) throw std::invalid_argument("count must not be 1");
    if (setup.get_int("count") == 2) setup.get_int("size");
    if (setup.get_int("count") == 4) setup.request_ints("header:x-test", 0);
    read = setup.get_float("ratio") == 0.5 && setup.get_duration_ns("wait") == 5000 &&
           setup.get_bytes("size") == 64 && setup.get_bool("on") &&
           std::string(setup.get_text("text")) == "hello" &&
           std::string(setup.get_choice("word")) == "yes";
  }
  uint64_t key(const Request&, const Band&) const { return read ? 1 : 0; }
  bool read;
};

struct BadState {
  static constexpr Info info{"bad-state", "Has no state to give."};
  struct State {
    explicit State(const Scope& scope) {
      if (scope.flow_slots > 10) throw std::runtime_error("too many flows for me");
    }
  };
  uint32_t pick(const State&, const Flows&) const { return 0; }
};

struct Idler {
  static constexpr Info info{"idler", "Waits until tomorrow."};
  static constexpr uint64_t flags = SLUICE_MAY_IDLE;
  uint32_t pick(const Flows& flows, uint64_t& retry_ns) const {
    retry_ns = flows.now_ns() + 1000;
    return SLUICE_NONE;
  }
};

template <typename Vtable>
const Vtable& table_of(const Policy& policy, const char* id) {
  return *static_cast<const Vtable*>(policy.vtable(id));
}

TEST(Wrapper, APickThatThrowsIsAFaultEachTime) {
  Policy policy(fairness<ThrowingPick>);
  const auto& vtable = table_of<sluice_fairness_v1>(policy, SLUICE_FAIRNESS_ID);
  ToyBand band(4, nullptr);
  uint64_t retry_ns = SLUICE_NEVER;
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(vtable.pick(policy.object(), nullptr, &band.flows(), &retry_ns), SLUICE_NONE);
  ASSERT_EQ(policy.host().faults.size(), 100U);
  EXPECT_EQ(policy.host().faults[0], "pick threw: no idea");
  EXPECT_EQ(vtable.observe, nullptr);

  Policy eviction_policy(eviction<ThrowingEviction>);
  const sluice_band facts{sizeof(facts), 0, 0, 0, 0, 0, 0, 0};
  const sluice_need need{sizeof(need), 1, 1, 0, 0, 0, 0, nullptr};
  EXPECT_EQ(table_of<sluice_eviction_v1>(eviction_policy, SLUICE_EVICTION_ID)
                .pick(eviction_policy.object(), nullptr, &band.flows(), &facts, &need),
            SLUICE_NONE);
  EXPECT_EQ(eviction_policy.host().faults.size(), 1U);
}

TEST(Wrapper, KeysAndScoresThatThrowAreFaults) {
  Policy policy(ordering<ThrowingKey>);
  std::vector<uint64_t> seq{101, 102, 103, 104}, keys = seq;
  sluice_requests rows{};
  rows.struct_size = sizeof(rows);
  rows.count = 4;
  rows.seq = seq.data();
  const sluice_band facts{sizeof(facts), 0, 0, 0, 0, 0, 0, 0};
  table_of<sluice_ordering_v1>(policy, SLUICE_ORDERING_ID)
      .keys(policy.object(), nullptr, &rows, &facts, keys.data());
  EXPECT_EQ(policy.host().faults, std::vector<std::string>{"key threw: three"});

  Policy scorer(scoring<ThrowingScore>);
  sluice_endpoints endpoints{};
  endpoints.struct_size = sizeof(endpoints);
  const sluice_pairs pairs{sizeof(pairs), 3, nullptr, nullptr};
  std::vector<float> out(3);
  table_of<sluice_scoring_v1>(scorer, SLUICE_SCORING_ID)
      .score(scorer.object(), nullptr, &rows, &endpoints, &pairs, out.data());
  EXPECT_EQ(scorer.host().faults, std::vector<std::string>{"score threw: half"});
}

TEST(Wrapper, AnEventThatThrowsDoesNotHideTheOthers) {
  Policy policy(fairness<ThrowingObserve>);
  const PolicyState state(policy, 4);
  ToyBand band(4, nullptr);
  std::vector<sluice_event> rows(4);
  for (auto& row : rows) row.type = SLUICE_EV_WAITING;
  rows[1].type = SLUICE_EV_BLOCKED;
  const sluice_events events{sizeof(events), 4, rows.data()};
  const auto& vtable = table_of<sluice_fairness_v1>(policy, SLUICE_FAIRNESS_ID);
  vtable.observe(policy.object(), state.get(), &band.flows(), &events);
  uint64_t retry_ns = 0;
  EXPECT_EQ(vtable.pick(policy.object(), state.get(), &band.flows(), &retry_ns), 3U);
  EXPECT_EQ(policy.host().faults, std::vector<std::string>{"observe threw: blocked"});
}

std::string refusal(const sluice_policy_v1& descriptor, const Params& params,
                    bool knows_sources = true) {
  FakeHost host;
  host.knows_sources = knows_sources;
  sluice_error error{};
  const auto values = values_for(descriptor, params);
  void* object =
      descriptor.create(&host.get(), values.data(), static_cast<uint32_t>(values.size()), &error);
  if (object != nullptr) descriptor.destroy(object);
  return error.text;
}

TEST(Wrapper, ParametersAreTypedAndMistakesAreRefusedInWords) {
  const sluice_policy_v1& picky = ordering<Picky>;
  EXPECT_EQ(refusal(picky, {}), "");
  EXPECT_EQ(refusal(picky, {{"count", 1}}), "count must not be 1");
  EXPECT_NE(refusal(picky, {{"count", 2}}).find("size"), std::string::npos) << "not an int";
  EXPECT_EQ(refusal(picky, {{"count", 4}}), "");
  EXPECT_NE(refusal(picky, {{"count", 4}}, false).find("header:x-test"), std::string::npos);

  const Policy policy(picky);
  const OneRequest request(ToyRequest{.seq = 1});
  const sluice_band facts{sizeof(facts), 0, 0, 0, 0, 0, 0, 0};
  uint64_t key = 0;
  table_of<sluice_ordering_v1>(policy, SLUICE_ORDERING_ID)
      .keys(policy.object(), nullptr, &request.get(), &facts, &key);
  EXPECT_EQ(key, 1U) << "every type was read";
}

TEST(Wrapper, AStateThatCannotBeMadeIsRefusedInWords) {
  const Policy policy(fairness<BadState>);
  EXPECT_NO_THROW(PolicyState(policy, 10));
  try {
    const PolicyState state(policy, 11);
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "state_new failed: too many flows for me");
  }
}

TEST(Wrapper, APolicyMayIdle) {
  const Policy policy(fairness<Idler>);
  EXPECT_EQ(policy.descriptor().flags, uint64_t{SLUICE_MAY_IDLE});
  ToyBand band(4, nullptr);
  band.now_ns = 500;
  uint64_t retry_ns = SLUICE_NEVER;
  EXPECT_EQ(table_of<sluice_fairness_v1>(policy, SLUICE_FAIRNESS_ID)
                .pick(policy.object(), nullptr, &band.flows(), &retry_ns),
            SLUICE_NONE);
  EXPECT_EQ(retry_ns, 1500U);
}

TEST(Helpers, PerWeightKeepsSmallCostsAndCancels) {
  EXPECT_EQ(sluice_per_weight(100, 1'000'000), 100);
  EXPECT_EQ(sluice_per_weight(1, 1'000'000), 1);
  EXPECT_EQ(sluice_per_weight(1, 1000), SLUICE_SHARES_PER_COST);
  EXPECT_EQ(sluice_per_weight(1, 1), 1000 * SLUICE_SHARES_PER_COST);
  EXPECT_EQ(sluice_per_weight(0, 77), 0);
  EXPECT_GT(sluice_per_weight(INT64_MAX, 1), INT64_MAX / 2);
  EXPECT_LT(sluice_per_weight(INT64_MIN, 1), INT64_MIN / 2);
  std::mt19937 random(1);
  for (int i = 0; i < 10000; ++i) {
    const int64_t cost = random();
    const uint32_t weight = 1 + random() % 1'000'000;
    EXPECT_EQ(sluice_per_weight(cost, weight), -sluice_per_weight(-cost, weight));
    EXPECT_NEAR(static_cast<double>(sluice_per_weight(cost, weight)),
                static_cast<double>(cost) * 1e6 / weight, 0.51 + static_cast<double>(cost) * 1e-9);
  }
}

TEST(Helpers, KeysOfDoublesOrderAsTheNumbersDo) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> rising{-inf,   -1e300, -1,  -1e-300, -5e-324, 0,
                                   5e-324, 1e-300, 0.5, 1,       1e300,   inf};
  for (size_t i = 1; i < rising.size(); ++i)
    EXPECT_LT(sluice_key_from_double(rising[i - 1]), sluice_key_from_double(rising[i]))
        << rising[i];
  EXPECT_EQ(sluice_key_from_double(-0.0), sluice_key_from_double(0.0));
  EXPECT_EQ(sluice_key_from_double(std::nan("")), UINT64_MAX);
  EXPECT_LT(sluice_key_from_double(inf), UINT64_MAX);
}

TEST(Helpers, SaturatedSumsAndProducts) {
  EXPECT_EQ(sluice_add_saturated(1, 2), 3U);
  EXPECT_EQ(sluice_add_saturated(UINT64_MAX - 1, 2), UINT64_MAX);
  EXPECT_EQ(sluice_multiply_saturated(3, 4), 12U);
  EXPECT_EQ(sluice_multiply_saturated(UINT64_MAX, 0), 0U);
  EXPECT_EQ(sluice_multiply_saturated(uint64_t{1} << 33, uint64_t{1} << 31), UINT64_MAX);
}

TEST(Views, ReadySlotsAreWalkedAcrossWords) {
  for (const uint32_t slots : {1U, 63U, 64U, 65U, 300U}) {
    std::mt19937 random(slots);
    ToyBand band(slots, nullptr);
    std::set<uint32_t> expected;
    for (uint32_t slot = 0; slot < slots; ++slot) {
      band.add_flow();
      if (random() % 5 == 0 || slot + 1 == slots) {
        band.park(slot, 1);
        expected.insert(slot);
      }
    }
    std::set<uint32_t> seen;
    for (const uint32_t slot : Flows(band.flows()).ready()) EXPECT_TRUE(seen.insert(slot).second);
    EXPECT_EQ(seen, expected);
    EXPECT_EQ(sluice_next_ready(&band.flows(), slots), SLUICE_NONE);
  }
}

TEST(SlotHeap, AgreesWithASortedSet) {
  constexpr uint32_t kSlots = 50;
  std::mt19937 random(9);
  SlotHeap<uint64_t> heap(kSlots);
  std::set<std::pair<uint64_t, uint32_t>> model;
  std::vector<uint64_t> key(kSlots);
  uint64_t salt = 0;
  for (int i = 0; i < 20000; ++i) {
    const uint32_t slot = random() % kSlots;
    if (heap.contains(slot)) model.erase({key[slot], slot});
    if (random() % 3 == 0) {
      heap.erase(slot);
    } else {
      key[slot] = (random() % 1000) * 1'000'000 + ++salt;  // no two alike
      heap.set(slot, key[slot]);
      model.insert({key[slot], slot});
    }
    ASSERT_EQ(heap.size(), model.size());
    ASSERT_EQ(heap.top(), model.empty() ? SLUICE_NONE : model.begin()->second);
  }
}

}  // namespace
}  // namespace sluice::testing
