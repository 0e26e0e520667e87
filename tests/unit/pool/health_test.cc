#include "host/pool/health.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;

// An endpoint that was ejected at time 0, by requests that failed.
Health ejected() {
  Health health;
  for (uint32_t i = 0; i < kFailuresMax; i++) health.request_failed(0);
  return health;
}

// Ejected a second time, as soon as it was back.
Health ejected_twice() {
  Health health = ejected();
  health.connected(kBackoffMinNs);
  health.request_failed(kSecond);
  return health;
}

TEST(Health, EjectsAtTheLastOfTheFailuresInARow) {
  Health health;
  for (uint32_t i = 1; i < kFailuresMax; i++) {
    EXPECT_FALSE(health.request_failed(i));
    EXPECT_TRUE(health.up());
  }
  EXPECT_TRUE(health.request_failed(9));
  EXPECT_FALSE(health.up());
  EXPECT_EQ(health.ejections(), 1u);
  EXPECT_FALSE(health.request_failed(10)) << "already out: nothing changes";
}

TEST(Health, ASuccessBetweenFailuresStartsTheCountAnew) {
  Health health;
  for (int round = 0; round < 10; round++) {
    for (uint32_t i = 1; i < kFailuresMax; i++) health.request_failed(0);
    EXPECT_FALSE(health.request_succeeded(0));
  }
  EXPECT_TRUE(health.up());
}

TEST(Health, RefusedScrapesEjectToo) {
  Health health;
  health.connect_failed(0);
  health.request_failed(0);
  EXPECT_TRUE(health.connect_failed(0));
}

TEST(Health, AScrapeThatConnectsDoesNotExcuseRequestsThatFail) {
  Health health;
  for (uint32_t i = 1; i < kFailuresMax; i++) {
    health.request_failed(0);
    health.scraped(0);
    health.connected(0);
  }
  EXPECT_TRUE(health.request_failed(0));
}

TEST(Health, AScrapeThatConnectsForgetsScrapesThatDidNot) {
  Health health;
  for (int round = 0; round < 10; round++) {
    for (uint32_t i = 1; i < kFailuresMax; i++) health.connect_failed(0);
    health.connected(0);
  }
  EXPECT_TRUE(health.up());
}

TEST(Health, AGoodScrapeBringsBackAtOnceWhereConnectionsWereRefused) {
  Health health;
  for (uint32_t i = 0; i < kFailuresMax; i++) health.connect_failed(0);
  EXPECT_FALSE(health.up());
  EXPECT_TRUE(health.scraped(1));
  EXPECT_EQ(health.state(), Health::State::kProbation);
}

TEST(Health, AGoodScrapeIsNoProofWhereRequestsFailed) {
  Health health = ejected();
  EXPECT_FALSE(health.scraped(kBackoffMinNs - 1));
  EXPECT_TRUE(health.scraped(kBackoffMinNs));
  EXPECT_EQ(health.state(), Health::State::kProbation);
}

TEST(Health, ABareConnectionBringsBackOnlyAfterTheBackoff) {
  Health health = ejected();
  EXPECT_FALSE(health.connected(kBackoffMinNs - 1));
  EXPECT_FALSE(health.probe_due(kBackoffMinNs - 1));
  EXPECT_TRUE(health.probe_due(kBackoffMinNs));
  EXPECT_TRUE(health.connected(kBackoffMinNs));
  EXPECT_EQ(health.state(), Health::State::kProbation);
}

TEST(Health, ARequestThatSucceedsBringsBackFully) {
  Health health = ejected();
  EXPECT_TRUE(health.request_succeeded(1));
  EXPECT_EQ(health.state(), Health::State::kUp);
}

TEST(Health, OnProbationOneFailureIsEnough) {
  Health health = ejected();
  health.scraped(kBackoffMinNs);
  EXPECT_TRUE(health.request_failed(kBackoffMinNs + 1));
}

TEST(Health, ARequestThatSucceedsEndsProbation) {
  Health health = ejected();
  health.scraped(kBackoffMinNs);
  EXPECT_TRUE(health.request_succeeded(kBackoffMinNs + 1));
  EXPECT_EQ(health.state(), Health::State::kUp);
  EXPECT_FALSE(health.request_failed(kBackoffMinNs + 2));
  EXPECT_FALSE(health.request_succeeded(kBackoffMinNs + 3));
}

TEST(Health, AFailureOnProbationDoublesTheBackoff) {
  Health health = ejected_twice();
  TimeNs out_until = kSecond + 2 * kBackoffMinNs;
  EXPECT_EQ(health.backoff_ends_ns(), out_until);
  EXPECT_FALSE(health.scraped(out_until - 1));
  EXPECT_TRUE(health.scraped(out_until));
}

TEST(Health, ARefusedConnectionMakesTheNextGoodScrapeNewsAgain) {
  Health health = ejected_twice();
  EXPECT_FALSE(health.scraped(kSecond + 1));
  health.connect_failed(kSecond + 2);
  EXPECT_TRUE(health.scraped(kSecond + 3));
}

TEST(Health, BackoffDoublesUpToItsLimitWhileEjectionsFollowEachOther) {
  Health health = ejected();
  TimeNs now = 0;
  for (TimeNs wait = kBackoffMinNs; wait < 4 * kBackoffMaxNs; wait *= 2) {
    EXPECT_EQ(health.backoff_ends_ns() - now, std::min(wait, kBackoffMaxNs));
    now = health.backoff_ends_ns();
    ASSERT_TRUE(health.connected(now));
    ASSERT_TRUE(health.request_failed(now));
  }
}

TEST(Health, BackoffStartsAnewAfterATimeWithoutEjection) {
  Health health = ejected_twice();
  TimeNs back = health.backoff_ends_ns();
  health.connected(back);
  health.request_succeeded(back);
  TimeNs now = back + kProbationNs;
  for (uint32_t i = 0; i < kFailuresMax; i++) health.request_failed(now);
  EXPECT_EQ(health.backoff_ends_ns() - now, kBackoffMinNs);
}

TEST(Health, AFailedProbeWaitsForALongerBackoff) {
  Health health = ejected();
  health.connect_failed(kBackoffMinNs / 2);
  EXPECT_EQ(health.backoff_ends_ns(), kBackoffMinNs) << "not due yet: nothing was lost by trying";
  health.connect_failed(kBackoffMinNs);
  EXPECT_EQ(health.backoff_ends_ns(), kBackoffMinNs + 2 * kBackoffMinNs);
}

// Whatever happens in whatever order: what is returned is exactly the change of state(), nothing
// stays out without a backoff that ends, and a probe that is due always readmits.
TEST(Health, InvariantsHoldUnderRandomHistories) {
  std::mt19937 random(7);
  for (int history = 0; history < 300; history++) {
    Health health;
    TimeNs now = 0;
    for (int step = 0; step < 300; step++) {
      now += random() % (random() % 10 == 0 ? 40 * kSecond : kSecond / 4);
      const Health::State before = health.state();
      bool due = health.probe_due(now), changed = false;
      switch (random() % 5) {
        case 0:
          changed = health.request_succeeded(now);
          ASSERT_EQ(health.state(), Health::State::kUp);
          ASSERT_EQ(health.failures(), 0u);
          break;
        case 1:
          changed = health.request_failed(now);
          break;
        case 2:
          changed = health.connect_failed(now);
          break;
        case 3:
          changed = health.connected(now);
          ASSERT_TRUE(!due || changed);
          break;
        default:
          changed = health.scraped(now);
          ASSERT_TRUE(!due || changed);
      }
      ASSERT_EQ(changed, before != health.state());
      ASSERT_LE(health.failures(), 2 * kFailuresMax);
      if (!health.up()) {
        ASSERT_LE(health.backoff_ends_ns(), now + kBackoffMaxNs);
      }
    }
  }
}

}  // namespace
}  // namespace sluice
