// Every bug that can be planted in the core is found by random worlds, and by whom it should be.
#include "core/planted.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <ostream>
#include <vector>

#include "tests/sim/run.h"

namespace sluice::sim {
namespace {

using By = Finding::By;

struct Case {
  Planted bug;
  const char* name;
  std::vector<By> by;  // any of these
};

void PrintTo(const Case& tested, std::ostream* out) { *out << tested.name; }

const Case kCases[] = {
    {Planted::kLostWakeUp, "LostWakeUp", {By::kAudit, By::kChecker}},
    {Planted::kDoubleRelease, "DoubleRelease", {By::kAudit}},
    {Planted::kLimitOffByOne, "LimitOffByOne", {By::kAudit, By::kChecker, By::kOracle}},
    {Planted::kFlowLimitOffByOne, "FlowLimitOffByOne", {By::kOracle}},
    {Planted::kReturnUntold, "ReturnUntold", {By::kMirror}},
    {Planted::kLeakedRefund, "LeakedRefund", {By::kOracle}},
    {Planted::kPriorityInversion, "PriorityInversion", {By::kChecker}},
    {Planted::kHeapUnsorted, "HeapUnsorted", {By::kAudit, By::kChecker, By::kOracle}},
    {Planted::kStaleKeys, "StaleKeys", {By::kChecker, By::kOracle}},
    {Planted::kExpiresLate, "ExpiresLate", {By::kOracle}},
    {Planted::kRequeueToTail, "RequeueToTail", {By::kOracle}},
    {Planted::kDeadlineRestarts, "DeadlineRestarts", {By::kOracle}},
    {Planted::kBrokenNotExcluded, "BrokenNotExcluded", {By::kOracle}},
    {Planted::kExclusionForgotten, "ExclusionForgotten", {By::kOracle}},
    {Planted::kChargeNotSettled, "ChargeNotSettled", {By::kOracle}},
    {Planted::kRoomKeptOnCancel, "RoomKeptOnCancel", {By::kAudit}},
    {Planted::kPromptsUncounted, "PromptsUncounted", {By::kAudit, By::kOracle}},
    {Planted::kPromptsForgotten, "PromptsForgotten", {By::kAudit, By::kChecker}},
    {Planted::kStaysBlocked, "StaysBlocked", {By::kAudit, By::kChecker}},
    {Planted::kOneClock, "OneClock", {By::kOracle}},
    {Planted::kEvictsUpwards, "EvictsUpwards", {By::kOracle}},
    {Planted::kEvictsInVain, "EvictsInVain", {By::kOracle}},
    {Planted::kForgottenWithWork, "ForgottenWithWork", {By::kAudit}},
    {Planted::kClassNotFollowed, "ClassNotFollowed", {By::kOracle}},
    {Planted::kProgressChargedTwice, "ProgressChargedTwice", {By::kOracle}},
    {Planted::kTenantLeak, "TenantLeak", {By::kAudit, By::kOracle}},
    {Planted::kDrawsByAddress, "DrawsByAddress", {By::kHash}},
    {Planted::kLimitFallsForNothing, "LimitFallsForNothing", {By::kOracle}},
    {Planted::kPauseForgotten, "PauseForgotten", {By::kOracle}},
    {Planted::kDrainLetsIn, "DrainLetsIn", {By::kOracle}},
    {Planted::kGhostHasRoom, "GhostHasRoom", {By::kAudit, By::kOracle}},
    {Planted::kSubsetIgnored, "SubsetIgnored", {By::kOracle}},
    {Planted::kTimeRunsBack, "TimeRunsBack", {By::kChecker, By::kOracle}},
    {Planted::kNeverQuarantined, "NeverQuarantined", {By::kOracle}},
    {Planted::kRevokedTwice, "RevokedTwice", {By::kOracle}},
    {Planted::kReservationStays, "ReservationStays", {By::kAudit}},
    {Planted::kBytesUnlimited, "BytesUnlimited", {By::kOracle}},
    {Planted::kCeilingOverlooked, "CeilingOverlooked", {By::kOracle}},
    {Planted::kWaitForgotten, "WaitForgotten", {By::kOracle}},
};

constexpr uint64_t kSeeds = 1000;  // for each bug, at most
constexpr uint32_t kSteps = 200;

const Shelf& shelf() {
  static const Shelf loaded = Shelf::load(SLUICE_POLICY_DIR);
  return loaded;
}

// One world twice, side by side: what depends on where things lie in memory differs.
std::optional<Finding> find_in(uint64_t seed, size_t* steps_run) {
  const World::Options options{.seed = seed};
  const std::vector<Step> steps = World::steps(seed, kSteps);
  World world(shelf(), options), twin(shelf(), options);
  for (*steps_run = 0; *steps_run < steps.size() && !world.finding(); ++*steps_run) {
    world.step(steps[*steps_run]);
    twin.step(steps[*steps_run]);
    if (!world.finding() && world.hash() != twin.hash())
      return Finding{By::kHash, "two worlds of one seed decided differently"};
  }
  world.finish();
  return world.finding();
}

class PlantedBug : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override { planted_now = GetParam().bug; }
  void TearDown() override { planted_now = Planted::kNothing; }
};

TEST_P(PlantedBug, IsFound) {
  size_t steps = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const std::optional<Finding> finding = find_in(seed, &steps);
    if (!finding) continue;
    std::printf("  by the %s, seed %llu after %zu steps: %s\n", to_string(finding->by),
                static_cast<unsigned long long>(seed), steps, finding->text.c_str());
    EXPECT_EQ(std::ranges::count(GetParam().by, finding->by), 1) << "by somebody else";
    return;
  }
  FAIL() << "nobody has found it in " << kSeeds << " worlds";
}

INSTANTIATE_TEST_SUITE_P(Core, PlantedBug, ::testing::ValuesIn(kCases),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(Worlds, NothingIsFoundWhereNothingIsPlanted) {
  size_t steps = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const std::optional<Finding> finding = find_in(seed, &steps);
    ASSERT_FALSE(finding) << "seed " << seed << ": " << to_string(finding->by) << ": "
                          << finding->text;
  }
}

}  // namespace
}  // namespace sluice::sim
