#include "host/demo/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace sluice::demo {
namespace {

using testing::HasSubstr;

constexpr std::string_view kHeader = "TIMESTAMP,ContextTokens,GeneratedTokens\n";

Result<std::vector<TraceRow>> read(const std::string& rows) {
  std::istringstream in(std::string(kHeader) + rows);
  return read_trace(in, "t.csv");
}

std::string error(const std::string& rows) {
  const auto result = read(rows);
  return result.ok() ? "accepted" : result.error();
}

TEST(ReadTrace, ReadsTimesFromTheFirstRow) {
  const auto rows = read(
      "2023-11-16 23:59:59.9000000,374,44\r\n"
      "2023-11-17 00:00:00.0000001,396,109\n"
      "2023-11-17 00:01:00,7,1\n\n");
  ASSERT_TRUE(rows.ok()) << rows.error();
  ASSERT_EQ(rows.value().size(), 3u);
  EXPECT_EQ(rows.value()[0].at_ns, 0u);
  EXPECT_EQ(rows.value()[0].prompt_tokens, 374u);
  EXPECT_EQ(rows.value()[0].output_tokens, 44u);
  EXPECT_EQ(rows.value()[1].at_ns, 100'000'100u);
  EXPECT_EQ(rows.value()[2].at_ns, 60'100'000'000u);
}

TEST(ReadTrace, SortsRowsThatGoBackInTime) {
  const auto rows = read("2023-11-16 00:00:02,2,2\n2023-11-16 00:00:01,1,1\n");
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows.value()[0].prompt_tokens, 1u);
  EXPECT_EQ(rows.value()[1].at_ns, 1'000'000'000u);
}

TEST(ReadTrace, SaysWhatIsWrongAndWhere) {
  const std::string good = "2023-11-16 00:00:01,1,1\n";
  EXPECT_THAT(error(good + "2023-11-16 00:00:01,1\n"), HasSubstr("t.csv:3: error: expected three"));
  EXPECT_THAT(error(good + good + "2023-11-16 00:00:01,1,1,1\n"), HasSubstr("t.csv:4: error: exp"));
  EXPECT_THAT(error("yesterday,1,1\n"), HasSubstr("t.csv:2: error: `yesterday` is not a time"));
  EXPECT_THAT(error("2023-13-16 00:00:01,1,1\n"), HasSubstr("is not a time"));
  EXPECT_THAT(error("2023-11-31 00:00:01,1,1\n"), HasSubstr("is not a time"));
  EXPECT_THAT(error("2023-11-16 24:00:01,1,1\n"), HasSubstr("is not a time"));
  EXPECT_THAT(error("2023-11-16 00:00:01.,1,1\n"), HasSubstr("is not a time"));
  EXPECT_THAT(error("2023-11-16 00:00:01.12x,1,1\n"), HasSubstr("is not a time"));
  EXPECT_THAT(error("2023-11-16 00:-1:01,1,1\n"), HasSubstr("is not a time"));
  EXPECT_THAT(error("2023-11-16 00:00:01,many,1\n"), HasSubstr("tokens must be whole numbers"));
  EXPECT_THAT(error("2023-11-16 00:00:01,1,-1\n"), HasSubstr("tokens must be whole numbers"));
  EXPECT_THAT(error("2023-11-16 00:00:01,1,9999999999\n"), HasSubstr("tokens must be"));
  EXPECT_THAT(error(""), HasSubstr("there are no rows"));
  std::istringstream empty(""), other("time,in,out\n");
  EXPECT_THAT(read_trace(empty, "t.csv").error(), HasSubstr("the file is empty"));
  EXPECT_THAT(read_trace(other, "t.csv").error(), HasSubstr("t.csv:1: error: the first line must"));
}

// A request a second, each of 1 s service time: 50 ms + 95 x 10 ms.
std::vector<TraceRow> steady(size_t n) {
  std::vector<TraceRow> rows;
  for (size_t i = 0; i < n; ++i) rows.push_back({i * 1'000'000'000, 100, 96});
  return rows;
}

TEST(ScaleTrace, ChoosesTheSpeedThatGivesTheLoad) {
  TraceScale scale;
  scale.duration_s = 10;
  scale.tokens = 1;
  scale.slots = 4;
  scale.load = 0.5;
  const auto scaled = scale_trace(steady(1000), scale);
  ASSERT_TRUE(scaled.ok());
  EXPECT_EQ(scaled.value().rows.size(), 20u);  // half of 4 slots for 10 s
  EXPECT_NEAR(scaled.value().load, 0.5, 0.001);
  EXPECT_NEAR(scaled.value().speed, 1.9, 0.001);
  EXPECT_NEAR(static_cast<double>(scaled.value().rows.back().at_ns), 10e9, 1e3);
}

TEST(ScaleTrace, KeepsToASpeedThatIsGiven) {
  TraceScale scale;
  scale.start_s = 100;
  scale.duration_s = 10;
  scale.speed = 2;
  const auto scaled = scale_trace(steady(1000), scale);
  ASSERT_TRUE(scaled.ok());
  EXPECT_EQ(scaled.value().rows.size(), 21u);
  EXPECT_EQ(scaled.value().rows[0].at_ns, 0u);
  EXPECT_EQ(scaled.value().rows[1].at_ns, 500'000'000u);
  EXPECT_EQ(scaled.value().rows[1].output_tokens, 24u);
}

TEST(ScaleTrace, NeverAsksForLessThanAToken) {
  TraceScale scale;
  scale.tokens = 0.001;
  const auto scaled = scale_trace({{0, 1, 1}}, scale);
  ASSERT_TRUE(scaled.ok());
  EXPECT_EQ(scaled.value().rows[0].output_tokens, 1u);
  EXPECT_EQ(scaled.value().rows[0].prompt_tokens, 1u);
}

TEST(ScaleTrace, SaysThatTheTraceIsTooShort) {
  TraceScale scale;
  scale.start_s = 10;
  EXPECT_THAT(scale_trace(steady(5), scale).error(), HasSubstr("it lasts 4 s"));
}

}  // namespace
}  // namespace sluice::demo
