// What gateways ask of the engine: subsets, lists to fall back on, and word of where a request
// went.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/decision_checker.h"
#include "core/limits.h"
#include "tests/unit/core/engine_fixture.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Gateway : public testing::Test {
 protected:
  Gateway() : Gateway(three_bands()) {}
  explicit Gateway(Pipeline pipeline) : d(std::move(pipeline)) {
    d.engine->set_log(d.now, &checker);
    for (uint32_t slot = 0; slot < 3; ++slot) d.add_endpoint(slot, 1);
  }
  ~Gateway() override {
    d.engine->set_log(d.now, nullptr);
    EXPECT_EQ(checker.report().violations_in_all(), 0u);
  }
  RequestId submit(const std::string& flow, std::optional<std::vector<uint32_t>> only) {
    Submission s;
    s.flow = flow;
    s.flow_hash = std::hash<std::string>{}(flow);
    s.band = 1;
    s.bytes = 10;
    if (only) s.only = *only;
    const RequestId id = d.engine->submit(d.now, s);
    d.settle();
    return id;
  }
  uint32_t in_flight(uint32_t slot) { return d.engine->stats().endpoints.at(slot).in_flight; }

  DecisionChecker checker;
  EngineDriver d;
};

TEST_F(Gateway, ASubsetIsUsedAloneAndBlocksNobodyElse) {
  const RequestId first = submit("a", {{2, 1, 2}}), second = submit("b", {{1, 2}});
  EXPECT_THAT(std::vector({d.where.at(first.seq), d.where.at(second.seq)}),
              testing::UnorderedElementsAre(1, 2));
  const RequestId waits = submit("c", {{1, 2}}), goes = submit("d", std::nullopt);
  EXPECT_FALSE(d.where.contains(waits.seq));
  EXPECT_EQ(d.where.at(goes.seq), 0u);
  d.complete(goes);
  EXPECT_FALSE(d.where.contains(waits.seq));
  d.complete(first);
  EXPECT_EQ(d.where.at(waits.seq), d.where.at(first.seq));
}

TEST_F(Gateway, ASubsetWithoutAMemberIsRefusedAtOnce) {
  for (const auto& none : {std::vector<uint32_t>{}, {7}, {kNone}}) {
    const RequestId id = submit("a", none);
    EXPECT_EQ(d.ended.at(id.seq).outcome, Outcome::kRejectedNoEndpoint);
  }
}

TEST_F(Gateway, ASubsetOfWhichNothingIsUpIsRefusedAtOnce) {
  d.engine->set_endpoint(d.now, 1, 1, false);
  EXPECT_EQ(d.ended.at(submit("a", {{1}}).seq).outcome, Outcome::kRejectedNoEndpoint);
  const RequestId id = submit("a", {{1, 2}});
  EXPECT_EQ(d.where.at(id.seq), 2u);
  // What is down may come back for one that waits.
  const RequestId waits = submit("b", {{1, 2}});
  d.engine->set_endpoint(d.now, 1, 1, true);
  d.settle();
  EXPECT_EQ(d.where.at(waits.seq), 1u);
}

TEST_F(Gateway, ASubsetHoldsOverARequeueAndAnEndpointThatComesLater) {
  const RequestId id = submit("a", {{1, 2}});
  const uint32_t broke = d.where.at(id.seq);
  d.engine->requeue(d.now, id, Engine::Requeue::kBroken);
  d.settle();
  EXPECT_EQ(d.where.at(id.seq), 3 - broke);
  // Both are down: a new endpoint is none of its own.
  d.engine->set_endpoint(d.now, 1, 1, false);
  d.engine->set_endpoint(d.now, 2, 1, false);
  d.settle();
  d.engine->requeue(d.now, id, Engine::Requeue::kBroken);
  d.add_endpoint(3, 8);
  EXPECT_EQ(d.dispatched.size(), 2u);
  d.engine->set_endpoint(d.now, broke, 1, true);
  d.settle();
  EXPECT_EQ(d.dispatched.size(), 3u);
  EXPECT_EQ(d.where.at(id.seq), broke);
}

TEST_F(Gateway, AReservationMovesToWhereTheRequestIsServed) {
  const RequestId id = submit("a", {{0}});
  EXPECT_TRUE(d.engine->served_by(d.now, id, 2));
  d.settle();
  EXPECT_EQ(in_flight(0), 0u);
  EXPECT_EQ(in_flight(2), 1u);
  // The room that is free again is used, that which is not is not.
  EXPECT_EQ(d.where.at(submit("b", {{0}}).seq), 0u);
  const RequestId waits = submit("c", {{2}});
  EXPECT_FALSE(d.where.contains(waits.seq));
  EXPECT_TRUE(d.engine->served_by(d.now, id, 2));  // it is there already
  EXPECT_FALSE(d.engine->served_by(d.now, id, 9));
  EXPECT_FALSE(d.engine->served_by(d.now, waits, 1));
  // Beyond a limit, too: it is there, whatever was planned.
  EXPECT_TRUE(d.engine->served_by(d.now, id, 0));
  d.settle();
  EXPECT_EQ(in_flight(0), 2u);
  EXPECT_EQ(d.where.at(waits.seq), 2u);
  d.complete(id);
  EXPECT_FALSE(d.engine->served_by(d.now, id, 1));
}

TEST_F(Gateway, AnEndpointThatSaysThatItIsFullIsLeftAloneForAMoment) {
  const RequestId id = submit("a", {{0}});
  d.complete(id, {.made_nothing = true, .was_full = true});
  const RequestId next = submit("a", {{0}});
  EXPECT_FALSE(d.where.contains(next.seq));
  d.advance(kRejectionPauseMinNs);
  EXPECT_TRUE(d.where.contains(next.seq));
}

TEST_F(Gateway, NothingIsRankedUnlessAskedFor) {
  submit("a", std::nullopt);
  EXPECT_THAT(d.all.back().ranked, IsEmpty());
}

class RankingGateway : public Gateway {
 protected:
  RankingGateway() : Gateway(pipeline()) {}
  static Pipeline pipeline() {
    Pipeline p = three_bands();
    p.ranks = true;
    return p;
  }
  std::vector<uint32_t> last() {
    std::vector<uint32_t> slots;
    for (const Ranked& ranked : d.all.back().ranked) slots.push_back(ranked.endpoint);
    return slots;
  }
};

TEST_F(RankingGateway, TheChosenOneComesFirstThenRoomByScoreThenTheFull) {
  d.engine->set_endpoint(d.now, 0, 4, true);
  d.engine->set_endpoint(d.now, 1, 4, true);
  d.settle();
  submit("a", {{0}});
  submit("a", {{0}});
  submit("a", {{1}});
  submit("a", {{2}});  // full now
  submit("b", std::nullopt);
  EXPECT_THAT(last(), ElementsAre(1, 0, 2));
  EXPECT_FLOAT_EQ(d.all.back().ranked[0].score, 0.5F);  // one was in flight
  EXPECT_FLOAT_EQ(d.all.back().ranked[1].score, 1.0F / 3);
  EXPECT_FLOAT_EQ(d.all.back().ranked[2].score, 0);
}

TEST_F(RankingGateway, OnlyWhatItMayUseAndWhatIsUp) {
  d.engine->set_endpoint(d.now, 2, 1, false);
  d.settle();
  submit("a", {{1, 2}});
  EXPECT_THAT(last(), ElementsAre(1));
  submit("b", std::nullopt);
  EXPECT_THAT(last(), ElementsAre(0, 1));
}

}  // namespace
}  // namespace sluice
