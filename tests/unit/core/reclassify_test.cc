// Requests whose names have moved to other eligibility classes.
#include "tests/unit/core/engine_fixture.h"

namespace sluice {
namespace {

constexpr ClassId kNobody = 50;  // a class without endpoints

TEST(Reclassify, WhatIsParkedGoesWhereItsNewClassHasRoomByPriority) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  const RequestId low = d.submit({.band = 2, .eligible = kNobody});
  const RequestId stays = d.submit({.flow = "g", .eligible = kNobody});
  const RequestId high = d.submit({.band = 0, .eligible = kNobody});
  const auto to_first = [&](RequestId id, ClassId current) -> std::optional<ClassId> {
    return id == stays ? current : 1;
  };
  d.engine->reclassify(d.now, to_first);
  d.settle();
  EXPECT_EQ(d.dispatched, (std::vector{high.seq})) << "all move before anything is dispatched";
  d.complete(high);
  EXPECT_EQ(d.dispatched, (std::vector{high.seq, low.seq}));
  d.complete(low);
  EXPECT_EQ(d.engine->stats().total.parked, 1u);
}

TEST(Reclassify, ARequestInTheMiddleOfItsFlowMovesAndTheHeadStaysBlocked) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  d.add_endpoint(1, 1);
  const RequestId busy = d.submit({.eligible = 1});
  const RequestId head = d.submit({.eligible = 1});
  const RequestId second = d.submit({.eligible = kNobody});
  d.engine->reclassify(d.now, [&](RequestId id, ClassId current) {
    return std::optional<ClassId>(id == second ? 2 : current);
  });
  d.settle();
  EXPECT_EQ(d.dispatched, (std::vector{busy.seq})) << "order inside a flow holds";
  d.engine->reclassify(d.now, [](RequestId, ClassId) { return std::optional<ClassId>(2); });
  d.settle();
  EXPECT_EQ(d.where[head.seq], 1u);
  d.complete(busy);
  d.complete(head);
  EXPECT_EQ(d.where[second.seq], 1u);
}

TEST(Reclassify, ARequestKeepsAwayFromAnEndpointThatBrokeUnderIt) {
  EngineDriver d(three_bands());
  for (uint32_t slot : {0, 1, 2}) d.add_endpoint(slot, 1);
  d.engine->set_class(d.now, 10, {0, 1});
  const RequestId id = d.submit({.eligible = 1});
  const RequestId other = d.submit({.eligible = 2});
  ASSERT_TRUE(d.engine->requeue(d.now, id, Engine::Requeue::kBroken));
  d.settle();
  ASSERT_EQ(d.where[id.seq], 0u) << "nobody else serves it";
  ASSERT_TRUE(d.engine->requeue(d.now, id, Engine::Requeue::kRejected));
  d.engine->reclassify(d.now, [&](RequestId asked, ClassId current) {
    return std::optional<ClassId>(asked == id ? 10 : current);
  });
  d.advance(1'000'000'000);  // the pause is over
  EXPECT_EQ(d.engine->stats().total.parked, 1u);
  d.complete(other);
  EXPECT_EQ(d.where[id.seq], 1u);
}

TEST(Reclassify, AnEndpointThatBrokeStaysExcludedWhileItLeavesTheClassAndComesBack) {
  EngineDriver d(three_bands());
  for (uint32_t slot : {0, 1}) d.add_endpoint(slot, 1);
  const RequestId busy = d.submit({.eligible = 2});
  const RequestId id = d.submit({.eligible = 0});
  ASSERT_EQ(d.where[id.seq], 0u);
  d.engine->set_class(d.now, 0, {1});
  ASSERT_TRUE(d.engine->requeue(d.now, id, Engine::Requeue::kBroken));
  d.engine->set_class(d.now, 0, {0, 1});
  d.settle();
  EXPECT_EQ(d.engine->stats().total.parked, 1u) << "it broke there";
  d.complete(busy);
  EXPECT_EQ(d.where[id.seq], 1u);
}

TEST(Reclassify, WhatNobodyWillEverServeEnds) {
  EngineDriver d(three_bands());
  d.add_endpoint(0, 1);
  const RequestId flying = d.submit({.eligible = 0});
  const RequestId parked = d.submit({.eligible = 0});
  d.engine->reclassify(d.now, [](RequestId, ClassId) { return std::optional<ClassId>(); });
  d.settle();
  EXPECT_EQ(d.ended[parked.seq].outcome, Outcome::kRejectedUnknownModel);
  EXPECT_FALSE(d.ended.contains(flying.seq)) << "it is being served";
  ASSERT_TRUE(d.engine->requeue(d.now, flying, Engine::Requeue::kBroken));
  d.settle();
  EXPECT_EQ(d.ended[flying.seq].outcome, Outcome::kRejectedUnknownModel);
}

}  // namespace
}  // namespace sluice
