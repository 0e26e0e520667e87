#include "host/traces/azure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/traces/traces.h"

namespace sluice::traces {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kHeader = std::string(kAzureHeader) + "\n";

TEST(AzureTrace, BeginsWithItsFirstRow) {
  const Drained got = drained(kHeader +
                              "2023-11-16 23:59:59.9000000,374,44\r\n"
                              "2023-11-17 00:00:00.0000001,396,0\n"
                              "2023-11-17 00:01:00,7,1");
  ASSERT_EQ(got.error, "");
  ASSERT_EQ(got.rows.size(), 3u);
  EXPECT_EQ(got.rows[0].at, 0u);
  EXPECT_EQ(got.rows[0].prompt_tokens, 374u);
  EXPECT_EQ(got.rows[0].output_tokens, 44u);
  EXPECT_EQ(got.rows[1].at, 100'000'100u);
  EXPECT_EQ(got.rows[1].output_tokens, 1u);  // 0 in the file
  EXPECT_EQ(got.rows[2].at, 60'100'000'000u);
}

TEST(AzureTrace, ItsFirstRowMayStandLater) {
  const Drained got = drained(kHeader + "2023-11-16 00:00:02,2,2\n2023-11-16 00:00:01,1,1\n");
  EXPECT_THAT(times(got.rows), ElementsAre(0, 1));
  EXPECT_EQ(got.rows[0].prompt_tokens, 1u);
}

TEST(AzureTrace, SaysWhatIsWrongAndWhere) {
  const auto error = [](const std::string& rows) { return drained(kHeader + rows).error; };
  EXPECT_EQ(error("2023-11-16 00:00:01,1\n"),
            "t.csv:2: error: expected three columns, TIMESTAMP,ContextTokens,GeneratedTokens");
  for (const char* time :
       {"yesterday", "", "2023-02-29 00:00:01", "2023-11-16T00:00:01", "2023-11-16 00:00:01.",
        "2023-11-16 00:00:01.1234567890", "1969-12-31 23:59:59", "9999-01-01 00:00:00"}) {
    EXPECT_THAT(error(std::string(time) + ",1,1\n"), HasSubstr("is not a time like 2023-11-16"))
        << time;
  }
  EXPECT_THAT(error("2023-11-16 00:00:01,1,1000001\n"), HasSubstr("tokens must be whole numbers"));
  EXPECT_THAT(error("1970-01-01 00:00:01,1,1\n2023-11-16 00:00:01,1,1\n"),
              HasSubstr("t.csv:3: error: this row is over 87600h from the others"));
}

}  // namespace
}  // namespace sluice::traces
