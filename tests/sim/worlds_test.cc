// Random worlds, small ones, each call of each compared with all that is known.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "core/planted.h"
#include "tests/sim/run.h"

namespace rc {

// Steps are left out when a history shrinks; what a step draws from stays as it is.
template <>
struct Arbitrary<sluice::sim::Step> {
  static Gen<sluice::sim::Step> arbitrary() {
    using sluice::sim::Step;
    return gen::construct<Step>(
        gen::map(gen::noShrink(gen::inRange<int>(0, sluice::sim::kStepKinds)),
                 [](int kind) { return static_cast<Step::Kind>(kind); }),
        gen::noShrink(gen::resize(kNominalSize, gen::arbitrary<uint64_t>())));
  }
};

}  // namespace rc

namespace sluice::sim {
namespace {

const Shelf& shelf() {
  static const Shelf loaded = Shelf::load(SLUICE_POLICY_DIR);
  return loaded;
}

void print(const Step& step, std::string& text) {
  text += std::string(to_string(step.kind)) + " " + std::to_string(step.salt) + "\n";
}

TEST(Worlds, KeepEveryPromise) {
  WorldCounts total;
  for (uint64_t seed = 10001; seed <= 10400; ++seed) {
    const World::Options options{.seed = seed};
    const std::vector<Step> steps = World::steps(seed, 150);
    const WorldRun done = run(shelf(), options, steps);
    total.add(done.counts);
    ASSERT_FALSE(done.finding) << "seed " << seed << ": " << to_string(done.finding->by) << ": "
                               << done.finding->text << "\n"
                               << shrink(shelf(), options, steps, done.finding->by).history;
  }
  // They are worth something only if much happens in them.
  EXPECT_GT(total.requests, 30'000u);
  EXPECT_GT(total.dispatches, 15'000u);
  EXPECT_GT(total.contested, 4'000u);
  EXPECT_GT(total.reloads, 80u);
  EXPECT_GT(total.faults, 300u);
}

// Histories that no seed would draw: every kind of step as often as any other.
TEST(Worlds, KeepEveryPromiseWhateverTheSteps) {
  EXPECT_TRUE(rc::check([] {
    const auto seed = *rc::gen::noShrink(rc::gen::inRange<uint64_t>(1, 1'000'000));
    const auto steps = *rc::gen::resize(300, rc::gen::arbitrary<std::vector<Step>>());
    const World::Options options{.seed = seed, .compare_every = 1, .tells = true};
    const WorldRun done = run(shelf(), options, steps);
    if (!done.finding) return;
    std::string text = "seed " + std::to_string(seed) + "\n";
    for (const Step& step : steps) print(step, text);
    RC_FAIL(text + done.history);
  }));
}

TEST(Worlds, AreTheirSeedAndNothingElse) {
  const auto hash = [](uint64_t seed, uint32_t compare_every) {
    return run(shelf(), {.seed = seed, .compare_every = compare_every}, World::steps(seed, 400))
        .hash;
  };
  for (uint64_t seed = 11; seed < 40; ++seed) {
    EXPECT_EQ(hash(seed, 16), hash(seed, 16));
    EXPECT_EQ(hash(seed, 16), hash(seed, 1)) << "it matters whether somebody looks";
  }
  EXPECT_NE(hash(11, 16), hash(12, 16));
}

TEST(Worlds, ShrinkToAShortHistoryInWords) {
  planted_now = Planted::kLeakedRefund;
  uint64_t seed = 1;
  std::optional<Finding> finding;
  for (; !finding; ++seed)
    finding = run(shelf(), {.seed = seed, .compare_every = 64}, World::steps(seed, 500)).finding;
  --seed;
  const WorldRun shortest = shrink(shelf(), {.seed = seed}, World::steps(seed, 500), finding->by);
  planted_now = Planted::kNothing;
  ASSERT_TRUE(shortest.finding);
  EXPECT_LE(shortest.steps, 4u) << shortest.history;
  EXPECT_NE(shortest.history.find("requeue #"), std::string::npos) << shortest.history;
}

}  // namespace
}  // namespace sluice::sim
