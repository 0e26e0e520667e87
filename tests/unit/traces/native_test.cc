#include "host/traces/native.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/traces/traces.h"

namespace sluice::traces {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kHeader = std::string(kNativeHeader) + "\n";
const std::string kGroups = std::string(kNativeHeader) + std::string(kGroupColumn) + "\n";

std::string error(const std::string& rows) { return drained(kHeader + rows).error; }

TEST(NativeTrace, ReadsEveryColumn) {
  const Drained got = drained(kHeader + "0.25,acme,urgent,llama,100,20\n1,,,,7,1");
  ASSERT_EQ(got.error, "");
  ASSERT_EQ(got.rows.size(), 2u);
  EXPECT_EQ(got.rows[0].at, 250'000'000u);  // from where the trace begins, not from the first row
  EXPECT_EQ(got.rows[0].flow, "acme");
  EXPECT_EQ(got.rows[0].objective, "urgent");
  EXPECT_EQ(got.rows[0].model, "llama");
  EXPECT_EQ(got.rows[0].band, "");
  EXPECT_EQ(got.rows[0].prompt_tokens, 100u);
  EXPECT_EQ(got.rows[0].output_tokens, 20u);
  EXPECT_EQ(got.rows[1].flow, "");
  EXPECT_EQ(got.rows[1].model, "");
  EXPECT_EQ(got.rows[1].client, kNone);
  EXPECT_EQ(got.rows[1].ordinal, 1u);
}

TEST(NativeTrace, TakesWindowsLineEndsAByteOrderMarkAndBlankLines) {
  const Drained got =
      drained("\xef\xbb\xbf" + std::string(kNativeHeader) + "\r\n1,a,,,1,1\r\n\r\n2,b,,,1,1\r\n");
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(flows(got.rows), "a,b");
}

TEST(NativeTrace, TakesQuotedFields) {
  const Drained got = drained(kHeader +
                              "1,\"a, b\",\"say \"\"hi\"\", please\",\"\",\"12\",1\n"
                              "\"2\",\"\"\"\",plain \"inside\",m,1,1\n");
  ASSERT_EQ(got.error, "");
  EXPECT_EQ(got.rows[0].flow, "a, b");
  EXPECT_EQ(got.rows[0].objective, "say \"hi\", please");
  EXPECT_EQ(got.rows[0].model, "");
  EXPECT_EQ(got.rows[0].prompt_tokens, 12u);
  EXPECT_EQ(got.rows[1].flow, "\"");
  EXPECT_EQ(got.rows[1].objective, "plain \"inside\"");
}

TEST(NativeTrace, ARequestHasATokenAtLeast) {
  const Drained got = drained(kHeader + "0,,,,0,0\n");
  ASSERT_EQ(got.error, "");
  EXPECT_EQ(got.rows[0].prompt_tokens, 1u);
  EXPECT_EQ(got.rows[0].output_tokens, 1u);
}

TEST(NativeTrace, PromptsOfAGroupBeginAlikeAsFarAsTheShorterGoes) {
  const Drained got = drained(kGroups +
                              "0,,,,200,1,g\n0,,,,1000000,1,g\n0,,,,200,1,h\n0,,,,63,1,g\n"
                              "0,,,,200,1,\n");
  ASSERT_EQ(got.error, "");
  const auto& rows = got.rows;
  EXPECT_EQ(rows[0].blocks.size(), 3u);  // whole blocks of 64
  EXPECT_EQ(rows[1].blocks.size(), 2048u);
  EXPECT_TRUE(std::equal(rows[0].blocks.begin(), rows[0].blocks.end(), rows[1].blocks.begin()));
  for (size_t i = 0; i < 3; ++i) EXPECT_NE(rows[0].blocks[i], rows[2].blocks[i]);
  EXPECT_NE(rows[0].blocks[0], rows[0].blocks[1]);
  EXPECT_TRUE(rows[3].blocks.empty());
  EXPECT_TRUE(rows[4].blocks.empty());
}

TEST(NativeTrace, SaysWhatIsWrongAndWhere) {
  const std::string good = "1,a,,,1,1\n";
  EXPECT_EQ(error(good + "1,a,,,1\n"),
            "t.csv:3: error: expected 6 columns as in the header, found 5");
  EXPECT_THAT(error("1,a,,,1,1,g\n"), HasSubstr("t.csv:2: error: expected 6 columns"));
  EXPECT_THAT(drained(kGroups + good).error, HasSubstr("expected 7 columns"));
  for (const char* time : {"-1", "nan", "inf", "1e300", "", "1s", " 1", "0x10", "315360001"}) {
    EXPECT_THAT(error(good + time + ",a,,,1,1\n"),
                HasSubstr("t.csv:3: error: arrival_s must be seconds from where the trace begins, "
                          "0 to 315360000, not \""))
        << time;
  }
  for (const char* tokens : {"-1", "1.5", "", "1000001", "99999999999999", "many"}) {
    EXPECT_THAT(error(std::string("1,a,,,") + tokens + ",1\n"),
                HasSubstr("t.csv:2: error: tokens must be whole numbers up to 1000000"))
        << tokens;
    EXPECT_THAT(error(std::string("1,a,,,1,") + tokens + "\n"), HasSubstr("tokens must be"));
  }
  EXPECT_THAT(error("1,\"a,,,1,1\n"), HasSubstr("a quoted field must end on its own line"));
  EXPECT_THAT(error("1,\"a\"b,,,1,1\n"), HasSubstr("a comma must follow a quoted field"));
  EXPECT_THAT(error("1,a\xff,,,1,1\n"), HasSubstr("is no name"));
  EXPECT_THAT(error("1,a\tb,,,1,1\n"), HasSubstr("is no name"));
  EXPECT_THAT(error("1,,," + std::string(257, 'm') + ",1,1\n"), HasSubstr("at most 256 bytes"));
  EXPECT_THAT(error("1," + std::string(300'000, 'x') + ",,,1,1\n"),
              HasSubstr("t.csv:2: error: this line is too long"));
  EXPECT_EQ(error(""), "t.csv: error: there are no rows");
  EXPECT_EQ(error("\n\n"), "t.csv: error: there are no rows");
}

TEST(NativeTrace, AMistakeFarInsideStopsTheReplayThere) {
  std::string rows = kHeader;
  for (int i = 0; i < 3000; ++i) rows += std::to_string(i) + ",a,,,1,1\n";
  const Drained got = drained(rows + "3000,a,,,x,1\n");
  EXPECT_THAT(got.error, HasSubstr("t.csv:3002: error: tokens must be"));
  EXPECT_GE(got.rows.size(), 1900u);
  EXPECT_LT(got.rows.size(), 3000u);
}

}  // namespace
}  // namespace sluice::traces
