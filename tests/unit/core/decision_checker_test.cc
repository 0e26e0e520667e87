// The decision log's checker: good logs pass, each planted fault is found with its kind and line.

#include "core/decision_checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <random>
#include <string>

namespace sluice {
namespace {

using What = Violation::Kind;
using testing::HasSubstr;

CheckReport check(std::string_view log) {
  DecisionChecker checker;
  while (!log.empty()) {
    const size_t end = log.find('\n');
    if (end == std::string_view::npos) break;
    checker.read_line(log.substr(0, end));
    log.remove_prefix(end + 1);
  }
  checker.end_of_file(!log.empty());
  return checker.report();
}

// Two bands, two endpoints (0 takes one request, 1 takes two), a class of both and one of endpoint
// 0.
constexpr const char* kOpening =
    "sluice-decision-log 1 2026-11-23T20:25:31Z\n"  // line 1
    "0 band 0 priority=100 name=critical\n"
    "0 band 1 priority=0 name=default\n"
    "0 endpoint 0 limit=1 open\n"
    "0 endpoint 1 limit=2 open\n"
    "0 class 0 members=0,1\n"
    "0 class 1 members=0\n"
    "0 settled\n";  // line 8

std::string log_of(std::string_view rest) { return std::string(kOpening) + std::string(rest); }

CheckReport check_rest(std::string_view rest) { return check(log_of(rest)); }

std::string words(const CheckReport& report) {
  std::string text = report.incomplete;
  for (const Violation& v : report.first)
    text += std::to_string(v.line) + " " + to_string(v.kind) + ": " + v.text + "\n";
  return text;
}

// Exactly one violation: of this kind, at this line, with this text in it.
void expect_one(std::string_view rest, What kind, uint64_t line, const char* text) {
  SCOPED_TRACE(rest);
  const CheckReport report = check_rest(rest);
  EXPECT_EQ(report.incomplete, "");
  EXPECT_FALSE(report.ok());
  ASSERT_EQ(report.first.size(), 1u) << words(report);
  EXPECT_STREQ(to_string(report.first[0].kind), to_string(kind)) << words(report);
  EXPECT_EQ(report.first[0].line, line);
  EXPECT_THAT(report.first[0].text, HasSubstr(text));
  EXPECT_EQ(report.violations[static_cast<size_t>(kind)], 1u);
  EXPECT_EQ(report.violations_in_all(), 1u);
}

void expect_good(std::string_view rest) {
  SCOPED_TRACE(rest);
  const CheckReport report = check_rest(rest);
  EXPECT_TRUE(report.ok()) << words(report);
}

void expect_incomplete(std::string_view log, const char* text) {
  SCOPED_TRACE(log);
  const CheckReport report = check(log);
  EXPECT_FALSE(report.ok());
  EXPECT_THAT(report.incomplete, HasSubstr(text));
  EXPECT_EQ(report.violations_in_all(), 0u) << words(report);
}

TEST(DecisionChecker, CountsWhatAGoodLogSays) {
  const CheckReport report = check_rest(
      "5 submit #1 band=1 flow=0 class=0 key=1 bytes=10 name=a\n"
      "5 dispatch #1 endpoint=1 attempt=1\n"
      "5 settled\n"
      "6 submit #2 band=1 flow=0 class=1 key=2 bytes=10\n"
      "6 dispatch #2 endpoint=0 attempt=1\n"
      "6 settled\n"
      "7 submit #3 band=0 flow=0 class=1 key=3 bytes=10 name=b\n"
      "7 settled\n"
      "7 submit #4 band=1 flow=1 class=0 key=4 bytes=10 name=c\n"  // passes #3, which has no room
      "7 dispatch #4 endpoint=1 attempt=1\n"
      "7 settled\n"
      "9 requeue #2 class=0\n"
      "9 endpoint 0 limit=1 closed\n"
      "9 settled\n"
      "9 submit #5 band=1 flow=1 class=1 key=5 bytes=1\n"
      "9 end #5 cancelled\n"
      "9 settled\n"
      "10 end #1 completed\n"
      "10 dispatch #2 endpoint=1 attempt=2\n"
      "10 settled\n"
      "12 close\n");
  EXPECT_TRUE(report.ok()) << words(report);
  EXPECT_EQ(report.lines, 29u);
  EXPECT_EQ(report.records, 28u);
  EXPECT_EQ(report.calls, 8u);
  EXPECT_EQ(report.requests, 5u);
  EXPECT_EQ(report.dispatches, 4u);
  EXPECT_EQ(report.requeues, 1u);
  EXPECT_EQ(report.parked, 1u);
  EXPECT_EQ(report.in_flight, 2u);
  EXPECT_EQ(report.ended[static_cast<size_t>(Outcome::kCompleted)], 1u);
  EXPECT_EQ(report.ended[static_cast<size_t>(Outcome::kCancelled)], 1u);
  EXPECT_EQ(report.ended_in_all(), 2u);
  EXPECT_EQ(report.contested, 2u);  // #4 and the second of #2, both while #3 was parked
  EXPECT_EQ(report.excused, 0u);
  EXPECT_EQ(report.last_at, 12u);
  EXPECT_TRUE(report.closed);
}

TEST(DecisionChecker, TheExampleOfTheDocumentationIsAGoodLog) {
  std::ifstream file(SLUICE_SOURCE_DIR "/docs/decision-log.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const size_t begin = page.find("\n" + std::string(kDecisionLogMagic)) + 1;
  const std::string example = page.substr(begin, page.find("```", begin) - begin);
  const CheckReport report = check(example);
  EXPECT_TRUE(report.ok()) << words(report);
  EXPECT_TRUE(report.closed);
  EXPECT_EQ(report.requests, 4u);
  EXPECT_EQ(report.contested, 0u);
  // With the two dispatches changed over, what the page calls an inversion is one.
  std::string swapped = example;
  swapped.replace(swapped.find("dispatch #4"), 11, "dispatch #3");
  EXPECT_EQ(check(swapped).violations[static_cast<size_t>(What::kInversion)], 1u);
}

TEST(DecisionChecker, FindsALedgerThatDoesNotAddUp) {
  const std::string one = "1 submit #1 band=1 flow=0 class=0 key=1 bytes=10\n";  // line 9
  const std::string sent = one + "1 dispatch #1 endpoint=1 attempt=1\n";         // line 10
  expect_one(one + one + "1 dispatch #1 endpoint=1 attempt=1\n", What::kLedger, 10,
             "#1 is submitted twice");
  expect_one(sent + "2 dispatch #1 endpoint=1 attempt=2\n", What::kLedger, 11,
             "is dispatched while it is in flight at endpoint 1");
  expect_one(sent + "2 end #1 completed\n3 end #1 completed\n", What::kLedger, 12,
             "#1 ends but has ended already");
  expect_one(sent + "2 end #1 completed\n3 dispatch #1 endpoint=1 attempt=2\n", What::kLedger, 12,
             "#1 is dispatched but has ended already");
  expect_one(one + "2 end #1 expired\n2 dispatch #1 endpoint=1 attempt=1\n", What::kLedger, 11,
             "#1 is dispatched but has ended already");
  expect_one(sent + "2 end #1 completed\n2 submit #1 band=1 flow=0 class=0 key=1 bytes=10\n",
             What::kLedger, 12, "again, or out of sequence");
  expect_one("1 dispatch #7 endpoint=1 attempt=1\n", What::kLedger, 9,
             "#7 is dispatched but was never submitted");
  expect_one("1 end #7 completed\n", What::kLedger, 9, "#7 ends but was never submitted");
  expect_one("1 requeue #7 class=0\n", What::kLedger, 9, "#7 is requeued but was never submitted");
  expect_one("1 move #7 band=0 flow=0 class=0 key=0\n", What::kLedger, 9,
             "#7 is moved but was never submitted");
  expect_one(one + "2 requeue #1 class=0\n", What::kLedger, 10, "is requeued while it is parked");
  expect_one(one + "2 end #1 completed\n", What::kLedger, 10,
             "ends as completed while it is parked");
  expect_one(sent + "2 end #1 expired\n", What::kLedger, 11,
             "ends as expired while it is in flight");
  expect_one(sent + "2 end #1 rejected_bad\n", What::kLedger, 11, "ends as rejected_bad");
  expect_one(one + "1 dispatch #1 endpoint=1 attempt=2\n", What::kLedger, 10,
             "as attempt 2 after 0");
  expect_one("1 submit #1 band=5 flow=0 class=9 key=1 bytes=10\n", What::kLedger, 9,
             "band 5 is used but was never told");
  expect_one("5 settled\n4 settled\n", What::kLedger, 10, "time runs backwards, from 5 to 4");
  expect_one(one + "1 dispatch #1 endpoint=1 attempt=1 earlier\n", What::kLedger, 10,
             "since before the log began");
}

TEST(DecisionChecker, WhatIsParkedMayLoseItsModel) {
  const CheckReport report = check_rest(
      "1 submit #1 band=0 flow=1 class=9 key=1 bytes=1\n"
      "1 settled\n"
      "2 end #1 rejected_unknown_model\n"
      "2 settled\n");
  EXPECT_TRUE(report.ok()) << words(report);
}

TEST(DecisionChecker, AHeadThatIsKeptBackMayGetAnotherKey) {
  const CheckReport report = check_rest(
      "1 submit #1 band=0 flow=1 class=0 key=1 bytes=1\n"
      "1 held #1 better\n"
      "1 settled\n"
      "2 move #1 band=0 flow=1 class=0 key=7\n"
      "2 settled\n");
  EXPECT_TRUE(report.ok()) << words(report);
  expect_one(
      "1 submit #1 band=0 flow=1 class=0 key=1 bytes=1\n"
      "1 held #1 better\n"
      "2 move #1 band=0 flow=2 class=0 key=7\n"
      "2 settled\n",
      What::kConservation, 12, "#1");
}

TEST(DecisionChecker, FindsDispatchesToTheWrongPlace) {
  const std::string one =
      "1 submit #1 band=1 flow=0 class=1 key=1 bytes=10\n";  // may use endpoint 0 only
  expect_one(one + "1 dispatch #1 endpoint=1 attempt=1\n", What::kEligibility, 10,
             "not of its class");
  expect_one(one + "1 endpoint 0 limit=1 closed\n1 dispatch #1 endpoint=0 attempt=1\n",
             What::kEligibility, 11, "has no room to give");
  expect_one(one + "1 endpoint 0 limit=0 open\n1 dispatch #1 endpoint=0 attempt=1\n",
             What::kEligibility, 11, "which is full: 0 in flight of at most 0");
  expect_one(
      one +
          "1 dispatch #1 endpoint=0 attempt=1\n2 submit #2 band=1 flow=1 class=1 key=1 bytes=10\n"
          "2 dispatch #2 endpoint=0 attempt=1\n",
      What::kEligibility, 12, "which is full: 1 in flight of at most 1");
  expect_one(one + "1 class 1 members=none\n1 dispatch #1 endpoint=0 attempt=1\n",
             What::kEligibility, 11, "not of its class");
  // A class that was never told has no members; nor has endpoint 7 any room.
  const CheckReport report = check_rest(
      "1 submit #1 band=1 flow=0 class=9 key=1 bytes=10\n1 dispatch #1 endpoint=7 attempt=1\n");
  EXPECT_EQ(report.violations[static_cast<size_t>(What::kEligibility)], 2u) << words(report);
}

TEST(DecisionChecker, ALoweredLimitConcernsNewDispatchesOnly) {
  expect_good(
      "1 submit #1 band=1 flow=0 class=0 key=1 bytes=10\n1 dispatch #1 endpoint=1 attempt=1\n1 "
      "settled\n"
      "2 submit #2 band=1 flow=0 class=0 key=1 bytes=10\n2 dispatch #2 endpoint=1 attempt=1\n2 "
      "settled\n"
      "3 endpoint 1 limit=1 open\n3 endpoint 0 limit=0 open\n3 settled\n"
      "4 submit #3 band=1 flow=0 class=0 key=1 bytes=10\n4 settled\n"
      "5 end #1 completed\n5 settled\n"
      "6 end #2 client_gone\n6 dispatch #3 endpoint=1 attempt=1\n6 settled\n"
      "7 endpoint 1 limit=none open\n7 submit #4 band=1 flow=0 class=0 key=1 bytes=10\n"
      "7 dispatch #4 endpoint=1 attempt=1\n7 settled\n");
}

TEST(DecisionChecker, FindsInversions) {
  const std::string both =
      "1 submit #1 band=0 flow=3 class=0 key=1 bytes=10 name=llama|acme\n"
      "1 submit #2 band=1 flow=0 class=0 key=2 bytes=10\n";
  expect_one(both + "1 dispatch #2 endpoint=0 attempt=1\n", What::kInversion, 11,
             "#2 (band default, flow 0) is dispatched to endpoint 0 while #1 (band critical, flow "
             "llama|acme) was parked "
             "and endpoint 0 had room for it");
  // At the moment of the dispatch, not at the end of the call: #1 going right after does not heal
  // it.
  expect_one(
      both + "1 dispatch #2 endpoint=1 attempt=1\n1 dispatch #1 endpoint=1 attempt=1\n1 settled\n",
      What::kInversion, 11, "#1");
  // Room elsewhere in the higher one's class counts, wherever the lower one goes.
  expect_one(
      "1 submit #1 band=0 flow=0 class=1 key=1 bytes=10\n1 submit #2 band=1 flow=0 class=0 key=2 "
      "bytes=10\n"
      "1 dispatch #2 endpoint=1 attempt=1\n1 dispatch #1 endpoint=0 attempt=1\n",
      What::kInversion, 11, "endpoint 0 had room");
  // Only behind the head of its own flow may the higher one wait.
  expect_good(
      "1 submit #1 band=0 flow=0 class=9 key=1 bytes=10\n1 submit #2 band=0 flow=0 class=0 key=2 "
      "bytes=10\n"
      "1 submit #3 band=1 flow=0 class=0 key=3 bytes=10\n1 dispatch #3 endpoint=1 attempt=1\n1 "
      "settled\n");
  // Two bands told the other way round: priority decides, not the number.
  expect_one("1 band 0 priority=-5 name=low\n" + both + "1 dispatch #1 endpoint=0 attempt=1\n",
             What::kInversion, 12, "#2");
  expect_good("1 band 0 priority=0 name=even\n" + both +
              "1 dispatch #2 endpoint=0 attempt=1\n1 dispatch #1 endpoint=1 attempt=1\n");
}

TEST(DecisionChecker, AnIdleMarkExcusesItsOwnCallOnly) {
  const std::string both =
      "1 submit #1 band=0 flow=0 class=0 key=1 bytes=10\n"  // line 9
      "1 submit #2 band=1 flow=0 class=0 key=2 bytes=10\n";
  const std::string marked =
      both + "1 idle band=0\n1 dispatch #2 endpoint=0 attempt=1\n1 settled\n";  // 11 .. 13
  const CheckReport report = check_rest(marked);
  EXPECT_TRUE(report.ok()) << words(report);
  EXPECT_EQ(report.excused, 2u);  // the dispatch, and the end of the call
  expect_one(marked + "2 idle band=1\n2 settled\n", What::kConservation, 15,
             "#1 (band critical, flow 0) was parked and endpoint 1");
  expect_one(marked +
                 "2 submit #3 band=1 flow=0 class=0 key=3 bytes=10\n2 dispatch #3 endpoint=1 "
                 "attempt=1\n2 idle band=0\n2 settled\n",
             What::kInversion, 15, "#1");
  // Another record of the band takes the mark back, also within the call; one of another band does
  // not.
  expect_one(both +
                 "1 idle band=0\n1 submit #3 band=0 flow=1 class=9 key=3 bytes=10\n1 dispatch #2 "
                 "endpoint=0 attempt=1\n1 idle band=0\n1 settled\n",
             What::kInversion, 13, "#1");
  expect_good(both +
              "1 idle band=0\n1 submit #3 band=1 flow=1 class=9 key=3 bytes=10\n1 dispatch #2 "
              "endpoint=0 attempt=1\n1 settled\n");
  // An idle band excuses nobody else.
  expect_one(
      "1 band 2 priority=500 name=top\n" + both +
          "1 idle band=2\n1 dispatch #2 endpoint=0 attempt=1\n1 dispatch #1 endpoint=1 attempt=1\n",
      What::kInversion, 13, "#1");
}

TEST(DecisionChecker, FindsDispatchesOutOfOrder) {
  const std::string two =
      "1 submit #1 band=1 flow=0 class=0 key=50 bytes=10 name=x%20y\n"
      "1 submit #2 band=1 flow=0 class=0 key=20 bytes=10\n";
  expect_one(
      two + "1 dispatch #1 endpoint=0 attempt=1\n", What::kOrder, 11,
      "#1 (band default, flow x%20y) is dispatched to endpoint 0 with key 50 before #2 of its "
      "flow with key 20");
  expect_good(
      two + "1 dispatch #2 endpoint=0 attempt=1\n1 dispatch #1 endpoint=1 attempt=1\n1 settled\n");
  const std::string tie =
      "1 submit #1 band=1 flow=0 class=0 key=5 bytes=1\n1 submit #2 band=1 flow=0 class=0 key=5 "
      "bytes=1\n";
  expect_one(tie + "1 dispatch #2 endpoint=0 attempt=1\n", What::kOrder, 11, "before #1");
  // Not of one flow: the same flow number in another band, another flow.
  expect_good(
      "1 submit #1 band=1 flow=0 class=0 key=5 bytes=1\n1 submit #2 band=1 flow=1 class=0 key=6 "
      "bytes=1\n"
      "1 submit #3 band=0 flow=0 class=0 key=7 bytes=1\n1 dispatch #3 endpoint=1 attempt=1\n"
      "1 dispatch #2 endpoint=0 attempt=1\n1 dispatch #1 endpoint=1 attempt=1\n1 settled\n");
  // A requeued request is the head again by its sequence; a moved one by its new key.
  const std::string requeued = tie + "1 dispatch #1 endpoint=0 attempt=1\n2 requeue #1 class=0\n";
  expect_one(requeued + "2 dispatch #2 endpoint=0 attempt=1\n", What::kOrder, 13, "before #1");
  expect_good(requeued +
              "2 move #1 band=1 flow=0 class=0 key=6\n2 dispatch #2 endpoint=0 attempt=1\n");
  // A move while in flight says where it will be parked.
  expect_good(tie +
              "1 dispatch #1 endpoint=0 attempt=1\n2 move #1 band=1 flow=0 class=0 key=6\n2 "
              "requeue #1 class=0\n"
              "2 dispatch #2 endpoint=0 attempt=1\n");
}

TEST(DecisionChecker, FindsWorkThatWaitsForNothing) {
  const std::string one = "1 submit #1 band=1 flow=0 class=0 key=1 bytes=10\n";
  expect_one(one + "1 settled\n", What::kConservation, 10,
             "at the end of an engine call #1 (band default, flow 0) was parked");
  // Whatever makes the room: an endpoint that opens, a limit that grows, a class that gains a
  // member, a request that ends, leaves its flow's head or is moved.
  const std::string stuck =
      "1 submit #1 band=1 flow=0 class=9 key=1 bytes=10\n1 submit #2 band=1 flow=0 class=0 key=2 "
      "bytes=10\n1 settled\n";
  expect_one(stuck + "2 class 9 members=0\n2 settled\n", What::kConservation, 13, "#1");
  expect_one(stuck + "2 end #1 evicted\n2 settled\n", What::kConservation, 13, "#2");
  expect_one(stuck + "2 move #1 band=1 flow=0 class=0 key=1\n2 settled\n", What::kConservation, 13,
             "#1");
  expect_one(stuck + "2 move #1 band=1 flow=0 class=9 key=3\n2 settled\n", What::kConservation, 13,
             "#2");
  expect_one(stuck + "2 class 9 members=7\n2 endpoint 7 limit=none open\n2 settled\n",
             What::kConservation, 14, "endpoint 7");
  expect_one(stuck +
                 "2 class 9 members=7\n2 endpoint 7 limit=0 open\n2 settled\n2 endpoint 7 limit=1 "
                 "open\n2 settled\n",
             What::kConservation, 16, "endpoint 7");
  const std::string full = "1 endpoint 1 limit=0 open\n" + one +
                           "1 dispatch #1 endpoint=0 attempt=1\n2 submit #2 band=1 flow=0 class=0 "
                           "key=1 bytes=10\n2 settled\n";
  expect_good(full);
  expect_one(full + "3 end #1 completed\n3 settled\n", What::kConservation, 15,
             "endpoint 0 had room");
  expect_one(full + "3 requeue #1 class=9\n3 settled\n3 end #1 expired\n3 settled\n",
             What::kConservation, 17, "#2");
  // It is told at every call until it goes.
  const CheckReport report = check_rest(
      one + "1 settled\n2 settled\n3 settled\n3 dispatch #1 endpoint=0 attempt=1\n3 settled\n");
  EXPECT_EQ(report.violations[static_cast<size_t>(What::kConservation)], 3u);
}

TEST(DecisionChecker, MayBeginInTheMiddle) {
  const CheckReport report = check(
      "sluice-decision-log 1\n0 band 0 priority=0 name=only\n0 endpoint 0 limit=2 open\n0 class 0 "
      "members=0\n"
      "0 submit #9 band=0 flow=0 class=0 key=9 bytes=1\n0 dispatch #9 endpoint=0 attempt=3 "
      "earlier\n"
      "0 submit #4 band=0 flow=0 class=0 key=4 bytes=1\n0 dispatch #4 endpoint=0 attempt=1 "
      "earlier\n"
      "0 submit #8 band=0 flow=0 class=0 key=8 bytes=1\n0 submit #5 band=0 flow=0 class=0 key=5 "
      "bytes=1\n0 settled\n"
      "1 end #9 revoked\n1 dispatch #5 endpoint=0 attempt=1\n1 settled\n");
  EXPECT_TRUE(report.ok()) << words(report);
  EXPECT_EQ(report.dispatches, 1u);
  EXPECT_EQ(report.in_flight, 2u);
  EXPECT_EQ(report.parked, 1u);
  EXPECT_FALSE(report.closed);
}

TEST(DecisionChecker, SaysWhyALogIsNotComplete) {
  expect_incomplete("", "the file is empty");
  expect_incomplete("hello\n", "line 1: this is not a decision log");
  expect_incomplete("sluice-decision-log\n", "line 1: this is not a decision log");
  expect_incomplete("sluice-decision-log 2\n", "line 1: the log has a format other than 1");
  expect_incomplete("sluice-decision-log 10\n", "other than 1");
  expect_incomplete("sluice-decision-log 1\n0 settled\n0 sett",
                    "line 3: the file ends in the middle of this line");
  expect_incomplete(log_of("7 gap lost=3\n8 dispatch #1 endpoint=0 attempt=1\n"),
                    "line 9: 3 records are missing here");
  expect_incomplete(log_of("7 dispatch 1 endpoint=0 attempt=1\n"),
                    "line 9: this is no record of a decision log: column 11: expected \" #\"");
  expect_incomplete(log_of("\n"), "line 9: this is no record of a decision log: column 1");
  expect_incomplete(log_of("0 endpoint 1024 limit=1 open\n"),
                    "line 9: endpoint 1024 is beyond the last possible one, 1023");
  expect_incomplete(log_of("0 class 0 members=0,1024\n"), "endpoint 1024");
  expect_incomplete(log_of("0 dispatch #1 endpoint=4294967295 attempt=1\n"), "endpoint 4294967295");
  expect_incomplete(
      log_of("0 band 1 priority=1 name=" + std::string(kDecisionLogLineBytesMax, 'x') + "\n"),
      "line 9: longer than any record");
  expect_incomplete(log_of("0 close\n1 settled\n"),
                    "line 10: a record after the one that closes the log");
}

TEST(DecisionChecker, ViolationsBeforeAGapAreStillTold) {
  const CheckReport report = check_rest("1 end #7 completed\n2 gap lost=1\n3 end #8 completed\n");
  EXPECT_EQ(report.violations_in_all(), 1u);
  EXPECT_THAT(report.incomplete, HasSubstr("line 10"));
  EXPECT_EQ(report.lines, 11u);
}

TEST(DecisionChecker, CountsAllAndKeepsTheFirst) {
  std::string rest;
  for (int i = 1; i <= 1000; ++i) rest += "1 end #" + std::to_string(i) + " completed\n";
  const CheckReport report = check_rest(rest);
  EXPECT_EQ(report.violations_in_all(), 1000u);
  ASSERT_EQ(report.first.size(), kViolationsKept);
  EXPECT_EQ(report.first.front().line, 9u);
}

// Any damage to a log is either read as another log or called incomplete; nothing crashes or runs
// away.
TEST(DecisionChecker, SurvivesMutations) {
  const std::string good = log_of(
      "5 submit #1 band=1 flow=0 class=0 key=1 bytes=10 name=a%20b\n5 dispatch #1 endpoint=1 "
      "attempt=1\n5 settled\n"
      "6 submit #2 band=1 flow=0 class=1 key=2 bytes=10\n6 dispatch #2 endpoint=0 attempt=1\n6 "
      "settled\n"
      "7 submit #3 band=0 flow=0 class=1 key=3 bytes=10 name=b\n7 idle band=1\n7 settled\n"
      "9 requeue #2 class=0\n9 endpoint 0 limit=1 closed\n9 dispatch #2 endpoint=1 attempt=2\n9 "
      "settled\n"
      "10 move #3 band=1 flow=0 class=0 key=3\n10 end #1 completed\n10 end #3 cancelled\n10 "
      "settled\n12 close\n");
  ASSERT_TRUE(check(good).ok()) << words(check(good));
  std::mt19937 random(7);
  int incomplete = 0, wrong = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string log = good;
    for (uint32_t edits = 1 + random() % 4; edits != 0; --edits) {
      const size_t at = random() % log.size();
      switch (random() % 5) {
        case 0:
          log.insert(at, 1, static_cast<char>(random()));
          break;
        case 1:
          log.erase(at, 1 + random() % 40);
          break;
        case 2:
          log[at] = static_cast<char>('0' + random() % 10);
          break;
        case 3:
          log.insert(at, log.substr(random() % log.size(), random() % 80));
          break;
        default: {  // a whole line moves
          const size_t end = log.find('\n', at);
          if (end == std::string::npos) break;
          const size_t begin = log.rfind('\n', at == 0 ? 0 : at - 1) + 1;
          if (begin > end) break;
          const std::string line = log.substr(begin, end + 1 - begin);
          log.erase(begin, line.size());
          log.insert(log.find('\n', log.empty() ? 0 : random() % log.size()) + 1, line);
        }
      }
    }
    const CheckReport report = check(log);
    incomplete += !report.incomplete.empty();
    wrong += report.violations_in_all() != 0;
    ASSERT_EQ(report.requests, report.parked + report.in_flight + report.ended_in_all());
    ASSERT_LE(report.first.size(), kViolationsKept);
  }
  EXPECT_GT(incomplete, 5'000);
  EXPECT_GT(wrong, 2'000);
}

}  // namespace
}  // namespace sluice
