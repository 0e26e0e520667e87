// What every policy that we ship keeps to, whatever it decides: run over each .so of the build
// tree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "allocations.h"
#include "toy_band.h"

namespace sluice::testing {
namespace {

using ::testing::MatchesRegex;

// The files of the build tree whose names begin with KIND.
std::vector<std::string> shipped(const std::string& kind = "") {
  std::vector<std::string> files;
  const std::filesystem::path directory = std::filesystem::path(plugin_path("x")).parent_path();
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().extension() == ".so" && entry.path().stem().string().rfind(kind, 0) == 0)
      files.push_back(entry.path().stem());
  std::sort(files.begin(), files.end());
  return files;
}

// A table as a host of another version has it: SIZE bytes of it, then what must not be read.
template <typename Table>
class Resized {
 public:
  Resized(const Table& table, size_t size) : bytes_(std::max(size, sizeof(Table)), '\xAB') {
    std::memcpy(bytes_.data(), &table, std::min(size, sizeof(Table)));
    const auto struct_size = static_cast<uint32_t>(size);
    std::memcpy(bytes_.data(), &struct_size, sizeof(struct_size));
  }
  const Table* get() const { return reinterpret_cast<const Table*>(bytes_.data()); }

 private:
  std::vector<char> bytes_;
};

class Conformance : public ::testing::TestWithParam<std::string> {
 protected:
  const sluice_entry_v1& entry = open_plugin(plugin_path(GetParam()));
  const sluice_policy_v1& descriptor = *entry.policies[0];
  std::string id = descriptor.interfaces[0].id;
};

class FairnessConformance : public Conformance {};
class OrderingConformance : public Conformance {};
class EvictionConformance : public Conformance {};
class ScoringConformance : public Conformance {};

TEST_P(Conformance, TheDescriptorIsSane) {
  EXPECT_EQ(entry.struct_size, sizeof(sluice_entry_v1));
  EXPECT_EQ(entry.abi_minor_built, SLUICE_ABI_MINOR);
  EXPECT_LE(entry.abi_minor_needed, entry.abi_minor_built);
  EXPECT_STREQ(entry.package, "sluice");
  EXPECT_STREQ(entry.version, "0.1.0");
  EXPECT_STREQ(entry.license, "Apache-2.0");
  EXPECT_EQ(entry.policies[1], nullptr) << "one policy a file";

  EXPECT_EQ(descriptor.struct_size, sizeof(sluice_policy_v1));
  EXPECT_THAT(descriptor.name, MatchesRegex("[a-z0-9-]+"));
  EXPECT_THAT(descriptor.summary, MatchesRegex("[A-Z].*\\.")) << "one sentence";
  EXPECT_EQ(descriptor.flags & ~uint64_t{SLUICE_MAY_IDLE}, 0U);
  EXPECT_EQ(descriptor.inputs & ~uint64_t{SLUICE_IN_PREFIX}, 0U);
  EXPECT_EQ(descriptor.events >> (SLUICE_EV_SHED + 1), 0U);
  EXPECT_EQ(descriptor.events & 1, 0U);
  // The file is called KIND_NAME.
  const std::string kind = id.substr(std::strlen("sluice."), id.size() - std::strlen("sluice./1"));
  std::string file = kind + "_" + descriptor.name;
  std::replace(file.begin(), file.end(), '-', '_');
  EXPECT_EQ(GetParam(), file);
  EXPECT_EQ(descriptor.interfaces[1].id, nullptr);

  for (uint32_t i = 0; i < descriptor.param_count; ++i) {
    const sluice_param_v1& param = descriptor.params[i];
    EXPECT_THAT(param.name, MatchesRegex("[a-z][a-z0-9_]*"));
    EXPECT_THAT(param.summary, MatchesRegex("[A-Z].*\\."));
    EXPECT_STRNE(param.unit, "") << param.name;
    EXPECT_LE(param.min.i, param.standard.i) << param.name;
    EXPECT_LE(param.standard.i, param.max.i) << param.name;
    EXPECT_EQ(param.flags, 0U) << param.name;
  }
}

TEST_P(Conformance, ThePoliciesPageHasItsRow) {
  std::ifstream page(SLUICE_SOURCE_DIR "/docs/policies.md");
  const std::string kind = id.substr(std::strlen("sluice."), id.size() - std::strlen("sluice./1"));
  const std::string start = "| " + kind + " | " + descriptor.name + " |";
  std::string row;
  while (std::getline(page, row) && row.rfind(start, 0) != 0) {
  }
  ASSERT_TRUE(page) << "no row " << start;
  for (uint32_t i = 0; i < descriptor.param_count; ++i)
    EXPECT_NE(row.find(std::string("`") + descriptor.params[i].name + "` ("), std::string::npos)
        << descriptor.params[i].name;
}

TEST_P(Conformance, AHundredLivesLeaveNothing) {
  const auto live = [&] {
    const Policy policy(descriptor);
    const PolicyState first(policy, 100, 100);
    const PolicyState second(policy, 1, 1);
    const PolicyState none(policy, 0, 0);
  };
  live();
  const int64_t before = live_allocations();
  for (int i = 0; i < 100; ++i) live();
  EXPECT_EQ(live_allocations(), before);
}

TEST_P(Conformance, AnotherNumberOfParametersIsRefusedInWords) {
  FakeHost host;
  sluice_error error{};
  const std::vector<sluice_value> values(descriptor.param_count + 1);
  EXPECT_EQ(descriptor.create(&host.get(), values.data(), descriptor.param_count + 1, &error),
            nullptr);
  EXPECT_STRNE(error.text, "");
}

TEST_P(Conformance, TheExtremesOfItsParametersAreFine) {
  for (uint32_t i = 0; i < descriptor.param_count; ++i) {
    for (const int64_t value : {descriptor.params[i].min.i, descriptor.params[i].max.i}) {
      const Policy policy(descriptor, {{descriptor.params[i].name, value}});
      const PolicyState state(policy, 10, 10);
    }
  }
}

// ---- fairness ----

// Everything that can happen to a band, at random. ToyBand checks each pick: asked twice, ready, no
// allocation.
class RandomLife {
 public:
  static constexpr uint32_t kFlows = 70;

  RandomLife(const Policy& policy, uint32_t seed) : band(kFlows, &policy), random_(seed) {
    for (uint32_t i = 0; i < kFlows; ++i) band.add_flow(1 + random_() % 10000);
  }

  void step() {
    ++band.now_ns;
    const uint32_t slot = random_() % kFlows;
    const uint8_t status = band.flows().status[slot];
    switch (random_() % 8) {
      case 0:
      case 1:
        if (status != SLUICE_FLOW_FREE)
          band.park(slot, random_() % 20 == 0 ? 0 : random_() % 100000);
        break;
      case 2:
        if (status == SLUICE_FLOW_READY) band.block(slot);
        break;
      case 3:
        if (status == SLUICE_FLOW_BLOCKED) band.unblock(slot);
        break;
      case 4:
        if (status >= SLUICE_FLOW_BLOCKED) band.shed_newest(slot);
        break;
      case 5:
        end_one();
        break;
      case 6:
        if (status == SLUICE_FLOW_FREE) {
          band.add_flow_at(slot, 1 + random_() % 1'000'000);
        } else if (status == SLUICE_FLOW_IDLE && band.flows().inflight[slot] == 0) {
          band.remove_flow(slot);
        } else {
          band.set_weight(slot, 1 + random_() % 1'000'000);
        }
        break;
      default:
        if (const auto request = band.dispatch()) {
          in_flight_.push_back(*request);
          picks.push_back(request->seq);
        }
    }
  }

  ToyBand band;
  std::vector<uint64_t> picks;

 private:
  void end_one() {
    if (in_flight_.empty()) return;
    const ToyRequest request = in_flight_.back();
    in_flight_.pop_back();
    if (random_() % 4 == 0) {
      band.requeue(request);
    } else {
      band.complete(request, random_() % 50000);
    }
  }

  std::mt19937 random_;
  std::vector<ToyRequest> in_flight_;
};

TEST_P(FairnessConformance, PicksAreLegalPureAndWorkConserving) {
  const Policy policy(descriptor);
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    RandomLife life(policy, seed);
    for (int i = 0; i < 5000; ++i) life.step();
    EXPECT_GT(life.picks.size(), 100U);
    // Every ready flow can be drained.
    while (life.band.flows().ready_count != 0) ASSERT_TRUE(life.band.dispatch());
  }
}

TEST_P(FairnessConformance, IgnoresEventsItDoesNotKnow) {
  const Policy policy(descriptor);
  RandomLife plain(policy, 3);
  RandomLife noisy(policy, 3);
  for (uint32_t i = 0; i < 5000; ++i) {
    plain.step();
    noisy.step();
    sluice_event event{};
    event.type = i % 2 == 0 ? 63 : 1000 + i;
    event.slot = i % RandomLife::kFlows;
    event.change = 1'000'000;
    noisy.band.tell_raw(event);
    event.type = SLUICE_EV_WAITING;  // known, but of a slot that does not exist
    event.slot = i % 3 == 0 ? SLUICE_NONE : RandomLife::kFlows;
    noisy.band.tell_raw(event);
  }
  EXPECT_EQ(plain.picks, noisy.picks);
}

TEST_P(FairnessConformance, BearsTablesOfOtherHosts) {
  const Policy policy(descriptor);
  const PolicyState state(policy, RandomLife::kFlows);
  const auto* vtable = static_cast<const sluice_fairness_v1*>(policy.vtable(SLUICE_FAIRNESS_ID));
  RandomLife life(policy, 4);
  for (int i = 0; i < 1000; ++i) life.step();
  const sluice_flows& flows = life.band.flows();
  ASSERT_GT(flows.ready_count, 0U);

  std::vector<sluice_event> rows(RandomLife::kFlows);
  for (uint32_t slot = 0; slot < RandomLife::kFlows; ++slot) {
    rows[slot].type = SLUICE_EV_WAITING;
    rows[slot].slot = slot;
  }
  const sluice_events events{sizeof(events), RandomLife::kFlows, rows.data()};
  uint64_t retry_ns = SLUICE_NEVER;
  for (size_t size = 8; size <= sizeof(flows) + 64; size += 8) {
    const Resized<sluice_flows> other_flows(flows, size);
    const Resized<sluice_events> other_events(events, std::min<size_t>(size, sizeof(events) + 64));
    if (vtable->observe != nullptr)
      vtable->observe(policy.object(), state.get(), other_flows.get(), other_events.get());
    const uint32_t slot = vtable->pick(policy.object(), state.get(), other_flows.get(), &retry_ns);
    if (size < sizeof(flows)) {
      EXPECT_EQ(slot, SLUICE_NONE) << size;
    } else {
      EXPECT_TRUE(slot < flows.slots && (flows.ready_bits[slot / 64] >> (slot % 64) & 1) != 0)
          << size;
    }
  }
}

// ---- ordering ----

TEST_P(OrderingConformance, GivesABatchTheKeysOfItsRows) {
  constexpr uint32_t kRows = 100;
  const Policy policy(descriptor);
  const PolicyState state(policy, 10);
  const auto* vtable = static_cast<const sluice_ordering_v1*>(policy.vtable(SLUICE_ORDERING_ID));
  std::mt19937_64 random(5);
  std::vector<uint64_t> seq(kRows), arrival(kRows), deadline(kRows), cost(kRows), hash(kRows),
      keys(kRows);
  std::vector<uint32_t> tokens(kRows);
  std::vector<int32_t> priority(kRows);
  for (uint32_t i = 0; i < kRows; ++i) {
    seq[i] = i + 1;
    arrival[i] = random();
    deadline[i] = random() % 3 == 0 ? SLUICE_NEVER : random();
    cost[i] = random() >> (random() % 64);
    tokens[i] = static_cast<uint32_t>(random());
  }
  const auto table = [&](uint32_t from, uint32_t count) {
    return sluice_requests{sizeof(sluice_requests),
                           count,
                           &seq[from],
                           &arrival[from],
                           &deadline[from],
                           &cost[from],
                           &cost[from],
                           &hash[from],
                           &hash[from],
                           &tokens[from],
                           &tokens[from],
                           &tokens[from],
                           &tokens[from],
                           &tokens[from],
                           &priority[from],
                           nullptr,
                           nullptr};
  };
  const sluice_band band{sizeof(band), 0, 0, 0, 0, 0, 0, 0};
  const sluice_requests all = table(0, kRows);
  const uint64_t before = allocations();
  vtable->keys(policy.object(), state.get(), &all, &band, keys.data());
  EXPECT_EQ(allocations(), before);
  for (uint32_t i = 0; i < kRows; ++i) {
    const sluice_requests one = table(i, 1);
    uint64_t key = seq[i];
    vtable->keys(policy.object(), state.get(), &one, &band, &key);
    EXPECT_EQ(key, keys[i]) << i;
  }
  for (size_t size = 8; size < sizeof(all); size += 8) {
    uint64_t key = 42;
    vtable->keys(policy.object(), state.get(), Resized<sluice_requests>(all, size).get(), &band,
                 &key);
    EXPECT_EQ(key, 42U) << size;
  }
}

// ---- eviction ----

TEST_P(EvictionConformance, NamesOnlyFlowsThatHoldSomething) {
  const Policy policy(descriptor);
  const PolicyState state(policy, 100);
  const auto* vtable = static_cast<const sluice_eviction_v1*>(policy.vtable(SLUICE_EVICTION_ID));
  std::mt19937 random(6);
  ToyBand band(100, nullptr);
  for (int i = 0; i < 100; ++i) band.add_flow();
  for (int i = 0; i < 300; ++i) band.park(random() % 50, random() % 100);
  const OneRequest newcomer({.seq = 1000});
  for (uint32_t i = 0; i < 200; ++i) {
    const uint32_t newcomer_slot = i % 4 == 0 ? SLUICE_NONE : random() % 100;
    const sluice_need need{sizeof(need), 1 + i % 2, 1, i % 3, 1, newcomer_slot, 0, &newcomer.get()};
    const sluice_band facts{sizeof(facts), i % 3 + i % 5, 0, 0, 0, 0, 0, 0};
    const uint64_t before = allocations();
    const uint32_t slot = vtable->pick(policy.object(), state.get(), &band.flows(), &facts, &need);
    EXPECT_EQ(vtable->pick(policy.object(), state.get(), &band.flows(), &facts, &need), slot);
    EXPECT_EQ(allocations(), before);
    if (slot == SLUICE_NONE) continue;
    ASSERT_NE(band.parked(slot), 0U);
    band.shed_newest(slot);
    for (size_t size = 8; size < sizeof(sluice_flows); size += 8) {
      const Resized<sluice_flows> cut(band.flows(), size);
      EXPECT_EQ(vtable->pick(policy.object(), state.get(), cut.get(), &facts, &need), SLUICE_NONE);
    }
  }
}

// ---- scoring ----

TEST_P(ScoringConformance, ScoresAreInRangeAndFollowTheEndpointNotItsRow) {
  constexpr uint32_t kCount = 50;
  const Policy policy(descriptor);
  const PolicyState state(policy, 0, kCount);
  const auto* vtable = static_cast<const sluice_scoring_v1*>(policy.vtable(SLUICE_SCORING_ID));
  std::mt19937 random(7);
  std::vector<uint32_t> slot(kCount), inflight(kCount), limit(kCount), waiting(kCount),
      cached(kCount), rows(kCount), back(kCount);
  std::vector<uint64_t> large(kCount);
  std::vector<float> kv(kCount), straight(kCount), reversed(kCount), cut(kCount);
  for (uint32_t i = 0; i < kCount; ++i) {
    slot[i] = rows[i] = i;
    back[i] = kCount - 1 - i;
    inflight[i] = random() % 20;
    limit[i] = i % 7 == 0 ? SLUICE_NONE : random() % 20;
    waiting[i] = i % 11 == 0 ? UINT32_MAX : random() % 9;
    kv[i] = static_cast<float>(random() % 1000) / 999.0F;
    large[i] = random();
  }
  const sluice_endpoints table{sizeof(table), kCount,         slot.data(),    inflight.data(),
                               limit.data(),  waiting.data(), waiting.data(), large.data(),
                               large.data(),  large.data(),   kv.data(),      nullptr,
                               nullptr};
  const OneRequest request({.seq = 1}, 64);
  const auto score = [&](const std::vector<uint32_t>& order, std::vector<float>& out, size_t size) {
    for (uint32_t i = 0; i < kCount; ++i) cached[i] = order[i] * 2;
    const sluice_pairs pairs{sizeof(pairs), kCount, order.data(), cached.data()};
    const Resized<sluice_endpoints> endpoints(table, size);
    const uint64_t before = allocations();
    vtable->score(policy.object(), state.get(), &request.get(), endpoints.get(), &pairs,
                  out.data());
    EXPECT_EQ(allocations(), before);
  };
  score(rows, straight, sizeof(table));
  score(back, reversed, sizeof(table) + 32);
  for (uint32_t i = 0; i < kCount; ++i) {
    EXPECT_TRUE(std::isfinite(straight[i]) && straight[i] >= 0 && straight[i] <= 1) << i;
    EXPECT_EQ(straight[i], reversed[kCount - 1 - i]) << i;
  }
  score(rows, cut, sizeof(table) - 8);
  EXPECT_EQ(std::count(cut.begin(), cut.end(), 0.0F), kCount);
}

std::string name_of(const ::testing::TestParamInfo<std::string>& test) { return test.param; }

INSTANTIATE_TEST_SUITE_P(All, Conformance, ::testing::ValuesIn(shipped()), name_of);
INSTANTIATE_TEST_SUITE_P(All, FairnessConformance, ::testing::ValuesIn(shipped("fairness_")),
                         name_of);
INSTANTIATE_TEST_SUITE_P(All, OrderingConformance, ::testing::ValuesIn(shipped("ordering_")),
                         name_of);
INSTANTIATE_TEST_SUITE_P(All, EvictionConformance, ::testing::ValuesIn(shipped("eviction_")),
                         name_of);
INSTANTIATE_TEST_SUITE_P(All, ScoringConformance, ::testing::ValuesIn(shipped("scoring_")),
                         name_of);

TEST(Shipped, AllFourteenAreThere) {
  EXPECT_EQ(shipped(),
            (std::vector<std::string>{
                "eviction_longest_flow", "eviction_lowest_band_first", "eviction_reject_newest",
                "fairness_fcfs", "fairness_round_robin", "fairness_vtc", "fairness_weighted_drr",
                "ordering_edf", "ordering_fcfs", "ordering_sjf", "scoring_in_flight",
                "scoring_kv_cache", "scoring_prefix_cache", "scoring_queue_depth"}));
}

}  // namespace
}  // namespace sluice::testing
